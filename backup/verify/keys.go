package verify

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/stillpoint-db/stillpoint/model"
)

// fingerprint hashes the key of a row.
func (t *table) fingerprint(row *model.Row) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	var number [binary.MaxVarintLen64]byte
	for _, v := range row.Values[:row.Table.KeyLen()] {
		if v.Type() == model.Text || v.Type() == model.Blob {
			_, _ = h.Write(binary.AppendUvarint(number[:0], uint64(len(v.Str()))))
			_, _ = h.WriteString(v.Str())
		} else {
			_, _ = h.Write(binary.AppendVarint(number[:0], v.Raw()))
		}
	}
	return h.Sum64()
}

// keys looks that no two rows of a table have one key. The fingerprints of the
// first pass were taken while the contents were read; tables with more keys than
// fit are read again for the others.
func (v *verifier) keys(ctx context.Context, t *table) error {
	if t.unknown {
		return nil
	}
	for pass := uint64(0); ; pass++ {
		if double := twice(t.prints); len(double) > 0 {
			if err := v.name(ctx, t, double); err != nil {
				return err
			}
		}
		t.prints = t.prints[:0]
		if pass+1 >= t.passes {
			t.prints = nil
			return nil
		}
		for row, err := range v.b.Rows(ctx, t.Table) {
			if err != nil {
				return err
			}
			if h := t.fingerprint(row); h%t.passes == pass+1 {
				t.prints = append(t.prints, h)
			}
		}
	}
}

// twice returns the fingerprints that occur more than once.
func twice(prints []uint64) map[uint64]bool {
	slices.Sort(prints)
	double := map[uint64]bool{}
	for i := 1; i < len(prints); i++ {
		if prints[i] == prints[i-1] {
			double[prints[i]] = true
		}
	}
	return double
}

// name reads the table once more for the keys behind fingerprints: two keys may
// share one by accident.
func (v *verifier) name(ctx context.Context, t *table, double map[uint64]bool) error {
	seen, reported := map[string]int{}, 0
	for row, err := range v.b.Rows(ctx, t.Table) {
		if err != nil {
			return err
		}
		if !double[t.fingerprint(row)] {
			continue
		}
		key := row.Key().Encode()
		if seen[key]++; seen[key] == 2 && reported < mostProblems {
			reported++
			v.add(Problem{ID: t.name, Table: t.name, Where: "row " + row.Key().String(), Text: fmt.Sprintf("several rows of %s have this key", t.name)})
		}
	}
	return nil
}
