package restore_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/marker"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
	"github.com/stillpoint-db/stillpoint/storage"
)

func TestRestoreIntoEmptyDatabasesSettlesEverything(t *testing.T) {
	w := newWorld(t, bank(t))
	rep, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	w.whole()
	if rep.Rows != 17 || rep.InDoubt != 8 || len(rep.Settled) != 8 || rep.Check == nil || !rep.Check.Consistent || rep.Check.InDoubtTotal() != 0 {
		t.Errorf("report is %+v", rep)
	}
	var text strings.Builder
	must(t, rep.WriteText(&text))
	for _, want := range []string{"3 rolled forward", "bank.accounts (6) of transaction gone: insertion undone", "17 rows in 4 tables, 0 in doubt, consistent"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, &text)
		}
	}
}

// TestATableBesideTheMarkIsNotInTheWay: it stays, and with it its namespace.
func TestATableBesideTheMarkIsNotInTheWay(t *testing.T) {
	w := newWorld(t, bank(t))
	beside := model.TableName{Namespace: marker.TableName.Namespace, Name: "mine"}
	table, err := model.NewTable(model.TableSpec{Name: beside, Columns: []model.Column{{Name: "id", Type: model.Int}}, PartitionKey: []string{"id"}})
	must(t, err)
	a := w.targets["pg"].Admin()
	must(t, a.CreateNamespace(t.Context(), beside.Namespace))
	must(t, a.CreateTable(t.Context(), table))
	_, err = restore.Run(t.Context(), w.opts)
	must(t, err)
	w.whole()
	if _, err := a.Table(t.Context(), beside); err != nil {
		t.Error(err)
	}
}

func TestRestoreOverDataIsRefused(t *testing.T) {
	w := newWorld(t, bank(t))
	w.fill()
	_, err := restore.Run(t.Context(), w.opts)
	want := `refusing to restore over data: bank.accounts in "pg" holds 1 row. --replace drops them, --into MAP restores elsewhere. Nothing was changed`
	if !errors.Is(err, model.ErrRefused) || err.Error() != want {
		t.Errorf("error is %v", err)
	}
	if got := w.state("my", "vault.log", "id", "id"); got[int64(77)] != 77 || w.marked("pg") || w.marked("my") {
		t.Errorf("something was changed: %v", got)
	}
}

func TestReplaceDropsWhatIsInTheWay(t *testing.T) {
	w := newWorld(t, bank(t))
	w.fill()
	w.opts.Replace = true
	var plan *restore.Plan
	w.opts.Approve = func(_ context.Context, p *restore.Plan) error { plan = p; return nil }
	_, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	w.whole()
	var text strings.Builder
	must(t, plan.WriteText(&text))
	for _, want := range []string{`drop the Coordinator's table coordinator.state in "pg"`, `empty bank.accounts in "pg"`, "destroys: the 1 row in it",
		`drop vault.accounts in "my": column id is TEXT, not BIGINT`, "destroys 4 rows"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the plan does not say %q:\n%s", want, &text)
		}
	}
}

func TestDisapprovedPlanChangesNothing(t *testing.T) {
	w := newWorld(t, bank(t))
	w.fill()
	w.opts.Replace = true
	no := errors.New("no")
	w.opts.Approve = func(context.Context, *restore.Plan) error { return no }
	before := w.trouble.calls
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, no) {
		t.Errorf("error is %v", err)
	}
	if w.trouble.calls != before {
		t.Errorf("%d calls that change something", w.trouble.calls-before)
	}
}

