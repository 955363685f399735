package sqldb

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stillpoint-db/stillpoint/model"
)

// wide has all types, mixed orders, and indexes on an INT and a TEXT.
func wide(t testing.TB, orders ...model.Order) *model.Table {
	t.Helper()
	spec := model.TableSpec{Name: model.TableName{Namespace: "ns", Name: "tbl"},
		Columns:      []model.Column{{Name: "pk", Type: model.Text}, {Name: "ck", Type: model.Int}, {Name: "ck2", Type: model.Blob}},
		PartitionKey: []string{"pk"}, ClusteringKey: []model.ClusteringColumn{{Name: "ck", Order: orders[0]}, {Name: "ck2", Order: orders[1]}}, Indexes: []string{"v_INT", "v_TEXT", "v_BLOB"}}
	for typ := model.Boolean; typ <= model.TimestampTZ; typ++ {
		spec.Columns = append(spec.Columns, model.Column{Name: "v_" + typ.String(), Type: typ})
	}
	table, err := model.NewTable(spec)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestDDLIsThatOfScalarDB(t *testing.T) {
	mixed := wide(t, model.Asc, model.Desc)
	for _, c := range []struct {
		d    *Dialect
		want []string
	}{
		{&SQLite, []string{
			`CREATE TABLE "ns$tbl"("pk" TEXT,"ck" INT,"ck2" BLOB,"v_BOOLEAN" BOOLEAN,"v_INT" INT,"v_BIGINT" BIGINT,"v_FLOAT" FLOAT,"v_DOUBLE" DOUBLE,"v_TEXT" TEXT,"v_BLOB" BLOB,` +
				`"v_DATE" INT,"v_TIME" BIGINT,"v_TIMESTAMP" BIGINT,"v_TIMESTAMPTZ" BIGINT, PRIMARY KEY ("pk","ck","ck2"))`,
			`CREATE INDEX "index_ns_tbl_v_INT" ON "ns$tbl" ("v_INT")`,
			`CREATE INDEX "index_ns_tbl_v_TEXT" ON "ns$tbl" ("v_TEXT")`,
			`CREATE INDEX "index_ns_tbl_v_BLOB" ON "ns$tbl" ("v_BLOB")`,
		}},
		{&PostgreSQL, []string{
			`CREATE TABLE "ns"."tbl"("pk" VARCHAR(10485760),"ck" INT,"ck2" BYTEA,"v_BOOLEAN" BOOLEAN,"v_INT" INT,"v_BIGINT" BIGINT,"v_FLOAT" REAL,"v_DOUBLE" DOUBLE PRECISION,"v_TEXT" VARCHAR(10485760),"v_BLOB" BYTEA,` +
				`"v_DATE" DATE,"v_TIME" TIME,"v_TIMESTAMP" TIMESTAMP,"v_TIMESTAMPTZ" TIMESTAMP WITH TIME ZONE, PRIMARY KEY ("pk","ck","ck2"))`,
			`CREATE UNIQUE INDEX "index_clustering_order_ns_tbl" ON "ns"."tbl" ("pk" ASC,"ck" ASC,"ck2" DESC)`,
			`CREATE INDEX "index_ns_tbl_v_INT" ON "ns"."tbl" ("v_INT")`,
			`CREATE INDEX "index_ns_tbl_v_TEXT" ON "ns"."tbl" ("v_TEXT")`,
			`CREATE INDEX "index_ns_tbl_v_BLOB" ON "ns"."tbl" ("v_BLOB")`,
		}},
		{MySQL(128), []string{
			"CREATE TABLE `ns`.`tbl`(`pk` VARCHAR(128),`ck` INT,`ck2` VARBINARY(128),`v_BOOLEAN` BOOLEAN,`v_INT` INT,`v_BIGINT` BIGINT,`v_FLOAT` REAL,`v_DOUBLE` DOUBLE,`v_TEXT` VARCHAR(128),`v_BLOB` VARBINARY(128)," +
				"`v_DATE` DATE,`v_TIME` TIME(6),`v_TIMESTAMP` DATETIME(3),`v_TIMESTAMPTZ` DATETIME(3), PRIMARY KEY (`pk` ASC,`ck` ASC,`ck2` DESC))",
			"CREATE INDEX `index_ns_tbl_v_INT` ON `ns`.`tbl` (`v_INT`)",
			"CREATE INDEX `index_ns_tbl_v_TEXT` ON `ns`.`tbl` (`v_TEXT`)",
			"CREATE INDEX `index_ns_tbl_v_BLOB` ON `ns`.`tbl` (`v_BLOB`)",
		}},
	} {
		if diff := cmp.Diff(c.want, (&Admin{D: c.d}).Statements(mixed)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.d.Engine, diff)
		}
	}
}

func TestOnlyMixedOrdersHaveAnOrderIndex(t *testing.T) {
	for _, o := range []model.Order{model.Asc, model.Desc} {
		if ix := PostgreSQL.Indexes(wide(t, o, o)); strings.Contains(ix[0].SQL, "UNIQUE") {
			t.Errorf("%s: %s", o, ix[0].SQL)
		}
	}
	if sql := MySQL(64).CreateTable(wide(t, model.Asc, model.Asc), true); !strings.HasPrefix(sql, "CREATE TABLE IF NOT EXISTS") || !strings.HasSuffix(sql, "PRIMARY KEY (`pk`,`ck`,`ck2`))") {
		t.Error(sql)
	}
}

