package txn_test

import (
	"errors"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
)

// do runs one operation by name on account 1: "put owner" sets the owner to bob,
// "put balance" the balance to 7.
func do(tx *txn.Tx, op string) error {
	w := txn.Write{Table: accountsName, Key: at(1), Set: owner("bob")}
	switch op {
	case "insert":
		return tx.Insert(ctx, w)
	case "put":
		return tx.Put(ctx, w)
	case "put balance":
		w.Set = balance(7)
		return tx.Put(ctx, w)
	case "update":
		return tx.Update(ctx, w)
	case "update balance":
		w.Set = balance(7)
		return tx.Update(ctx, w)
	case "update if exists":
		w.If = storage.Guard{Kind: storage.Exists}
		return tx.Update(ctx, w)
	case "delete":
		w.Set = nil
		return tx.Delete(ctx, w)
	case "delete if exists":
		w.Set, w.If = nil, storage.Guard{Kind: storage.Exists}
		return tx.Delete(ctx, w)
	}
	panic(op)
}

// TestSecondOperationOnARecord goes through what one operation after another on
// the same record means, with the record there before and not.
func TestSecondOperationOnARecord(t *testing.T) {
	const (
		untouched = "balance 100 owner ann note n"
		replaced  = "owner bob" // written whole: what was not given is NULL
	)
	for _, c := range []struct {
		first, second string
		there, absent string // the record afterwards, or the error
	}{
		{"insert", "insert", "bad argument", "bad argument"},
		{"insert", "put balance", "conflict", "balance 7 owner bob"},
		{"insert", "update balance", "conflict", "balance 7 owner bob"},
		{"insert", "delete", "bad argument", "bad argument"},
		{"put", "insert", "bad argument", "bad argument"},
		{"put", "put balance", "balance 7 owner bob note n", "balance 7 owner bob"},
		{"put", "update balance", "balance 7 owner bob note n", "balance 7 owner bob"},
		{"put", "delete", "", ""},
		{"update", "insert", "bad argument", "owner bob"},
		{"update", "put balance", "balance 7 owner bob note n", "balance 7"},
		{"update", "update balance", "balance 7 owner bob note n", ""},
		{"update", "delete", "", ""},
		{"delete", "insert", replaced, replaced},
		{"delete", "put", replaced, replaced},
		{"delete", "update", "", ""},
		{"delete", "update if exists", "condition not met", "condition not met"},
		{"delete", "delete", "", ""},
		{"delete", "delete if exists", "condition not met", "condition not met"},
		{"", "update", "balance 100 owner bob note n", ""},
		{"", "update if exists", "balance 100 owner bob note n", "condition not met"},
		{"", "delete if exists", "", "condition not met"},
		{"", "delete", "", ""},
		{"", "put", "balance 100 owner bob note n", "owner bob"},
		{"", "insert", "conflict", "owner bob"},
	} {
		for setup, s := range setups {
			for _, there := range []bool{true, false} {
				t.Run(setup+"/"+c.first+"/"+c.second, func(t *testing.T) {
					w := newWorld(t, worldOptions{two: s.two})
					client := w.open(s.change...)
					want := c.absent
					if there {
						client.fill(1, accountsName)
						want = c.there
					}
					tx := client.begin()
					var err error
					for _, op := range []string{c.first, c.second} {
						if op != "" && err == nil {
							err = do(tx, op)
						}
					}
					if err == nil {
						err = tx.Commit(ctx)
					}
					w.must(client.Flush(ctx))
					if got := outcome(w, err); got != want {
						t.Errorf("there %v: got %q, want %q (%v)", there, got, want, err)
					}
					if err != nil && there {
						if got := outcome(w, nil); got != untouched {
							t.Errorf("after an error the record is %q", got)
						}
					}
				})
			}
		}
	}
}

// outcome renders an error's class, or the record of account 1.
func outcome(w *world, err error) string {
	for _, class := range []error{model.ErrBadArgument, model.ErrConditionNotMet, model.ErrConflict} {
		if errors.Is(err, class) {
			return class.Error()
		}
	}
	if err != nil {
		return err.Error()
	}
	r, s := w.stored(accountsName, 1), ""
	for _, column := range []string{"balance", "owner", "note"} {
		if v := r[column]; v != "" {
			if s != "" {
				s += " "
			}
			if v[0] == '"' {
				v = v[1 : len(v)-1]
			}
			s += column + " " + v
		}
	}
	if r != nil && r["tx_state"] != "3" {
		s += " in state " + r["tx_state"]
	}
	return s
}

func TestConditionsAreJudgedOnTheRecordAsTheTransactionSeesIt(t *testing.T) {
	ge := func(n int64) storage.Guard {
		return storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "balance", Op: model.Ge, Value: model.BigIntValue(n)}}}
	}
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(1, accountsName)
	tx := c.begin()
	p := put(accountsName, 1, 50)
	p.If = ge(101)
	w.want(tx.Put(ctx, p), model.ErrConditionNotMet)
	w.want(tx.Update(ctx, p), model.ErrConditionNotMet)
	w.want(tx.Delete(ctx, txn.Write{Table: accountsName, Key: at(1), If: ge(101)}), model.ErrConditionNotMet)
	p.If = ge(100)
	w.must(tx.Put(ctx, p))
	w.want(tx.Update(ctx, p), model.ErrConditionNotMet) // it is 50 now
	p.If = storage.Guard{Kind: storage.NotExists}
	w.want(tx.Put(ctx, p), model.ErrConditionNotMet)
	p = put(accountsName, 2, 1)
	p.If = storage.Guard{Kind: storage.NotExists}
	w.must(tx.Put(ctx, p))
	w.must(tx.Commit(ctx))
	if a, b := c.balanceOf(accountsName, 1), c.balanceOf(accountsName, 2); a != 50 || b != 1 {
		t.Errorf("balances %d and %d", a, b)
	}
}