// TestRowsThatComeAfterThePlanAreInTheWayToo writes while the plan waits for its
// approval: into a table that was empty, or was not there.
func TestRowsThatComeAfterThePlanAreInTheWayToo(t *testing.T) {
	for _, there := range []bool{true, false} {
		w := newWorld(t, bank(t))
		bt := w.opts.Backup.Tables()[1]
		if there {
			makeTable(t, w.targets["my"].Storage, bt.Table)
		}
		w.opts.Approve = func(context.Context, *restore.Plan) error {
			if !there {
				makeTable(t, w.targets["my"].Storage, bt.Table)
			}
			w.meddle(bt)
			return nil
		}
		_, err := restore.Run(t.Context(), w.opts)
		if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), `vault.accounts in "my" was empty when the plan was made`) || !strings.Contains(err.Error(), "Nothing was changed") {
			t.Fatalf("error is %v", err)
		}
		if w.marked("pg") || w.marked("my") {
			t.Error("a mark was made")
		}
		def, err := w.targets["my"].Storage.Admin().Table(t.Context(), bt.Table.Name())
		must(t, err)
		if got := rowsOf(t, w.targets["my"].Storage, def); len(got) != 1 {
			t.Errorf("the row is gone: %q", got)
		}
		if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "--replace drops them") {
			t.Errorf("run again: error is %v", err)
		}
	}
}

// TestRestoreGoesOnAfterAFailureAtAnyCall breaks off at every call that changes
// something, before and after it takes effect, and runs the same command again.
func TestRestoreGoesOnAfterAFailureAtAnyCall(t *testing.T) {
	for _, filled := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			runs := 0
			for n := 1; ; n++ {
				w := newWorld(t, bank(t))
				w.opts.Workers = 1
				if filled {
					w.fill()
					w.opts.Replace = true
				}
				w.trouble.calls, w.trouble.failAt, w.trouble.after = 0, n, after
				_, err := restore.Run(t.Context(), w.opts)
				if err == nil {
					w.whole()
					break
				}
				runs++
				if !errors.Is(err, errTrouble) {
					t.Fatalf("call %d: error is %v", n, err)
				}
				half := strings.Contains(err.Error(), "are half restored")
				if half && !(w.marked("pg") && w.marked("my")) || strings.Contains(err.Error(), "Nothing was changed") && (w.marked("pg") || w.marked("my")) {
					t.Errorf("call %d: the error does not say what is true: %v", n, err)
				}
				w.trouble.failAt = 0
				asked := false
				w.opts.Approve = func(context.Context, *restore.Plan) error { asked = true; return nil }
				rep, err := restore.Run(t.Context(), w.opts)
				finished := errors.Is(err, model.ErrRefused) && strings.Contains(err.Error(), "refusing to restore over data")
				if after && finished { // the last answer was lost: it had finished
					w.whole()
					continue
				}
				if err != nil {
					t.Fatalf("call %d (filled %v, after %v): the second run fails: %v", n, filled, after, err)
				}
				if half && (asked || !rep.Resumed) {
					t.Errorf("call %d: the second run began anew", n)
				}
				w.whole()
			}
			if runs < 30 {
				t.Errorf("only %d calls failed", runs)
			}
		}
	}
}

func TestHalfRestoredDatabaseIsMarkedAndItsCoordinatorIsGone(t *testing.T) {
	w := newWorld(t, bank(t))
	w.fill()
	w.opts.Replace = true
	w.opts.Workers = 1
	var seen []restore.Kind
	w.opts.Progress = func(e restore.Event) {
		if e.Done {
			return
		}
		if len(seen) == 0 || seen[len(seen)-1] != e.Step.Kind {
			seen = append(seen, e.Step.Kind)
		}
		if k := e.Step.Kind; k == restore.Clear || k == restore.Create || k == restore.Load || k == restore.LoadCoordinator {
			if !w.marked("pg") || !w.marked("my") {
				t.Errorf("not marked at step %s", e.Step.Text)
			}
			if names, err := w.targets["pg"].Storage.Admin().Tables(t.Context(), "coordinator"); err != nil || len(names) != 0 {
				t.Errorf("the Coordinator's table is there at step %s", e.Step.Text)
			}
		}
	}
	_, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	want := "[verify-backup end-sessions mark withdraw-coordinator clear create load load-coordinator check unmark]"
	var order []string
	for _, k := range seen {
		if len(order) == 0 || order[len(order)-1] != string(k) {
			order = append(order, string(k))
		}
	}
	if got := "[" + strings.Join(order, " ") + "]"; got != want {
		t.Errorf("the order is %s, want %s", got, want)
	}
}

