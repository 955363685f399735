package sqldb

import (
	"strconv"

	"github.com/stillpoint-db/stillpoint/model"
)

type types = [model.TimestampTZ + 1]string

// SQLite is the dialect of SQLite. Its LIKE must be made case-sensitive on each
// connection, as that of the other engines is. Names in double quotes that are
// no columns are literals to it: no statement may quote so but those that
// create, whose texts it keeps as ScalarDB writes them.
var SQLite = Dialect{
	Engine: "SQLite", Quote: '`', DDLQuote: '"', JoinNames: true, FoldTables: true, FoldColumns: true,
	Types: types{
		model.Boolean: "BOOLEAN", model.Int: "INT", model.BigInt: "BIGINT", model.Float: "FLOAT", model.Double: "DOUBLE",
		model.Text: "TEXT", model.Blob: "BLOB",
		model.Date: "INT", model.Time: "BIGINT", model.Timestamp: "BIGINT", model.TimestampTZ: "BIGINT",
	},
	MetadataTypes: [5]string{"TEXT", "TEXT", "TEXT", "BOOLEAN", "INTEGER"}, True: "TRUE", False: "FALSE",
	Upsert: OnConflict, InsertSkips: true, RowValues: true, NoNaN: true,
	Truncate: "DELETE FROM ",
	Catalog: Catalog{
		Table:   `SELECT 1 FROM sqlite_master WHERE type='table' AND name=?2 AND ?1<>''`,
		Columns: `SELECT name FROM pragma_table_info(?2) WHERE ?1<>''`,
		Key:     `SELECT name FROM pragma_table_info(?2) WHERE ?1<>'' AND pk>0 ORDER BY pk`,
		Indexes: `SELECT name FROM sqlite_master WHERE type='index' AND tbl_name=?2 AND ?1<>''`,
	},
}

// PostgreSQL is the dialect of PostgreSQL.
var PostgreSQL = Dialect{
	Engine: "PostgreSQL", Quote: '"', Numbered: true, NameBytes: 63, MetadataChars: 128,
	Types: types{
		model.Boolean: "BOOLEAN", model.Int: "INT", model.BigInt: "BIGINT", model.Float: "REAL", model.Double: "DOUBLE PRECISION",
		model.Text: "TEXT", model.Blob: "BYTEA",
		model.Date: "DATE", model.Time: "TIME", model.Timestamp: "TIMESTAMP", model.TimestampTZ: "TIMESTAMP WITH TIME ZONE",
	},
	KeyTypes:      types{model.Text: "VARCHAR(10485760)"},
	IndexTypes:    types{model.Text: "VARCHAR(10485760)"},
	MetadataTypes: [5]string{"VARCHAR(128)", "VARCHAR(20)", "VARCHAR(10)", "BOOLEAN", "INTEGER"}, True: "true", False: "false",
	OrderIndex: true, Upsert: OnConflict, ShareLock: " FOR SHARE", RowValues: true, NullsHigh: true, NoNUL: true,
	Reads:    readsPostgreSQL,
	Truncate: "TRUNCATE TABLE ",
	Catalog: Catalog{
		Namespace: `SELECT 1 FROM information_schema.schemata WHERE schema_name=$1`,
		Table:     `SELECT 1 FROM information_schema.tables WHERE table_schema=$1 AND table_name=$2`,
		Columns: `SELECT a.attname, coalesce(b.typname, t.typname) FROM pg_catalog.pg_attribute a
			JOIN pg_catalog.pg_class c ON c.oid=a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid=c.relnamespace
			JOIN pg_catalog.pg_type t ON t.oid=a.atttypid LEFT JOIN pg_catalog.pg_type b ON b.oid=t.typbasetype
			WHERE n.nspname=$1 AND c.relname=$2 AND a.attnum>0 AND NOT a.attisdropped`,
		Key: `SELECT a.attname FROM pg_catalog.pg_index i
			JOIN pg_catalog.pg_class c ON c.oid=i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid=c.relnamespace
			CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
			JOIN pg_catalog.pg_attribute a ON a.attrelid=c.oid AND a.attnum=k.attnum
			WHERE i.indisprimary AND k.place<=i.indnkeyatts AND n.nspname=$1 AND c.relname=$2 ORDER BY k.place`,
		Indexes:   `SELECT indexname FROM pg_catalog.pg_indexes WHERE schemaname=$1 AND tablename=$2`,
		Leftovers: `SELECT table_name FROM information_schema.tables WHERE table_schema=$1 ORDER BY table_name LIMIT 1`,
	},
}

// MySQL is the dialect of MySQL and MariaDB, TEXT and BLOB key columns being of
// keySize characters or bytes (ScalarDB's default is 128).
func MySQL(keySize int) *Dialect {
	char, bin := "VARCHAR("+strconv.Itoa(keySize)+")", "VARBINARY("+strconv.Itoa(keySize)+")"
	return &Dialect{
		Engine: "MySQL", Quote: '`', FoldColumns: true, NameChars: 64, NarrowNames: true, MetadataChars: 128,
		Types: types{
			model.Boolean: "BOOLEAN", model.Int: "INT", model.BigInt: "BIGINT", model.Float: "REAL", model.Double: "DOUBLE",
			model.Text: "LONGTEXT", model.Blob: "LONGBLOB",
			model.Date: "DATE", model.Time: "TIME(6)", model.Timestamp: "DATETIME(3)", model.TimestampTZ: "DATETIME(3)",
		},
		KeyTypes:      types{model.Text: char, model.Blob: bin},
		IndexTypes:    types{model.Text: char, model.Blob: bin},
		KeySize:       keySize,
		MetadataTypes: [5]string{"VARCHAR(128)", "VARCHAR(20)", "VARCHAR(10)", "BOOLEAN", "INTEGER"}, True: "true", False: "false",
		OrderedKey: true, Upsert: OnDuplicate, SequentialSet: true, ShareLock: " LOCK IN SHARE MODE",
		NarrowFloats: true, NoNaN: true, NoInfinity: true,
		Made:     madeByMySQL,
		Truncate: "TRUNCATE TABLE ",
		Catalog: Catalog{
			Namespace: `SELECT 1 FROM information_schema.schemata WHERE schema_name=?`,
			Table:     `SELECT 1 FROM information_schema.tables WHERE table_schema=? AND table_name=?`,
			Columns:   `SELECT column_name, data_type FROM information_schema.columns WHERE table_schema=? AND table_name=?`,
			Key:       `SELECT column_name FROM information_schema.statistics WHERE table_schema=? AND table_name=? AND index_name='PRIMARY' ORDER BY seq_in_index`,
			Indexes:   `SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema=? AND table_name=?`,
			Leftovers: `SELECT table_name FROM information_schema.tables WHERE table_schema=? ORDER BY table_name LIMIT 1`,
		},
	}
}
