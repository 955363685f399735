package config

import (
	"fmt"
	"slices"
	"strings"
)

const (
	maxExpansion = 1 << 20 // of a value after its placeholders are replaced, in bytes
	maxDepth     = 16      // of placeholders in the values of placeholders
)

// substitute replaces ${env:NAME} by the environment variable NAME, and any
// ${…:-default} whose variable is not there by its default. What cannot be
// resolved stays as it is, ${sys:NAME} included: a Go program has no Java system
// properties. $${ stands for ${. The text of a variable may hold placeholders
// of its own; one that leads back to itself is an error.
func substitute(s string, lookup func(string) (string, bool)) (string, error) {
	return expand(s, lookup, nil)
}

// unset returns the environment variables that s names, without a default, and
// that are not there.
func unset(s string, lookup func(string) (string, bool)) (names []string) {
	for {
		i := strings.Index(s, "${env:")
		if i < 0 {
			return names
		}
		escaped := i > 0 && s[i-1] == '$'
		s = s[i+len("${env:"):]
		end := strings.IndexByte(s, '}')
		if end < 0 {
			return names
		}
		name := s[:end]
		if _, found := lookup(name); !found && !escaped && !strings.Contains(name, ":-") {
			names = append(names, name)
		}
	}
}

func expand(s string, lookup func(string) (string, bool), open []string) (string, error) {
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1])
			b.WriteString("${")
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			b.WriteString(s[i:])
			return b.String(), nil
		}
		whole, inner := s[i:i+end+1], s[i+2:i+end]
		s = s[i+end+1:]
		name, fallback, hasFallback := strings.Cut(inner, ":-")
		value, found := "", false
		if variable, ok := strings.CutPrefix(name, "env:"); ok {
			value, found = lookup(variable)
		}
		if !found {
			if !hasFallback {
				b.WriteString(whole)
				continue
			}
			value = fallback
		}
		if slices.Contains(open, name) || len(open) == maxDepth {
			return "", fmt.Errorf("the placeholder ${%s} leads back to itself", name)
		}
		value, err := expand(value, lookup, append(slices.Clip(open), name))
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		if b.Len() > maxExpansion {
			return "", fmt.Errorf("its placeholders expand to more than %d bytes", maxExpansion)
		}
	}
}
