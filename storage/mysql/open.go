package mysql

import (
	"container/list"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

// DriverName is the name under which the driver is registered.
const DriverName = "mysql"

func init() { storage.Register(DriverName, opener{}) }

type opener struct{}

// Open implements storage.Driver.
func (opener) Open(ctx context.Context, cfg storage.Config) (storage.Storage, error) {
	return Open(ctx, cfg)
}

// Open opens a storage; see storage.Driver.
func Open(ctx context.Context, cfg storage.Config) (*Store, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	t, err := parseTarget(cfg)
	if err != nil {
		return nil, err
	}
	opts, warnings, err := parseOptions(cfg, t.mariadbURL)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, target: t, opts: opts, ending: make(chan struct{}, 8)}
	s.pool = newPool(s.connect, opts.maxTotal, opts.maxIdle)
	s.dialect = sqldb.MySQL(opts.keySize)
	s.builder = sqldb.NewBuilder(s.dialect)
	s.admin = newAdmin(s)
	if err := s.meet(ctx); err != nil {
		s.pool.close()
		return nil, err
	}
	s.dialect.Engine = s.server.engine
	for _, w := range append(t.warnings, warnings...) {
		cfg.Logger.Warn(w)
	}
	return s, nil
}

// meet opens the first session and learns what the server is.
func (s *Store) meet(ctx context.Context) error {
	ses, err := s.lend(ctx)
	if err != nil {
		return err
	}
	defer func() { s.giveBack(ctx, ses) }()
	rows, err := ses.strings(ctx, "SELECT VERSION()")
	if err != nil || len(rows) != 1 {
		return s.openError(err)
	}
	s.server = server{engine: "MySQL", version: rows[0][0]}
	if version, _, ok := strings.Cut(rows[0][0], "-MariaDB"); ok {
		s.server.mariadb, s.server.engine, s.server.version = true, "MariaDB", version
	}
	if s.server.mariadb {
		_, err := ses.statement(ctx, "BEGIN NOT ATOMIC DO ?; END")
		s.server.compound = err == nil
		if err != nil && ses.lost() {
			return s.openError(err)
		}
	}
	vars, err := ses.variables(ctx, "max_allowed_packet", "log_bin", "binlog_format", "server_uuid", "hostname", "port", "datadir", "server_id", "server_uid", "lower_case_table_names")
	if err != nil {
		return s.openError(err)
	}
	s.server.identity, s.server.instance = identity(vars, s.server.mariadb), instance(vars)
	s.dialect.FoldTables = vars["lower_case_table_names"] != "0"
	if n, err := strconv.Atoi(vars["max_allowed_packet"]); err == nil && n >= 1024 && n <= s.target.config.MaxAllowedPacket {
		s.target.config.MaxAllowedPacket = n - 1
		ses.broken = true // it does not know the limit
	}
	if on(vars["log_bin"]) && strings.EqualFold(vars["binlog_format"], "STATEMENT") && s.opts.isolation < repeatableRead {
		// Such a server refuses writes under READ COMMITTED.
		s.opts.isolation = repeatableRead
		s.cfg.Logger.Info("the server logs statements, so sessions are REPEATABLE READ")
		ses.broken = true // it was opened with the other level
	}
	return nil
}

// options are what the properties say.
type options struct {
	maxTotal, maxIdle int
	isolation         isolation
	keySize           int
	metadata          string
	acceptCollation   bool
	rowLockWait       int // seconds
}

type isolation int

const (
	readCommitted isolation = iota
	repeatableRead
	serializable
)

func (i isolation) String() string {
	return [...]string{"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"}[i]
}

// The properties that matter here.
const (
	propMaxTotal  = "scalar.db.jdbc.connection_pool.max_total"
	propMaxIdle   = "scalar.db.jdbc.connection_pool.max_idle"
	propIsolation = "scalar.db.jdbc.isolation_level"
	propKeySize   = "scalar.db.jdbc.mysql.variable_key_column_size"
	propMetadata  = "scalar.db.jdbc.table_metadata.schema"
	propCollation = "stillpoint.collation"
)

const (
	defaultKeySize = 128
	minKeySize     = 64
)

