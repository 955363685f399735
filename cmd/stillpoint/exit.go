package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// The classes that only the command line knows.
var (
	errUsage = errors.New("usage")
	// errPending: the work is not finished; running the command again goes on.
	errPending = errors.New("pending")
)

// exitCodes is the one table of exit codes. A class that is not in it, and an
// error without a class, is a failure.
var exitCodes = []struct {
	code    int
	meaning string
	classes []error
}{
	{0, "done", nil},
	{1, "failed", nil},
	{2, "the data is inconsistent", []error{model.ErrInconsistent}},
	{3, "pending: run it again to go on", []error{errPending}},
	{4, "locked by another run", []error{model.ErrLocked}},
	{5, "refused before anything was changed", []error{model.ErrRefused}},
	{6, "damaged", []error{model.ErrDamaged}},
	{7, "the window of the backup is void", []error{model.ErrVoid}},
	{64, "usage: the command line or a file that it names cannot be right", []error{errUsage, model.ErrBadArgument}},
}

// classNames are the classes as scripts see them, in the order in which they
// are looked for in an error that has several.
var classNames = []class{
	{errUsage, "usage"},
	{model.ErrDamaged, "damaged"},
	{model.ErrInconsistent, "inconsistent"},
	{model.ErrLocked, "locked"},
	{model.ErrVoid, "window-void"},
	{errPending, "pending"},
	{model.ErrRefused, "refused"},
	{model.ErrBadArgument, "bad-argument"},
	{model.ErrUnknownOutcome, "unknown-outcome"},
	{model.ErrConditionNotMet, "condition-not-met"},
	{model.ErrConflict, "conflict"},
	{model.ErrNotFound, "not-found"},
	{model.ErrExists, "exists"},
	{model.ErrUnavailable, "unavailable"},
	{context.Canceled, "interrupted"},
}

// class is one of the errors of classNames, with its name.
type class struct {
	err  error
	name string
}

// classOf returns the class of an error; "failed" if it has none. The outermost
// class counts, as it was chosen with the most knowledge.
func classOf(err error) class {
	if _, is := errors.AsType[interrupted](err); is {
		return class{context.Canceled, "interrupted"}
	}
	if e, ok := errors.AsType[*model.Error](err); ok && e.Class != nil {
		for _, c := range classNames {
			if e.Class == c.err {
				return c
			}
		}
	}
	for _, c := range classNames {
		if errors.Is(err, c.err) {
			return c
		}
	}
	return class{name: "failed"}
}

// exitCode maps an error to the code of the process.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	class := classOf(err).err
	if _, is := errors.AsType[misnamedError](err); is {
		class = errUsage
	}
	for _, e := range exitCodes {
		for _, c := range e.classes {
			if c == class {
				return e.code
			}
		}
	}
	return 1
}

// exitHelp renders the table for help texts; with codes, these only.
func exitHelp(codes ...int) string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, e := range exitCodes {
		show := len(codes) == 0
		for _, c := range codes {
			show = show || c == e.code
		}
		if show {
			fmt.Fprintf(&b, "  %2d  %s\n", e.code, e.meaning)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// usage marks an error as a misuse of the command line.
func usage(err error) error {
	if errors.Is(err, errUsage) {
		return err
	}
	return &model.Error{Class: errUsage, Detail: err.Error()}
}

// misnamedError is the error of a command line that names what is not there: a misuse,
// of class not-found.
type misnamedError struct{ error }

func (e misnamedError) Unwrap() error { return e.error }

// misnamed marks as a misuse that what the command line names is not there.
func misnamed(err error) error {
	if classOf(err).err == model.ErrNotFound {
		return misnamedError{err}
	}
	return err
}

func usagef(format string, args ...any) error {
	return &model.Error{Class: errUsage, Detail: fmt.Sprintf(format, args...)}
}

func didYouMean(s string, candidates []string) string {
	near := model.Nearest(s, func(yield func(string) bool) {
		for _, c := range candidates {
			if !yield(c) {
				return
			}
		}
	})
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", near)
}
