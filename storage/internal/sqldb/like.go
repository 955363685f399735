package sqldb

import "strings"

// Patterns go to every engine with one escape character of ours, whatever the
// caller's is, so that backslash rules of engines and sessions do not matter.
const (
	likeEscape       = '|'
	likeEscapeClause = " ESCAPE '|'"
)

// likePattern rewrites a pattern with escape character escape ("" = none) into
// one with ours.
func likePattern(pattern, escape string) string {
	if escape == string(likeEscape) || escape == "" && !strings.ContainsRune(pattern, likeEscape) {
		if !danglingEscape(pattern, escape) {
			return pattern
		}
	}
	var b strings.Builder
	literal := func(r rune) {
		if r == '%' || r == '_' || r == likeEscape {
			b.WriteRune(likeEscape)
		}
		b.WriteRune(r)
	}
	rs := []rune(pattern)
	for i := 0; i < len(rs); i++ {
		switch {
		case escape != "" && string(rs[i]) == escape && i+1 < len(rs):
			i++
			literal(rs[i])
		case rs[i] == '%' || rs[i] == '_':
			b.WriteRune(rs[i])
		default:
			literal(rs[i])
		}
	}
	return b.String()
}

// danglingEscape tells whether a pattern ends in an escape character that
// escapes nothing, or escapes an ordinary character, which engines judge
// differently; such patterns are rewritten.
func danglingEscape(pattern, escape string) bool {
	if escape == "" {
		return false
	}
	rs := []rune(pattern)
	for i := 0; i < len(rs); i++ {
		if string(rs[i]) != escape {
			continue
		}
		if i++; i == len(rs) || rs[i] != '%' && rs[i] != '_' && string(rs[i]) != escape {
			return true
		}
	}
	return false
}
