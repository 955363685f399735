package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

const (
	propIsolation = "scalar.db.jdbc.isolation_level"
	propPoolSize  = "scalar.db.jdbc.connection_pool.max_total"
	propMetadata  = "scalar.db.jdbc.table_metadata.schema"

	defaultConnectTimeout = 10 * time.Second
	defaultPort           = 5432
)

// ownMark is what application_name of every session of this process ends in.
var ownMark = sync.OnceValue(func() string {
	var random [6]byte
	_, _ = rand.Read(random[:])
	return "stillpoint/" + hex.EncodeToString(random[:])
})

// settings is what a Config comes to.
type settings struct {
	pg       *pgconn.Config
	url      sqldb.URL
	endpoint string // for people
	size     int    // of the pool
	metadata string
}

// parseConfig turns a Config into settings: model.ErrBadArgument, without
// secrets, if it cannot.
func parseConfig(cfg storage.Config) (*settings, error) {
	u, err := sqldb.ParseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if u.Engine != "postgresql" {
		return nil, model.Errorf(model.ErrBadArgument, "the JDBC URL is one of %s, not of PostgreSQL", u.Engine)
	}
	p := params{url: u, driver: map[string]string{}, server: map[string]string{}, connectTimeout: defaultConnectTimeout, keepAlive: true, log: cfg.Logger}
	if err := p.read(); err != nil {
		return nil, err
	}
	s := &settings{url: u, size: poolSize(), metadata: cfg.Properties[propMetadata]}
	if v := cfg.Properties[propPoolSize]; v != "" {
		if s.size, err = strconv.Atoi(v); err != nil || s.size < 1 {
			return nil, model.Errorf(model.ErrBadArgument, "%s is %q; it must be a number of connections, at least 1", propPoolSize, v)
		}
	}
	if v := cfg.Properties[propIsolation]; v != "" {
		level := strings.ToLower(strings.ReplaceAll(v, "_", " "))
		if !slices.Contains([]string{"read uncommitted", "read committed", "repeatable read", "serializable"}, level) {
			return nil, model.Errorf(model.ErrBadArgument, "%s is %q; it must be READ_UNCOMMITTED, READ_COMMITTED, REPEATABLE_READ or SERIALIZABLE", propIsolation, v)
		}
		p.server["default_transaction_isolation"] = level
	}
	if s.pg, err = p.build(cfg, ownMark()); err != nil {
		return nil, err
	}
	var hosts []string
	for _, h := range u.Hosts {
		hosts = append(hosts, h.Address(defaultPort))
	}
	s.endpoint = "PostgreSQL " + strings.Join(hosts, ",") + "/" + s.pg.Database
	return s, nil
}

// poolSize is the number of connections that suits this machine.
func poolSize() int { return min(max(16, 8*runtime.GOMAXPROCS(0)), 64) }

// build makes the driver's configuration.
func (p *params) build(cfg storage.Config, mark string) (*pgconn.Config, error) {
	user, password := cfg.User, cfg.Password.Reveal()
	if user == "" {
		user = p.user
	}
	if password == "" {
		password = p.password
	}
	var hosts, ports []string
	for _, h := range p.url.Hosts {
		hosts = append(hosts, h.Name)
		port := h.Port
		if port == 0 {
			port = defaultPort
		}
		ports = append(ports, strconv.Itoa(port))
	}
	p.driver["host"], p.driver["port"] = strings.Join(hosts, ","), strings.Join(ports, ",")
	if user != "" {
		p.driver["user"] = user
	}
	if p.url.Database != "" {
		p.driver["dbname"] = p.url.Database
	}
	if p.driver["sslmode"] == "" {
		p.driver["sslmode"] = "prefer"
	}
	var conn strings.Builder
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	for k, v := range p.driver {
		conn.WriteString(k + "='" + quote.Replace(v) + "' ")
	}
	pg, err := pgconn.ParseConfig(conn.String())
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil { // not err itself, which shows the connection string
			return nil, model.Errorf(model.ErrBadArgument, "the JDBC URL cannot be used: %w", cause)
		}
		return nil, model.Errorf(model.ErrBadArgument, "the JDBC URL cannot be used; check its parameters")
	}
	if password != "" {
		pg.Password = password
	}
	if pg.Database == "" {
		pg.Database = pg.User
	}
	pg.ConnectTimeout = p.connectTimeout
	keep := net.KeepAliveConfig{Enable: p.keepAlive, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
	pg.DialFunc = (&net.Dialer{KeepAlive: -1, KeepAliveConfig: keep}).DialContext
	pg.RuntimeParams["application_name"] = applicationName(p.application, mark)
	pg.RuntimeParams["client_encoding"] = "UTF8"
	pg.AfterConnect = p.afterConnect()
	return pg, nil
}

// applicationName keeps the mark whole within the 63 bytes that the server keeps.
func applicationName(name, mark string) string {
	if name == "" {
		return mark
	}
	return name[:min(len(name), 62-len(mark))] + " " + mark
}

// afterConnect sets the session's settings by SET rather than in the startup
// packet, where connection poolers refuse what they do not know.
func (p *params) afterConnect() pgconn.AfterConnectFunc {
	for k, v := range map[string]string{
		// A waiting statement gives up even if its client is gone.
		"lock_timeout": "10s",
		// The server notices a dead client that left a request half sent.
		"tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3", "tcp_user_timeout": "30s",
	} {
		if _, set := p.server[k]; !set && !strings.Contains(p.driver["options"], k) {
			p.server[k] = v
		}
	}
	var sql strings.Builder
	for k, v := range p.server {
		sql.WriteString("SELECT set_config('" + k + "', '" + strings.ReplaceAll(v, "'", "''") + "', false);")
	}
	set := sql.String()
	return func(ctx context.Context, c *pgconn.PgConn) error {
		_, err := c.Exec(ctx, set).ReadAll()
		return err
	}
}

// params reads the parameters of pgjdbc.
type params struct {
	url            sqldb.URL
	driver         map[string]string // for pgconn
	server         map[string]string // session settings
	user, password string
	application    string
	connectTimeout time.Duration
	keepAlive      bool
	log            *slog.Logger
}
