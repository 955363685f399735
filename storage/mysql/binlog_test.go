//go:build servers

package mysql

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/stillpoint-db/stillpoint/internal/leak"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/storage"
)

func TestWritesWorkWhateverTheServerLogs(t *testing.T) {
	for _, format := range []string{"STATEMENT", "MIXED", "ROW"} {
		t.Run(format, func(t *testing.T) {
			server := testenv.NewMariaDB(t, testenv.MariaDBOptions{Flags: []string{"--log-bin", "--server-id=7", "--binlog-format=" + format}})
			for _, s := range []*Store{openURL(t, server.URL()), asMySQL(openURL(t, server.URL()))} {
				table := newTable(t, s, server.Namespace(t), "t")
				mustMutate(t, s, put(table, "a", 1, notExists))
				mustMutate(t, s, put(table, "a", 2, vIs(1)), put(table, "b", 1, notExists))
				if v := valueOf(t, s, table, "a"); v.Int64() != 2 {
					t.Fatal(v)
				}
				want := readCommitted
				if format == "STATEMENT" {
					want = repeatableRead
				}
				if s.opts.isolation != want {
					t.Errorf("sessions are %s", s.opts.isolation)
				}
			}
		})
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	server := testenv.MariaDB(t)
	s := open(t)
	table := newTable(t, s, server.Namespace(t), "t")
	before := goleak.IgnoreCurrent()
	second, err := Open(context.Background(), s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	mustMutate(t, second, put(table, "a", 1, notExists), put(table, "b", 1, notExists))
	n, err := second.PrepareSnapshot(context.Background(), storage.SnapshotOptions{Tables: fenceOf(table).Tables, Readers: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.ProveFence(context.Background(), fenceOf(table)); err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	leak.None(t, before)
	if err := second.Mutate(context.Background(), batch(put(table, "a", 1, always))); storage.OutcomeOf(err) != storage.NotApplied {
		t.Errorf("after Close: %v", err)
	}
	own.Lock()
	defer own.Unlock()
	if ids := own.ids[second]; len(ids) != 0 {
		t.Errorf("sessions %v are thought to be ours still", ids)
	}
}
