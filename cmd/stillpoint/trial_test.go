package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
)

func TestAValueThatSQLiteCannotKeepIsNoFaultOfTheBackup(t *testing.T) {
	unfit := &restore.UnfitError{Row: "(1)", Table: model.TableName{Namespace: "lab", Name: "values"}, Storage: "lab", Err: errors.New("SQLite cannot store NaN in lab.values.measured")}
	err := trialError(&model.Error{Op: "restore", Err: &model.Error{Class: model.ErrRefused, Err: unfit, Hint: "Say --into"}, Hint: "Nothing was changed"})
	if exitCode(err) != 5 || !strings.Contains(err.Error(), "SQLite cannot store NaN in lab.values.measured. Files and contents of the backup are in order") || strings.Contains(err.Error(), "--into") {
		t.Error(err)
	}
	if trialError(nil) != nil {
		t.Error("a trial that went well is an error")
	}
}

// TestATrialThatFailsSaysNothingOfDatabases: nobody's databases are half
// restored, and there is nothing to go on with.
func TestATrialThatFailsSaysNothingOfDatabases(t *testing.T) {
	full := &model.Error{Class: model.ErrUnavailable, Op: "restore", Err: errors.New("disk full"), Hint: "The databases are half restored. Run the same command again to go on"}
	err := trialError(full)
	if exitCode(err) != 1 || classOf(err).name != "unavailable" || !strings.HasPrefix(err.Error(), "trial restore: disk full. Only scratch files were written") || strings.Contains(err.Error(), "half restored") {
		t.Error(err)
	}
	err = trialError(&model.Error{Op: "restore", Err: model.Errorf(model.ErrDamaged, "a file is missing"), Hint: "Nothing was changed"})
	if exitCode(err) != 6 || strings.Contains(err.Error(), "Nothing was changed") {
		t.Error(err)
	}
}
