package mysql

import (
	"crypto/tls"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/internal/sqldb"
)

const (
	defaultPort           = 3306
	defaultConnectTimeout = 30 * time.Second // that of Connector/J
)

// target is where to connect and how, taken from a JDBC URL.
type target struct {
	mariadbURL bool // jdbc:mariadb:
	endpoint   string
	config     *mysql.Config
	warnings   []string // parameters that cannot be honoured
}

// parseTarget maps a JDBC URL onto the driver's configuration. A parameter
// about TLS that cannot be honoured is an error, any other a warning.
func parseTarget(cfg storage.Config) (*target, error) {
	u, err := sqldb.ParseURL(cfg.URL)
	if err != nil {
		return nil, badURL(cfg.Name, err)
	}
	if u.Engine != "mysql" && u.Engine != "mariadb" {
		return nil, badURL(cfg.Name, model.Errorf(model.ErrBadArgument, "a jdbc:%s: URL is not one of MySQL or MariaDB", u.Engine))
	}
	if len(u.Hosts) != 1 {
		return nil, badURL(cfg.Name, model.Errorf(model.ErrBadArgument, "it names %d hosts; name the primary alone", len(u.Hosts)))
	}
	t := &target{mariadbURL: u.Engine == "mariadb", config: mysql.NewConfig()}
	c := t.config
	c.Net, c.Addr, c.DBName = "tcp", u.Hosts[0].Address(defaultPort), u.Database
	c.User, c.Passwd = cfg.User, cfg.Password.Reveal()
	c.Timeout = defaultConnectTimeout
	c.Loc, c.ClientFoundRows, c.MultiStatements = time.UTC, true, true
	c.Logger = quiet{}
	if err := t.parameters(u.Params); err != nil {
		return nil, badURL(cfg.Name, err)
	}
	t.endpoint = "the server at " + c.Addr
	return t, nil
}

func badURL(name string, err error) error {
	return &model.Error{Class: model.ErrBadArgument, Op: "open storage", Subject: strconv.Quote(name), Detail: "the JDBC URL", Err: err}
}

// quiet drops what the driver logs; it comes back as errors.
type quiet struct{}

func (quiet) Print(...any) {}

// Parameters of Connector/J that change nothing here: hints about speed, and
// settings that are always as they ask.
var noEffect = map[string]bool{
	"permitmysqlscheme": true, "useserverprepstmts": true, "cacheprepstmts": true, "prepstmtcachesize": true, "prepstmtcachesqllimit": true,
	"rewritebatchedstatements": true, "usebulkstmts": true, "usebulkstmtsforinserts": true, "usebatchmultisend": true, "usepipelineauth": true,
	"tcpkeepalive": true, "tcpnodelay": true, "useunicode": true, "allowmultiqueries": true, "cacheserverconfiguration": true,
	"cacheresultsetmetadata": true, "cachecallablestmts": true, "uselocalsessionstate": true, "elidesetautocommits": true,
	"maintaintimestats": true, "metadatacachesize": true, "autoreconnect": true, "jdbccomplianttruncation": true, "tinyint1isbit": true,
	"transformedbitisboolean": true, "dumpqueriesonexception": true, "includeinnodbstatusindeadlockexceptions": true, "defaultfetchsize": true,
	"pool": true, "maxpoolsize": true, "minpoolsize": true, "poolname": true, "usecursorfetch": true, "disablepipeline": true,
	// Times go over the wire as they are stored, whatever zone anybody is in.
	"connectiontimezone": true, "servertimezone": true, "timezone": true, "forceconnectiontimezonetosession": true,
	"preserveinstants": true, "uselegacydatetimecode": true, "usetimezone": true,
}

func (t *target) parameters(params map[string]string) error {
	tlsParams := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(params)) {
		value, name := params[key], strings.ToLower(key)
		switch {
		case tlsParameter(name):
			tlsParams[name] = value
		case name == "user" || name == "password":
			t.credentials(name, value)
		case name == "connecttimeout" || name == "sockettimeout":
			if err := t.timeout(key, name, value); err != nil {
				return err
			}
		case name == "usecompression":
			if on, err := truth(key, value); err != nil {
				return err
			} else if err := t.config.Apply(mysql.EnableCompression(on)); err != nil {
				return err
			}
		case name == "characterencoding" && (strings.EqualFold(value, "utf8") || strings.EqualFold(value, "utf-8") || strings.EqualFold(value, "utf8mb4")):
		case name == "useaffectedrows" && strings.EqualFold(value, "false"):
		case noEffect[name]:
		default:
			t.warnings = append(t.warnings, fmt.Sprintf("parameter %s of the JDBC URL is not supported and ignored", key))
		}
	}
	return t.tls(tlsParams)
}

// credentials are taken from the URL only where the properties give none.
func (t *target) credentials(name, value string) {
	if name == "user" && t.config.User == "" {
		t.config.User = value
	}
	if name == "password" && t.config.Passwd == "" {
		t.config.Passwd = value
	}
}

func (t *target) timeout(key, name, value string) error {
	ms, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return model.Errorf(model.ErrBadArgument, "parameter %s is %q, not a number of milliseconds", key, value)
	}
	d := time.Duration(ms) * time.Millisecond
	if name == "connecttimeout" {
		t.config.Timeout = d
	} else {
		t.config.ReadTimeout, t.config.WriteTimeout = d, d
	}
	return nil
}

func truth(key, value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true", "1", "yes", "":
		return true, nil
	case "false", "0", "no":
		return false, nil
	}
	return false, model.Errorf(model.ErrBadArgument, "parameter %s is %q, not true or false", key, value)
}

// minTLS is the oldest protocol that a connection accepts unless the URL names others.
const minTLS = tls.VersionTLS12
