package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"hash"
	"io"
	"sync"
	"sync/atomic"

	"github.com/stillpoint-db/stillpoint/model"
)

// Options say how a Writer works. The zero value is right for most.
type Options struct {
	// Storage is the name of the storage that the rows come from, for people
	// who find the file alone.
	Storage string
	// Chunks is the most chunks in memory at once, at least 2; 0 = 3. While
	// one is filled, the others are compressed and written.
	Chunks int
}

// Summary says what a Writer wrote.
type Summary struct {
	Rows   int64
	Raw    int64 // bytes of the encoded rows before compression
	Size   int64 // bytes of the file
	Chunks int
	SHA256 [sha256.Size]byte // of the file
}

type header struct {
	Storage string     `json:"storage,omitempty"`
	Table   Definition `json:"table"`
}

// chunk is one chunk on its way from Write to the file.
type chunk struct {
	raw    []byte
	packed []byte
	rows   uint32
	frame  frame
	body   []byte        // raw or packed
	ready  chan struct{} // closed when frame and body are set
}

// Writer writes one file. It is for one goroutine; compression and writing
// happen in others, which Close waits for.
type Writer struct {
	table *model.Table
	cur   *chunk
	count int
	rows  int64
	raw   int64

	free    chan *chunk
	queue   chan *chunk
	drained sync.WaitGroup
	out     output
	failed  atomic.Pointer[error] // the first error of the goroutine that writes
	closed  bool
}

// output counts and hashes what goes to the file. One goroutine uses it at a time.
type output struct {
	w    io.Writer
	sum  hash.Hash
	size int64
}

func (o *output) write(b []byte) error {
	n, err := o.w.Write(b)
	o.sum.Write(b[:n])
	o.size += int64(n)
	return err
}

// NewWriter begins a file of rows of a table on w. An error is w's. Close must
// be called, also after an error.
func NewWriter(w io.Writer, table *model.Table, opts Options) (*Writer, error) {
	head, err := json.Marshal(header{opts.Storage, Define(table)})
	if err != nil {
		return nil, err
	}
	b := append([]byte(nil), magic...)
	b = binary.LittleEndian.AppendUint16(b, uint16(Current))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(head)))
	b = append(b, head...)
	b = binary.LittleEndian.AppendUint32(b, checksum(b))

	n := opts.Chunks
	if n == 0 {
		n = 3
	}
	n = max(n, 2)
	wr := &Writer{table: table, free: make(chan *chunk, n), queue: make(chan *chunk, n), out: output{w: w, sum: sha256.New()}}
	if err := wr.out.write(b); err != nil {
		return nil, err
	}
	for range n {
		wr.free <- &chunk{}
	}
	wr.cur = <-wr.free
	wr.drained.Go(wr.drain)
	return wr, nil
}

// Write adds a row, which it does not keep. An error that is not of class
// model.ErrBadArgument is that of writing an earlier chunk; after any error
// only Close is of use.
func (w *Writer) Write(row *model.Row) error {
	before := len(w.cur.raw)
	b, err := appendRow(w.cur.raw, w.table, row.Values)
	w.cur.raw = b
	if err != nil {
		w.cur.raw = b[:before]
		return err
	}
	if len(b)-before > maxRow {
		w.cur.raw = b[:before]
		return model.Errorf(model.ErrBadArgument, "row %s of %s is %d bytes long; a backup holds rows of at most 1 GiB", row.Key(), w.table.Name(), len(b)-before)
	}
	w.cur.rows++
	w.rows++
	w.raw += int64(len(b) - before)
	if len(b) >= chunkSize {
		return w.flush()
	}
	return nil
}

// Written returns the raw bytes written so far.
func (w *Writer) Written() int64 { return w.raw }

// flush hands the current chunk on and takes an empty one.
func (w *Writer) flush() error {
	c := w.cur
	c.ready = make(chan struct{})
	c.frame = frame{kind: kindChunk, number: uint32(w.count), rows: c.rows, raw: uint32(len(c.raw))}
	w.count++
	w.queue <- c
	w.drained.Go(c.pack)
	w.cur = <-w.free
	w.cur.raw, w.cur.rows = w.cur.raw[:0], 0
	return w.err()
}

// pack compresses the chunk, unless that makes it longer.
func (c *chunk) pack() {
	c.packed = encoder().EncodeAll(c.raw, c.packed[:0])
	c.frame.codec, c.body = codecZst, c.packed
	if len(c.packed) >= len(c.raw) {
		c.frame.codec, c.body = codecPlain, c.raw
	}
	c.frame.stored, c.frame.bodyCRC = uint32(len(c.body)), checksum(c.body)
	close(c.ready)
}

// drain writes the chunks in order. After an error it only takes them.
func (w *Writer) drain() {
	var head []byte
	for c := range w.queue {
		<-c.ready
		if w.err() == nil {
			head = c.frame.append(head[:0])
			err := w.out.write(head)
			if err == nil {
				err = w.out.write(c.body)
			}
			if err != nil {
				w.failed.Store(&err)
			}
		}
		w.free <- c
	}
}

func (w *Writer) err() error {
	if e := w.failed.Load(); e != nil {
		return *e
	}
	return nil
}

// Close writes what is left and the end, and waits for all of it. It does not
// close the underlying writer. A file whose Close failed is not complete.
func (w *Writer) Close() (Summary, error) {
	if w.closed {
		return Summary{}, model.Errorf(model.ErrBadArgument, "archive writer closed twice")
	}
	w.closed = true
	if w.cur.rows > 0 {
		_ = w.flush() // the error is asked for below
	}
	close(w.queue)
	w.drained.Wait()
	if err := w.err(); err != nil {
		return Summary{}, err
	}
	body := binary.LittleEndian.AppendUint64(nil, uint64(w.rows))
	body = binary.LittleEndian.AppendUint64(body, uint64(w.raw))
	end := frame{kind: kindEnd, number: uint32(w.count), raw: endLen, stored: endLen, bodyCRC: checksum(body)}
	if err := w.out.write(bytes.Join([][]byte{end.append(nil), body}, nil)); err != nil {
		return Summary{}, err
	}
	s := Summary{Rows: w.rows, Raw: w.raw, Size: w.out.size, Chunks: w.count}
	w.out.sum.Sum(s.SHA256[:0])
	return s, nil
}
