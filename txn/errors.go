package txn

import (
	"errors"
	"fmt"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

const (
	hintAgain  = "Nothing of it is visible; run the transaction again from its start"
	hintExists = "Nothing of it is visible; read the row first, or use Put"
)

// failed makes the error of a transaction's step. The class is that of the
// cause if class is nil.
func (tx *Tx) failed(op string, class error, detail string, cause error) error {
	e := &model.Error{Class: class, Op: op, Subject: "transaction " + tx.id, Detail: detail, TxID: tx.id, Err: cause}
	switch {
	case class == model.ErrConflict && errors.Is(cause, model.ErrExists):
		e.Hint = hintExists
	case class == model.ErrConflict:
		e.Hint = hintAgain
	}
	return e
}

// conflict makes the error of a transaction that another one was in the way of.
func (tx *Tx) conflict(op, detail string, cause error) error {
	return tx.failed(op, model.ErrConflict, detail, cause)
}

// misuse makes the error of a call that cannot be right.
func (tx *Tx) misuse(op, format string, args ...any) error {
	return tx.failed(op, model.ErrBadArgument, fmt.Sprintf(format, args...), nil)
}

// unsatisfied makes the error of a write whose condition does not hold.
func (tx *Tx) unsatisfied(op string, e *entry, detail string) error {
	return tx.failed(op, model.ErrConditionNotMet, e.String()+": "+detail, nil)
}

// unknown makes the error of a transaction whose deciding write was sent and
// never answered.
func (tx *Tx) unknown(cause error, hint string) error {
	return &model.Error{Class: model.ErrUnknownOutcome, Op: "commit", Subject: "transaction " + tx.id, TxID: tx.id, Err: cause,
		Detail: "it was not confirmed, its outcome is unknown", Hint: hint}
}

// readFailed makes the error of a read.
func (tx *Tx) readFailed(op string, cause error) error {
	if e, ok := errors.AsType[*model.Error](cause); ok && e.TxID == tx.id || errors.Is(cause, model.ErrConflict) {
		return cause // it says already what was done in which transaction
	}
	return tx.failed(op, nil, "", cause)
}

// notWritten makes the error of a transaction that is not committed because of a
// storage error. Its class is never model.ErrUnknownOutcome: when a preparation
// gets no answer it is unknown what has reached the database, but not what will
// become of the transaction.
func (tx *Tx) notWritten(op string, entries []*entry, err error) error {
	switch storage.OutcomeOf(err) {
	case storage.ConditionFailed:
		var c *storage.ConditionError
		if errors.As(err, &c) {
			what := fmt.Sprintf("another transaction has changed %s %s", c.Mutation.Table.Name(), c.Mutation.Key)
			if c.Mutation.Guard.Kind == storage.NotExists && c.Mutation.Kind == storage.Put {
				for _, e := range entries {
					if e.insert && e.table.Physical.Name() == c.Mutation.Table.Name() && e.key.Compare(c.Mutation.Key) == 0 {
						tx.met = e // see reallyExists
						return tx.conflict(op, "", model.Errorf(model.ErrExists, "the row to insert, %s, exists already", e))
					}
				}
			}
			return tx.conflict(op, what, nil)
		}
		return tx.conflict(op, "another transaction has changed a record of it", err)
	case storage.NotApplied:
		if errors.Is(err, model.ErrConflict) {
			return tx.conflict(op, "", err)
		}
		return tx.failed(op, nil, "nothing was written", err)
	case storage.Unknown:
		return tx.failed(op, model.ErrUnavailable, "a database did not answer, and the transaction is aborted: "+err.Error(), nil)
	}
	return tx.failed(op, nil, "", err)
}
