package sqlite

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func BenchmarkGet(b *testing.B) {
	s := fresh(b)
	table := accounts(b, s)
	k := account("a", 1)
	if err := s.Mutate(b.Context(), storage.Batch{Mutations: []storage.Mutation{put(table, k, 7)}}); err != nil {
		b.Fatal(err)
	}
	gets := []storage.Get{{Table: table, Key: k}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get(b.Context(), gets); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMutate(b *testing.B) {
	s := fresh(b)
	table := accounts(b, s)
	n := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		if err := s.Mutate(b.Context(), storage.Batch{Mutations: []storage.Mutation{put(table, account("a", int32(n%1000)), n)}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMutateParallel8(b *testing.B) {
	s := fresh(b)
	table := accounts(b, s)
	var worker atomic.Int32
	b.ReportAllocs()
	b.SetParallelism(4) // times GOMAXPROCS 2 on the machines of CI
	b.RunParallel(func(pb *testing.PB) {
		id := fmt.Sprint("worker", worker.Add(1))
		for n := int32(0); pb.Next(); n++ {
			k := model.Key{Partition: []model.Value{model.TextValue(id)}, Clustering: []model.Value{model.IntValue(n % 1000)}}
			if err := s.Mutate(b.Context(), storage.Batch{Mutations: []storage.Mutation{put(table, k, int64(n))}}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
