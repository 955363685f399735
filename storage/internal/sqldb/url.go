package sqldb

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// URL is a JDBC URL taken apart. What the parameters mean is the adapter's.
type URL struct {
	Engine   string // "sqlite", "postgresql", "mysql", "mariadb"
	Path     string // SQLite: the file
	Hosts    []Host // the others: at least one
	Database string // may be empty
	// Params are the parameters; of one given twice the last counts.
	Params map[string]string
}

// Host is one server of a URL.
type Host struct {
	Name string // without the brackets of an IPv6 address
	Port int    // 0 = not given
}

// Address joins the host with its port, or with the default if it gives none.
func (h Host) Address(defaultPort int) string {
	p := h.Port
	if p == 0 {
		p = defaultPort
	}
	return net.JoinHostPort(h.Name, strconv.Itoa(p))
}

// ParseURL takes a JDBC URL apart. Errors have class model.ErrBadArgument and
// do not show the URL, whose parameters may hold a password.
func ParseURL(s string) (URL, error) {
	engine, rest, ok := strings.Cut(strings.TrimPrefix(s, "jdbc:"), ":")
	if !ok || !strings.HasPrefix(s, "jdbc:") {
		return URL{}, model.Errorf(model.ErrBadArgument, "not a JDBC URL; write jdbc:sqlite:FILE, jdbc:postgresql://HOST/DATABASE, jdbc:mysql://HOST/ or jdbc:mariadb://HOST/")
	}
	u := URL{Engine: engine}
	rest, query, _ := strings.Cut(rest, "?")
	if err := u.parseParams(query); err != nil {
		return URL{}, err
	}
	switch engine {
	case "sqlite":
		return u, u.parseFile(rest)
	case "postgresql", "mysql", "mariadb":
		return u, u.parseServer(rest)
	}
	return URL{}, model.Errorf(model.ErrBadArgument, "JDBC URLs of %q are not supported; SQLite, PostgreSQL, MySQL and MariaDB are", engine)
}

// parseFile takes the path of a file, or a URI of SQLite: file:path, file:///path.
func (u *URL) parseFile(path string) error {
	if uri, ok := strings.CutPrefix(path, "file:"); ok {
		if rest, ok := strings.CutPrefix(uri, "//"); ok {
			host, inner, _ := strings.Cut(rest, "/")
			if host != "" && host != "localhost" {
				return model.Errorf(model.ErrBadArgument, "the JDBC URL names a file on host %q; SQLite opens files of this machine only, as in jdbc:sqlite:file:///var/lib/bank.db", host)
			}
			uri = "/" + inner
		}
		var err error
		if path, err = url.PathUnescape(uri); err != nil {
			return model.Errorf(model.ErrBadArgument, "the path in the JDBC URL is malformed; after file: a %% is written %%25")
		}
	}
	if path == "" || strings.HasPrefix(path, ":") || strings.ContainsRune(path, 0) {
		return model.Errorf(model.ErrBadArgument, "the JDBC URL of SQLite needs the path of a file, as in jdbc:sqlite:/var/lib/bank.db")
	}
	u.Path = path
	return nil
}

// parseServer takes //host:port,…/database, or (PostgreSQL) database alone.
func (u *URL) parseServer(rest string) error {
	bad := func(why string) error {
		return model.Errorf(model.ErrBadArgument, "JDBC URL of %s: %s", u.Engine, why)
	}
	hosts, after := "localhost", rest
	if authority, ok := strings.CutPrefix(rest, "//"); ok {
		hosts, after, _ = strings.Cut(authority, "/")
		if hosts == "" {
			hosts = "localhost"
		}
	} else if u.Engine != "postgresql" {
		return bad("it must go on with //HOST; modes like replication: or loadbalance: are not supported")
	}
	after = strings.TrimPrefix(after, "/")
	database, err := url.PathUnescape(after)
	if err != nil || strings.Contains(database, "/") {
		return bad("the database name is malformed")
	}
	u.Database = database
	for h := range strings.SplitSeq(hosts, ",") {
		host, err := parseHost(h)
		if err != nil {
			return bad(err.Error())
		}
		u.Hosts = append(u.Hosts, host)
	}
	return nil
}

func parseHost(s string) (Host, error) {
	name, port := s, ""
	switch {
	case strings.ContainsAny(s, "()@ \t\r\n\x00"):
		return Host{}, model.Errorf(model.ErrBadArgument, "a host is malformed; user and password have properties of their own")
	case strings.HasPrefix(s, "["):
		end := strings.IndexByte(s, ']')
		if end < 0 || net.ParseIP(s[1:end]) == nil {
			return Host{}, model.Errorf(model.ErrBadArgument, "host %q is not an IPv6 address in brackets", s)
		}
		name, port = s[1:end], s[end+1:]
		if port != "" && port[0] != ':' {
			return Host{}, model.Errorf(model.ErrBadArgument, "host %q is malformed", s)
		}
		port = strings.TrimPrefix(port, ":")
	default:
		name, port, _ = strings.Cut(s, ":")
	}
	if name == "" {
		return Host{}, model.Errorf(model.ErrBadArgument, "a host is empty")
	}
	h := Host{Name: name}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			// Not the port itself: in user:password/… it is the beginning of a password.
			return Host{}, model.Errorf(model.ErrBadArgument, "the port of host %q is not a number from 1 to 65535", name)
		}
		h.Port = int(n)
	}
	return h, nil
}

func (u *URL) parseParams(query string) error {
	u.Params = map[string]string{}
	unescape := url.PathUnescape
	switch u.Engine {
	case "postgresql":
		unescape = url.QueryUnescape // its driver takes + as a blank
	case "sqlite":
		unescape = func(s string) (string, error) { return s, nil }
	}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		k, err := unescape(key)
		if err != nil || k == "" {
			return model.Errorf(model.ErrBadArgument, "the JDBC URL has a malformed parameter name")
		}
		v, err := unescape(value)
		if err != nil {
			return model.Errorf(model.ErrBadArgument, "the value of parameter %q of the JDBC URL is malformed", k)
		}
		u.Params[k] = v
	}
	return nil
}
