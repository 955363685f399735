package check

import (
	"math"
	"math/big"
	"strconv"

	"github.com/stillpoint-db/stillpoint/model"
)

// total adds numbers up exactly, in any order: whole numbers in 64 bits for as
// long as they fit, anything else in a float that is wide enough for every sum of
// doubles.
type total struct {
	small int64
	wide  *big.Float // nil: nothing beyond small
	float bool       // some addend was a FLOAT or DOUBLE
	nan   bool       // some addend was not a number or infinite
}

// widePrecision holds the highest and lowest bit of any double, and 2^64 of them.
const widePrecision = 2200

func (t *total) addInt(n int64) {
	sum := t.small + n
	if (sum > t.small) == (n > 0) {
		t.small = sum
		return
	}
	t.widen(new(big.Float).SetInt64(n))
}

func (t *total) addFloat(f float64) {
	t.float = true
	if math.IsNaN(f) || math.IsInf(f, 0) {
		t.nan = true
		return
	}
	t.widen(new(big.Float).SetFloat64(f))
}

func (t *total) widen(x *big.Float) {
	if t.wide == nil {
		t.wide = new(big.Float).SetPrec(widePrecision)
	}
	t.wide.Add(t.wide, x)
}

// addValue adds a column's value; NULL adds nothing.
func (t *total) addValue(v model.Value) {
	switch {
	case v.IsNull() || !v.IsSet():
	case v.Type() == model.Float || v.Type() == model.Double:
		t.addFloat(v.Float64())
	default:
		t.addInt(v.Int64())
	}
}

func (t *total) value() *big.Float {
	x := new(big.Float).SetPrec(widePrecision).SetInt64(t.small)
	if t.wide != nil {
		x.Add(x, t.wide)
	}
	return x
}

// String renders the total: exactly if it is whole, else as the nearest double.
func (t *total) String() string {
	if t.nan {
		return "not a number"
	}
	x := t.value()
	if x.IsInt() && x.MantExp(nil) < 128 {
		return x.Text('f', 0)
	}
	f, _ := x.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// equal compares two totals. Where doubles are involved the nearest doubles are
// compared, so that 0.1 in a file equals a column that holds 0.1.
func (t *total) equal(u *total, tolerance float64) bool {
	if t.nan || u.nan {
		return false
	}
	a, b := t.value(), u.value()
	if t.float || u.float {
		x, _ := a.Float64()
		y, _ := b.Float64()
		return x == y || math.Abs(x-y) <= tolerance
	}
	if a.Cmp(b) == 0 {
		return true
	}
	d := new(big.Float).Sub(a, b)
	return d.Abs(d).Cmp(big.NewFloat(tolerance)) <= 0
}

// parseTotal reads a number of a query file, which ParseQueries has accepted.
func parseTotal(s string) total {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return total{small: n}
	}
	x, _, err := big.ParseFloat(s, 10, widePrecision, big.ToNearestEven)
	if err != nil {
		return total{nan: true}
	}
	return total{wide: x, float: !x.IsInt()}
}