func TestPutIfAbsentIsGuardedByWhatItRead(t *testing.T) {
	for name, s := range setups {
		w := newWorld(t, worldOptions{two: s.two})
		c := w.open(s.change...)
		tx := c.begin()
		p := put(accountsName, 1, 1)
		p.If = storage.Guard{Kind: storage.NotExists}
		w.must(tx.Put(ctx, p))
		c.fill(1, accountsName)
		if err := tx.Commit(ctx); !errors.Is(err, model.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
		w.must(c.Flush(ctx))
	}
}

func TestWritesThatCannotBeRightAreRefusedEarly(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(1, accountsName)
	like := storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "owner", Op: model.Like, Value: model.TextValue("a%")}}}
	for name, write := range map[string]txn.Write{
		"unknown column":       {Table: accountsName, Key: at(1), Set: []txn.Set{{Column: "balanse", Value: model.BigIntValue(1)}}},
		"meta column":          {Table: accountsName, Key: at(1), Set: []txn.Set{{Column: "tx_id", Value: model.TextValue("x")}}},
		"key column":           {Table: accountsName, Key: at(1), Set: []txn.Set{{Column: "no", Value: model.IntValue(1)}}},
		"wrong type":           {Table: accountsName, Key: at(1), Set: []txn.Set{{Column: "balance", Value: model.IntValue(1)}}},
		"no value":             {Table: accountsName, Key: at(1), Set: []txn.Set{{Column: "balance"}}},
		"twice":                {Table: accountsName, Key: at(1), Set: append(balance(1), balance(2)...)},
		"short key":            {Table: accountsName, Key: model.Key{Partition: at(1).Partition}, Set: balance(1)},
		"LIKE":                 {Table: accountsName, Key: at(1), Set: balance(1), If: like},
		"meta in condition":    {Table: accountsName, Key: at(1), Set: balance(1), If: storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "tx_state", Op: model.IsNull}}}},
		"If without condition": {Table: accountsName, Key: at(1), Set: balance(1), If: storage.Guard{Kind: storage.If}},
		"Coordinator":          {Table: stateName, Key: at(1), Set: balance(1)},
	} {
		if err := c.begin().Put(ctx, write); !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.want(c.begin().Put(ctx, txn.Write{Table: model.TableName{Namespace: "bank", Name: "nope"}, Key: at(1)}), model.ErrNotFound)
	w.want(c.begin(readOnly).Put(ctx, put(accountsName, 1, 1)), model.ErrBadArgument)
	w.want(c.begin().Delete(ctx, put(accountsName, 1, 1)), model.ErrBadArgument)
	ifAbsent := storage.Guard{Kind: storage.NotExists}
	w.want(c.begin().Delete(ctx, txn.Write{Table: accountsName, Key: at(1), If: ifAbsent}), model.ErrBadArgument)
	w.want(c.begin().Update(ctx, txn.Write{Table: accountsName, Key: at(1), If: ifAbsent}), model.ErrBadArgument)
	w.want(c.begin().Insert(ctx, txn.Write{Table: accountsName, Key: at(1), If: ifAbsent}), model.ErrBadArgument)
	if n := c.take()["mutate"]; n != 0 {
		t.Errorf("%d writes", n)
	}
}

func TestOwnWritesAreRead(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(1, accountsName)
	tx := c.begin()
	read := func() string {
		row, err := tx.Get(ctx, accountsName, at(1))
		w.must(err)
		if row == nil {
			return "nothing"
		}
		return row.Get("balance").String() + " " + row.Get("owner").String()
	}
	w.must(tx.Put(ctx, put(accountsName, 1, 5)))
	if got := read(); got != `5 "ann"` {
		t.Errorf("after a put: %s", got)
	}
	w.must(do(tx, "delete"))
	if got := read(); got != "nothing" {
		t.Errorf("after a delete: %s", got)
	}
	w.must(do(tx, "put"))
	if got := read(); got != `NULL "bob"` {
		t.Errorf("after a put behind a delete: %s", got)
	}
}

// TestAConditionIsNotJudgedOnAVersionThatIsKnownToBeReplaced: the first version
// that was read guards the write, so a condition on it cannot be answered once a
// later one has been seen.
func TestAConditionIsNotJudgedOnAVersionThatIsKnownToBeReplaced(t *testing.T) {
	see := map[string]func(*world, *txn.Tx){
		"get": func(w *world, tx *txn.Tx) {
			_, err := tx.Get(ctx, accountsName, at(1))
			w.must(err)
		},
		"scan": func(w *world, tx *txn.Tx) {
			_, err := numbers(tx, inBranch())
			w.must(err)
		},
	}
	for _, again := range []string{"get", "scan"} {
		for _, change := range []func(*txn.Options){readCommitted, func(*txn.Options) {}} {
			w := newWorld(t, worldOptions{})
			c, other := w.open(change), w.open()
			c.fill(1, accountsName)
			tx := c.begin()
			see["get"](w, tx)
			next := other.begin()
			rmw(w, next, accountsName, 1)
			w.must(next.Commit(ctx))
			see[again](w, tx)
			write := put(accountsName, 1, 5)
			write.If = storage.Guard{Kind: storage.If, Conditions: []model.Condition{{Column: "balance", Op: model.Eq, Value: model.BigIntValue(101)}}}
			want := model.ErrConflict
			if again == "get" && tx.Isolation() == txn.Snapshot {
				want = model.ErrConditionNotMet // it has seen one version only
			}
			if err := tx.Put(ctx, write); !errors.Is(err, want) {
				t.Errorf("%s, %s: %v", again, tx.Isolation(), err)
			}
		}
	}
}
