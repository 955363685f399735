package postgres

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"github.com/stillpoint-db/stillpoint/model"
)

// copySignature begins COPY's binary format; flags and the length of an
// extension follow, 4 bytes each.
const copySignature = "PGCOPY\n\xff\r\n\x00"

// copyDecoder takes rows out of COPY's binary format, however it is cut.
type copyDecoder struct {
	table *model.Table
	yield func(*model.Row) error

	rest   []byte // the beginning of something incomplete
	begun  bool
	ended  bool
	row    model.Row
	cols   [][]byte
	memory arena
}

func (d *copyDecoder) write(data []byte) error {
	if len(d.rest) > 0 {
		d.rest = append(d.rest, data...)
		data = d.rest
	}
	for {
		used, err := d.next(data)
		if err != nil {
			return err
		}
		if used == 0 {
			break
		}
		data = data[used:]
	}
	d.rest = append(d.rest[:0], data...) // a copy onto itself where data is the end of rest
	return nil
}

// next takes the header, a row or the trailer from the front of data; 0 if it
// is not all there yet.
func (d *copyDecoder) next(data []byte) (int, error) {
	bad := func(what string) (int, error) {
		return 0, model.Errorf(model.ErrDamaged, "%s: the server's data is not what COPY sends: %s", d.table.Name(), what)
	}
	if !d.begun {
		n := len(copySignature) + 8
		if len(data) < n {
			return 0, nil
		}
		if !bytes.HasPrefix(data, []byte(copySignature)) {
			return bad("no signature")
		}
		extension := int(binary.BigEndian.Uint32(data[n-4:]))
		if extension > 1<<20 {
			return bad("an endless header")
		}
		if len(data) < n+extension {
			return 0, nil
		}
		d.begun = true
		d.memory.chunk = rowArena
		d.row = model.Row{Table: d.table, Values: make([]model.Value, len(d.table.Columns()))}
		return n + extension, nil
	}
	if len(data) < 2 {
		return 0, nil
	}
	if d.ended {
		return bad("something follows its end")
	}
	count := int(int16(binary.BigEndian.Uint16(data)))
	if count == -1 {
		d.ended = true
		return 2, nil
	}
	if count != len(d.row.Values) {
		return bad(strconv.Itoa(count) + " columns")
	}
	d.cols = d.cols[:0]
	at := 2
	for range count {
		if len(data)-at < 4 {
			return 0, nil
		}
		n := int(int32(binary.BigEndian.Uint32(data[at:])))
		at += 4
		switch {
		case n == -1:
			d.cols = append(d.cols, nil)
		case n < 0:
			return bad("a negative length")
		case len(data)-at < n:
			return 0, nil
		default:
			d.cols = append(d.cols, data[at:at+n:at+n])
			at += n
		}
	}
	if err := decodeRow(d.table, d.row.Values, d.cols, &d.memory); err != nil {
		return 0, err
	}
	return at, d.yield(&d.row)
}
