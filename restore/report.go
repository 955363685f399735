package restore

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/model"
)

// TableReport says what was restored into one table.
type TableReport struct {
	ID       string           `json:"id"`
	Storage  string           `json:"storage"`
	Rows     int64            `json:"rows"`
	Settled  map[string]int64 `json:"settled,omitempty"` // how many records in doubt were settled how
	InBackup int64            `json:"rows_in_backup"`
}

// Report is the outcome of a restore.
type Report struct {
	Restore string        `json:"restore"`
	Backup  string        `json:"backup"`
	Moment  time.Time     `json:"moment"` // of the backup's cut
	Resumed bool          `json:"resumed"`
	Places  []Place       `json:"places"`
	Tables  []TableReport `json:"tables"`
	Rows    int64         `json:"rows"`
	InDoubt int64         `json:"settled_records"` // in doubt in the backup; none is any more
	Settled []Settled     `json:"settled"`         // the first of them
	Ended   int           `json:"sessions_ended"`
	Seconds float64       `json:"seconds"` // of this run
	Check   *check.Report `json:"check,omitempty"`
}

// report makes the report of what the journal knows.
func (x *executor) report() (*Report, error) {
	r := &Report{Restore: x.plan.ID, Backup: x.plan.Backup, Moment: x.plan.Moment, Resumed: x.resumed, Places: x.plan.Places,
		Tables: []TableReport{}, Settled: []Settled{}, Seconds: time.Since(x.begun).Seconds()}
	for _, s := range x.plan.Steps {
		o := x.journal.Outcomes[s.ID]
		r.Ended += o.Ended
		switch s.Kind {
		case Load, LoadCoordinator:
			t := TableReport{ID: s.Table, Storage: s.Storage, Rows: o.Rows, InBackup: s.Rows, Settled: o.Actions}
			r.Tables = append(r.Tables, t)
			r.Rows += o.Rows
			r.Settled = append(r.Settled, o.Settled...)
			if s.Kind == Load {
				for _, n := range o.Actions {
					r.InDoubt += n
				}
			}
		case Check:
			if len(o.Check) > 0 {
				if err := json.Unmarshal(o.Check, &r.Check); err != nil {
					return nil, model.Errorf(model.ErrDamaged, "the journal's record of the check cannot be read: %w", err)
				}
			}
		}
	}
	return r, nil
}

// Err returns nil if the restored data is consistent, and otherwise an error of
// class model.ErrInconsistent: the databases hold what the backup holds, and
// that breaks an invariant.
func (r *Report) Err() error {
	if r.Check == nil || r.Check.Consistent {
		return nil
	}
	return &model.Error{Class: model.ErrInconsistent, Op: "restore", Subject: "of backup " + r.Backup,
		Detail: fmt.Sprintf("finished, and the data breaks %d invariants, as it did in the backup", r.Check.Errors),
		Hint:   "See them with: stillpoint check --config FILE"}
}

// WriteText renders the report for people.
func (r *Report) WriteText(w io.Writer) error {
	b := &strings.Builder{}
	for _, t := range r.Tables {
		note := ""
		for _, action := range []string{"rolled forward", "deletion completed", "rolled back", "insertion undone", "made final"} {
			if n := t.Settled[action]; n > 0 {
				note += fmt.Sprintf(", %s %s", commas(n), action)
			}
		}
		fmt.Fprintf(b, "%-32s %-10s %12s%s\n", t.ID, t.Storage, rowCount(t.Rows), note)
	}
	for _, s := range r.Settled {
		fmt.Fprintf(b, "  %s %s of transaction %s: %s\n", s.Table, s.Key, s.Tx, s.Action)
	}
	if more := r.InDoubt - int64(len(r.Settled)); more > 0 {
		fmt.Fprintf(b, "  … and %s more\n", commas(more))
	}
	verdict := "not checked: it holds no transactional table"
	if r.Check != nil {
		verdict = fmt.Sprintf("%s in doubt, consistent", commas(r.Check.InDoubtTotal()))
		if !r.Check.Consistent {
			verdict = fmt.Sprintf("%s in doubt, NOT CONSISTENT: %s violations", commas(r.Check.InDoubtTotal()), commas(r.Check.Errors))
		}
		for _, v := range r.Check.Violations {
			fmt.Fprintf(b, "%s\n", v)
		}
	}
	fmt.Fprintf(b, "restored %s as of %s: %s in %d tables, %s, %.1f s\n", r.Backup, r.Moment.Format("2006-01-02T15:04:05.000Z"), rowCount(r.Rows), len(r.Tables), verdict, r.Seconds)
	_, err := io.WriteString(w, b.String())
	return err
}
