package txn

import (
	"hash/maphash"

	"github.com/stillpoint-db/stillpoint/model"
)

// mostEntries is how many records a transaction remembers whole. Of those that
// its scans pass beyond that it keeps two numbers each.
const mostEntries = 4096

// passed remembers versions of records that a scan has passed: a hash of the key
// and one of the writer. It is enough to notice, when such a record is read
// again to be written, that it is not the version that was seen. A collision
// makes a conflict where there is none, and never the other way round.
type passed map[uint64]uint64

func keyHash(t *table, key model.Key) uint64 {
	var h maphash.Hash
	h.SetSeed(fingerprintSeed)
	_, _ = h.WriteString(t.User.Name().String())
	_ = h.WriteByte(0)
	_, _ = h.WriteString(key.Encode())
	return h.Sum64()
}

// versionHash tells versions of one record apart; that of no record is 0.
func versionHash(t *table, stored *model.Row) uint64 {
	if stored == nil {
		return 0
	}
	var h maphash.Hash
	h.SetSeed(fingerprintSeed)
	if w := t.Writer(stored); !w.IsNull() {
		_ = h.WriteByte(1)
		_, _ = h.WriteString(w.Str())
	}
	return h.Sum64() | 1
}

// pass notes a record's version, unless one is noted already, and tells whether
// the noted one is this.
func (p *passed) pass(f *fetched) bool {
	if *p == nil {
		*p = make(passed)
	}
	k, v := keyHash(f.table, f.key), versionHash(f.table, f.row)
	if noted, ok := (*p)[k]; ok {
		return noted == v
	}
	(*p)[k] = v
	return true
}

// holds tells whether a record is the version that was passed, or was not passed.
func (p passed) holds(f *fetched) bool {
	if len(p) == 0 {
		return true
	}
	noted, ok := p[keyHash(f.table, f.key)]
	return !ok || noted == versionHash(f.table, f.row)
}

// has tells whether the record was passed in the given version.
func (p passed) has(t *table, key model.Key, stored *model.Row) bool {
	if len(p) == 0 {
		return false
	}
	noted, ok := p[keyHash(t, key)]
	return ok && noted == versionHash(t, stored)
}
