package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"

	"github.com/stillpoint-db/stillpoint/model"
)

// emit is how a command hands out its result, once: as text now, by the
// function, or with --output json as one JSON object at the end of the run.
// Values with a list in them give each element an "id".
func (a *app) emit(result any, text func(w io.Writer)) {
	a.result = result
	if a.output == "text" {
		text(a.stdout)
	}
}

// named is a thing in a list of a result of which nothing but its name is told.
type named struct {
	ID string `json:"id"`
}

func ids(names []string) []named {
	list := make([]named, len(names))
	for i, name := range names {
		list[i] = named{name}
	}
	return list
}

// resultWriter is standard output. It remembers the first error, so that nobody takes a
// file on a full disk for the whole result.
type resultWriter struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (r *resultWriter) Write(p []byte) (int, error) {
	n, err := r.w.Write(p)
	if err != nil && r.err == nil {
		r.err = err
	}
	return n, err
}

// say tells something that is not the result, on standard error.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// failure is the "error" of a JSON result. Its shape is part of the interface
// for scripts.
type failure struct {
	Class   string `json:"class"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	TxID    string `json:"tx_id,omitempty"`
}

// finish prints what is left to print and returns the exit code.
func (a *app) finish(ctx context.Context, err error) int {
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = interrupted{err}
	}
	if a.output == "json" {
		if werr := a.printJSON(err); werr != nil && err == nil {
			err = werr
		}
	}
	if a.stdout.err != nil && err == nil {
		err = &model.Error{Op: "write the result", Err: a.stdout.err, Hint: "The command itself has done its work"}
	}
	if err != nil {
		label := "error: "
		if colour(a.stderr) {
			label = "\x1b[31merror:\x1b[0m "
		}
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintln(a.stderr, label+strings.TrimRight(line, "\n"))
		}
	}
	return exitCode(err)
}

// interrupted is the error of a run that was told to end.
type interrupted struct{ err error }

func (e interrupted) Error() string { return "interrupted: " + e.err.Error() }
func (e interrupted) Unwrap() error { return e.err }

// printJSON prints the result and the failure as one object.
func (a *app) printJSON(err error) error {
	if a.result == nil && err == nil {
		if a.started {
			a.result = struct{}{}
		} else {
			return nil // help
		}
	}
	object := []byte("{}")
	if a.result != nil {
		var merr error
		if object, merr = json.Marshal(a.result); merr != nil || len(object) == 0 || object[0] != '{' {
			object, err = []byte("{}"), errors.Join(err, fmt.Errorf("the result is not a JSON object: %v", merr))
		}
	}
	if err != nil {
		f := failure{Class: classOf(err).name, Message: err.Error(), Hint: model.Hint(err)}
		if e, ok := errors.AsType[*model.Error](err); ok {
			f.TxID = e.TxID
		}
		part, merr := json.Marshal(struct {
			Error failure `json:"error"`
		}{f})
		if merr != nil {
			return merr
		}
		if string(object) == "{}" {
			object = part
		} else {
			object = append(object[:len(object)-1], ',')
			object = append(object, part[1:]...)
		}
	}
	var out bytes.Buffer
	if ierr := json.Indent(&out, object, "", "  "); ierr != nil {
		return ierr
	}
	out.WriteByte('\n')
	_, _ = a.stdout.Write(out.Bytes()) // see finish
	return nil
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
