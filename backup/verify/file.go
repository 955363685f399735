package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"io"
	"sync"

	"github.com/stillpoint-db/stillpoint/backup/archive"
	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/model"
)

// mostProblems is how many problems of one file are reported.
const mostProblems = 100

// verifier verifies one backup.
type verifier struct {
	opts Options
	b    *catalog.Backup

	mu     sync.Mutex // guards report while files are read
	report *Report
}

// table is a table being verified.
type table struct {
	*manifest.Table
	name   string
	passes uint64 // over its keys
	seed   maphash.Seed

	mu      sync.Mutex
	prints  []uint64 // fingerprints of the keys of this pass
	unknown bool     // a part could not be read, so keys are not compared
}

func (v *verifier) table(t *manifest.Table) *table {
	return &table{Table: t, name: t.Name().String(), passes: uint64(t.Rows/v.opts.Keys + 1), seed: maphash.MakeSeed()}
}

func (v *verifier) add(p Problem) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Problems = append(v.report.Problems, p)
}

// source is a file being read: it counts and hashes what passes.
type source struct {
	in   io.Reader
	sum  hash.Hash
	size int64
	tell func(int64)
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.in.Read(b)
	s.sum.Write(b[:n])
	s.size += int64(n)
	if s.tell != nil {
		s.tell(int64(n))
	}
	return n, err
}

// file verifies one file, in one pass.
func (v *verifier) file(ctx context.Context, t *table, f *manifest.File, size int64) error {
	in, err := v.b.Files().Open(ctx, f.Name, 0)
	if errors.Is(err, model.ErrNotFound) {
		v.add(Problem{ID: f.Name, Table: t.name, Text: "the file is missing"})
		t.lose()
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	src := &source{in: in, sum: sha256.New(), tell: v.opts.Progress}
	var problems []Problem
	if v.opts.Depth != manifest.Files {
		if problems, err = v.contents(ctx, t, f, src); err != nil {
			return err
		}
	}
	if _, err := io.Copy(struct{ io.Writer }{io.Discard}, src); err != nil {
		return fmt.Errorf("read %s: %w", f.Name, err)
	}
	if len(problems) == 0 {
		switch {
		case size != f.Size:
			problems = append(problems, Problem{Text: fmt.Sprintf("the file has %d bytes, not %d", size, f.Size)})
		case hex.EncodeToString(src.sum.Sum(nil)) != f.SHA256:
			problems = append(problems, Problem{Text: "the file differs from what was written"})
		}
	}
	v.mu.Lock()
	v.report.Files++
	v.report.Size += src.size
	v.mu.Unlock()
	for _, p := range problems {
		p.ID, p.Table = f.Name, t.name
		v.add(p)
	}
	if len(problems) > 0 {
		t.lose()
	}
	return nil
}

// lose notes that a part of the table cannot be read.
func (t *table) lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unknown = true
}

// contents reads the rows of a file, goes on behind damage where it can, and
// returns what is wrong. An error is that of reading.
func (v *verifier) contents(ctx context.Context, t *table, f *manifest.File, in io.Reader) (problems []Problem, err error) {
	r, err := archive.NewReader(in)
	if d, is := errors.AsType[*archive.DamageError](err); is {
		return []Problem{{Where: d.Where(), Text: d.Reason}}, nil
	}
	if errors.Is(err, model.ErrDamaged) || errors.Is(err, model.ErrRefused) {
		return []Problem{{Text: err.Error()}}, nil
	}
	if err != nil {
		return nil, err
	}
	if archive.Define(r.Table()).Hash() != t.Hash {
		return []Problem{{Text: fmt.Sprintf("it holds rows of another table (%s)", r.Table().Name())}}, nil
	}
	var rows int64
	var prints []uint64
	whole := true
	for len(problems) < mostProblems {
		if rows%1024 == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		row, err := r.Next()
		if err == io.EOF {
			break
		}
		if d, is := errors.AsType[*archive.DamageError](err); is {
			problems, whole = append(problems, Problem{Where: d.Where(), Text: d.Reason}), false
			if d.Rest() {
				break
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name, err)
		}
		rows++
		if err := checkRow(row); err != nil {
			problems = append(problems, Problem{Where: "row " + row.Key().String(), Text: err.Error()})
		}
		if h := t.fingerprint(row); h%t.passes == 0 {
			prints = append(prints, h)
		}
	}
	if whole && rows != f.Rows && len(problems) < mostProblems {
		problems = append(problems, Problem{Text: fmt.Sprintf("it holds %d rows, not %d", rows, f.Rows)})
	}
	t.mu.Lock()
	t.prints = append(t.prints, prints...)
	t.mu.Unlock()
	v.mu.Lock()
	v.report.Rows += rows
	v.mu.Unlock()
	return problems, nil
}

// checkRow looks that every value is in the range of its type, and the key
// whole.
func checkRow(row *model.Row) error {
	for i, val := range row.Values {
		if row.Table.IsKey(i) && val.IsNull() {
			return fmt.Errorf("key column %s is NULL", row.Table.Columns()[i].Name)
		}
		if err := val.Check(); err != nil {
			return fmt.Errorf("column %s: %w", row.Table.Columns()[i].Name, err)
		}
	}
	return nil
}
