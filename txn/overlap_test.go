package txn_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn"
)

func bound(exclusive bool, values ...int32) storage.Bound {
	b := storage.Bound{Exclusive: exclusive}
	for _, v := range values {
		b.Values = append(b.Values, model.IntValue(v))
	}
	return b
}

// TestScansThatOwnWritesCouldBelongToAreRefused: the transaction has put account
// 5 (clustering key (5, 0)) with owner bob and a balance of 7, and deleted
// account 1.
func TestScansThatOwnWritesCouldBelongToAreRefused(t *testing.T) {
	part := func(start, end storage.Bound, where ...model.Condition) txn.Scan {
		s := inBranch(where...)
		s.Start, s.End = start, end
		return s
	}
	table := func(where ...model.Condition) txn.Scan {
		s := txn.Scan{Table: accountsName, Kind: storage.ScanTable}
		if len(where) > 0 {
			s.Where = model.Predicate{where}
		}
		return s
	}
	is := func(column string, v model.Value) model.Condition {
		return model.Condition{Column: column, Op: model.Eq, Value: v}
	}
	other := part(bound(false, 2), bound(false, 9))
	other.Partition = []model.Value{model.TextValue("other")}
	vault := part(bound(false, 2), bound(false, 9))
	vault.Table = vaultName
	for name, c := range map[string]struct {
		scan    txn.Scan
		refused bool
	}{
		"whole range":                          {part(bound(false, 2), storage.Bound{}), true},
		"inclusive start at a prefix":          {part(bound(false, 5), storage.Bound{}), true},
		"exclusive start at a prefix":          {part(bound(true, 5), storage.Bound{}), false},
		"inclusive end at a prefix":            {part(bound(false, 2), bound(false, 5)), true},
		"exclusive end at a prefix":            {part(bound(false, 2), bound(true, 5)), false},
		"exclusive end at the key":             {part(bound(false, 2), bound(true, 5, 0)), false},
		"inclusive end at the key":             {part(bound(false, 2), bound(false, 5, 0)), true},
		"end behind the key":                   {part(bound(false, 2), bound(true, 5, 1)), true},
		"before it":                            {part(bound(false, 2), bound(false, 4)), false},
		"behind it":                            {part(bound(false, 6), storage.Bound{}), false},
		"other partition":                      {other, false},
		"other table":                          {vault, false},
		"condition that the put meets":         {part(bound(false, 2), storage.Bound{}, is("owner", model.TextValue("bob"))), true},
		"condition that it does not meet":      {part(bound(false, 2), storage.Bound{}, is("owner", model.TextValue("eve"))), false},
		"condition on what it does not give":   {part(bound(false, 2), storage.Bound{}, is("note", model.TextValue("zzz"))), false},
		"deleted record among the results":     {part(bound(false, 1), bound(false, 1)), true},
		"index with the value":                 {byOwner("bob"), true},
		"index with another value":             {byOwner("eve"), false},
		"index, deleted among the results":     {byOwner("ann"), true},
		"table":                                {table(), true},
		"table with a condition that it meets": {table(is("balance", model.BigIntValue(7))), true},
		"table with another condition":         {table(is("balance", model.BigIntValue(8))), false},
	} {
		w := newWorld(t, worldOptions{})
		client := w.open()
		client.fill(1, accountsName)
		tx := client.begin()
		w.must(tx.Put(ctx, txn.Write{Table: accountsName, Key: at(5), Set: append(owner("bob"), balance(7)...)}))
		w.must(do(tx, "delete"))
		_, err := numbers(tx, c.scan)
		if c.refused != errors.Is(err, model.ErrBadArgument) || !c.refused && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		w.must(tx.Rollback(ctx))
	}
}

