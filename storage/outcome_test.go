package storage_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func TestWhatIsNotKnownIsUnknown(t *testing.T) {
	cause := errors.New("x")
	for _, c := range []struct {
		err  error
		want storage.Outcome
	}{
		{nil, storage.Applied},
		{cause, storage.Unknown},
		{context.Canceled, storage.Unknown},
		{storage.UnknownError("s", cause), storage.Unknown},
		{storage.ConflictError("s", cause), storage.NotApplied},
		{storage.UnavailableError("s", cause), storage.NotApplied},
		{model.Errorf(model.ErrBadArgument, "x"), storage.Refused},
		{&storage.ConditionError{Mutation: storage.Mutation{Table: table(t)}}, storage.ConditionFailed},
		{fmt.Errorf("wrapped: %w", storage.ConflictError("s", cause)), storage.NotApplied},
		// Doubt outweighs everything else that an error says.
		{errors.Join(storage.ConflictError("s", cause), storage.UnknownError("s", cause)), storage.Unknown},
	} {
		if got := storage.OutcomeOf(c.err); got != c.want {
			t.Errorf("OutcomeOf(%v) = %v; want %v", c.err, got, c.want)
		}
	}
}

func table(t *testing.T) *model.Table {
	t.Helper()
	table, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: "n", Name: "t"}, Columns: []model.Column{{Name: "id", Type: model.Int}}, PartitionKey: []string{"id"}})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestAnUnregisteredDriverNamesItsImport(t *testing.T) {
	_, err := storage.Open(t.Context(), storage.Config{Name: "pg", Driver: "postgres"})
	if !errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), `_ "github.com/stillpoint-db/stillpoint/storage/postgres"`) {
		t.Errorf("%v", err)
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	cfg := storage.Config{Name: "pg", Password: "hunter2"}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "password", cfg.Password, "config", cfg)
	text, _ := cfg.Password.MarshalText()
	for _, s := range []string{fmt.Sprint(cfg), fmt.Sprintf("%+v %#v %s %q", cfg, cfg, cfg.Password, cfg.Password), string(text), log.String()} {
		if strings.Contains(s, "hunter2") {
			t.Errorf("the secret shows in %q", s)
		}
	}
	if cfg.Password.Reveal() != "hunter2" {
		t.Error("the secret got lost")
	}
}