func TestLongIndexNamesAreHashed(t *testing.T) {
	for got, want := range map[string]string{
		IndexName(model.TableName{Namespace: "my_namespace", Name: "my_table"}, "a_very_long_column_name_that_exceeds_the_limit"): "index_9152014ebee4ba4ccb2ee3592d689012",
		indexName("index_clustering_order_", "my_long_namespace_my_long_table_name_exceeding_limit"):                              "index_clustering_order_8e6aa7da2928b790dd49f504472751c5",
		IndexName(model.TableName{Namespace: "a", Name: "b"}, "c"):                                                                "index_a_b_c",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestMetadataIsThatOfScalarDB(t *testing.T) {
	for d, want := range map[*Dialect]string{
		&SQLite:     `CREATE TABLE IF NOT EXISTS "scalardb$metadata"("full_table_name" TEXT,"column_name" TEXT,"data_type" TEXT NOT NULL,"key_type" TEXT,"clustering_order" TEXT,"indexed" BOOLEAN NOT NULL,"ordinal_position" INTEGER NOT NULL, PRIMARY KEY ("full_table_name", "column_name"))`,
		&PostgreSQL: `CREATE TABLE IF NOT EXISTS "scalardb"."metadata"("full_table_name" VARCHAR(128),"column_name" VARCHAR(128),"data_type" VARCHAR(20) NOT NULL,"key_type" VARCHAR(20),"clustering_order" VARCHAR(10),"indexed" BOOLEAN NOT NULL,"ordinal_position" INTEGER NOT NULL, PRIMARY KEY ("full_table_name", "column_name"))`,
	} {
		if got := (Metadata{d, MetadataNamespace}).Create(); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	table := wide(t, model.Asc, model.Desc)
	sql, args := Metadata{&PostgreSQL, "m"}.Insert(table)
	if !strings.HasPrefix(sql, `INSERT INTO "m"."metadata" VALUES ($1,$2,'TEXT','PARTITION',NULL,false,1),($3,$4,'INT','CLUSTERING','ASC',false,2),($5,$6,'BLOB','CLUSTERING','DESC',false,3),`) ||
		!strings.Contains(sql, "'INT',NULL,NULL,true,5)") || len(args) != 2*len(table.Columns()) || args[0] != "ns.tbl" || args[5] != "ck2" {
		t.Errorf("%s %v", sql, args)
	}
}

func TestDecodedMetadataIsTheTable(t *testing.T) {
	m := Metadata{&SQLite, MetadataNamespace}
	rows := [][]string{{"p", "TEXT", "PARTITION", "", "F"}, {"c", "BIGINT", "CLUSTERING", "DESC", "F"}, {"v", "TIMESTAMPTZ", "", "", "T"}}
	name := model.TableName{Namespace: "n", Name: "t"}
	got, err := m.Decode(name, rows)
	if err != nil {
		t.Fatal(err)
	}
	want, err := model.NewTable(model.TableSpec{Name: name, Columns: []model.Column{{Name: "p", Type: model.Text}, {Name: "c", Type: model.BigInt}, {Name: "v", Type: model.TimestampTZ}},
		PartitionKey: []string{"p"}, ClusteringKey: []model.ClusteringColumn{{Name: "c", Order: model.Desc}}, Indexes: []string{"v"}})
	if err != nil || !got.Equal(want) {
		t.Errorf("%+v, %v", got.Spec(), err)
	}
	for _, bad := range [][][]string{{{"p", "DECIMAL", "PARTITION", "", "F"}}, {{"p", "INT", "PRIMARY", "", "F"}}, {{"p", "INT", "", "", "F"}}} {
		if _, err := m.Decode(name, bad); !errors.Is(err, model.ErrDamaged) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestNamesOverTheLimitSayTheLimit(t *testing.T) {
	for _, c := range []struct {
		d                 *Dialect
		ns, table, column string
		want              string
	}{
		{&PostgreSQL, strings.Repeat("é", 32), "t", "c", "limit of PostgreSQL is 63"},
		{&PostgreSQL, "n", strings.Repeat("t", 64), "c", "limit of PostgreSQL is 63"},
		{&PostgreSQL, "n", "t", strings.Repeat("c", 64), "limit of PostgreSQL is 63"},
		{MySQL(128), "n", strings.Repeat("é", 65), "c", "limit of MySQL is 64"},
		{MySQL(128), strings.Repeat("n", 64), strings.Repeat("t", 64), "c", "the metadata table holds 128"},
		{&SQLite, "n$", "t", "c", "holds a $"},
		{&SQLite, "n", "t$", "c", "holds a $"},
		{&SQLite, "n.m", "t", "c", "holds a dot"},
	} {
		table, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: c.ns, Name: c.table}, Columns: []model.Column{{Name: c.column, Type: model.Int}}, PartitionKey: []string{c.column}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.d.CheckNames(table); !errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: %v", table.Name(), c.d.Engine, err)
		}
	}
	long, err := model.NewTable(model.TableSpec{Name: model.TableName{Namespace: strings.Repeat("n", 100), Name: strings.Repeat("t", 100)}, Columns: []model.Column{{Name: "a$b", Type: model.Int}}, PartitionKey: []string{"a$b"}})
	if err != nil || SQLite.CheckNames(long) != nil {
		t.Error("SQLite has no limit")
	}
}
