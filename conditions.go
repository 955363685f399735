package stillpoint

import "github.com/stillpoint-db/stillpoint/model"

// Order is the direction of an order.
type Order = model.Order

// The two directions.
const (
	Asc  = model.Asc
	Desc = model.Desc
)

// Cond is a comparison of a column with a value; made by Col.
type Cond struct {
	column string
	op     model.Op
	value  any
	escape string
}

// ColumnRef begins a comparison: Col("balance").Ge(100).
type ColumnRef string

// Col names the column of a comparison.
func Col(name string) ColumnRef { return ColumnRef(name) }

// Eq is column = x. As in SQL, no comparison but IsNull holds for a NULL.
func (c ColumnRef) Eq(x any) Cond { return Cond{column: string(c), op: model.Eq, value: x} }

// Ne is column <> x.
func (c ColumnRef) Ne(x any) Cond { return Cond{column: string(c), op: model.Ne, value: x} }

// Gt is column > x.
func (c ColumnRef) Gt(x any) Cond { return Cond{column: string(c), op: model.Gt, value: x} }

// Ge is column >= x.
func (c ColumnRef) Ge(x any) Cond { return Cond{column: string(c), op: model.Ge, value: x} }

// Lt is column < x.
func (c ColumnRef) Lt(x any) Cond { return Cond{column: string(c), op: model.Lt, value: x} }

// Le is column <= x.
func (c ColumnRef) Le(x any) Cond { return Cond{column: string(c), op: model.Le, value: x} }

// IsNull is column IS NULL.
func (c ColumnRef) IsNull() Cond { return Cond{column: string(c), op: model.IsNull} }

// IsNotNull is column IS NOT NULL.
func (c ColumnRef) IsNotNull() Cond { return Cond{column: string(c), op: model.IsNotNull} }

// Like is column LIKE pattern, with backslash as the escape; in scans only.
func (c ColumnRef) Like(pattern string) Cond {
	return Cond{column: string(c), op: model.Like, value: pattern, escape: `\`}
}

// NotLike is column NOT LIKE pattern, with backslash as the escape; in scans
// only.
func (c ColumnRef) NotLike(pattern string) Cond {
	return Cond{column: string(c), op: model.NotLike, value: pattern, escape: `\`}
}

func (c Cond) bind(t *model.Table) (model.Condition, error) {
	out := model.Condition{Column: c.column, Op: c.op, Escape: c.escape}
	i, err := t.Column(c.column)
	if err != nil {
		return out, err
	}
	if c.op != model.IsNull && c.op != model.IsNotNull {
		if out.Value, err = toValue(t.Columns()[i], c.value); err != nil {
			return out, err
		}
	}
	return out, out.Check(t)
}

func bindAll(t *model.Table, conds []Cond) ([]model.Condition, error) {
	out := make([]model.Condition, 0, len(conds))
	for _, c := range conds {
		b, err := c.bind(t)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// WriteOption is an option of Put, Insert, Update and Delete.
type WriteOption interface{ applyWrite(*writeOptions) }

type writeOptions struct {
	conds     []Cond
	ifExists  bool
	ifMissing bool
}

type writeOptionFunc func(*writeOptions)

func (f writeOptionFunc) applyWrite(o *writeOptions) { f(o) }

// If makes a write conditional: the row must exist and all conditions hold,
// else the write fails with ErrConditionNotMet. Without conditions it is
// IfExists.
func If(conds ...Cond) WriteOption {
	return writeOptionFunc(func(o *writeOptions) { o.ifExists, o.conds = true, append(o.conds, conds...) })
}

// IfExists makes a write conditional: the row must exist.
func IfExists() WriteOption { return writeOptionFunc(func(o *writeOptions) { o.ifExists = true }) }

// IfNotExists makes a Put conditional: the row must not exist.
func IfNotExists() WriteOption { return writeOptionFunc(func(o *writeOptions) { o.ifMissing = true }) }

// ScanOption is an option of Table.Scan. Without Partition and ByIndex the
// whole table is scanned.
type ScanOption func(*scanOptions)

type scanOptions struct {
	partition    []any
	start, end   []any
	startExcl    bool
	endExcl      bool
	reverse      bool
	limit        int
	indexColumn  string
	indexValue   any
	where        [][]Cond
	orderBy      []orderBy
	hasPartition bool
	hasIndex     bool
}

type orderBy struct {
	column string
	order  Order
}

// Partition scans one partition, in clustering order: the values of the whole
// partition key.
func Partition(key ...any) ScanOption {
	return func(o *scanOptions) { o.partition, o.hasPartition = key, true }
}

// From begins at these values of the clustering key (a prefix of it), included.
// Bounds are on values: From is the smaller end, whatever the order.
func From(values ...any) ScanOption {
	return func(o *scanOptions) { o.start, o.startExcl = values, false }
}

// After is From with the values themselves left out.
func After(values ...any) ScanOption {
	return func(o *scanOptions) { o.start, o.startExcl = values, true }
}

// To ends at these values of the clustering key, included.
func To(values ...any) ScanOption {
	return func(o *scanOptions) { o.end, o.endExcl = values, false }
}

// Before is To with the values themselves left out.
func Before(values ...any) ScanOption {
	return func(o *scanOptions) { o.end, o.endExcl = values, true }
}

// Reverse turns the clustering order around.
func Reverse() ScanOption { return func(o *scanOptions) { o.reverse = true } }

// Limit ends the scan after n rows; 0 means no limit.
func Limit(n int) ScanOption { return func(o *scanOptions) { o.limit = n } }

// ByIndex scans the rows whose indexed column has the value.
func ByIndex(column string, value any) ScanOption {
	return func(o *scanOptions) { o.indexColumn, o.indexValue, o.hasIndex = column, value, true }
}

// Where keeps the rows for which all conditions hold. Given several times, a
// row is kept if any of the lists holds.
func Where(conds ...Cond) ScanOption {
	return func(o *scanOptions) { o.where = append(o.where, conds) }
}

// OrderBy orders a scan of a whole table; given several times, by the first
// column first. NULLs come where the database puts them.
func OrderBy(column string, order Order) ScanOption {
	return func(o *scanOptions) { o.orderBy = append(o.orderBy, orderBy{column, order}) }
}
