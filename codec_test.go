package stillpoint_test

import (
	"database/sql"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/stillpointtest"
)

type Colour string

type Everything struct {
	ID     int64                `stillpoint:"id,partition"`
	Bool   bool                 `stillpoint:"b"`
	Int    int32                `stillpoint:"i"`
	Small  uint8                `stillpoint:"small"`
	Float  float32              `stillpoint:"f"`
	Double float64              `stillpoint:"d"`
	Text   Colour               `stillpoint:"t"`
	Blob   []byte               `stillpoint:"bl"`
	Date   stillpoint.Date      `stillpoint:"da"`
	Time   stillpoint.TimeOfDay `stillpoint:"ti"`
	Stamp  stillpoint.DateTime  `stillpoint:"ts"`
	Moment time.Time            `stillpoint:"tz"`
	Opt    *int64               `stillpoint:"opt"`
	Null   sql.Null[string]     `stillpoint:"nul"`
	NullT  sql.Null[time.Time]  `stillpoint:"nult"`
	Other  string               // not a column
}

func TestEveryGoTypeSurvivesARoundTrip(t *testing.T) {
	db := stillpointtest.Open(t, stillpoint.Define[Everything]("app.everything"))
	table := stillpoint.TableOf[Everything](db.DB, "app.everything")
	at := time.Date(2026, 2, 3, 4, 5, 6, 7_000_000, time.UTC)
	n := int64(math.MinInt64)
	full := Everything{ID: 1, Bool: true, Int: math.MinInt32, Small: 255, Float: 0.1, Double: math.Pi, Text: "blue", Blob: []byte{0, 255},
		Date: stillpoint.DateOf(at), Time: stillpoint.TimeOf(at), Stamp: stillpoint.DateTimeOf(at), Moment: at, Opt: &n,
		Null: sql.Null[string]{V: "x", Valid: true}, NullT: sql.Null[time.Time]{V: at, Valid: true}}
	empty := Everything{ID: 2, Date: full.Date, Moment: at, Stamp: full.Stamp, Blob: []byte{}}
	must(t, db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
		if err := table.Put(tx, full); err != nil {
			return err
		}
		return table.Put(tx, empty)
	}))
	must(t, db.View(t.Context(), func(tx *stillpoint.Tx) error {
		for _, want := range []Everything{full, empty} {
			got, err := table.Get(tx, want.ID)
			if err != nil {
				return err
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		}
		return nil
	}))
}

func TestAStructThatDoesNotFitTheTableIsToldWhy(t *testing.T) {
	db := stillpointtest.Open(t, stillpoint.Define[Account]("bank.accounts"))
	check := func(name string, err error, want string) {
		t.Helper()
		wantClass(t, err, stillpoint.ErrBadArgument)
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q does not say %q", name, err, want)
		}
	}
	check("typo", get[struct {
		ID  int64 `stillpoint:"id"`
		Bal int64 `stillpoint:"balanse"`
	}](t, db), `did you mean "balance"?`)
	check("type", get[struct {
		ID  int64  `stillpoint:"id"`
		Bal string `stillpoint:"balance"`
	}](t, db), "BIGINT")
	check("no key", get[struct {
		Bal int64 `stillpoint:"balance"`
	}](t, db), `no field for key column "id"`)
	check("no tags", get[struct{ ID int64 }](t, db), "no field tagged")
	check("not a struct", get[int](t, db), "struct")
	check("embedded pointer", get[struct{ *Account }](t, db), "embedded pointer")
}

func get[T any](t *testing.T, db *stillpointtest.DB) error {
	return db.View(t.Context(), func(tx *stillpoint.Tx) error {
		_, err := stillpoint.TableOf[T](db.DB, "bank.accounts").Get(tx, 1)
		return err
	})
}

func TestNullInAFieldThatCannotHoldItIsAnError(t *testing.T) {
	db, accounts := bank(t)
	must(t, db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
		return db.Table("bank.accounts").Put(tx, stillpoint.Row{"id": 1, "balance": nil})
	}))
	err := db.View(t.Context(), func(tx *stillpoint.Tx) error { _, err := accounts.Get(tx, 1); return err })
	wantClass(t, err, stillpoint.ErrBadArgument)
}

