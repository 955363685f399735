package txn

import (
	"context"
	"slices"

	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/internal/mutant"
	"github.com/stillpoint-db/stillpoint/storage"
)

// mustValidate tells whether what was read has to be read again: under
// Serializable, except for a transaction that is one read by key and nothing
// else. Records that are written are guarded by their writes.
func (tx *Tx) mustValidate() bool {
	if tx.iso != Serializable {
		return false
	}
	if len(tx.scans) > 0 {
		return true
	}
	if tx.writes == 0 && tx.gets <= 1 {
		return false
	}
	return slices.ContainsFunc(tx.entries.list, needsValidation)
}

func needsValidation(e *entry) bool { return e.known && e.byKey && e.kind == writeNone }

// validate reads again what the transaction has read, and fails if it is not the
// same. Its own records are prepared by then, so that of two transactions that
// each read what the other writes at least one sees the other.
//
// That a record is the same version says that it has been so since it was read.
// That it is not there says nothing of the kind: it may have come and gone
// meanwhile, because a deletion leaves no trace. So all that was absent is looked at
// before any version is: that was true together with every version that is found
// unchanged afterwards. A look at a scan tells of absence and of versions; if there
// are several, each is made again after all of them. That there are may show only
// here: records that the transaction has inserted since take room on pages.
func (tx *Tx) validate(ctx context.Context) error {
	if mutant.On("txn.skip-validation") {
		return nil
	}
	failpoint.Here("txn.validate")
	var absent, present []fetched
	for _, e := range tx.entries.list {
		if !needsValidation(e) {
			continue
		}
		if f := (fetched{table: e.table, key: e.key, entry: e}); e.base == nil {
			absent = append(absent, f)
		} else {
			present = append(present, f)
		}
	}
	var empty, found []*scanned
	for _, rec := range tx.scans {
		if rec.sum.rows == 0 {
			empty = append(empty, rec)
		} else {
			found = append(found, rec)
		}
	}
	if looks(found) > 1 {
		if err := tx.validateAll(ctx, tx.scans, absent); err != nil {
			return err
		}
		return tx.validateAll(ctx, found, present)
	}
	if err := tx.validateAll(ctx, empty, absent); err != nil {
		return err
	}
	if err := tx.validateAll(ctx, found, nil); err != nil {
		return err
	}
	if looks(found) <= 1 {
		found = nil
	}
	return tx.validateAll(ctx, found, present)
}

// looks is the number of moments of which scans tell.
func looks(scans []*scanned) int {
	n := 0
	for _, rec := range scans {
		n += rec.pages
		if !rec.table.caps.AtomicScan {
			n++ // a page is not read at one moment; nor are the index and that of the before column
		}
	}
	return n
}

// validateAll validates scans and keys at once.
func (tx *Tx) validateAll(ctx context.Context, scans []*scanned, keys []fetched) error {
	tasks := len(scans)
	if len(keys) > 0 {
		tasks++
	}
	errs := make([]error, tasks)
	tx.m.parallel(tasks, func(i int) {
		if i < len(scans) {
			errs[i] = tx.validateScan(ctx, scans[i])
			return
		}
		errs[i] = tx.validateKeys(ctx, keys)
	})
	for _, err := range errs {
		if err != nil {
			return tx.readFailed("commit", err)
		}
	}
	return nil
}

func (tx *Tx) validateKeys(ctx context.Context, keys []fetched) error {
	if err := tx.m.fetchRaw(ctx, keys); err != nil {
		return err
	}
	if err := tx.resolveStrictly(ctx, keys); err != nil {
		return err
	}
	for i := range keys {
		if f := &keys[i]; !sameVersion(f.table, f.entry.base, f.row) {
			return tx.conflict("commit", "another transaction has changed "+f.String()+", which this one has read", nil)
		}
	}
	return nil
}