func TestDamagedBackupTouchesNothing(t *testing.T) {
	b := bank(t)
	b.damaged = "vault.accounts"
	w := newWorld(t, b)
	w.fill()
	w.opts.Replace = true
	_, err := restore.Run(t.Context(), w.opts)
	if !errors.Is(err, model.ErrDamaged) || !strings.Contains(err.Error(), "Still whole in it: everything but vault.accounts") || !strings.Contains(err.Error(), "Nothing was changed") {
		t.Errorf("error is %v", err)
	}
	if got := w.state("my", "vault.log", "id", "id"); len(got) != 1 || got[int64(77)] != 77 {
		t.Errorf("something was changed: %v", got)
	}
	if w.marked("pg") {
		t.Error("a mark was made")
	}
}

func TestConnectedApplicationsForbidARestore(t *testing.T) {
	w := newWorld(t, bank(t))
	w.targets["my"].sessions = []storage.Session{{ID: "4711", User: "app", App: "shop", Client: "10.0.0.7"}}
	_, err := restore.Run(t.Context(), w.opts)
	if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), `1 session is still connected: 4711 on "my" of app (shop) from 10.0.0.7. Stop those applications, or end their sessions with --terminate-sessions. Nothing was changed`) {
		t.Errorf("error is %v", err)
	}
	w.opts.TerminateSessions = true
	rep, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	if rep.Ended != 1 {
		t.Errorf("%d sessions ended", rep.Ended)
	}
	w.whole()
}

func TestSessionsThatComeBackForbidARestore(t *testing.T) {
	w := newWorld(t, bank(t))
	w.opts.TerminateSessions = true
	w.targets["my"].sessions, w.targets["my"].stubborn = []storage.Session{{ID: "4711", User: "app"}}, true
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "come back") {
		t.Errorf("error is %v", err)
	}
}

func TestSessionThatArrivesMeanwhileIsNoticedBeforeTheEnd(t *testing.T) {
	w := newWorld(t, bank(t))
	w.opts.Workers = 1
	w.opts.Progress = func(e restore.Event) {
		if e.Step.Kind == restore.LoadCoordinator && e.Done {
			w.targets["pg"].mu.Lock()
			w.targets["pg"].sessions = []storage.Session{{ID: "9"}}
			w.targets["pg"].mu.Unlock()
		}
	}
	_, err := restore.Run(t.Context(), w.opts)
	if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "9 on \"pg\"") || !strings.Contains(err.Error(), "half restored") {
		t.Errorf("error is %v", err)
	}
	w.opts.Progress = nil
	w.targets["pg"].sessions = nil
	rep, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	if !rep.Resumed {
		t.Error("the second run began anew")
	}
	w.whole()
}

func TestRowWrittenBySomebodyElseMeanwhileIsNoticed(t *testing.T) {
	w := newWorld(t, bank(t))
	w.opts.Workers = 1
	def := w.opts.Backup.Tables()[0].Table
	w.opts.Progress = func(e restore.Event) {
		if e.Step.Kind == restore.Check && !e.Done && e.Rows == 0 {
			must(t, w.targets["pg"].Storage.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{{Table: def,
				Key: model.Key{Partition: []model.Value{model.IntValue(1)}}, Set: []storage.Assignment{{Column: "balance", Value: model.BigIntValue(5)}}}}}))
		}
	}
	_, err := restore.Run(t.Context(), w.opts)
	if !errors.Is(err, model.ErrUnavailable) || !strings.Contains(err.Error(), `bank.accounts in "pg" (other 7 rows than those that were loaded)`) || !w.marked("pg") {
		t.Errorf("error is %v", err)
	}
	w.opts.Progress = nil
	_, err = restore.Run(t.Context(), w.opts)
	must(t, err)
	w.whole()
}

func TestJournalOfOtherDatabasesIsNotContinued(t *testing.T) {
	w := newWorld(t, bank(t))
	w.trouble.failAt = 20
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, errTrouble) || !w.marked("pg") {
		t.Fatalf("error is %v", err)
	}
	// Somebody replaces a database; it gets data of its own.
	w.trouble.failAt = 0
	must(t, w.targets["my"].Storage.Admin().DropTable(t.Context(), name("stillpoint_restore.unfinished")))
	fresh := false
	w.opts.Approve = func(context.Context, *restore.Plan) error { fresh = true; return nil }
	w.opts.Replace = true
	_, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	if !fresh {
		t.Error("the journal was continued on a database that it does not know")
	}
	w.whole()
}

