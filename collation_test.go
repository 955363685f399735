//go:build servers

package stillpoint_test

import (
	"slices"
	"testing"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
)

type Guest struct {
	ID   int64  `stillpoint:"id,partition"`
	Name string `stillpoint:"name"`
	Seat int64  `stillpoint:"seat"`
}

// A database may put texts in another order than that of their bytes: what a
// SERIALIZABLE transaction reads in it is no change of somebody else's.
func TestAnOrderOfTextsIsTheDatabases(t *testing.T) {
	s := testenv.Postgres(t)
	s.Exec(t, "postgres", "DROP DATABASE IF EXISTS linguistic", "CREATE DATABASE linguistic TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
	t.Cleanup(func() { s.Exec(t, "postgres", "DROP DATABASE linguistic WITH (FORCE)") })
	db, err := stillpoint.Open(t.Context(), stillpoint.URL(s.URL("linguistic")), stillpoint.WithCredentials(s.User, s.Password), stillpoint.WithIsolation(stillpoint.Serializable))
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	must(t, db.CreateTables(t.Context(), stillpoint.Define[Guest]("hotel.guests")))
	guests := stillpoint.TableOf[Guest](db, "hotel.guests")
	must(t, db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
		for i, name := range []string{"carl", "Bob", "adam", "Dora"} {
			if err := guests.Insert(tx, Guest{ID: int64(i), Name: name}); err != nil {
				return err
			}
		}
		return nil
	}))
	var names []string
	must(t, db.Transact(t.Context(), func(tx *stillpoint.Tx) error {
		names = nil
		for g, err := range guests.Scan(tx, stillpoint.OrderBy("name", stillpoint.Asc), stillpoint.Limit(2)) {
			if err != nil {
				return err
			}
			names = append(names, g.Name)
		}
		return guests.Put(tx, Guest{ID: 3, Name: "Dora", Seat: 7})
	}, stillpoint.Attempts(1)))
	if !slices.Equal(names, []string{"adam", "Bob"}) {
		t.Errorf("in order: %v", names)
	}
}
