package archive

import (
	"fmt"

	"github.com/stillpoint-db/stillpoint/model"
)

// DamageError says that a part of a file is not what was written. Its class is
// model.ErrDamaged.
type DamageError struct {
	// Chunk is the number of the damaged chunk; -1 = the preface.
	Chunk int
	// From and To bound the damage, in bytes of the unpacked rows. To is -1
	// where everything from From on is lost.
	From, To int64
	Reason   string
}

// Rest tells that nothing behind the damage can be read. Otherwise the reader
// goes on with the chunk after it.
func (e *DamageError) Rest() bool { return e.To < 0 }

// Error implements error.
func (e *DamageError) Error() string { return fmt.Sprintf("%s: %s", e.Where(), e.Reason) }

// Where names the damaged range, as in "bytes 0-1 MiB of its data".
func (e *DamageError) Where() string {
	if e.Rest() {
		if e.From == 0 {
			return "all of its data"
		}
		return fmt.Sprintf("everything from byte %s of its data", size(e.From))
	}
	from := fmt.Sprint(e.From)
	if e.From >= 1<<20 {
		from = size(e.From)
	}
	return fmt.Sprintf("bytes %s-%s of its data", from, size(e.To))
}

// Unwrap returns the class.
func (e *DamageError) Unwrap() error { return model.ErrDamaged }

func size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%.4g MiB", float64(n)/(1<<20))
}