func TestIntoRestoresElsewhere(t *testing.T) {
	w := newWorld(t, bank(t))
	w.opts.Target.Into = map[string]string{"pg": "my", "my": "pg"}
	w.opts.Target.Route = func(n model.TableName) string {
		return map[string]string{"bank": "my", "coordinator": "my", "vault": "pg"}[n.Namespace]
	}
	_, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	w.targets["pg"], w.targets["my"] = w.targets["my"], w.targets["pg"]
	w.whole()
}

func TestIntoMustNameWhatIsThere(t *testing.T) {
	for into, want := range map[string]string{"pgg=pg": `--into names storage "pgg"`, "pg=none": `has no storage "none"`} {
		w := newWorld(t, bank(t))
		from, to, _ := strings.Cut(into, "=")
		w.opts.Target.Into = map[string]string{from: to}
		if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v", into, err)
		}
	}
}

func TestTableThatClientsWouldLookForElsewhereIsRefused(t *testing.T) {
	w := newWorld(t, bank(t))
	w.opts.Target.Route = func(model.TableName) string { return "pg" }
	_, err := restore.Run(t.Context(), w.opts)
	if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), `vault.accounts goes to storage "my", but clients of test.properties look for it in "pg"`) {
		t.Errorf("error is %v", err)
	}
}

func TestPlanOfARestoreUnderWayIsShown(t *testing.T) {
	w := newWorld(t, bank(t))
	w.trouble.failAt = 25
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, errTrouble) {
		t.Fatalf("error is %v", err)
	}
	w.trouble.failAt = 0
	p, err := restore.Make(t.Context(), w.opts)
	must(t, err)
	if p.Done == 0 || p.Err() != nil {
		t.Errorf("%d steps done, %v", p.Done, p.Err())
	}
}

func TestAnotherBackupMayBeRestoredOverAHalfRestoredOne(t *testing.T) {
	w := newWorld(t, bank(t))
	w.trouble.failAt = 30
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, errTrouble) || !w.marked("pg") {
		t.Fatal(err)
	}
	w.trouble.failAt = 0
	other := bank(t)
	other.id = "20261121T083000Z-11c0"
	w.opts.Backup = other
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "journal is that of a restore of backup 20261122T083001Z-7f3a") {
		t.Errorf("with the same journal: error is %v", err)
	}
	w.opts.Journal = &journals{t: w.trouble, m: map[string][]byte{}}
	if _, err := restore.Run(t.Context(), w.opts); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "over data") {
		t.Errorf("without --replace: error is %v", err)
	}
	w.opts.Replace = true
	_, err := restore.Run(t.Context(), w.opts)
	must(t, err)
	w.whole()
}

func TestRestoreGoesOnUnderOtherNamesOfTheSameDatabases(t *testing.T) {
	runs := 0
	for n := 20; ; n++ { // at the earliest when the marks are there
		w := newWorld(t, bank(t))
		w.opts.Workers = 1
		w.trouble.failAt = n
		_, err := restore.Run(t.Context(), w.opts)
		if err == nil {
			break
		}
		runs++
		w.trouble.failAt = 0
		w.opts.Target.Into = map[string]string{}
		for i, old := range []string{"pg", "my"} {
			w.opts.Target.Storages[i] = renamed{w.targets[old], "new-" + old}
			w.opts.Target.Into[old] = "new-" + old
		}
		rep, err := restore.Run(t.Context(), w.opts)
		must(t, err)
		if !rep.Resumed {
			t.Errorf("call %d: the second run began anew", n)
		}
		w.whole()
	}
	if runs < 10 {
		t.Errorf("only %d calls failed", runs)
	}
}

// renamed is a target under another name.
type renamed struct {
	*target
	name string
}

func (r renamed) Name() string { return r.name }

// picky is a target that cannot keep a text.
type picky struct {
	*target
	text string
}

