package check_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
	"google.golang.org/protobuf/encoding/protowire"
)

// planted is one thing that is wrong, and how it must be reported.
type planted struct {
	name   string
	plant  func(w *world)
	rule   string
	table  string
	key    string
	tx     string
	level  check.Level
	strict bool
}

func plantedViolations() []planted {
	const e, warn = check.Error, check.Warning
	bank := func(cs columns) func(*world) { return func(w *world) { w.put("bank.accounts", cs) } }
	also := func(fs ...func(*world)) func(*world) {
		return func(w *world) {
			for _, f := range fs {
				f(w)
			}
		}
	}
	decide := func(tx string, s record.State, at int64) func(*world) {
		return func(w *world) { w.decide(tx, s, at) }
	}
	k := columns{"id": 9, "balance": 0, "tx_id": "t", "tx_state": 3, "tx_version": 1, "tx_prepared_at": t0, "tx_committed_at": t0}
	known := decide("t", record.Committed, t0)
	return []planted{
		{"state that is none", bank(k.with(columns{"tx_state": 5})), "V1", "bank.accounts", "(9)", "t", e, false},
		{"state without id", bank(k.with(columns{"tx_id": nil})), "V1", "bank.accounts", "(9)", "", e, false},
		{"imported with a version", bank(columns{"id": 9, "tx_version": 1}), "V1", "bank.accounts", "(9)", "", e, false},
		{"imported with a writer before", bank(columns{"id": 9, "before_tx_id": "x"}), "V1", "bank.accounts", "(9)", "", e, false},
		{"id too long", bank(k.with(columns{"tx_id": strings.Repeat("x", 65)})), "V2", "bank.accounts", "(9)", strings.Repeat("x", 65), e, false},
		{"version 0", also(known, bank(k.with(columns{"tx_version": 0}))), "V2", "bank.accounts", "(9)", "t", e, false},
		{"never prepared", also(known, bank(k.with(columns{"tx_prepared_at": nil}))), "V2", "bank.accounts", "(9)", "t", e, false},
		{"committed without time", also(known, bank(k.with(columns{"tx_committed_at": nil}))), "V2", "bank.accounts", "(9)", "t", e, false},
		{"before-image left", also(known, bank(k.with(columns{"before_balance": 3}))), "V3", "bank.accounts", "(9)", "t", warn, false},
		{"before-image left, strictly", also(known, bank(k.with(columns{"before_balance": 3}))), "V3", "bank.accounts", "(9)", "t", e, true},
		{"version jumps", bank(prepared(1, "t", 5).with(columns{"tx_version": 4})), "V4", "bank.accounts", "(1)", "t", e, false},
		{"before-image not committed", bank(prepared(1, "t", 5).with(columns{"before_tx_state": 1})), "V4", "bank.accounts", "(1)", "t", e, false},
		{"commit time invented", bank(prepared(1, "t", 5).with(columns{"tx_committed_at": t0 + 5})), "V4", "bank.accounts", "(1)", "t", warn, false},
		{"imported before-image with version 2", bank(inserted(9, "t", 5).with(columns{"before_tx_version": 0, "tx_version": 2})), "V5", "bank.accounts", "(9)", "t", e, false},
		{"imported before-image with a time", bank(inserted(9, "t", 5).with(columns{"before_tx_version": 0, "before_tx_prepared_at": t0})), "V5", "bank.accounts", "(9)", "t", e, false},
		{"insert with a before-image", bank(inserted(9, "t", 5).with(columns{"before_balance": 4})), "V6", "bank.accounts", "(9)", "t", e, false},
		{"insert with version 3", bank(inserted(9, "t", 5).with(columns{"tx_version": 3})), "V6", "bank.accounts", "(9)", "t", e, false},
		{"deletion that changes a column", bank(prepared(1, "t", 5).with(columns{"tx_state": 2})), "V7", "bank.accounts", "(1)", "t", e, false},
		{"deletion of nothing with a value", bank(inserted(9, "t", 5).with(columns{"tx_state": 2})), "V7", "bank.accounts", "(9)", "t", e, false},
		{"committed by an unknown transaction", bank(k.with(columns{"tx_committed_at": t0 + 7})), "V8", "bank.accounts", "(9)", "t", warn, false},
		{"committed by an unknown transaction, strictly", bank(k), "V8", "bank.accounts", "(9)", "t", e, true},
		{"committed by an aborted transaction", also(decide("t", record.Aborted, t0), func(w *world) {
			w.put("vault.accounts", inserted(7, "t", 5))
		}, bank(k)), "V8a", "bank.accounts", "(9)", "t", e, false},
		{"aborted after its clean-up, perhaps", also(decide("t", record.Aborted, t0), bank(k)), "V8a", "bank.accounts", "(9)", "t", warn, false},
		{"version before is by an aborted transaction", also(decide("t", record.Aborted, t0), func(w *world) {
			w.put("vault.accounts", inserted(7, "t", 5))
		}, bank(prepared(1, "u", 5).with(columns{"before_tx_id": "t"}))), "V8a", "bank.accounts", "(1)", "t", e, false},
		{"half of a transaction", also(bank(k), func(w *world) {
			w.put("vault.accounts", prepared(1, "t", 50))
		}), "V8b", "bank.accounts", "(9)", "t", e, false},
		{"half of a member of a group", also(bank(k.with(columns{"tx_id": groupID + "$c"})), func(w *world) {
			w.put("coordinator.state", columns{"tx_id": groupID, "tx_state": 3, "tx_created_at": t0, "tx_child_ids": "a,b"})
			w.put("vault.accounts", prepared(1, groupID+"$c", 50))
		}), "V8b", "bank.accounts", "(9)", groupID + "$c", e, false},
		{"record older than its transaction", func(w *world) {
			w.put("coordinator.state", columns{"tx_id": "t", "tx_state": 3, "tx_created_at": t0 + 60_000, "tx_write_set": writeSet("bank", "accounts", "id", 2)})
		}, "V9", "bank.accounts", "(2)", "t", e, false},
		{"state that decides nothing", func(w *world) { w.decide("t", 1, t0) }, "V10", "coordinator.state", `("t")`, "t", e, false},
		{"decision without time", func(w *world) { w.decide("t", record.Aborted, 0) }, "V10", "coordinator.state", `("t")`, "t", e, false},
		{"aborted group with members", func(w *world) {
			w.put("coordinator.state", columns{"tx_id": groupID, "tx_state": 4, "tx_created_at": t0, "tx_child_ids": "a"})
		}, "V10", "coordinator.state", `("` + groupID + `")`, groupID, e, false},
		{"members of no group", func(w *world) {
			w.put("coordinator.state", columns{"tx_id": "t", "tx_state": 3, "tx_created_at": t0, "tx_child_ids": "a"})
		}, "V10", "coordinator.state", `("t")`, "t", e, false},
		{"member decided twice", also(decide(groupID+"$a", record.Committed, t0), func(w *world) {
			w.put("coordinator.state", columns{"tx_id": groupID, "tx_state": 3, "tx_created_at": t0, "tx_child_ids": "a"})
		}), "V10", "coordinator.state", "", groupID + "$a", e, false},
		{"write set that is none", func(w *world) {
			w.put("coordinator.state", columns{"tx_id": "t", "tx_state": 3, "tx_created_at": t0, "tx_write_set": "\xff\xff"})
		}, "V10", "coordinator.state", `("t")`, "t", e, false},
		{"two commit times", also(decide("t", record.Committed, t0+5), bank(k)), "V11", "bank.accounts", "(9)", "t", warn, false},
		{"two commit times, strictly", also(decide("t", record.Committed, t0+5), bank(k)), "V11", "bank.accounts", "(9)", "t", e, true},
		{"prepared at two times", also(bank(prepared(1, "t", 5)), func(w *world) {
			w.put("vault.accounts", prepared(1, "t", 5).with(columns{"tx_prepared_at": t0 + 12}))
		}), "V12", "vault.accounts", "(1)", "t", warn, false},
		{"written in the future", bank(k.with(columns{"tx_prepared_at": later(), "tx_committed_at": later()})), "V13", "bank.accounts", "(9)", "t", warn, false},
		{"committed before prepared", also(known, bank(k.with(columns{"tx_prepared_at": t0 + 1}))), "V13", "bank.accounts", "(9)", "t", warn, false},
		{"money lost", bank(columns{"id": 1, "balance": 99}), "V16", "", "total", "", e, false},
	}
}

