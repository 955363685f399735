package archive

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/stillpoint-db/stillpoint/model"
)

// Reader reads one file in order. It is for one goroutine. It never trusts a
// number that it read: memory stays bounded by the longest legal chunk, whatever
// the file says.
type Reader struct {
	in      io.Reader
	storage string
	table   *model.Table
	row     model.Row

	packed, raw []byte
	text        string // raw as a string; values share its memory
	at          int    // of the next row in raw
	left        uint32 // rows left in raw

	frame frame // of the chunk at hand
	next  uint32
	begin int64 // raw offset of the chunk at hand
	rows  int64
	lost  bool // a chunk was skipped: the sums cannot be compared
	end   error
}

// NewReader reads the preface of a file: class model.ErrDamaged if it is not
// one, model.ErrRefused if a later version of the format wrote it. Reads of in
// are large; it needs no buffer.
func NewReader(in io.Reader) (*Reader, error) {
	fixed := make([]byte, len(magic)+6)
	if _, err := io.ReadFull(in, fixed); err != nil {
		return nil, prefaceError(err, "it is shorter than the shortest archive")
	}
	if string(fixed[:len(magic)]) != magic {
		return nil, prefaceError(nil, "it does not begin as an archive does")
	}
	if v := Version(binary.LittleEndian.Uint16(fixed[len(magic):])); v == 0 || v > Current {
		return nil, &model.Error{Class: model.ErrRefused, Detail: fmt.Sprintf("archive format %d is not known to this version of stillpoint, which reads up to %d", v, Current),
			Hint: "Read it with the version that wrote it, or a later one"}
	}
	n := binary.LittleEndian.Uint32(fixed[len(magic)+2:])
	if n > maxHeader {
		return nil, prefaceError(nil, "its header is impossibly long")
	}
	rest, err := readN(in, nil, int(n)+4)
	if err != nil {
		return nil, prefaceError(err, "it ends in its header")
	}
	if binary.LittleEndian.Uint32(rest[n:]) != checksum(append(fixed, rest[:n]...)) {
		return nil, prefaceError(nil, "its header differs from what was written")
	}
	var h header
	if err := json.Unmarshal(rest[:n], &h); err != nil {
		return nil, prefaceError(nil, "its header is not one")
	}
	table, err := h.Table.Table()
	if err != nil {
		return nil, err
	}
	return &Reader{in: in, storage: h.Storage, table: table,
		row: model.Row{Table: table, Values: make([]model.Value, len(table.Columns()))}}, nil
}

func prefaceError(err error, reason string) error {
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return &DamageError{Chunk: -1, To: -1, Reason: reason}
}

// Storage returns the name of the storage that the rows came from.
func (r *Reader) Storage() string { return r.storage }

// Table returns the definition of the table that the rows are of.
func (r *Reader) Table() *model.Table { return r.table }

// Next returns the next row, io.EOF after the last. The row is valid until the
// next call; its TEXT and BLOB values stay valid, but each keeps its whole
// chunk in memory: clone the strings of the few that are kept for long.
//
// Damage is a *DamageError. Unless its Rest is true, Next may be called again
// and goes on behind the damaged chunk. Other errors are those of the
// underlying reader.
func (r *Reader) Next() (*model.Row, error) {
	for r.left == 0 {
		if r.end != nil {
			return nil, r.end
		}
		if err := r.chunk(); err != nil {
			return nil, err
		}
	}
	n, err := decodeRow(r.raw[r.at:], r.text[r.at:], r.table.Columns(), r.row.Values)
	if err != nil {
		return nil, r.skip(err.Error())
	}
	r.at += n
	r.left--
	if r.left == 0 && r.at != len(r.raw) {
		return nil, r.skip("it holds more than its rows")
	}
	r.rows++
	return &r.row, nil
}

// Rows ranges over the rows that are left, and ends after the first error. What
// Next says of rows holds here too.
func (r *Reader) Rows() iter.Seq2[*model.Row, error] {
	return func(yield func(*model.Row, error) bool) {
		for {
			row, err := r.Next()
			if err == io.EOF {
				return
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// chunk reads the next chunk or the end.
func (r *Reader) chunk() error {
	r.begin += int64(r.frame.raw)
	r.frame = frame{}
	b, err := readN(r.in, r.packed, frameLen)
	if err != nil {
		return r.stop(err, "the file ends too early")
	}
	f, ok := parseFrame(b)
	if !ok || f.number != r.next {
		return r.stop(nil, "it is not what was written")
	}
	r.next++
	if r.packed, err = readN(r.in, b, int(f.stored)); err != nil {
		return r.stop(err, "the file ends too early")
	}
	r.frame = f
	sound := checksum(r.packed) == f.bodyCRC
	if f.kind == kindEnd {
		r.frame.raw = 0
		return r.finish(sound)
	}
	if !sound {
		return r.skip("it differs from what was written")
	}
	return r.unpack()
}

// unpack makes the chunk at hand readable.
func (r *Reader) unpack() error {
	if r.frame.codec == codecPlain {
		r.raw = append(r.raw[:0], r.packed...)
	} else {
		if cap(r.raw) < int(r.frame.raw) {
			r.raw = make([]byte, 0, r.frame.raw)
		}
		var err error
		if r.raw, err = decoder().DecodeAll(r.packed, r.raw[:0:r.frame.raw]); err != nil || len(r.raw) != int(r.frame.raw) {
			return r.skip("it cannot be unpacked")
		}
	}
	if r.frame.rows == 0 {
		return r.skip("it holds no row")
	}
	r.text, r.at, r.left = string(r.raw), 0, r.frame.rows
	return nil
}

// finish compares the sums of the end with what was read, and looks that
// nothing follows.
func (r *Reader) finish(sound bool) error {
	switch {
	case !sound:
		return r.stop(nil, "its end differs from what was written")
	case r.lost:
	case binary.LittleEndian.Uint64(r.packed) != uint64(r.rows), binary.LittleEndian.Uint64(r.packed[8:]) != uint64(r.begin):
		return r.stop(nil, "rows are missing")
	}
	var one [1]byte
	n, err := io.ReadFull(r.in, one[:])
	if n != 0 {
		return r.stop(nil, "something follows its end")
	}
	if err != io.EOF {
		r.end = err
		return err
	}
	r.end = io.EOF
	return io.EOF
}

// skip reports damage that ends with the chunk at hand.
func (r *Reader) skip(reason string) error {
	r.left, r.lost = 0, true
	return &DamageError{Chunk: int(r.frame.number), From: r.begin, To: r.begin + int64(r.frame.raw), Reason: reason}
}

// stop reports damage behind which nothing can be read, or the error of in.
func (r *Reader) stop(err error, reason string) error {
	r.left = 0
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		r.end = err
	} else {
		r.end = &DamageError{Chunk: int(r.next), From: r.begin, To: -1, Reason: reason}
	}
	return r.end
}

// readN reads n bytes into a buffer, which it returns grown as needed: no
// faster than bytes arrive, so that a false length costs nothing.
func readN(in io.Reader, b []byte, n int) ([]byte, error) {
	const step = 4 << 20
	if n <= cap(b) || n <= step {
		if n > cap(b) {
			b = make([]byte, n)
		}
		_, err := io.ReadFull(in, b[:n])
		return b[:n], err
	}
	buf := bytes.NewBuffer(b[:0])
	m, err := io.CopyN(buf, in, int64(n))
	if err == nil && m < int64(n) {
		err = io.ErrUnexpectedEOF
	}
	return buf.Bytes(), err
}