// TestAColumnThatANewRecordIsNotGivenIsNULL: so a scan for NULL would have to
// return it.
func TestAColumnThatANewRecordIsNotGivenIsNULL(t *testing.T) {
	for name, write := range map[string]func(*txn.Tx) error{
		"insert": func(tx *txn.Tx) error { return tx.Insert(ctx, put(accountsName, 5, 1)) },
		"put of what was read as missing": func(tx *txn.Tx) error {
			_, err := tx.Get(ctx, accountsName, at(5))
			return errors.Join(err, tx.Put(ctx, put(accountsName, 5, 1)))
		},
	} {
		w := newWorld(t, worldOptions{})
		tx := w.open().begin()
		w.must(write(tx))
		if got, err := numbers(tx, inBranch(model.Condition{Column: "note", Op: model.IsNull})); !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("%s: found %v, %v", name, got, err)
		}
		if _, err := numbers(tx, inBranch(model.Condition{Column: "note", Op: model.IsNotNull})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWritingWhileScanningIsAllowed(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open(func(o *txn.Options) { o.PageSize = 3 })
	c.fill(10, accountsName)
	tx := c.begin()
	for row, err := range tx.Scan(ctx, inBranch()) {
		w.must(err)
		w.must(tx.Put(ctx, put(accountsName, int(row.Get("no").Int64()), 1)))
		w.want(tx.Commit(ctx), model.ErrBadArgument)
	}
	w.must(tx.Commit(ctx))
	for i := 1; i <= 10; i++ {
		if got := c.balanceOf(accountsName, i); got != 1 {
			t.Errorf("account %d: %d", i, got)
		}
	}
}

func TestScanOrderLimitsAndPages(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open(func(o *txn.Options) { o.PageSize = 2 })
	c.fill(7, accountsName)
	tx := c.begin()
	for i := 1; i <= 7; i += 2 {
		w.must(tx.Put(ctx, put(accountsName, i, int64(-i))))
	}
	w.must(tx.Commit(ctx))
	collect := func(s txn.Scan) (out []int64) {
		for row, err := range c.begin(readOnly).Scan(ctx, s) {
			w.must(err)
			out = append(out, row.Get("no").Int64())
		}
		return out
	}
	s := inBranch()
	s.Reverse, s.Limit = true, 3
	if got := collect(s); !slices.Equal(got, []int64{7, 6, 5}) {
		t.Errorf("reversed with a limit: %v", got)
	}
	s = inBranch()
	s.Start, s.End = bound(true, 2), bound(false, 6)
	if got := collect(s); !slices.Equal(got, []int64{3, 4, 5, 6}) {
		t.Errorf("range: %v", got)
	}
	s = txn.Scan{Table: accountsName, Kind: storage.ScanTable, OrderBy: []storage.OrderBy{{Column: "balance"}, {Column: "no", Order: model.Desc}}, Limit: 5}
	if got := collect(s); !slices.Equal(got, []int64{7, 5, 3, 1, 6}) {
		t.Errorf("ordered: %v", got)
	}
	s = inBranch(model.Condition{Column: "balance", Op: model.Lt, Value: model.BigIntValue(0)})
	s.Limit = 3
	if got := collect(s); !slices.Equal(got, []int64{1, 3, 5}) {
		t.Errorf("condition with a limit: %v", got)
	}
}

func TestALimitCountsRowsThatRemain(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(4, accountsName)
	leavePrepared(c, func(tx *txn.Tx) error {
		for no := -3; no <= 0; no++ { // before the others in the order of the key
			if err := tx.Insert(ctx, put(accountsName, no, 1)); err != nil {
				return err
			}
		}
		return nil
	})
	w.advance(60e9)
	s := inBranch()
	s.Limit = 3
	if got, err := numbers(c.begin(), s); err != nil || !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("%v %v", got, err)
	}
}

func TestScansThatCannotBeRightAreRefused(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c := w.open()
	c.fill(1, accountsName)
	for name, s := range map[string]txn.Scan{
		"no partition key":     {Table: accountsName, Kind: storage.ScanPartition},
		"bounds of a table":    {Table: accountsName, Kind: storage.ScanTable, Start: bound(false, 1)},
		"order of a partition": {Table: accountsName, Partition: at(1).Partition, OrderBy: []storage.OrderBy{{Column: "no"}}},
		"order by meta":        {Table: accountsName, Kind: storage.ScanTable, OrderBy: []storage.OrderBy{{Column: "tx_version"}}},
		"condition on meta":    {Table: accountsName, Kind: storage.ScanTable, Where: model.Predicate{{{Column: "tx_id", Op: model.IsNull}}}},
		"no index":             {Table: accountsName, Kind: storage.ScanIndex, IndexColumn: "note", IndexValue: model.TextValue("n")},
		"index type":           {Table: accountsName, Kind: storage.ScanIndex, IndexColumn: "owner", IndexValue: model.IntValue(1)},
		"long bound":           {Table: accountsName, Partition: at(1).Partition, Start: bound(false, 1, 2, 3)},
		"negative limit":       {Table: accountsName, Kind: storage.ScanTable, Limit: -1},
		"unknown kind":         {Table: accountsName, Kind: 9},
	} {
		if _, err := numbers(c.begin(), s); !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSnapshotRepeatsReads(t *testing.T) {
	for _, change := range []func(*txn.Options){serializable, func(*txn.Options) {}} {
		w := newWorld(t, worldOptions{})
		c, other := w.open(change), w.open()
		c.fill(3, accountsName)
		tx := c.begin()
		first, err := numbers(tx, inBranch())
		w.must(err)
		row, err := tx.Get(ctx, accountsName, at(2))
		w.must(err)
		change := other.begin()
		w.must(change.Put(ctx, put(accountsName, 2, 1)))
		w.must(change.Put(ctx, put(accountsName, 9, 1)))
		w.must(change.Commit(ctx))
		again, err := numbers(tx, inBranch())
		w.must(err)
		row2, err := tx.Get(ctx, accountsName, at(2))
		w.must(err)
		if !slices.Equal(first, again) || row.Get("balance") != row2.Get("balance") {
			t.Errorf("%v %v, %v %v", first, again, row.Get("balance"), row2.Get("balance"))
		}
	}
}

func TestReadCommittedReadsTheNewest(t *testing.T) {
	w := newWorld(t, worldOptions{})
	c, other := w.open(readCommitted), w.open()
	c.fill(1, accountsName)
	tx := c.begin()
	_, err := tx.Get(ctx, accountsName, at(1))
	w.must(err)
	change := other.begin()
	w.must(change.Put(ctx, put(accountsName, 1, 1)))
	w.must(change.Commit(ctx))
	row, err := tx.Get(ctx, accountsName, at(1))
	w.must(err)
	if got := row.Get("balance").Int64(); got != 1 {
		t.Errorf("read %d", got)
	}
}

func TestAnOwnWriteThatComesToBelongIsRefused(t *testing.T) {
	for _, read := range []bool{true, false} {
		w := newWorld(t, worldOptions{})
		c := w.open()
		c.fill(3, accountsName)
		tx := c.begin()
		if read {
			_, err := tx.Get(ctx, accountsName, at(1))
			w.must(err)
		}
		w.must(tx.Put(ctx, put(accountsName, 1, 777)))
		got, err := numbers(tx, inBranch(model.Condition{Column: "balance", Op: model.Eq, Value: model.BigIntValue(777)},
			model.Condition{Column: "owner", Op: model.Eq, Value: model.TextValue("ann")}))
		if !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("read %v: %v %v", read, got, err)
		}
		s := byOwner("ann")
		s.Where = model.Predicate{{{Column: "balance", Op: model.Eq, Value: model.BigIntValue(777)}}}
		if got, err := numbers(tx, s); !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("index, read %v: %v %v", read, got, err)
		}
	}
}
