package restore_test

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/backup/catalog"
	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/restore"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/memory"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	_ "github.com/stillpoint-db/stillpoint/storage/sqlite"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// engines open an empty database of their own.
var engines = map[string]func(t testing.TB, name string) storage.Storage{
	"memory": func(_ testing.TB, name string) storage.Storage { return memory.New(name) },
	"SQLite": func(t testing.TB, name string) storage.Storage {
		return open(t, storage.Config{Name: name, Driver: "sqlite", URL: "jdbc:sqlite:" + filepath.Join(t.TempDir(), name+".db")})
	},
}

func open(t testing.TB, cfg storage.Config) storage.Storage {
	t.Helper()
	s, err := storage.Open(context.Background(), cfg)
	must(t, err)
	return s
}

// everyType is a transactional table with a column of each type.
func everyType(t testing.TB) *model.Table {
	spec := model.TableSpec{Name: name("types.every"), PartitionKey: []string{"p"}, ClusteringKey: []model.ClusteringColumn{{Name: "c", Order: model.Desc}},
		Columns: []model.Column{{Name: "p", Type: model.Text}, {Name: "c", Type: model.BigInt}}, Indexes: []string{"v_int"}}
	for typ := model.Boolean; typ <= model.TimestampTZ; typ++ {
		spec.Columns = append(spec.Columns, model.Column{Name: "v_" + strings.ToLower(typ.String()), Type: typ})
	}
	user, err := model.NewTable(spec)
	must(t, err)
	table, err := record.Physical(user)
	must(t, err)
	return table
}

// limits are values at the limits of each type, by type.
var limits = map[model.DataType][]model.Value{
	model.Boolean:     {model.BooleanValue(true), model.BooleanValue(false)},
	model.Int:         {model.IntValue(math.MinInt32), model.IntValue(math.MaxInt32)},
	model.BigInt:      {model.BigIntValue(-1 << 53), model.BigIntValue(1 << 53)},
	model.Float:       {model.FloatValue(-math.MaxFloat32), model.FloatValue(0.1)},
	model.Double:      {model.DoubleValue(math.MaxFloat64), model.DoubleValue(math.SmallestNonzeroFloat64)},
	model.Text:        {model.TextValue(""), model.TextValue("naïve ☃ 𝄞 'x' \\ \" \n")},
	model.Blob:        {model.BlobStringValue(""), model.BlobStringValue("\x00\xff\x80'")},
	model.Date:        {model.DateValue(model.CivilDate{Year: 1000, Month: 1, Day: 1}), model.DateValue(model.CivilDate{Year: 9999, Month: 12, Day: 31})},
	model.Time:        {model.TimeValue(model.CivilTime{}), model.RawValue(model.Time, 86_399_999_999_000)},
	model.Timestamp:   {model.RawValue(model.Timestamp, -30610224000000), model.RawValue(model.Timestamp, 253402300799999)},
	model.TimestampTZ: {model.RawValue(model.TimestampTZ, -30610224000000), model.RawValue(model.TimestampTZ, 253402300799999)},
}

// everyRow is row i: its columns at limit number which (-1: NULL), written by tx.
func everyRow(table *model.Table, i, which int, tx string) *model.Row {
	row := &model.Row{Table: table}
	for _, c := range table.Columns() {
		v := model.Null(c.Type)
		if strings.HasPrefix(c.Name, "v_") && which >= 0 {
			v = limits[c.Type][which]
		}
		row.Values = append(row.Values, v)
	}
	for column, v := range map[string]model.Value{"p": model.TextValue("kéy"), "c": model.BigIntValue(int64(i)), "tx_id": model.TextValue(tx), "tx_state": model.IntValue(3),
		"tx_version": model.IntValue(1), "tx_prepared_at": model.BigIntValue(t0), "tx_committed_at": model.BigIntValue(t0 + 1)} {
		row.Values[table.Position(column)] = v
	}
	return row
}

// undecided turns a committed row into one that tx has prepared to become all
// NULL.
func undecided(row *model.Row, tx string) *model.Row {
	out := row.Clone()
	for i, c := range row.Table.Columns() {
		if b := row.Table.Position("before_" + c.Name); b >= 0 && !row.Table.IsKey(i) {
			out.Values[b] = row.Values[i]
			if strings.HasPrefix(c.Name, "v_") {
				out.Values[i] = model.Null(c.Type)
			}
		}
	}
	for column, v := range map[string]model.Value{"tx_id": model.TextValue(tx), "tx_state": model.IntValue(1), "tx_version": model.IntValue(2), "tx_prepared_at": model.BigIntValue(t0 + 10)} {
		out.Values[row.Table.Position(column)] = v
	}
	return out
}

