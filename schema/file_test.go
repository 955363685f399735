package schema_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/schema"
)

func mustParse(t *testing.T, text string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse("s.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const full = `# a comment
{ // another
  /* and a third */
  "bank.accounts": {
    "transaction": true,
    "partition-key": ["id", "part"],
    "clustering-key": ["day DESC", "seq", "n  asc"],
    "columns": {
      "v": "text", "id": "BIGINT", "part": "Int", "day": "DATE", "seq": "int", "n": "INT",
      "b": "BOOLEAN", "f": "FLOAT", "d": "DOUBLE", "x": "BLOB", "t": "TIME", "ts": "TIMESTAMP", "tz": "timestamptz"
    },
    "secondary-index": ["v", "part"],
    "ru": 5000, "no-scaling": true, "compaction-strategy": "LCS",
    "fancy": null,
  },
  bank.log: {transaction: false, 'partition-key': ['id'], columns: {id: BIGINT}},
}
`

// columns makes columns of names and types in turn.
func columns(pairs ...any) (out []model.Column) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, model.Column{Name: pairs[i].(string), Type: pairs[i+1].(model.DataType)})
	}
	return out
}

func TestSchemaFileIsRead(t *testing.T) {
	s := mustParse(t, full)
	if len(s.Tables) != 2 || s.Tables[0].NoTransactions || !s.Tables[1].NoTransactions {
		t.Fatalf("%+v", s.Tables)
	}
	want, err := model.NewTable(model.TableSpec{
		Name:          model.TableName{Namespace: "bank", Name: "accounts"},
		Columns:       columns("id", model.BigInt, "part", model.Int, "day", model.Date, "seq", model.Int, "n", model.Int, "v", model.Text, "b", model.Boolean, "f", model.Float, "d", model.Double, "x", model.Blob, "t", model.Time, "ts", model.Timestamp, "tz", model.TimestampTZ),
		PartitionKey:  []string{"id", "part"},
		ClusteringKey: []model.ClusteringColumn{{Name: "day", Order: model.Desc}, {Name: "seq"}, {Name: "n"}},
		Indexes:       []string{"part", "v"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Spec(), s.Tables[0].Definition.Spec()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"ru": "5000", "no-scaling": "true", "compaction-strategy": "LCS", "fancy": "null"}, s.Tables[0].Options); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{`s.json:14:5: bank.accounts: the option "fancy" is not known and has no effect`}, s.Notices); diff != "" {
		t.Error(diff)
	}
}

func TestTransactionsAreTheDefault(t *testing.T) {
	s := mustParse(t, `{"a.b": {"partition-key": ["id"], "columns": {"id": "INT"}}}`)
	if s.Tables[0].NoTransactions {
		t.Error("the table is not transactional")
	}
}

func TestWrongSchemaFilesAreRefusedWithThePlace(t *testing.T) {
	table := func(body string) string { return `{"a.b": {` + body + `}}` }
	const good = `"partition-key": ["id"], "columns": {"id": "INT", "val": "TEXT"}`
	for _, c := range []struct{ text, want string }{
		{``, "s.json:1:1: the file ends too early"},
		{`[]`, "a schema is an object of tables, not a list"},
		{`{}`, "the schema has no table"},
		{`{"a.b": {`, "s.json:1:9: the object does not end"},
		{"{\n  \"a.b\" {}}", "s.json:2:9: a colon must follow"},
		{`{"a.b": {} "c.d": {}}`, `s.json:1:12: a comma or "}" must come here`},
		{`{"a.b": "x`, "s.json:1:9: the string does not end"},
		{"{\"a.b\": \"x\n\"}", "the string does not end on its line"},
		{`{"a.b": "\q"}`, "not an escape"},
		{`{"a.b": "\u12"}`, "four hexadecimal digits"},
		{`{} x`, "s.json:1:4: something follows"},
		{`/* x`, "the comment does not end"},
		{"{\"ü\": \xff}", "s.json:1:7: this byte is not UTF-8"},
		{strings.Repeat("[", 100), "too deeply nested"},
		{`{"accounts": {}}`, `"accounts" is not a table name; write namespace.table`},
		{`{"a.b.c": {}}`, `"a.b.c" is not a table name`},
		{`{"a.b": []}`, "the definition of a table is an object, not a list"},
		{table(`"columns": {"id": "INT"}`), `a.b has no "partition-key"`},
		{table(`"partition-key": ["id"]`), `a.b has no "columns"`},
		{table(`"partition-key": [], "columns": {"id": "INT"}`), "the partition-key is empty"},
		{table(`"partition-key": "id", "columns": {"id": "INT"}`), `"partition-key" is a list of columns, not a string`},
		{table(`"partition-key": [1], "columns": {"id": "INT"}`), "holds names of columns, not a number"},
		{table(`"partition-key": ["id"], "columns": {}`), "a.b has no column"},
		{table(`"partition-key": ["id"], "columns": ["id"]`), `"columns" is an object of columns and their types, not a list`},
		{table(`"partition-key": ["id"], "columns": {"id": 7}`), `the type of column "id" is a string, not a number`},
		{table(`"partition-key": ["id"], "columns": {"id": "BIGNT"}`), `"BIGNT" is not a column type; the types are BOOLEAN, INT, BIGINT, FLOAT, DOUBLE, TEXT, BLOB, DATE, TIME, TIMESTAMP, TIMESTAMPTZ; did you mean "BIGINT"?`},
		{table(`"partition-key": ["id"], "columns": {"id": "INT big"}`), `"INT big" is not a column type`},
		{table(`"partition-key": ["id"], "columns": {"id": "INT", "id": "TEXT"}`), `column "id" is there twice (first on line 1)`},
		{table(`"partition-key": ["vla"], "columns": {"val": "INT"}`), `names column "vla", which is not among the columns; did you mean "val"?`},
		{table(`"partition-key": ["id", "id"], "columns": {"id": "INT"}`), `column "id" is in the key twice`},
		{table(good + `, "clustering-key": ["id"]`), `column "id" is in the key twice`},
		{table(good + `, "clustering-key": ["val DOWN"]`), `"val DOWN" is not a clustering column`},
		{table(good + `, "secondary-index": ["vall"]`), `did you mean "val"?`},
		{table(good + `, "transaction": "maybe"`), `"transaction" is true or false`},
		{table(good + `, "transacton": false`), `"transacton" is not a key of a table; did you mean "transaction"?`},
		{table(good + `, "partition_key": ["id"]`), `did you mean "partition-key"?`},
		{table(good + `, "ru": {}`), `"ru" is not a key of a table`},
		{`{"a.b": {` + good + `},` + "\n" + `"a.b": {` + good + `}}`, `s.json:2:1: table "a.b" is there twice (first on line 1)`},
	} {
		_, err := schema.Parse("s.json", []byte(c.text))
		switch {
		case err == nil:
			t.Errorf("%q: accepted; want %q", c.text, c.want)
		case !strings.Contains(err.Error(), c.want):
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		case !errors.Is(err, model.ErrBadArgument):
			t.Errorf("%q: class of %v", c.text, err)
		}
	}
}

func TestAFileFullOfMistakesIsToldShortly(t *testing.T) {
	_, err := schema.Parse("s.json", []byte("{"+strings.Repeat(`"x":1,`, 100_000)+"}"))
	if err == nil || strings.Count(err.Error(), "\n") != 20 || !strings.HasSuffix(err.Error(), "there are more mistakes") {
		t.Errorf("%.300v", err)
	}
}

func TestWhatOnlyJavaCanDoIsRefused(t *testing.T) {
	for _, text := range []string{
		`{"a.b": {"partition-key": ["id"], "columns": {"id": "INT", "x": "TEXT encrypted"}}}`,
		`{"a.b": {"partition-key": ["id"], "columns": {"id": "INT"}, "transaction-metadata-decoupling": true}}`,
	} {
		if _, err := schema.Parse("s.json", []byte(text)); !errors.Is(err, model.ErrRefused) || !strings.Contains(err.Error(), "s.json:1:") {
			t.Errorf("%s: %v", text, err)
		}
	}
	mustParse(t, `{"a.b": {"partition-key": ["id"], "columns": {"id": "INT"}, "transaction-metadata-decoupling": false}}`)
}

func TestFormatAndParseAreInverse(t *testing.T) {
	s := mustParse(t, full)
	text, err := s.Format()
	if err != nil {
		t.Fatal(err)
	}
	again := mustParse(t, string(text))
	for i, table := range s.Tables {
		other := again.Tables[i]
		if !table.Definition.Equal(other.Definition) || table.NoTransactions != other.NoTransactions || cmp.Diff(table.Options, other.Options) != "" {
			t.Errorf("%+v became %+v", table, other)
		}
	}
}

func TestMissingSchemaFileIsNotFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.json")
	if _, err := schema.Load(path); !errors.Is(err, model.ErrNotFound) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte(full), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := schema.Load(path); err != nil {
		t.Error(err)
	}
}

// FuzzParse looks for files that panic, and for files that are read and cannot
// be written back.
func FuzzParse(f *testing.F) {
	for _, s := range []string{full, `{}`, `{"a.b": {"partition-key": ["id"], "columns": {"id": "INT"}}}`, `{"\ud83d\ude00.b":{}}`, "# x\n{a.b:{", `'`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := schema.Parse("f", data)
		if err != nil {
			if !errors.Is(err, model.ErrBadArgument) && !errors.Is(err, model.ErrRefused) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		text, err := s.Format()
		if err != nil {
			t.Fatal(err)
		}
		again, err := schema.Parse("again", text)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		for i := range s.Tables {
			if !s.Tables[i].Definition.Equal(again.Tables[i].Definition) {
				t.Fatalf("table %d of\n%s", i, text)
			}
		}
	})
}
