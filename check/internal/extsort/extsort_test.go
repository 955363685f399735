package extsort

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

func TestSortedYieldsEveryEntryInOrder(t *testing.T) {
	for _, memory := range []int{DefaultMemory, 4096, 300, 1} { // no run, some, more than fanIn, one entry a run
		rnd := rand.New(rand.NewPCG(1, uint64(memory)))
		dir := t.TempDir()
		s := New(dir, memory)
		var want [][]byte
		for i := range 1000 {
			key := binary.BigEndian.AppendUint32(nil, rnd.Uint32N(200))
			value := bytes.Repeat([]byte{byte(i)}, i%7)
			want = append(want, append(append(slices.Clone(key), '/'), value...))
			if err := s.Add(key, value); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortFunc(want, bytes.Compare)
		var got [][]byte
		for e, err := range s.Sorted() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, append(append(slices.Clone(e.Key), '/'), e.Value...))
		}
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("memory %d: the entries differ from a sort in memory", memory)
		}
		if spilled := len(s.runs) > 0; spilled != (memory < DefaultMemory) {
			t.Errorf("memory %d: spilled is %v", memory, spilled)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("memory %d: Close left %v behind", memory, left)
		}
	}
}

func TestTornScratchFileIsAnError(t *testing.T) {
	s := New(t.TempDir(), 64)
	defer s.Close()
	for i := range 10 {
		if err := s.Add([]byte("key key key key"), bytes.Repeat([]byte{byte(i)}, 30)); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(s.runs[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(s.runs[0], info.Size()-3); err != nil {
		t.Fatal(err)
	}
	var failed error
	for _, err := range s.Sorted() {
		failed = err
	}
	if failed == nil {
		t.Error("a run that was cut short was read without an error")
	}
}