func putRow(t testing.TB, s storage.Storage, row *model.Row) {
	t.Helper()
	m := storage.Mutation{Table: row.Table, Key: row.Key()}
	for i := row.Table.KeyLen(); i < len(row.Values); i++ {
		m.Set = append(m.Set, storage.Assignment{Column: row.Table.Columns()[i].Name, Value: row.Values[i]})
	}
	must(t, s.Mutate(t.Context(), storage.Batch{Mutations: []storage.Mutation{m}}))
}

func makeTable(t testing.TB, s storage.Storage, table *model.Table) {
	t.Helper()
	must(t, s.Admin().CreateNamespace(t.Context(), table.Name().Namespace))
	must(t, s.Admin().CreateTable(t.Context(), table))
}

func rowsOf(t testing.TB, s storage.Storage, table *model.Table) []string {
	t.Helper()
	var out []string
	for row, err := range check.ScanAll(t.Context(), s, table) {
		must(t, err)
		line := ""
		for _, v := range row.Values {
			line += fmt.Sprintf("%s:%s|", v.Type(), v)
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

// TestEveryTypeSurvivesFromEngineToEngine takes a real backup of one engine and
// restores it into another.
func TestEveryTypeSurvivesFromEngineToEngine(t *testing.T) {
	for fromName, openFrom := range engines {
		for toName, openTo := range engines {
			t.Run(fromName+" to "+toName, func(t *testing.T) {
				from := openFrom(t, "old")
				set := multi.Single(from)
				defer func() { must(t, set.Close()) }()
				table := everyType(t)
				makeTable(t, from, table)
				makeTable(t, from, record.CoordinatorTable(""))
				var want []string
				line := func(row *model.Row) {
					s := ""
					for _, v := range row.Values {
						s += fmt.Sprintf("%s:%s|", v.Type(), v)
					}
					want = append(want, s)
				}
				for i, which := range []int{0, 1, -1} {
					row := everyRow(table, i, which, "base")
					putRow(t, from, row)
					line(row)
				}
				// One that is rolled back, one that is rolled forward.
				back := everyRow(table, 10, 0, "base")
				putRow(t, from, undecided(back, "gone"))
				line(back)
				done := undecided(everyRow(table, 11, 1, "base"), "done")
				putRow(t, from, done)
				forward := everyRow(table, 11, -1, "done")
				for column, n := range map[string]int64{"tx_version": 2, "tx_prepared_at": t0 + 10, "tx_committed_at": t0 + 20} {
					i := table.Position(column)
					forward.Values[i] = model.RawValue(table.Columns()[i].Type, n)
				}
				line(forward)
				for id, at := range map[string]int64{"base": t0 + 1, "done": t0 + 20} {
					putRow(t, from, &model.Row{Table: record.CoordinatorTable(""), Values: []model.Value{model.TextValue(id), model.IntValue(3), model.BigIntValue(at)}})
				}
				slices.Sort(want)

				r := repo.InFolder(filepath.Join(t.TempDir(), "repo"))
				m, err := create.Run(t.Context(), set, r, create.Options{Plan: plan.Options{Scratch: t.TempDir()}})
				must(t, err)
				b, err := catalog.Open(t.Context(), r, m.ID)
				must(t, err)
				src, err := check.NewBackup(b)
				must(t, err)
				rep, err := check.Run(t.Context(), src, check.Options{Strict: true, Scratch: t.TempDir()})
				must(t, err)
				if !rep.Consistent || rep.InDoubtTotal() != 2 {
					t.Fatalf("the backup: %+v", rep)
				}

				to := openTo(t, "new")
				defer func() { must(t, to.Close()) }()
				backup, err := restore.FromCatalog(b)
				must(t, err)
				opts := restore.Options{Backup: backup, Journal: restore.Beside(b.Files()), Scratch: t.TempDir(), Target: restore.Target{Storages: []storage.Storage{to}, Label: "new"}}
				result, err := restore.Run(t.Context(), opts)
				must(t, err)
				if got := rowsOf(t, to, table); !slices.Equal(got, want) {
					t.Errorf("the rows differ:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				if result.Check == nil || !result.Check.Consistent || result.InDoubt != 2 {
					t.Errorf("report: %+v", result)
				}
				// The restored databases are the same to whoever checks them live.
				live, err := check.Run(t.Context(), check.NewDatabases("new", multi.Single(to), ""), check.Options{Strict: true, Scratch: t.TempDir()})
				must(t, err)
				if !live.Consistent || live.InDoubtTotal() != 0 || live.Transactions != 3 {
					t.Errorf("live: %+v", live)
				}
				have, err := to.Admin().Table(t.Context(), table.Name())
				must(t, err)
				if !have.Equal(table) {
					t.Error("the restored definition differs")
				}
				// And over itself, with --replace.
				opts.Replace = true
				_, err = restore.Run(t.Context(), opts)
				must(t, err)
				if got := rowsOf(t, to, table); !slices.Equal(got, want) {
					t.Error("the rows differ after a second restore over the first")
				}
			})
		}
	}
}
