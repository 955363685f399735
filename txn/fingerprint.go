package txn

import (
	"hash/maphash"

	"github.com/stillpoint-db/stillpoint/model"
)

// fingerprint tells apart sets of record versions without keeping them: their
// number, and the sum of a hash of each one's key and writer. Storages that
// return the same rows in another order give the same.
type fingerprint struct {
	rows int
	sum  uint64
}

var fingerprintSeed = maphash.MakeSeed()

func (f *fingerprint) add(h uint64) {
	f.rows++
	f.sum += h
}

// without takes a version out again.
func (f *fingerprint) without(h uint64) {
	f.rows--
	f.sum -= h
}

// recordHash tells versions of records of one table apart.
func recordHash(t *table, stored *model.Row) uint64 {
	var h maphash.Hash
	h.SetSeed(fingerprintSeed)
	_, _ = h.WriteString(stored.Key().Encode())
	if writer := t.Writer(stored); !writer.IsNull() {
		_ = h.WriteByte(1)
		_, _ = h.WriteString(writer.Str())
	}
	return h.Sum64()
}
