package storagetest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

var big = flag.Bool("storagetest.big", false, "read 2 GB of rows in a process of 256 MB")

// testBig scans a table that is much bigger than the memory that it may use.
func (x *suite) testBig(t *testing.T) {
	if !*big {
		return
	}
	const total, limit, size = 2 << 30, 256 << 20, 64 << 10
	table := x.table(t, things())
	text := model.TextValue(strings.Repeat("0123456789abcdef", size/16))
	const batch = 64
	for n := int32(0); n < total/size; n += batch {
		ms := make([]storage.Mutation, batch)
		for i := range ms {
			ms[i] = upsert(table, key("big", n+int32(i)), set("s", text))
		}
		write(t, x.s, ms...)
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	var most uint64
	for _, scan := range []storage.Scan{{Partition: []model.Value{model.TextValue("big")}}, {Kind: storage.ScanTable}} {
		scan.Table = table
		for rows := 0; ; {
			p, err := x.s.Scan(t.Context(), scan)
			if err != nil {
				t.Fatal(err)
			}
			rows += len(p.Rows)
			most = max(most, memory())
			if p.Next == "" {
				if rows != total/size {
					t.Errorf("%d rows, want %d", rows, total/size)
				}
				break
			}
			scan.Token = p.Next
		}
	}
	t.Logf("at most %d MB of memory", most>>20)
	if most > limit {
		t.Errorf("the process used %d MB", most>>20)
	}
}

// memory is what the process takes: as the system sees it, where it tells, for
// drivers have memory that Go does not know of.
func memory() uint64 {
	var size, resident uint64
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if n, err := fmt.Sscan(string(b), &size, &resident); n == 2 && err == nil {
			return resident * uint64(os.Getpagesize())
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys - m.HeapReleased
}
