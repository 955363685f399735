package storage

import (
	"errors"
	"fmt"

	"github.com/stillpoint-db/stillpoint/model"
)

// Outcome is what became of a Mutate call.
type Outcome uint8

// The outcomes. Unknown is what every error means that does not say otherwise.
const (
	Unknown         Outcome = iota // sent, and the answer is lost
	Applied                        // all of it
	ConditionFailed                // nothing: a guard did not hold
	NotApplied                     // certainly nothing; the same batch may be tried again
	Refused                        // nothing; the same batch will always be refused
)

// String names the outcome.
func (o Outcome) String() string {
	return [...]string{"unknown", "applied", "condition failed", "not applied", "refused"}[o]
}

// OutcomeOf tells what an error of Mutate means.
func OutcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return Applied
	case errors.Is(err, model.ErrUnknownOutcome):
		return Unknown
	case errors.Is(err, model.ErrConditionNotMet):
		return ConditionFailed
	case errors.Is(err, model.ErrConflict), errors.Is(err, model.ErrUnavailable):
		return NotApplied
	case errors.Is(err, model.ErrBadArgument), errors.Is(err, model.ErrNotFound), errors.Is(err, model.ErrRefused):
		return Refused
	}
	return Unknown
}

// ConditionError reports that the guard of one mutation did not hold; nothing
// of the batch is applied. Its class is model.ErrConditionNotMet.
type ConditionError struct {
	Index    int // of the mutation in the batch; the first one found, not always the first one false
	Mutation Mutation
}

// Error implements error.
func (e *ConditionError) Error() string {
	what := map[GuardKind]string{NotExists: "the row exists", Exists: "the row does not exist", If: "its condition does not hold"}[e.Mutation.Guard.Kind]
	return fmt.Sprintf("%s of %s: %s", e.Mutation.Kind, e.Mutation.Table.Name(), what)
}

// Unwrap returns the class.
func (e *ConditionError) Unwrap() error { return model.ErrConditionNotMet }

// String names the kind.
func (k MutationKind) String() string { return [...]string{"put", "delete", "check"}[k] }

// ConflictError reports that certainly nothing was applied because of another
// session (deadlock, serialization failure, lock wait), so that trying again
// may help. Its class is model.ErrConflict.
func ConflictError(storage string, cause error) error {
	return &model.Error{Class: model.ErrConflict, Op: "write to storage", Subject: quote(storage), Err: cause}
}

// UnknownError reports that a batch was sent and its answer is lost. Its class
// is model.ErrUnknownOutcome.
func UnknownError(storage string, cause error) error {
	return &model.Error{Class: model.ErrUnknownOutcome, Op: "write to storage", Subject: quote(storage), Err: cause}
}

// UnavailableError reports that the database could not be asked, or refused to
// work; nothing was applied. Its class is model.ErrUnavailable.
func UnavailableError(storage string, cause error) error {
	return &model.Error{Class: model.ErrUnavailable, Op: "storage", Subject: quote(storage), Err: cause}
}

func quote(s string) string { return fmt.Sprintf("%q", s) }
