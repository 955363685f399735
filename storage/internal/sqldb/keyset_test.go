package sqldb

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestTheEndsOfAFloatHoldAllThatIsReadAsItAndNothingElse(t *testing.T) {
	floats := []float32{0, 0.1, 1, 16777216, 16777217, math.SmallestNonzeroFloat32, 1.1754944e-38, math.MaxFloat32}
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		if f := math.Float32frombits(random.Uint32()); !math.IsNaN(float64(f)) && !math.IsInf(float64(f), 0) {
			floats = append(floats, f)
		}
	}
	for _, f := range floats {
		for _, f := range []float32{f, -f} {
			low, high := rounded(f)
			if !(low <= float64(f) && float64(f) <= high) {
				t.Errorf("%v lies outside of %v … %v", f, low, high)
			}
			if low != -math.MaxFloat64 && (float32(low) != f || float32(math.Nextafter(low, math.Inf(-1))) == f) {
				t.Errorf("%v is not the least that is read as %v", low, f)
			}
			if high != math.MaxFloat64 && (float32(high) != f || float32(math.Nextafter(high, math.Inf(1))) == f) {
				t.Errorf("%v is not the greatest that is read as %v", high, f)
			}
		}
	}
}
