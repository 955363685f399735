package check_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/storage"
)

// TestBadCoordinatorRowIsListedAndTheCheckGoesOn names a row that decides nothing
// in committed records, so that it is read again in live databases.
func TestBadCoordinatorRowIsListedAndTheCheckGoesOn(t *testing.T) {
	for engine, open := range engines {
		t.Run(engine, func(t *testing.T) {
			w := newWorld(t, open)
			w.decide("odd", 77, t0+1)
			w.put("bank.accounts", columns{"id": 9, "balance": 0, "tx_id": "odd", "tx_state": 3, "tx_version": 1, "tx_prepared_at": t0, "tx_committed_at": t0})
			w.put("vault.accounts", columns{"id": 9, "tx_state": 5, "tx_id": "x", "tx_version": 1})
			for _, live := range []bool{false, true} {
				rep := w.check(live, check.Options{Queries: totalQuery})
				if rep.Consistent || rep.Counts["V10"] != 1 || rep.Counts["V1"] != 1 || rep.Queries[0].Status != check.QueryOK {
					t.Errorf("live %v: %v, %+v", live, rep.Violations, rep.Queries)
				}
			}
		})
	}
}

// TestTableThatCannotBeReadIsListedAndTheOthersAreChecked drops a table behind
// the metadata's back.
func TestTableThatCannotBeReadIsListedAndTheOthersAreChecked(t *testing.T) {
	for _, statement := range []string{"DROP TABLE `vault$accounts`", "ALTER TABLE `vault$accounts` DROP COLUMN note"} {
		var files []string
		w := newWorld(t, func(t testing.TB, name string) storage.Storage {
			files = append(files, filepath.Join(t.TempDir(), name+".db"))
			return opened(t, storage.Config{Name: name, Driver: "sqlite", URL: "jdbc:sqlite:" + files[len(files)-1]})
		})
		w.put("bank.accounts", columns{"id": 9, "tx_state": 5, "tx_id": "x", "tx_version": 1})
		db, err := sql.Open("sqlite", files[1])
		w.must(err)
		_, err = db.ExecContext(t.Context(), statement)
		w.must(errors.Join(err, db.Close()))
		rep := w.check(true, check.Options{})
		listed := slices.ContainsFunc(rep.Violations, func(v check.Violation) bool {
			return v.Invariant == "R2" && v.Table == "vault.accounts" && v.Storage == "two" && strings.Contains(v.Text, "cannot be read")
		})
		if rep.Consistent || !listed || rep.Counts["V1"] != 1 {
			t.Errorf("%s: %v", statement, rep.Violations)
		}
	}
}
