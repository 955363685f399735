package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/model"
)

func TestABackupOfALaterVersionIsNotListedAsDamaged(t *testing.T) {
	for err, want := range map[error]string{
		model.Errorf(model.ErrRefused, "the backup has format 2"):  "unreadable",
		errors.New("manifest.json: permission denied"):             "unreadable",
		model.Errorf(model.ErrDamaged, "manifest.json is missing"): "damaged",
	} {
		var out strings.Builder
		printList(&out, []catalog.Entry{{ID: "20261122T083001Z-7f3a", State: repo.Sealed, Problem: err.Error(), Err: err}}, time.Now())
		if !strings.Contains(out.String(), want) || !strings.Contains(out.String(), err.Error()) {
			t.Errorf("not listed as %s: %s", want, &out)
		}
	}
}
