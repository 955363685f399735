package stillpoint

import "github.com/stillpoint-db/stillpoint/model"

// The classes of errors; test with errors.Is.
var (
	// ErrConflict: another transaction was in the way and nothing of this one
	// is visible. Transact has retried it already.
	ErrConflict = model.ErrConflict
	// ErrUnknownOutcome: the deciding write was sent and its answer is lost.
	// Ask DB.State with Error.TxID before doing it again.
	ErrUnknownOutcome = model.ErrUnknownOutcome
	// ErrConditionNotMet: the condition of a write does not hold.
	ErrConditionNotMet = model.ErrConditionNotMet
	// ErrBadArgument: a mistake of the program.
	ErrBadArgument = model.ErrBadArgument
	// ErrNotFound: the row or table is not there.
	ErrNotFound = model.ErrNotFound
	// ErrExists: the row or table is there already.
	ErrExists = model.ErrExists
	// ErrRefused: a check before the first change found a reason not to begin.
	ErrRefused = model.ErrRefused
	// ErrUnavailable: a database cannot be reached or refuses to work.
	ErrUnavailable = model.ErrUnavailable
)

// Error is what errors.As finds: the class, what was being done to what, the
// way out, and the transaction id where there is one.
type Error = model.Error
