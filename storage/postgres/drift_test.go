//go:build servers

package postgres

import (
	"errors"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func TestATableThatWasAlteredBehindItsDefinitionIsReported(t *testing.T) {
	for alter, said := range map[string]string{
		"DROP COLUMN note":                                               "it has no column note",
		"ALTER COLUMN balance TYPE text":                                 "its column balance is of type text, which is read as no INT",
		"ALTER COLUMN balance TYPE numeric":                              "its column balance is of type numeric",
		"ALTER COLUMN balance TYPE date USING date '2000-01-01'+balance": "its column balance is of type date",
		"ALTER COLUMN note TYPE jsonb USING to_jsonb(note)":              "its column note is of type jsonb, which is read as no TEXT",
	} {
		d := openFresh(t)
		table := accounts(t, d)
		apply(t, d, insert(table, "a", 1))
		sql(t, d, "ALTER TABLE bank.accounts "+alter)
		_, err := d.Admin().Table(t.Context(), table.Name())
		if !errors.Is(err, model.ErrDamaged) || !strings.Contains(err.Error(), "table bank.accounts: "+said) || !strings.Contains(err.Error(), "; its definition in scalardb.metadata says otherwise") {
			t.Errorf("%s: %v", alter, err)
		}
		if err := d.Admin().DropTable(t.Context(), table.Name()); err != nil {
			t.Errorf("%s: dropping it: %v", alter, err)
		}
	}
}

func TestADroppedColumnIsNotReadOrWritten(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1))
	sql(t, d, "ALTER TABLE bank.accounts DROP COLUMN note")
	_, err := d.Get(t.Context(), []storage.Get{{Table: table, Key: key("a")}})
	if !errors.Is(err, model.ErrNotFound) || model.Hint(err) == "" {
		t.Errorf("get: %v", err)
	}
	m := storage.Mutation{Table: table, Key: key("a"), Set: []storage.Assignment{{Column: "note", Value: model.TextValue("x")}}}
	if err := d.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{m}}); storage.OutcomeOf(err) != storage.Refused {
		t.Errorf("write: %v", err)
	}
}

// Types of other widths are read; what does not fit is not cut to fit.
func TestAValueThatIsNoneOfItsTypeIsReported(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	apply(t, d, insert(table, "a", 1))
	sql(t, d, "ALTER TABLE bank.accounts ALTER COLUMN balance TYPE bigint", "UPDATE bank.accounts SET balance=2147483648")
	if _, err := d.Admin().Table(t.Context(), table.Name()); err != nil {
		t.Fatal(err)
	}
	_, get := d.Get(t.Context(), []storage.Get{{Table: table, Key: key("a")}})
	_, scan := d.Scan(t.Context(), storage.Scan{Table: table, Kind: storage.ScanTable})
	for _, err := range []error{get, scan} {
		if !errors.Is(err, model.ErrDamaged) || errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), `bank.accounts ("a"): column balance: INT 2147483648 does not fit 32 bits`) {
			t.Errorf("%v", err)
		}
	}
}

// COPY sends eight bytes of any type that has eight.
func TestASnapshotLooksAtTypesAgain(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	sql(t, d, "ALTER TABLE bank.accounts ALTER COLUMN balance TYPE date USING NULL")
	sn, err := d.PrepareSnapshot(t.Context(), storage.SnapshotOptions{Tables: []model.TableName{table.Name()}, Readers: 1, Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sn.Close() }()
	if err := errors.Join(sn.Open(t.Context()), sn.Detach(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, err := sn.Table(t.Context(), table.Name()); !errors.Is(err, model.ErrDamaged) || !strings.Contains(err.Error(), "is of type date") {
		t.Errorf("%v", err)
	}
}
