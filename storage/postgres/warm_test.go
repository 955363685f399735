//go:build servers

package postgres

import (
	"testing"
)

func TestAFenceUsesTheSessionThatWasBegunForIt(t *testing.T) {
	d := openFresh(t)
	table := accounts(t, d)
	opts := fenceOf(table.Name())
	if err := d.WarmFence(t.Context()); err != nil {
		t.Fatal(err)
	}
	warm := d.spare.Load()
	f, err := d.Fence(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if f.(*fence).s != warm || d.spare.Load() != nil {
		t.Error("the fence has another session")
	}
	_ = f.Release(t.Context())
	if err := d.WarmFence(t.Context()); err != nil {
		t.Fatal(err)
	}
	sql(t, d, "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	if f, err = d.Fence(t.Context(), opts); err != nil {
		t.Fatalf("after the session was ended: %v", err)
	}
	_ = f.Release(t.Context())
}
