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
