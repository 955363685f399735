// Package archive reads and writes the files that a backup keeps rows in: a
// documented, versioned form that knows no engine. To write a table, make a
// Writer and give it each row; to read it back, make a Reader and range over
// Rows. Both stream, in memory bounded by a few chunks.
//
// # Format
//
// A file holds rows of one table, raw: every column that the table has in its
// database, those of ScalarDB's transactions included. All numbers are
// little-endian; uvarint and varint (zigzag) are those of encoding/binary;
// checksums are CRC-32C (Castagnoli).
//
//	file    = preface chunk* end
//	preface = magic[8] version:u16 length:u32 header[length] crc:u32
//	chunk   = frame(kind 'C') body
//	end     = frame(kind 'E') body
//	frame   = kind:u8 codec:u8 zero:u16 number:u32 rows:u32 raw:u32 stored:u32 bodycrc:u32 framecrc:u32
//
// The magic is 89 'S' 'P' 'R' 'O' 'W' 'S' 0A; the preface's crc covers
// everything before it. The header is a JSON object: "storage" and "table", a
// Definition. Chunks are numbered from 0; the end's number is the count of
// chunks. A body has 'stored' bytes, whose checksum is bodycrc; framecrc covers
// the 24 bytes before it. Codec 0 is the bytes themselves, codec 1 one zstd
// frame; unpacked, a body has 'raw' bytes. The body of the end (codec 0) is
// rows:u64 raw:u64, the sums over all chunks, and nothing follows it.
//
// An unpacked chunk is 'rows' rows, each the columns of the definition in order:
//
//	row   = nulls[(columns+7)/8] value*     bit i of nulls (from the lowest of byte 0): column i is NULL and has no value
//	value = BOOLEAN                    one byte, 0 or 1
//	      | INT BIGINT                 varint
//	      | FLOAT                      u32, the IEEE 754 bits
//	      | DOUBLE                     u64, the IEEE 754 bits
//	      | TEXT BLOB                  uvarint length, then the bytes
//	      | DATE                       varint, days since 1970-01-01
//	      | TIME                       varint, nanoseconds of the day
//	      | TIMESTAMP TIMESTAMPTZ      varint, milliseconds since 1970-01-01T00:00 (without zone; UTC)
//
// A row is at most 1 GiB and never spans chunks. A writer closes a chunk when it
// reaches 1 MiB.
package archive

// Version is the version of the file format.
type Version uint16

// The history of the format. A reader reads every version up to Current, and
// refuses later ones by name.
const (
	V1 Version = 1 // the format as described above

	Current = V1
)
