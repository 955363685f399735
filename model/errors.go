package model

import (
	"errors"
	"fmt"
	"strings"
)

// The classes of errors. Act on the class, with errors.Is, never on the text.
var (
	// ErrConflict: another transaction was in the way. Nothing of this one is
	// visible; run it again from the start.
	ErrConflict = errors.New("conflict")
	// ErrUnknownOutcome: the deciding write was sent and its answer is lost.
	// The transaction is or will be either committed or aborted: ask with its
	// id (Error.TxID) before doing it again.
	ErrUnknownOutcome = errors.New("unknown outcome")
	// ErrConditionNotMet: the condition of a write does not hold. Running it
	// again changes nothing.
	ErrConditionNotMet = errors.New("condition not met")
	// ErrBadArgument: the request cannot be right, whatever the data.
	ErrBadArgument = errors.New("bad argument")
	// ErrNotFound: a table, namespace, backup or row that must be there is not.
	ErrNotFound = errors.New("not found")
	// ErrExists: something that must not be there is.
	ErrExists = errors.New("already exists")
	// ErrUnavailable: a database cannot be reached or refuses to work now.
	// What was asked has certainly not been done.
	ErrUnavailable = errors.New("unavailable")
	// ErrRefused: a check before the first change found a reason not to begin.
	ErrRefused = errors.New("refused")
	// ErrDamaged: stored data is not what was written.
	ErrDamaged = errors.New("damaged")
	// ErrInconsistent: the data is readable but breaks an invariant.
	ErrInconsistent = errors.New("inconsistent")
	// ErrLocked: another run holds what this one needs.
	ErrLocked = errors.New("locked by another run")
	// ErrVoid: the moment that was to be held still may not have been. Nothing
	// that relied on it counts; run it again.
	ErrVoid = errors.New("window void")
)

// Error is an error with a class. Its text is: what was being done, to what,
// what is wrong, and the way out.
type Error struct {
	Class   error  // one of the classes above
	Op      string // what was being done, as in "commit"
	Subject string // to what, as in "bank.accounts" or "transaction 0d9e…"
	Detail  string // what is wrong
	Hint    string // the way out: a sentence or a command to type
	TxID    string // the transaction, if there is one
	Err     error  // the cause, if any
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Subject != "" {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(e.Subject)
	}
	part := func(s string) {
		if s == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(s)
	}
	part(e.Detail)
	if e.Err != nil {
		part(e.Err.Error())
	} else if e.Detail == "" && e.Class != nil {
		part(e.Class.Error())
	}
	if e.Hint != "" {
		return strings.TrimSuffix(b.String(), ".") + ". " + e.Hint // a hint of the cause may end the sentence already
	}
	return b.String()
}

// Unwrap makes both the class and the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	errs := make([]error, 0, 2)
	if e.Class != nil {
		errs = append(errs, e.Class)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// Errorf makes an Error of a class whose detail is formatted as fmt.Errorf does.
// An operand of verb %w becomes the cause and shows in the detail only.
func Errorf(class error, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	cause := errors.Unwrap(err)
	if cause == nil {
		return &Error{Class: class, Detail: err.Error()}
	}
	return &Error{Class: class, Err: err}
}

// Hint returns the way out that an error in err's tree carries, or "".
func Hint(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Hint
	}
	return ""
}
