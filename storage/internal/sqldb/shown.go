package sqldb

import "strings"

// shownCharacters is how much of a statement is shown.
const shownCharacters = 200

// ShownStatement renders a statement of somebody's session for people: in one line,
// cut, and hidden if it may hold a password.
func ShownStatement(q string) string {
	words := strings.Fields(strings.ToValidUTF8(q, "?"))
	if low := strings.ToLower(q); strings.Contains(low, "identified") || strings.Contains(low, "password") {
		return words[0] + " … (hidden)"
	}
	rs := []rune(strings.Join(words, " "))
	return string(rs[:min(len(rs), shownCharacters)])
}
