package sqlite

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

func TestTimestampsArePackedAsScalarDBPacksThem(t *testing.T) {
	for text, packed := range map[string]int64{
		"1000-01-01T00:00:00.000": -30610224000999, "1969-12-31T23:59:58.500": -2499, "1969-12-31T23:59:59.000": -1999, "1969-12-31T23:59:59.999": -1000,
		"1970-01-01T00:00:00.000": 0, "1970-01-01T00:00:00.001": 1, "2020-03-04T12:34:56.123": 1583325296123, "9999-12-31T23:59:59.999": 253402300799999,
	} {
		d, err := model.ParseDateTime(text)
		if err != nil {
			t.Fatal(err)
		}
		ms := d.EpochMilli()
		if packTime(ms) != packed || unpackTime(packed) != ms {
			t.Errorf("%s: packed %d, want %d; unpacked %d, want %d", text, packTime(ms), packed, unpackTime(packed), ms)
		}
	}
	for ms := int64(-5000); ms < 5000; ms++ {
		if unpackTime(packTime(ms)) != ms {
			t.Fatalf("%d becomes %d", ms, unpackTime(packTime(ms)))
		}
	}
}

// The statements and numbers are what ScalarDB 3.19 writes.
func TestTablesMadeByScalarDBAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "java.db")
	db, err := foreign(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`CREATE TABLE "ns$wide"("p" TEXT,"c" BIGINT,"b" BOOLEAN,"f" FLOAT,"d" INT,"ti" BIGINT,"ts" BIGINT,"tz" BIGINT,"bl" BLOB, PRIMARY KEY ("p","c"))`,
		`CREATE TABLE IF NOT EXISTS "scalardb$metadata"("full_table_name" TEXT,"column_name" TEXT,"data_type" TEXT NOT NULL,"key_type" TEXT,"clustering_order" TEXT,"indexed" BOOLEAN NOT NULL,"ordinal_position" INTEGER NOT NULL, PRIMARY KEY ("full_table_name", "column_name"))`,
		`INSERT INTO "scalardb$metadata" VALUES ('ns.wide','p','TEXT','PARTITION',NULL,FALSE,1),('ns.wide','c','BIGINT','CLUSTERING','DESC',FALSE,2),('ns.wide','b','BOOLEAN',NULL,NULL,FALSE,3),` +
			`('ns.wide','f','FLOAT',NULL,NULL,TRUE,4),('ns.wide','d','DATE',NULL,NULL,FALSE,5),('ns.wide','ti','TIME',NULL,NULL,FALSE,6),('ns.wide','ts','TIMESTAMP',NULL,NULL,FALSE,7),('ns.wide','tz','TIMESTAMPTZ',NULL,NULL,FALSE,8),('ns.wide','bl','BLOB',NULL,NULL,FALSE,9)`,
		`INSERT INTO "ns$wide" VALUES ('x',1,1,0.10000000149011612,18325,45296123456000,-2499,1583325296123,x'00ff')`,
	} {
		if _, err := db.Exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, path)
	table, err := s.Admin().Table(t.Context(), model.TableName{Namespace: "ns", Name: "wide"})
	if err != nil {
		t.Fatal(err)
	}
	key := model.Key{Partition: []model.Value{model.TextValue("x")}, Clustering: []model.Value{model.BigIntValue(1)}}
	rows, err := s.Get(t.Context(), []storage.Get{{Table: table, Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`"x"`, "1", "true", "0.1", "2020-03-04", "12:34:56.123456", "1969-12-31T23:59:58.5", "2020-03-04T12:34:56.123Z", "0x00ff"}
	for i, v := range rows[0].Values {
		if !strings.HasPrefix(v.String(), want[i]) {
			t.Errorf("column %s is %s, want %s", table.Columns()[i].Name, v, want[i])
		}
	}
	// And what we write beside it has the same numbers and storage classes.
	m := storage.Mutation{Table: table, Key: model.Key{Partition: key.Partition, Clustering: []model.Value{model.BigIntValue(2)}}}
	for i, c := range table.Columns()[2:] {
		m.Set = append(m.Set, storage.Assignment{Column: c.Name, Value: rows[0].Values[2+i]})
	}
	mustMutate(t, s, m)
	got := map[int64][]string{}
	res, err := db.Query(`SELECT c, typeof(p)||typeof(b)||b||typeof(f)||f||typeof(d)||d||typeof(ti)||ti||typeof(ts)||ts||typeof(tz)||tz||typeof(bl)||hex(bl) FROM "ns$wide"`)
	if err != nil {
		t.Fatal(err)
	}
	for res.Next() {
		var c int64
		var text string
		if err := res.Scan(&c, &text); err != nil {
			t.Fatal(err)
		}
		got[c] = append(got[c], text)
	}
	if err := errors.Join(res.Err(), res.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	if len(got[1]) != 1 || !slices.Equal(got[1], got[2]) {
		t.Errorf("theirs %v\nours   %v", got[1], got[2])
	}
}

func TestDroppingTheLastTableDropsTheMetadataTable(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	if err := s.Admin().DropTable(t.Context(), table.Name()); err != nil {
		t.Fatal(err)
	}
	rows, err := executor{s}.Query(t.Context(), "SELECT name FROM sqlite_master")
	if err != nil || len(rows) != 0 {
		t.Errorf("left: %v, %v", rows, err)
	}
}

func TestUnknownURLParametersAreWarnedOf(t *testing.T) {
	var log bytes.Buffer
	url := "jdbc:sqlite:" + filepath.Join(t.TempDir(), "a.db") + "?busy_timeout=1000&journal_mode=DELETE&synchronous=OFF&foo=bar"
	s, err := storage.Open(t.Context(), storage.Config{Name: "lite", Driver: "sqlite", URL: url, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, parameter := range []string{"journal_mode", "synchronous", "foo"} {
		if !strings.Contains(log.String(), "parameter="+parameter) {
			t.Errorf("no warning of %s in %s", parameter, &log)
		}
	}
	rows, err := s.(*Storage).writer.c.Strings("SELECT * FROM pragma_journal_mode, pragma_synchronous")
	if err != nil || rows[0][0] != "wal" || rows[0][1] != "2" {
		t.Errorf("%v %v", rows, err)
	}
	if strings.Contains(log.String(), "busy_timeout") {
		t.Errorf("warned of a parameter that is honoured: %s", &log)
	}
}

func TestWhatCannotBeOpenedSaysWhy(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]struct {
		class error
		text  string
	}{
		"jdbc:sqlite:" + filepath.Join(dir, "none", "a.db"):           {model.ErrUnavailable, "does not exist"},
		"jdbc:sqlite:" + text:                                         {model.ErrUnavailable, "not an SQLite database"},
		"jdbc:sqlite:" + dir:                                          {model.ErrUnavailable, dir + " is a folder"},
		"jdbc:mysql://h/":                                             {model.ErrBadArgument, "jdbc:sqlite:"},
		"jdbc:sqlite:" + filepath.Join(dir, "a?busy_timeout=forever"): {model.ErrBadArgument, "busy_timeout"},
	} {
		_, err := storage.Open(context.Background(), storage.Config{Name: "lite", Driver: "sqlite", URL: url})
		if !errors.Is(err, want.class) || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestADamagedValueIsReportedAndNotInvented(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	mustMutate(t, s, put(table, account("a", 1), 1))
	if err := (executor{s}).Exec(t.Context(), `UPDATE "bank$accounts" SET n=99999999999`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Scan(t.Context(), storage.Scan{Table: table, Kind: storage.ScanTable}); !errors.Is(err, model.ErrDamaged) {
		t.Errorf("%v", err)
	}
}

func TestAValueOfAnotherKindIsReportedAndNotReadAsZero(t *testing.T) {
	s := fresh(t)
	spec := model.TableSpec{Name: model.TableName{Namespace: "n", Name: "kinds"}, Columns: []model.Column{{Name: "k", Type: model.Int}}, PartitionKey: []string{"k"}}
	for typ := model.Boolean; typ <= model.TimestampTZ; typ++ {
		spec.Columns = append(spec.Columns, model.Column{Name: "v_" + typ.String(), Type: typ})
	}
	table, err := model.NewTable(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Admin().CreateTable(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	ex := executor{s}
	for column, values := range map[string]map[string]string{ // value to what is said of it; "" = it is good
		"k":             {"'abc'": `the text "abc"`, "99999999999": "does not fit 32 bits", "1.5": "the number 1.5"},
		"v_BOOLEAN":     {"TRUE": "", "0": "", "2": "the integer 2", "-1": "the integer -1", "'true'": `the text "true"`},
		"v_INT":         {"-2147483648": "", "2147483648": "does not fit 32 bits", "x'00'": "a blob of 1 bytes"},
		"v_BIGINT":      {"9223372036854775807": "", "'7'": "", "'abc'": `the text "abc"`, "1e300": "the number 1e+300", "''": `the text ""`},
		"v_FLOAT":       {"3": "", "9e999": "", "1e300": "the number 1e+300", "'x'": `the text "x"`},
		"v_DOUBLE":      {"1e300": "", "x'31'": "a blob of 1 bytes"},
		"v_TEXT":        {"7": "", "x'616263'": "a blob of 3 bytes"},
		"v_BLOB":        {"x''": "", "'abc'": `the text "abc"`, "0": "the integer 0"},
		"v_DATE":        {"-354285": "", "-354286": "outside 1000-01-01", "'2024-01-01'": `the text "2024-01-01"`},
		"v_TIME":        {"86399999999000": "", "86400000000000": "outside one day", "-1": "outside one day"},
		"v_TIMESTAMP":   {"253402300799999": "", "253402300800000": "outside the years"},
		"v_TIMESTAMPTZ": {"0": "", "-9223372036854775808": "outside the years"},
	} {
		for value, said := range values {
			for _, sql := range []string{"DELETE FROM `n$kinds`", "INSERT INTO `n$kinds`(k) VALUES (1)", "UPDATE `n$kinds` SET `" + column + "`=" + value} {
				if err := ex.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			_, err := s.Scan(t.Context(), storage.Scan{Table: table, Kind: storage.ScanTable})
			if said == "" {
				if err != nil {
					t.Errorf("%s=%s: %v", column, value, err)
				}
				continue
			}
			if !errors.Is(err, model.ErrDamaged) || errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), "n.kinds") || !strings.Contains(err.Error(), "column "+column+" holds") || !strings.Contains(err.Error(), said) {
				t.Errorf("%s=%s: %v", column, value, err)
			}
			if column != "k" {
				if _, get := s.Get(t.Context(), []storage.Get{{Table: table, Key: model.Key{Partition: []model.Value{model.IntValue(1)}}}}); get == nil || get.Error() != err.Error() || !strings.Contains(get.Error(), "n.kinds (1):") {
					t.Errorf("%s=%s: get says %v", column, value, get)
				}
			}
		}
	}
}

func TestNamesThatDifferInCaseAloneAreRefused(t *testing.T) {
	s := fresh(t)
	table := accounts(t, s)
	spec := func(name model.TableName, columns ...string) *model.Table {
		t.Helper()
		sp := model.TableSpec{Name: name, PartitionKey: columns[:1]}
		for _, c := range columns {
			sp.Columns = append(sp.Columns, model.Column{Name: c, Type: model.Int})
		}
		made, err := model.NewTable(sp)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	for _, refused := range []*model.Table{
		spec(model.TableName{Namespace: "Bank", Name: table.Name().Name}, "id"),
		spec(model.TableName{Namespace: "bank", Name: "Accounts"}, "id"),
		spec(model.TableName{Namespace: "bank", Name: "other"}, "id", "ID"),
	} {
		if err := s.Admin().CreateTable(t.Context(), refused); !errors.Is(err, model.ErrBadArgument) {
			t.Errorf("%v: %v", refused.Name(), err)
		}
	}
	if err := s.Admin().CreateTable(t.Context(), spec(model.TableName{Namespace: "bank", Name: "äccounts"}, "id", "ä", "Ä")); err != nil {
		t.Error(err)
	}
}
