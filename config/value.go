package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A field is a typed place in a Config: it can be set from text and shows
// itself as the text that would set it.
type field interface {
	Set(text string) error
	String() string
}

type boolField struct{ p *bool }

func (f boolField) String() string { return strconv.FormatBool(*f.p) }

// Set accepts true and false in any case, as ScalarDB does, and nothing else.
func (f boolField) Set(s string) error {
	v, err := parseBool(s)
	if err == nil {
		*f.p = v
	}
	return err
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

type intField struct {
	p   *int
	min int
}

func (f intField) String() string { return strconv.Itoa(*f.p) }

func (f intField) Set(s string) error {
	n, err := parseInt(s, f.min)
	if err == nil {
		*f.p = n
	}
	return err
}

func parseInt(s string, least int) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%s is out of range", s)
	case err != nil:
		return 0, fmt.Errorf("%q is not a number", s)
	case int(n) < least:
		return 0, fmt.Errorf("%d is less than %d", n, least)
	}
	return int(n), nil
}

// durationField is a number of units; a negative one is kept as minus one unit.
type durationField struct {
	p    *time.Duration
	unit time.Duration
}

func (f durationField) String() string { return strconv.FormatInt(int64(*f.p/f.unit), 10) }

func (f durationField) Set(s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not a number", s)
	}
	if n > int64(1<<63-1)/int64(f.unit) {
		return fmt.Errorf("%s is out of range", s)
	}
	*f.p = max(time.Duration(n), -1) * f.unit
	return nil
}

type textField struct{ p *string }

func (f textField) String() string     { return *f.p }
func (f textField) Set(s string) error { *f.p = s; return nil }

type isolationField struct{ p *Isolation }

func (f isolationField) String() string { return string(*f.p) }

func (f isolationField) Set(s string) error {
	switch level := Isolation(strings.ToUpper(s)); level {
	case Snapshot, Serializable, ReadCommitted:
		*f.p = level
		return nil
	}
	return fmt.Errorf("%q is not an isolation level; the levels are SNAPSHOT, SERIALIZABLE and READ_COMMITTED", s)
}

// oneOf makes a check of a text that may be one of some words, in any case.
func oneOf(words ...string) func(string) error {
	return func(s string) error {
		for _, w := range words {
			if strings.EqualFold(s, w) {
				return nil
			}
		}
		return fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
	}
}

// exactly makes a check of a text that may be one word only.
func exactly(word string) func(string) error {
	return func(s string) error {
		if s != word {
			return fmt.Errorf("%q is not %s, the only value there is", s, word)
		}
		return nil
	}
}

func number(least int) func(string) error {
	return func(s string) error {
		_, err := parseInt(s, least)
		return err
	}
}

func anyText(string) error { return nil }

// list splits an array as ScalarDB does: at commas that no backslash precedes,
// blanks around them dropped; then every backslash is removed.
func list(s string) []string {
	if s == "" {
		return nil
	}
	var items []string
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && (s[i] != ',' || i > 0 && s[i-1] == '\\') {
			continue
		}
		items = append(items, strings.ReplaceAll(strings.TrimSpace(s[start:i]), `\`, ""))
		start = i + 1
	}
	for len(items) > 0 && items[len(items)-1] == "" {
		items = items[:len(items)-1]
	}
	return items
}