var totalQuery = []check.Query{{Name: "total", Number: "600", Left: check.Aggregate{Sum: []check.ColumnRef{
	{Table: name("bank.accounts"), Column: "balance"}, {Table: name("vault.accounts"), Column: "balance"}}}}}

// writeSet encodes a write set that names one key of one INT column.
func writeSet(namespace, table, column string, key int) string {
	msg := func(num protowire.Number, body []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), body)
	}
	val := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(key))
	col := slices.Concat(msg(1, []byte(column)), msg(3, val))
	entry := slices.Concat(msg(2, []byte(namespace)), msg(3, []byte(table)), msg(4, msg(1, col)))
	return string(msg(2, msg(1, msg(2, entry))))
}

// slowEngines is true where making a world takes long.
var slowEngines = false

func TestEveryPlantedViolationIsReportedByNameAndKey(t *testing.T) {
	for engine, open := range engines {
		seen := map[string]bool{}
		for _, p := range plantedViolations() {
			if slowEngines && (seen[p.rule] || !slices.Contains([]string{"V1", "V8b", "V10", "V16"}, p.rule)) {
				continue // one of each kind of reading
			}
			seen[p.rule] = true
			t.Run(engine+"/"+p.name, func(t *testing.T) {
				w := newWorld(t, open)
				p.plant(w)
				for _, live := range []bool{false, true} {
					opts := check.Options{Strict: p.strict, Memory: 2000, Queries: totalQuery}
					if p.rule != "V16" {
						opts.Queries = nil
					}
					rep := w.check(live, opts)
					if !slices.ContainsFunc(rep.Violations, func(v check.Violation) bool {
						return v.Invariant == p.rule && v.Table == p.table && v.Key == p.key && v.Tx == p.tx && v.Level == p.level
					}) {
						t.Errorf("live %v: not reported as %s of %s %s %s; reported are %v", live, p.rule, p.table, p.key, p.tx, rep.Violations)
					}
					if others := slices.DeleteFunc(slices.Collect(maps.Keys(rep.Counts)), func(r string) bool { return r == p.rule }); len(others) > 0 {
						t.Errorf("live %v: other rules are reported too: %v", live, rep.Violations)
					}
					if rep.Consistent != (p.level == check.Warning) {
						t.Errorf("live %v: consistent is %v", live, rep.Consistent)
					}
				}
			})
		}
	}
}

