package main

import (
	"strconv"
	"time"

	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// leave is the script command
//
//	leave CONFIG TABLE ID TRANSACTION prepared|young|committed
//
// It writes what a manager leaves behind that dies in the middle of a commit: a
// prepared new record, old or young, and for committed the Coordinator's row.
func (s *script) leave(args []string) {
	if len(args) != 5 {
		s.fatal("usage: leave CONFIG TABLE ID TRANSACTION prepared|young|committed")
	}
	check := func(err error) {
		if err != nil {
			s.fatal("%v", err)
		}
	}
	ctx := s.t.Context()
	cfg, err := config.Load(args[0])
	check(err)
	set, err := config.Open(ctx, cfg, nil)
	check(err)
	defer func() { check(set.Close()) }()
	name, err := model.ParseTableName(args[1])
	check(err)
	id, err := strconv.ParseInt(args[2], 10, 64)
	check(err)
	table, err := set.Admin().Table(ctx, name)
	check(err)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMilli()
	if args[4] == "young" {
		at = time.Now().UnixMilli()
	}
	put := func(t *model.Table, key model.Value, columns ...storage.Assignment) {
		check(set.Mutate(ctx, storage.Batch{Mutations: []storage.Mutation{{Kind: storage.Put, Table: t, Set: columns,
			Key: model.Key{Partition: []model.Value{key}}, Guard: storage.Guard{Kind: storage.NotExists}}}}))
	}
	put(table, model.BigIntValue(id),
		storage.Assignment{Column: "balance", Value: model.BigIntValue(100)},
		storage.Assignment{Column: record.TxID, Value: model.TextValue(args[3])},
		storage.Assignment{Column: record.TxState, Value: model.IntValue(int32(record.Prepared))},
		storage.Assignment{Column: record.TxVersion, Value: model.IntValue(1)},
		storage.Assignment{Column: record.PreparedAt, Value: model.BigIntValue(at)})
	if args[4] == "committed" {
		put(record.CoordinatorTable(cfg.Transaction.CoordinatorNamespace), model.TextValue(args[3]),
			storage.Assignment{Column: record.TxState, Value: model.IntValue(int32(record.Committed))},
			storage.Assignment{Column: record.CreatedAt, Value: model.BigIntValue(at)})
	}
}
