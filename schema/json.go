package schema

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// This is JSON as people write it in schema files, with positions: comments (//,
// # and /* */), commas before a closing bracket, single quotes, and bare words
// for names and strings are taken too, as ScalarDB's loader takes them.

// value is a JSON value: a string, number or word in text, or what it holds.
type value struct {
	kind    kind
	text    string // of a string, number, true, false or null
	members []member
	items   []value
	at      int // byte offset
}

type member struct {
	name string
	at   int
	value
}

type kind uint8

const (
	isString kind = iota
	isNumber
	isBool
	isNull
	isObject
	isArray
)

func (k kind) String() string {
	return [...]string{"a string", "a number", "true or false", "null", "an object", "a list"}[k]
}

// syntaxError is a text that cannot be read.
type syntaxError struct {
	at   int
	text string
}

func (e *syntaxError) Error() string { return e.text }

// maxNesting is the deepest nesting of a file; a schema needs three.
const maxNesting = 32

type parser struct {
	src string
	pos int
}

func parseJSON(src string) (v value, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*syntaxError)
			if !ok {
				panic(r)
			}
			err = e
		}
	}()
	p := &parser{src: src}
	if strings.HasPrefix(src, "\ufeff") {
		p.pos = len("\ufeff")
	}
	if !utf8.ValidString(src) {
		for i, r := range src {
			if r == utf8.RuneError && !strings.HasPrefix(src[i:], "\ufffd") {
				return value{}, &syntaxError{i, "this byte is not UTF-8"}
			}
		}
	}
	p.space()
	v = p.value(0)
	p.space()
	if p.pos < len(p.src) {
		p.fail(p.pos, "something follows the end of the object")
	}
	return v, nil
}

// fail leaves the parser; parseJSON turns it into an error.
func (p *parser) fail(at int, format string, args ...any) {
	panic(&syntaxError{at, fmt.Sprintf(format, args...)})
}

func (p *parser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

// space skips blanks and comments.
func (p *parser) space() {
	for p.pos < len(p.src) {
		rest := p.src[p.pos:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			p.pos++
		case rest[0] == '#' || strings.HasPrefix(rest, "//"):
			if i := strings.IndexAny(rest, "\r\n"); i >= 0 {
				p.pos += i
			} else {
				p.pos = len(p.src)
			}
		case strings.HasPrefix(rest, "/*"):
			i := strings.Index(rest[2:], "*/")
			if i < 0 {
				p.fail(p.pos, "the comment does not end")
			}
			p.pos += 2 + i + 2
		default:
			return
		}
	}
}

func (p *parser) value(depth int) value {
	if depth > maxNesting {
		p.fail(p.pos, "too deeply nested")
	}
	v := value{at: p.pos}
	switch c := p.peek(); {
	case c == '{':
		v.kind, v.members = isObject, p.object(depth)
	case c == '[':
		v.kind, v.items = isArray, p.array(depth)
	case c == '"' || c == '\'':
		v.text = p.quoted()
	default:
		v.text = p.bare()
		switch {
		case v.text == "true" || v.text == "false":
			v.kind = isBool
		case v.text == "null":
			v.kind = isNull
		case isJSONNumber(v.text):
			v.kind = isNumber
		}
	}
	return v
}

func (p *parser) object(depth int) []member {
	open := p.pos
	p.pos++
	members := []member{}
	for p.space(); p.peek() != '}'; p.space() {
		if p.pos >= len(p.src) {
			p.fail(open, "the object does not end")
		}
		m := member{at: p.pos}
		if c := p.peek(); c == '"' || c == '\'' {
			m.name = p.quoted()
		} else {
			m.name = p.bare()
		}
		p.space()
		if p.peek() != ':' {
			p.fail(p.pos, "a colon must follow the name %q", m.name)
		}
		p.pos++
		p.space()
		m.value = p.value(depth + 1)
		members = append(members, m)
		p.comma('}')
	}
	p.pos++
	return members
}

func (p *parser) array(depth int) []value {
	open := p.pos
	p.pos++
	items := []value{}
	for p.space(); p.peek() != ']'; p.space() {
		if p.pos >= len(p.src) {
			p.fail(open, "the list does not end")
		}
		items = append(items, p.value(depth+1))
		p.comma(']')
	}
	p.pos++
	return items
}

// comma takes the comma between two elements; before the closing bracket it may
// be missing.
func (p *parser) comma(closing byte) {
	p.space()
	switch {
	case p.peek() == ',':
		p.pos++
	case p.pos < len(p.src) && p.peek() != closing:
		p.fail(p.pos, "a comma or %q must come here", string(closing))
	}
}

func (p *parser) bare() string {
	start := p.pos
	for p.pos < len(p.src) && strings.IndexByte(" \t\r\n,:{}[]\"'#/\\;=", p.src[p.pos]) < 0 {
		p.pos++
	}
	if p.pos == start {
		if p.pos >= len(p.src) {
			p.fail(p.pos, "the file ends too early")
		}
		r, _ := utf8.DecodeRuneInString(p.src[p.pos:])
		p.fail(p.pos, "%q cannot come here", r)
	}
	return p.src[start:p.pos]
}

func (p *parser) quoted() string {
	start := p.pos
	quote := p.src[p.pos]
	p.pos++
	var b strings.Builder
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		switch {
		case c == quote:
			p.pos++
			return b.String()
		case c == '\n':
			p.fail(start, "the string does not end on its line")
		case c != '\\':
			b.WriteByte(c)
			p.pos++
		default:
			p.escape(&b)
		}
	}
	p.fail(start, "the string does not end")
	return ""
}

func (p *parser) escape(b *strings.Builder) {
	at := p.pos
	p.pos++
	c := p.peek()
	p.pos++
	switch c {
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case 'b':
		b.WriteByte('\b')
	case 'f':
		b.WriteByte('\f')
	case '"', '\'', '\\', '/':
		b.WriteByte(c)
	case 'u':
		r := p.hex4(at)
		if utf16.IsSurrogate(r) && strings.HasPrefix(p.src[p.pos:], `\u`) {
			save := p.pos
			p.pos += 2
			if pair := utf16.DecodeRune(r, p.hex4(at)); pair != utf8.RuneError {
				r = pair
			} else {
				p.pos = save
			}
		}
		b.WriteRune(r) // half a pair becomes U+FFFD
	default:
		p.fail(at, "this is not an escape of JSON")
	}
}

func (p *parser) hex4(at int) rune {
	if p.pos+4 <= len(p.src) {
		if n, err := strconv.ParseUint(p.src[p.pos:p.pos+4], 16, 16); err == nil {
			p.pos += 4
			return rune(n)
		}
	}
	p.fail(at, `\u needs four hexadecimal digits`)
	return 0
}

func isJSONNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil && strings.IndexByte("+-.0123456789", s[0]) >= 0
}

// position turns an offset into line and column, both from 1, columns counted in
// characters.
func position(src string, at int) (line, column int) {
	before := src[:min(at, len(src))]
	line = 1 + strings.Count(before, "\n")
	return line, 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}