// validateScan makes a scan again and compares what it finds with what it found:
// the same records by the same writers, and, if the scan was read to its end,
// no others. The transaction's own writes count as not made.
func (tx *Tx) validateScan(ctx context.Context, rec *scanned) error {
	scan, want := rec.scan, rec.sum
	var own, hidden map[uint64]bool
	partial := !rec.whole || scan.Limit > 0 && rec.sum.rows >= scan.Limit
	if partial {
		own, hidden = tx.movedByOwn(rec, &want)
	} else {
		scan.OrderBy = nil // which does not matter where all are compared
	}
	if partial && len(scan.OrderBy) > 0 { // what is absent comes first, see validate
		if err := tx.validateBefore(ctx, rec, hidden); err != nil {
			return err
		}
	}
	scan.Limit = 0
	c := &cursor{tx: tx, table: rec.table, scan: scan, again: true, resolve: tx.resolveStrictly}
	var sum fingerprint
	for !c.over && !(partial && sum.rows == want.rows) {
		page, err := c.next(ctx)
		if err != nil {
			return err
		}
		for _, f := range page {
			h := recordHash(rec.table, f.row)
			if own[h] {
				continue
			}
			if sum.rows == want.rows {
				if !partial {
					return tx.scanChanged(rec)
				}
				break
			}
			sum.add(h)
		}
	}
	rec.pages = max(rec.pages, c.pages)
	if sum != want {
		return tx.scanChanged(rec)
	}
	return nil
}

// movedByOwn finds the records that the transaction has moved since a scan, in the
// index or in the order. They are met no more, or in another place, those too that
// the scan did not come to, so a scan that was not read to its end cannot be
// compared with them in it. Those that it returned, hidden, are taken out of want:
// their writes guard the version that was returned.
func (tx *Tx) movedByOwn(rec *scanned, want *fingerprint) (own, hidden map[uint64]bool) {
	for _, e := range tx.entries.list {
		if e.table != rec.table || e.kind != writePut || e.base == nil || !rec.movedBy(e) {
			continue
		}
		if own == nil {
			own, hidden = make(map[uint64]bool), make(map[uint64]bool)
		}
		own[recordHash(e.table, e.base)] = true
	}
	for _, h := range rec.returned {
		if own[h] {
			want.without(h)
			hidden[h] = true
		}
	}
	if rec.scan.Kind == storage.ScanIndex {
		own = hidden // the others did not belong before, and are dropped
	}
	return own, hidden
}

// movedBy tells whether a put gives the record another place in the scan, or none.
func (rec *scanned) movedBy(e *entry) bool {
	if rec.scan.Kind == storage.ScanIndex {
		v := e.given(rec.scan.IndexColumn)
		return v.IsSet() && v != rec.scan.IndexValue
	}
	for _, o := range rec.scan.OrderBy {
		if v := e.given(o.Column); v.IsSet() && v != e.base.Get(o.Column) {
			return true
		}
	}
	return false
}

func (tx *Tx) scanChanged(rec *scanned) error {
	return tx.conflict("commit", "another transaction has changed what a scan of "+rec.scan.Table.String()+" returned", nil)
}

// resolveStrictly is resolve for validation: own records count as they were
// before, those of transactions known to be decided as decided, and any other
// write under way fails, whatever it would make of the record.
func (tx *Tx) resolveStrictly(_ context.Context, fs []fetched) error {
	for i := range fs {
		f := &fs[i]
		if f.row == nil {
			continue
		}
		own := f.table.WriterID(f.row) == tx.id
		if f.table.IsCommitted(f.row) {
			continue
		}
		if own {
			f.row = f.table.Before(f.row)
			if mutant.On("txn.skip-own-rows") {
				f.row = nil
			}
			continue
		}
		d, known := tx.m.fates.get(f.table.WriterID(f.row))
		if !known {
			if mutant.On("txn.pass-foreign-prepared") {
				f.row = f.table.After(f.row, 1)
				continue
			}
			return tx.conflict("commit", "another transaction is writing "+f.String()+", which this one has read", nil)
		}
		f.row = f.table.Settle(f.row, d.Decision)
	}
	return nil
}