func TestEveryRuleHasAPlantedViolation(t *testing.T) {
	have := map[string]bool{}
	for _, p := range plantedViolations() {
		have[p.rule] = true
	}
	for _, rule := range []string{"V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V8a", "V8b", "V9", "V10", "V11", "V12", "V13", "V16"} {
		if !have[rule] {
			t.Errorf("no violation of %s is planted", rule)
		}
	}
}

func TestSoundDataIsConsistent(t *testing.T) {
	for engine, open := range engines {
		t.Run(engine, func(t *testing.T) {
			w := newWorld(t, open)
			w.put("bank.accounts", columns{"id": 50, "balance": 1})                // imported
			w.put("bank.accounts", inserted(51, "gone", 7))                        // undecided, dead
			w.put("bank.accounts", prepared(1, "done", 70))                        // committed, not rolled forward
			w.put("vault.accounts", prepared(1, "done", 130))                      // likewise
			w.put("vault.accounts", prepared(2, "failed", 1))                      // aborted, not rolled back
			w.put("bank.accounts", prepared(2, groupID+"$b", 100).with(columns{})) // a member of a group
			w.decide("done", record.Committed, t0+20)
			w.decide("failed", record.Aborted, t0+20)
			w.put("coordinator.state", columns{"tx_id": groupID, "tx_state": 3, "tx_created_at": t0 + 20, "tx_child_ids": "a,b"})
			w.put("bank.accounts", columns{"id": 60, "balance": 5, "tx_id": "onephase", "tx_state": 3, "tx_version": 1, "tx_prepared_at": t0 + 3, "tx_committed_at": t0 + 3})
			for _, live := range []bool{false, true} {
				rep := w.check(live, check.Options{Queries: []check.Query{{Name: "total", Number: "606", Left: totalQuery[0].Left}}})
				if !rep.Consistent || rep.Warnings > 0 {
					t.Errorf("live %v: %v", live, rep.Violations)
				}
				want := map[check.Class]int64{check.RollForward: 3, check.RollBack: 1, check.UndecidedDead: 1}
				if !maps.Equal(rep.InDoubtCounts, want) {
					t.Errorf("live %v: in doubt are %v, want %v", live, rep.InDoubtCounts, want)
				}
				if rep.Records != 9 || rep.Transactions != 4 {
					t.Errorf("live %v: %d records and %d transactions", live, rep.Records, rep.Transactions)
				}
				if rep.Queries[0].Status != check.QueryOK {
					t.Errorf("live %v: %+v", live, rep.Queries[0])
				}
			}
		})
	}
}

func TestOnlySomeViolationsAreListedAndAllAreCounted(t *testing.T) {
	w := newWorld(t, openMemory)
	for i := range 50 {
		w.put("bank.accounts", columns{"id": 1000 + i, "tx_version": 1})
	}
	rep := w.check(false, check.Options{MaxListed: 3})
	if len(rep.Violations) != 3 || rep.Counts["V1"] != 50 || rep.Errors != 50 {
		t.Errorf("%d listed, %d of V1 counted, %d errors", len(rep.Violations), rep.Counts["V1"], rep.Errors)
	}
	var text strings.Builder
	if err := rep.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"V1 bank.accounts (10", "V1: and 47 more", "NOT CONSISTENT: 50 violations"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text does not say %q:\n%s", want, &text)
		}
	}
}

func TestMissingCoordinatorIsAnErrorWithTheWayOut(t *testing.T) {
	w := newWorld(t, openMemory)
	w.must(w.set.Route(name("coordinator.state")).Admin().DropTable(t.Context(), name("coordinator.state")))
	_, err := check.Run(t.Context(), w.source(), check.Options{})
	if err == nil || !strings.Contains(model.Hint(err), "schema create --coordinator") {
		t.Errorf("error is %v", err)
	}
}
