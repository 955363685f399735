package archive

import (
	"encoding/binary"
	"hash/crc32"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	magic     = "\x89SPROWS\n"
	frameLen  = 28
	endLen    = 16
	chunkSize = 1 << 20 // raw bytes at which a chunk is closed
	maxRow    = 1 << 30 // the longest row
	maxChunk  = maxRow + chunkSize
	maxHeader = 16 << 20
	maxRatio  = 1 << 15 // no zstd block unpacks to more than this times its length

	kindChunk, kindEnd   = 'C', 'E'
	codecPlain, codecZst = 0, 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// frame is what precedes the body of a chunk or of the end.
type frame struct {
	kind, codec               byte
	number, rows, raw, stored uint32
	bodyCRC                   uint32
}

func (f *frame) append(b []byte) []byte {
	at := len(b)
	b = append(b, f.kind, f.codec, 0, 0)
	for _, n := range [...]uint32{f.number, f.rows, f.raw, f.stored, f.bodyCRC} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return binary.LittleEndian.AppendUint32(b, checksum(b[at:]))
}

// parseFrame reads a frame of frameLen bytes; false if it is not one.
func parseFrame(b []byte) (f frame, ok bool) {
	u32 := func(i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }
	if u32(24) != checksum(b[:24]) || b[2] != 0 || b[3] != 0 {
		return f, false
	}
	f = frame{b[0], b[1], u32(4), u32(8), u32(12), u32(16), u32(20)}
	switch {
	case f.kind == kindChunk && f.codec == codecPlain && f.raw == f.stored,
		f.kind == kindChunk && f.codec == codecZst && uint64(f.raw) <= uint64(f.stored)*maxRatio:
		return f, f.raw <= maxChunk && f.stored <= maxChunk
	case f.kind == kindEnd && f.codec == codecPlain && f.raw == endLen && f.stored == endLen:
		return f, true
	}
	return f, false
}

// One encoder and one decoder serve the whole process: both are safe for
// concurrent use and work on as many chunks at once as there are processors.
var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
			zstd.WithWindowSize(chunkSize), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)))
		if err != nil { // options are constant
			panic(err)
		}
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)),
			zstd.WithDecoderMaxMemory(maxChunk), zstd.WithDecodeAllCapLimit(true))
		if err != nil { // options are constant
			panic(err)
		}
		return d
	})
)
