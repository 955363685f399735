// Package properties reads the line-oriented format of java.util.Properties:
// `key = value`, `key: value` or `key value`; # and ! begin comments; a
// backslash escapes, and at the end of a line joins the next one.
//
// Bytes that are valid UTF-8 are read as UTF-8, all others as ISO-8859-1, which
// is what Java reads always: the two agree on ASCII, and on files that an editor
// saved as ISO-8859-1.
package properties

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Property is one entry of a file, in file order.
type Property struct {
	Key, Value string
	Line       int // the line on which it begins, from 1
}

// SyntaxError is a line that cannot be read.
type SyntaxError struct {
	Line int
	Text string
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// Parse reads a whole file. A key may come more than once. The only thing that
// can be wrong is a \u that four hexadecimal digits do not follow: *SyntaxError.
func Parse(data []byte) ([]Property, error) {
	text := decode(data)
	var props []Property
	for line := 1; text != ""; {
		logical, rest, lines := nextLine(text)
		if logical != "" {
			key, value := split(logical)
			k, err := unescape(key)
			if err != nil {
				return nil, &SyntaxError{Line: line, Text: err.Error()}
			}
			v, err := unescape(value)
			if err != nil {
				return nil, &SyntaxError{Line: line, Text: "value of " + k + ": " + err.Error()}
			}
			props = append(props, Property{Key: k, Value: v, Line: line})
		}
		text, line = rest, line+lines
	}
	return props, nil
}

func decode(data []byte) string {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if utf8.Valid(data) {
		return string(data)
	}
	runes := make([]rune, len(data))
	for i, b := range data {
		runes[i] = rune(b)
	}
	return string(runes)
}

const blanks = " \t\f"

// nextLine takes one logical line off the text: natural lines joined where a
// backslash ends them, their leading blanks dropped. It is empty for comments
// and blank lines. lines is the number of natural lines taken.
func nextLine(text string) (logical, rest string, lines int) {
	var b strings.Builder
	for first := true; ; first = false {
		natural, after := cutLine(text)
		lines, rest = lines+1, after
		natural = strings.TrimLeft(natural, blanks)
		if first && (natural == "" || natural[0] == '#' || natural[0] == '!') {
			return "", rest, lines
		}
		if !endsEscaped(natural) {
			b.WriteString(natural)
			return b.String(), rest, lines
		}
		b.WriteString(natural[:len(natural)-1])
		if rest == "" {
			return b.String(), rest, lines
		}
		text = rest
	}
}

func cutLine(text string) (line, rest string) {
	i := strings.IndexAny(text, "\r\n")
	if i < 0 {
		return text, ""
	}
	if strings.HasPrefix(text[i:], "\r\n") {
		return text[:i], text[i+2:]
	}
	return text[:i], text[i+1:]
}

// endsEscaped tells whether an odd number of backslashes ends the line.
func endsEscaped(line string) bool {
	n := len(line) - len(strings.TrimRight(line, `\`))
	return n%2 == 1
}

// split cuts a logical line at the first unescaped =, : or blank. Blanks around
// the separator, and one = or : after blanks, belong to it.
func split(line string) (key, value string) {
	end := len(line)
	for i := 0; i < len(line); i++ {
		if line[i] == '\\' {
			i++
			continue
		}
		if strings.IndexByte("=:"+blanks, line[i]) >= 0 {
			end = i
			break
		}
	}
	key = line[:end]
	value = strings.TrimLeft(line[end:], blanks)
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], blanks)
	}
	return key, value
}

// unescape resolves \t \n \r \f \uXXXX; before any other character a backslash
// is dropped. Two \u that form a surrogate pair are one character; half of a
// pair becomes U+FFFD, as Go strings cannot hold it.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			break
		}
		switch s[i] {
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 'f':
			b.WriteByte('\f')
		case 'u':
			r, ok := hex4(s[i+1:])
			if !ok {
				return "", fmt.Errorf(`\u needs four hexadecimal digits`)
			}
			i += 4
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if strings.HasPrefix(s[i+1:], `\u`) {
					low, ok = hex4(s[i+3:])
				}
				if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
					i += 6
				}
			}
			b.WriteRune(r)
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s[:4]) {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