func parseOptions(cfg storage.Config, mariadbURL bool) (options, []string, error) {
	o := options{maxTotal: max(32, 8*runtime.GOMAXPROCS(0)), keySize: defaultKeySize, rowLockWait: rowLockWait, metadata: cfg.Properties[propMetadata]}
	var warnings []string
	bad := func(key, want string) error {
		return &model.Error{Class: model.ErrBadArgument, Op: "open storage", Subject: strconv.Quote(cfg.Name),
			Detail: fmt.Sprintf("%s is %q; it must be %s", key, cfg.Properties[key], want)}
	}
	number := func(key string, least int, into *int) error {
		if v := cfg.Properties[key]; v != "" {
			n, err := strconv.Atoi(v)
			if err != nil || n < least {
				return bad(key, fmt.Sprintf("a number from %d", least))
			}
			*into = n
		}
		return nil
	}
	size := defaultKeySize
	if err := errors.Join(number(propMaxTotal, 1, &o.maxTotal), number(propKeySize, minKeySize, &size)); err != nil {
		return o, nil, err
	}
	o.maxIdle = o.maxTotal
	if err := number(propMaxIdle, 0, &o.maxIdle); err != nil {
		return o, nil, err
	}
	if mariadbURL && size != defaultKeySize {
		warnings = append(warnings, propKeySize+" has no effect with a jdbc:mariadb: URL")
	} else {
		o.keySize = size
	}
	switch strings.ToUpper(cfg.Properties[propIsolation]) {
	case "", "READ_COMMITTED":
	case "READ_UNCOMMITTED":
		warnings = append(warnings, propIsolation+"=READ_UNCOMMITTED would show writes that may be taken back; READ COMMITTED is used")
	case "REPEATABLE_READ":
		o.isolation = repeatableRead
	case "SERIALIZABLE":
		o.isolation = serializable
	default:
		return o, nil, bad(propIsolation, "READ_COMMITTED, REPEATABLE_READ or SERIALIZABLE")
	}
	switch cfg.Properties[propCollation] {
	case "":
	case "accept":
		o.acceptCollation = true
	default:
		return o, nil, bad(propCollation, "accept, or not set")
	}
	return o, warnings, nil
}

const (
	// rowLockWait bounds how long a write waits for a row that another
	// session has locked, and definitionWait for a table: in seconds.
	rowLockWait    = 10
	definitionWait = 60
	// sessionIdle is how long, in seconds, the server keeps a session that
	// says nothing; the pool gives up on it long before.
	sessionIdle = 8 * 60 * 60

	sqlMode = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"
)

// plainSession undoes what a server may give all its sessions: reads that end after
// some rows, commits that begin another transaction, in which the next write is
// lost, and the refusal of large reads. And it sorts by more of a TEXT or BLOB than
// the first kilobyte, up to the eight columns for which the server's buffer has room:
// pages of an order in which the database takes different values as equal lose rows.
// By its source MySQL, which was not met, makes a decimal number of the least of two
// integers of which only one has a sign, and takes none for a setting; hence the cast.
const plainSession = "sql_select_limit=18446744073709551615, completion_type=0, sql_big_selects=1, " +
	"max_sort_length=CAST(GREATEST(@@max_sort_length, LEAST(65535, @@sort_buffer_size DIV 128)) AS UNSIGNED)"

// connect opens a session and sets it up, in one trip after the handshake.
func (s *Store) connect(ctx context.Context) (*session, error) {
	return s.connectAs(ctx, s.opts.isolation)
}

func (s *Store) connectAs(ctx context.Context, level isolation) (*session, error) {
	connector, err := mysql.NewConnector(s.target.config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.connectTimeout(ctx)
	defer cancel()
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	ses := &session{conn: conn, used: time.Now(), stmts: map[string]*list.Element{}}
	rows, err := ses.queryText(ctx, fmt.Sprintf("SET NAMES utf8mb4; SET sql_mode='%s', time_zone='+00:00', autocommit=1, default_storage_engine=InnoDB, "+plainSession+", "+
		"innodb_lock_wait_timeout=%d, lock_wait_timeout=%d, wait_timeout=%d; SET SESSION TRANSACTION ISOLATION LEVEL %s; SELECT CONNECTION_ID()",
		sqlMode, s.opts.rowLockWait, definitionWait, sessionIdle, level))
	if err != nil {
		ses.close()
		return nil, err
	}
	defer rows.Close()
	var id [1]driver.Value
	if err := rows.Next(id[:]); err != nil && err != io.EOF {
		ses.close()
		return nil, err
	}
	if ses.id, err = strconv.ParseUint(plainText(id[0]), 10, 64); err != nil {
		ses.close()
		return nil, fmt.Errorf("the server does not number its sessions: %w", err)
	}
	s.opened(ses.id)
	ses.onClose = func() { s.closed(ses.id) }
	return ses, nil
}

// connectTimeout bounds the handshake, which the driver's dial timeout does not.
func (s *Store) connectTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if d := s.target.config.Timeout; d > 0 {
		return context.WithTimeout(ctx, d)
	}
	return context.WithTimeout(ctx, time.Hour)
}
