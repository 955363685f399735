package model

import (
	"errors"
	"testing"
)

func TestAnErrorIsOneTextOfWholeSentences(t *testing.T) {
	inner := &Error{Class: ErrInconsistent, Op: "snapshot of storage", Subject: `"pg"`, Detail: "it gave way", Hint: "Take it again while nobody changes the schema."}
	outer := &Error{Class: ErrVoid, Err: inner, Hint: "Run it again"}
	const want = `snapshot of storage "pg": it gave way. Take it again while nobody changes the schema. Run it again`
	if got := outer.Error(); got != want {
		t.Errorf("%q", got)
	}
	if !errors.Is(outer, ErrVoid) || !errors.Is(outer, ErrInconsistent) {
		t.Error("a class is lost")
	}
}
