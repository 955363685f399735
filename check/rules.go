package check

import (
	"fmt"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// finding is a broken rule of one record or row, before it is given a place.
type finding struct {
	rule  string
	level Level
	text  string
}

func broken(rule, format string, args ...any) finding {
	return finding{rule, Error, fmt.Sprintf(format, args...)}
}

func doubtful(rule, format string, args ...any) finding {
	return finding{rule, Warning, fmt.Sprintf(format, args...)}
}

// recordView is what one record says of itself.
type recordView struct {
	l   *record.Layout
	row *model.Row

	id, state, version, preparedAt, committedAt                          model.Value
	beforeID, beforeState, beforeVersion, beforePrepared, beforeCommited model.Value
}

func viewOf(l *record.Layout, row *model.Row) recordView {
	at := func(i int) model.Value { return row.Values[i] }
	m, b := l.Meta, l.BeforeMeta
	return recordView{l, row, at(m.TxID), at(m.State), at(m.Version), at(m.PreparedAt), at(m.CommittedAt),
		at(b.TxID), at(b.State), at(b.Version), at(b.PreparedAt), at(b.CommittedAt)}
}

// checkRecord applies the rules that need one record only: V1 to V7 and V13.
// now is the latest time that a timestamp may show, in milliseconds since 1970.
func checkRecord(l *record.Layout, row *model.Row, now int64) []finding {
	v := viewOf(l, row)
	var fs []finding
	if f, ok := v.shape(); ok {
		return append(fs, f) // nothing else can be said of it
	}
	if v.id.IsNull() {
		return fs
	}
	fs = append(fs, v.meta()...)
	fs = append(fs, v.times(now)...)
	switch record.State(v.state.Int64()) {
	case record.Committed:
		return append(fs, v.leftovers()...)
	case record.Deleted:
		fs = append(fs, v.deletion()...)
	}
	switch {
	case !v.beforeID.IsNull():
		fs = append(fs, v.beforeImage()...)
	case !v.beforeVersion.IsNull():
		fs = append(fs, v.importedBefore()...)
	default:
		fs = append(fs, v.newRecord()...)
	}
	return fs
}

// shape is V1.
func (v recordView) shape() (finding, bool) {
	if !v.state.IsNull() {
		if s := v.state.Int64(); s < int64(record.Prepared) || s > int64(record.Committed) {
			return broken("V1", "tx_state is %d, not 1, 2, 3 or NULL", s), true
		}
	}
	if v.state.IsNull() != v.id.IsNull() || v.id.IsNull() != v.version.IsNull() {
		return broken("V1", "tx_id is %s, tx_state is %s, tx_version is %s: either all are NULL or none", v.id, v.state, v.version), true
	}
	if v.id.IsNull() && !v.beforeID.IsNull() {
		return broken("V1", "never written by a transaction, and before_tx_id is %s", v.beforeID), true
	}
	return finding{}, false
}

// meta is V2.
func (v recordView) meta() (fs []finding) {
	if id := v.id.Str(); id == "" || len(id) > record.MaxIDLen {
		fs = append(fs, broken("V2", "tx_id is %d bytes long, not 1 to %d", len(id), record.MaxIDLen))
	}
	if n := v.version.Int64(); n < 1 {
		fs = append(fs, broken("V2", "tx_version is %d", n))
	}
	if v.preparedAt.IsNull() || v.preparedAt.Int64() <= 0 {
		fs = append(fs, broken("V2", "tx_prepared_at is %s", v.preparedAt))
	}
	if v.state.Int64() == int64(record.Committed) && (v.committedAt.IsNull() || v.committedAt.Int64() <= 0) {
		fs = append(fs, broken("V2", "committed, and tx_committed_at is %s", v.committedAt))
	}
	return fs
}

// times is V13.
func (v recordView) times(now int64) (fs []finding) {
	for _, c := range []struct {
		name  string
		value model.Value
	}{{record.PreparedAt, v.preparedAt}, {record.CommittedAt, v.committedAt}} {
		if c.value.Int64() > now {
			fs = append(fs, doubtful("V13", "%s is %s, later than the data can be", c.name, millis(c.value.Int64())))
		}
	}
	if v.state.Int64() == int64(record.Committed) && !v.committedAt.IsNull() && v.committedAt.Int64() < v.preparedAt.Int64() {
		fs = append(fs, doubtful("V13", "committed at %s, before it was prepared at %s", millis(v.committedAt.Int64()), millis(v.preparedAt.Int64())))
	}
	return fs
}

// leftovers is V3.
func (v recordView) leftovers() []finding {
	left := func(b int) bool { return b >= 0 && !v.row.Values[b].IsNull() }
	found := func(b int) []finding {
		return []finding{doubtful("V3", "committed, and %s is still %s", v.l.Physical.Columns()[b].Name, v.row.Values[b])}
	}
	for _, b := range v.l.Twin {
		if left(b) {
			return found(b)
		}
	}
	for i := range 5 {
		if b := v.l.BeforeMeta.Position(i); left(b) {
			return found(b)
		}
	}
	return nil
}

// beforeImage is V4.
func (v recordView) beforeImage() (fs []finding) {
	if v.beforeState.Int64() != int64(record.Committed) {
		fs = append(fs, broken("V4", "before_tx_state is %s, not 3", v.beforeState))
	}
	if v.beforeVersion.Int64() < 1 || v.version.Int64() != v.beforeVersion.Int64()+1 {
		fs = append(fs, broken("V4", "tx_version is %s after before_tx_version %s", v.version, v.beforeVersion))
	}
	if v.beforeID.Str() == v.id.Str() {
		fs = append(fs, broken("V4", "the version before is by the same transaction"))
	}
	if !v.committedAt.IsNull() && v.committedAt != v.beforeCommited {
		fs = append(fs, doubtful("V4", "undecided, and tx_committed_at %s is not that of the version before, %s", v.committedAt, v.beforeCommited))
	}
	return fs
}

// importedBefore is V5.
func (v recordView) importedBefore() (fs []finding) {
	if v.beforeVersion.Int64() != 0 {
		fs = append(fs, broken("V5", "before_tx_id is NULL and before_tx_version is %s, not 0", v.beforeVersion))
	}
	if v.version.Int64() != 1 {
		fs = append(fs, broken("V5", "first written by a transaction, and tx_version is %s", v.version))
	}
	for _, b := range []model.Value{v.beforeState, v.beforePrepared, v.beforeCommited} {
		if !b.IsNull() {
			fs = append(fs, broken("V5", "the version before was never written by a transaction, and has a state or time: %s", b))
			break
		}
	}
	return fs
}

// newRecord is V6.
func (v recordView) newRecord() (fs []finding) {
	if v.version.Int64() != 1 {
		fs = append(fs, broken("V6", "there is no version before, and tx_version is %s", v.version))
	}
	for _, b := range []model.Value{v.beforeState, v.beforePrepared, v.beforeCommited} {
		if !b.IsNull() {
			return append(fs, broken("V6", "there is no version before, and it has a state or time: %s", b))
		}
	}
	for i, b := range v.l.Twin {
		if b >= 0 && !v.row.Values[b].IsNull() {
			return append(fs, broken("V6", "there is no version before, and before_%s is %s", v.l.User.Columns()[i].Name, v.row.Values[b]))
		}
	}
	return fs
}

// deletion is V7.
func (v recordView) deletion() (fs []finding) {
	has := v.l.HasBefore(v.row)
	for i, b := range v.l.Twin {
		if b < 0 {
			continue
		}
		now, name := v.row.Values[v.l.Column[i]], v.l.User.Columns()[i].Name
		switch {
		case has && now != v.row.Values[b]:
			fs = append(fs, broken("V7", "a deletion, and %s is %s where before_%s is %s", name, now, name, v.row.Values[b]))
		case !has && !now.IsNull():
			fs = append(fs, broken("V7", "a deletion of a record that was not there, and %s is %s", name, now))
		}
	}
	return fs
}

// millis renders a timestamp of a record.
func millis(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}
