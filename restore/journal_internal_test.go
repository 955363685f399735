package restore

import (
	"errors"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
)

func FuzzDecodeJournal(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"format":1,"plan":{"id":"r","steps":[{"id":"1","kind":"load"}]},"outcomes":{"1":{"rows":3}}}`, `{"format":1,"plan":{"steps":[{}]},"outcomes":{"1":null}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := decodeJournal(data)
		if err != nil {
			if !errors.Is(err, model.ErrDamaged) && !errors.Is(err, model.ErrRefused) {
				t.Errorf("class of %v", err)
			}
			return
		}
		for _, s := range j.Plan.Steps {
			j.done(s.ID)
		}
	})
}
