package stillpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/internal/textfile"
)

// Source is where Open takes its configuration from: File, URL, Properties or
// *Config.
type Source interface {
	config(overrides map[string]string) (*config.Config, error)
}

// File is a ScalarDB properties file; docs/configuration.md lists the keys.
type File string

// Properties are the content of such a file.
type Properties map[string]string

// URL is the JDBC URL of a single SQL database, as in
// "jdbc:postgresql://127.0.0.1:5432/bank" or "jdbc:sqlite:bank.db"; see
// WithCredentials.
type URL string

// Config is the typed configuration; see package config for how to make one.
type Config config.Config

func (f File) config(overrides map[string]string) (*config.Config, error) {
	if len(overrides) == 0 {
		return config.Load(string(f))
	}
	data, err := textfile.Read("read the configuration", string(f))
	if err != nil {
		return nil, err
	}
	// The last value of a key counts. The first line end is for a last line
	// without one, the second for one that a backslash would join with the next.
	var b bytes.Buffer
	b.Write(data)
	b.WriteString("\n\n")
	for _, k := range slices.Sorted(maps.Keys(overrides)) {
		fmt.Fprintf(&b, "%s=%s\n", escapeProperty(k, true), escapeProperty(overrides[k], false))
	}
	return config.Parse(string(f), b.Bytes())
}

// escapeProperty writes a key or value so that a properties file reads it back,
// whatever the encoding of the file.
func escapeProperty(s string, key bool) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r < ' ' || r > '~':
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, u)
			}
		case r == '\\', key && strings.ContainsRune("=: ", r), i == 0 && strings.ContainsRune(" #!", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (p Properties) config(overrides map[string]string) (*config.Config, error) {
	merged := maps.Clone(p)
	if merged == nil {
		merged = Properties{}
	}
	maps.Copy(merged, overrides)
	return config.FromMap(merged)
}

func (u URL) config(overrides map[string]string) (*config.Config, error) {
	return Properties{
		"scalar.db.storage":        "jdbc",
		"scalar.db.contact_points": strings.ReplaceAll(strings.ReplaceAll(string(u), `\`, `\\`), ",", `\,`),
	}.config(overrides)
}

func (c *Config) config(overrides map[string]string) (*config.Config, error) {
	if c == nil {
		return nil, &Error{Class: ErrBadArgument, Op: "open", Detail: "the Config is nil; package config makes one"}
	}
	if len(overrides) > 0 {
		return nil, &Error{Class: ErrBadArgument, Op: "open", Detail: "WithProperty and WithCredentials do not go with a typed Config; set its fields"}
	}
	return (*config.Config)(c), nil
}

// literal writes a value in which nothing is a placeholder.
func literal(s string) string { return strings.ReplaceAll(s, "${", "$${") }

// Open opens the databases of a configuration. It fails with ErrUnavailable if
// one does not answer, and with ErrBadArgument for what is wrong in the
// configuration, including a storage whose package the program does not import.
// The DB must be closed.
func Open(ctx context.Context, source Source, opts ...Option) (*DB, error) {
	if source == nil {
		return nil, &Error{Class: ErrBadArgument, Op: "open", Detail: "no configuration is given; use stillpoint.File, URL or Properties"}
	}
	var o openOptions
	for _, opt := range opts {
		if opt == nil {
			return nil, &Error{Class: ErrBadArgument, Op: "open", Detail: "an option is nil"}
		}
		opt(&o)
	}
	overrides := maps.Clone(o.properties)
	if o.user != "" || o.password != "" {
		if overrides == nil {
			overrides = map[string]string{}
		}
		overrides["scalar.db.username"], overrides["scalar.db.password"] = literal(o.user), literal(o.password)
	}
	cfg, err := source.config(overrides)
	if err != nil {
		return nil, err
	}
	set, err := config.Open(ctx, cfg, o.logger)
	if err != nil {
		return nil, err
	}
	db, err := openDB(ctx, cfg, set, o)
	if err != nil {
		return nil, errors.Join(err, set.Close())
	}
	return db, nil
}
