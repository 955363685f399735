package check

import (
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// Level says how bad a finding is.
type Level uint8

// The levels.
const (
	Warning Level = iota // may be explained by how the data was used; see the package comment
	Error                // nothing that a correct manager does leads to this
)

// String names the level.
func (l Level) String() string { return [...]string{"warning", "error"}[l] }

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(b []byte) error {
	for _, c := range []Level{Warning, Error} {
		if c.String() == string(b) {
			*l = c
			return nil
		}
	}
	return model.Errorf(model.ErrBadArgument, "%q is not a level", b)
}

// Violation is one broken rule.
type Violation struct {
	ID        string `json:"id"`        // unique in the report
	Invariant string `json:"invariant"` // "V1" … "V16", "R1", "R2"
	Level     Level  `json:"level"`
	Storage   string `json:"storage,omitempty"`
	Table     string `json:"table,omitempty"`
	Key       string `json:"key,omitempty"`
	Tx        string `json:"tx,omitempty"`
	Text      string `json:"text"`
}

// String renders the violation as one line.
func (v Violation) String() string {
	s := v.Invariant
	if v.Table != "" {
		s += " " + v.Table
	}
	if v.Key != "" {
		s += " " + v.Key
	}
	if v.Tx != "" {
		s += " transaction " + v.Tx
	}
	if v.Level == Warning {
		s += " (warning)"
	}
	return s + ": " + v.Text
}

// Class says what will become of a record that is not committed.
type Class string

// The classes of records in doubt.
const (
	RollForward    Class = "roll-forward-pending" // its transaction has committed
	RollBack       Class = "rollback-pending"     // its transaction has aborted
	UndecidedLive  Class = "undecided-live"       // prepared in the last 15 seconds: its transaction may be at work
	UndecidedDead  Class = "undecided-dead"       // prepared longer ago: the next reader aborts it
	undecidedAfter       = 15 * time.Second
)

// Classes lists the classes in the order in which they are reported.
var Classes = []Class{RollForward, RollBack, UndecidedLive, UndecidedDead}

// InDoubt is one record that is not committed.
type InDoubt struct {
	ID      string    `json:"id"`
	Class   Class     `json:"class"`
	Storage string    `json:"storage,omitempty"`
	Table   string    `json:"table"`
	Key     string    `json:"key"`
	Tx      string    `json:"tx"`
	Since   time.Time `json:"prepared_at"`
}

// TableReport says what was seen in one table.
type TableReport struct {
	ID        string `json:"id"` // namespace.table
	Storage   string `json:"storage,omitempty"`
	Records   int64  `json:"records"`
	Committed int64  `json:"committed"` // of them; the rest is in doubt
	Imported  int64  `json:"imported"`  // of the committed: never written by a transaction
	Skipped   bool   `json:"skipped,omitempty"`
	Elsewhere bool   `json:"elsewhere,omitempty"` // skipped because the configuration looks for it in another storage
}

// QueryStatus is the outcome of a query.
type QueryStatus string

// The outcomes.
const (
	QueryOK           QueryStatus = "ok"
	QueryFailed       QueryStatus = "failed"
	QueryInconclusive QueryStatus = "inconclusive" // writers were active while it was evaluated
)

// QueryResult is the outcome of one of the user's queries.
type QueryResult struct {
	ID     string      `json:"id"` // its name
	Status QueryStatus `json:"status"`
	Got    string      `json:"got"`
	Want   string      `json:"want"`
	Groups int64       `json:"groups,omitempty"` // with "by": how many were compared
	Wrong  int64       `json:"wrong,omitempty"`  // with "by": how many differ
}

// Report is the outcome of a check.
type Report struct {
	Source       string    `json:"source"`
	Live         bool      `json:"live"`
	Strict       bool      `json:"strict"`
	Moment       time.Time `json:"moment"` // of the data
	Consistent   bool      `json:"consistent"`
	Inconclusive bool      `json:"inconclusive,omitempty"` // some query could not be decided

	Records      int64 `json:"records"`
	Transactions int64 `json:"transactions"` // rows of the Coordinator's table
	Errors       int64 `json:"errors"`
	Warnings     int64 `json:"warnings"`

	Tables        []TableReport    `json:"tables"`
	Counts        map[string]int64 `json:"violations_by_invariant"` // all, listed or not
	Violations    []Violation      `json:"violations"`              // at most Options.MaxListed for each invariant
	InDoubtCounts map[Class]int64  `json:"in_doubt_by_class"`
	InDoubt       []InDoubt        `json:"in_doubt"` // at most Options.MaxListed
	Queries       []QueryResult    `json:"queries"`
	NotApplicable []string         `json:"not_applicable"`
	// Collations warns of tables of live databases in whose keys different
	// texts count as one.
	Collations []Collation `json:"collations"`
}

// Collation is a warning about the keys of a table.
type Collation struct {
	ID string `json:"id"` // code and subject
	storage.Finding
}

// InDoubtTotal is the number of records in doubt.
func (r *Report) InDoubtTotal() int64 {
	var n int64
	for _, c := range r.InDoubtCounts {
		n += c
	}
	return n
}

// Err returns nil if the data is consistent, and otherwise an error of class
// model.ErrInconsistent that names the first violation.
func (r *Report) Err() error {
	if r.Consistent {
		return nil
	}
	e := &model.Error{Class: model.ErrInconsistent, Op: "check", Subject: r.Source, Detail: violations(r.Errors)}
	for _, v := range r.Violations {
		if v.Level == Error {
			e.Detail += "; the first: " + v.String()
			e.TxID = v.Tx
			break
		}
	}
	return e
}