func (p picky) CheckRow(t *model.Table, row *model.Row) error {
	for i, v := range row.Values {
		if v.Type() == model.Text && v.Str() == p.text {
			return model.Errorf(model.ErrBadArgument, "the text for %s cannot be stored", t.Columns()[i].Name)
		}
	}
	return nil
}

func TestValuesThatATargetCannotKeepAreFoundBeforeAnythingIsChanged(t *testing.T) {
	w := newWorld(t, bank(t))
	w.fill()
	w.opts.Replace = true
	w.opts.Target.Storages[1] = picky{w.targets["my"], "as it is"}
	_, err := restore.Run(t.Context(), w.opts)
	if !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), `row (1) of vault.log cannot be kept in "my": the text for text cannot be stored`) || !strings.Contains(err.Error(), "Nothing was changed") {
		t.Errorf("error is %v", err)
	}
	if w.marked("pg") || w.marked("my") || w.state("my", "vault.log", "id", "id")[int64(77)] != 77 {
		t.Error("something was changed")
	}
}

// narrow is a target that cannot keep a text in tables that it makes.
type narrow struct{ picky }

func (n narrow) RowFit(_ context.Context, t *model.Table, anew bool) (func(*model.Row) error, error) {
	return func(row *model.Row) error {
		if !anew {
			return nil
		}
		return n.picky.CheckRow(t, row)
	}, nil
}

func TestValuesThatATableMadeAnewCannotKeepAreFoundBeforeAnythingIsChanged(t *testing.T) {
	for _, there := range []bool{false, true} {
		w := newWorld(t, bank(t))
		if w.opts.Replace = true; there {
			w.fill()
		}
		w.opts.Target.Storages[1] = narrow{picky{w.targets["my"], "as it is"}}
		_, err := restore.Run(t.Context(), w.opts)
		if refused := errors.Is(err, model.ErrRefused); refused == there {
			t.Errorf("with a table that is there: %v: %v", there, err)
		} else if refused && (w.marked("pg") || w.marked("my")) {
			t.Error("something was changed")
		}
	}
}

// blurred is a target that takes two keys for one.
type blurred struct{ *target }

func (blurred) Load(context.Context, *model.Table, iter.Seq2[*model.Row, error]) (int64, error) {
	return 0, model.Errorf(model.ErrExists, "duplicate entry")
}

func TestTheWayOutOfAnEngineThatTakesTwoKeysForOneIsNamed(t *testing.T) {
	w := newWorld(t, bank(t))
	w.opts.Target.Storages[1] = blurred{w.targets["my"]}
	_, err := restore.Run(t.Context(), w.opts)
	if !errors.Is(err, model.ErrUnavailable) || !strings.Contains(err.Error(), "Run the same command again to go on. If it ends here again, this engine") {
		t.Error(err)
	}
}

func TestALongKeyThatDoesNotFitIsShownInPart(t *testing.T) {
	err := &restore.UnfitError{Row: strings.Repeat("ä", 5000), Table: name("bank.accounts"), Storage: "my", Err: errors.New("too long")}
	if msg := err.Error(); len(msg) > 250 || !strings.HasSuffix(msg, "ä… of bank.accounts cannot be kept in \"my\": too long") {
		t.Errorf("%d bytes: %s", len(msg), msg)
	}
}

func TestTransactionalTablesThatTheBackupLacksAreNamedWhereverTheyAre(t *testing.T) {
	w := newWorld(t, bank(t))
	plain, err := model.NewTable(model.TableSpec{Name: name("else.log"), PartitionKey: []string{"id"}, Columns: []model.Column{{Name: "id", Type: model.Int}}})
	must(t, err)
	makeTable(t, w.targets["my"].Storage, plain)
	makeTable(t, w.targets["my"].Storage, physical(t, "else.accounts", model.Int))
	makeTable(t, w.targets["my"].Storage, physical(t, "vault.other", model.Int))
	p, err := restore.Make(t.Context(), w.opts)
	must(t, err)
	var named []string
	for _, f := range p.Findings {
		if f.Code == "not-in-backup" {
			named = append(named, f.Subject)
		}
	}
	if strings.Join(named, " ") != "else.accounts vault.other" {
		t.Errorf("named are %q", named)
	}
}