func TestNumbersThatDoNotFitAreRefused(t *testing.T) {
	db := stillpointtest.Open(t, stillpoint.Define[Everything]("app.everything"))
	row := db.Table("app.everything")
	for name, r := range map[string]stillpoint.Row{
		"int":    {"id": 1, "i": int64(math.MaxInt32) + 1},
		"uint":   {"id": uint64(math.MaxUint64)},
		"float":  {"id": 1, "f": 0.1},
		"double": {"id": 1, "d": int64(1<<53 + 1)},
		"date":   {"id": 1, "da": stillpoint.Date{Year: 999, Month: 1, Day: 1}},
	} {
		err := db.Transact(t.Context(), func(tx *stillpoint.Tx) error { return row.Put(tx, r) })
		if err == nil {
			t.Errorf("%s: %v was taken", name, r)
		}
		wantClass(t, err, stillpoint.ErrBadArgument)
	}
}

func TestDirectWorksOnPlainTablesOnly(t *testing.T) {
	def := stillpoint.Define[Account]("app.plain")
	def.NoTransactions = true
	db := stillpointtest.Open(t, def, stillpoint.Define[Account]("bank.accounts"))
	plain := stillpoint.TableOf[Account](db.DB, "app.plain")
	d := db.Direct(t.Context())
	must(t, plain.Insert(d, Account{ID: 1, Owner: "ann", Balance: 5}))
	wantClass(t, plain.Insert(d, Account{ID: 1}), stillpoint.ErrExists)
	wantClass(t, plain.Update(d, Account{ID: 2}), stillpoint.ErrNotFound)
	wantClass(t, plain.Put(d, Account{ID: 1}, stillpoint.If(stillpoint.Col("balance").Eq(6))), stillpoint.ErrConditionNotMet)
	must(t, plain.Put(d, Account{ID: 3, Owner: "bob"}))
	n := 0
	for a, err := range plain.Scan(d, stillpoint.Where(stillpoint.Col("id").Le(3))) {
		must(t, err)
		n += int(a.ID)
	}
	if n != 4 {
		t.Errorf("sum of ids %d; want 4", n)
	}
	must(t, plain.Delete(d, 1))
	if _, ok, err := plain.Find(d, 1); ok || err != nil {
		t.Errorf("found = %v, %v after Delete", ok, err)
	}
	_, err := stillpoint.TableOf[Account](db.DB, "bank.accounts").Get(d, 1)
	wantClass(t, err, stillpoint.ErrBadArgument)
	err = db.View(t.Context(), func(tx *stillpoint.Tx) error { _, err := plain.Get(tx, 1); return err })
	if err == nil {
		t.Error("a transaction read a table without transactions")
	}
}

func TestDaysAndTimesThatAreNoneAreRefused(t *testing.T) {
	db := stillpointtest.Open(t, stillpoint.Define[Everything]("app.everything"))
	row := db.Table("app.everything")
	day := stillpoint.Date{Year: 2026, Month: 3, Day: 1}
	for name, r := range map[string]stillpoint.Row{
		"30 February":          {"id": 1, "da": stillpoint.Date{Year: 2026, Month: 2, Day: 30}},
		"month 13":             {"id": 1, "da": stillpoint.Date{Year: 2026, Month: 13, Day: 1}},
		"a date never set":     {"id": 1, "da": stillpoint.Date{}},
		"minute 60":            {"id": 1, "ti": stillpoint.TimeOfDay{Minute: 60}},
		"a negative second":    {"id": 1, "ti": stillpoint.TimeOfDay{Hour: 1, Second: -1}},
		"30 February at noon":  {"id": 1, "ts": stillpoint.DateTime{Date: stillpoint.Date{Year: 2026, Month: 2, Day: 30}}},
		"25 o'clock":           {"id": 1, "ts": stillpoint.DateTime{Date: day, Time: stillpoint.TimeOfDay{Hour: 25}}},
		"a double of 2^63 - 1": {"id": 1, "d": int64(math.MaxInt64)},
		"a float of 2^63 - 1":  {"id": 1, "f": int64(math.MaxInt64)},
	} {
		t.Run(name, func(t *testing.T) {
			wantClass(t, db.Transact(t.Context(), func(tx *stillpoint.Tx) error { return row.Put(tx, r) }), stillpoint.ErrBadArgument)
		})
	}
}
