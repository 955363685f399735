package storage

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/stillpoint-db/stillpoint/model"
)

// Config is what a driver opens a storage from.
type Config struct {
	Name     string // see Storage.Name
	Driver   string // "sqlite", "postgres", "mysql"
	URL      string // as in scalar.db.contact_points: a JDBC URL for SQL databases
	User     string
	Password Secret
	// Properties are the storage's remaining scalar.db.* and stillpoint.*
	// keys, without the prefix of a multi-storage.
	Properties map[string]string
	// MustExist: an engine that keeps a database in a file must not make it
	// if it is not there, but fail with model.ErrNotFound.
	MustExist bool
	// DryRun: nothing will be changed. Such an engine shows a database that is not
	// there as an empty one, and does not make it.
	DryRun bool
	Logger *slog.Logger // names the storage already; never nil when a driver sees it
}

// Secret is a string that does not show itself when printed or logged.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal returns the secret itself, for the one place that sends it.
func (s Secret) Reveal() string { return string(s) }

// CredentialsHint is the way out for somebody whom a database refuses, with this
// password: what is known of it without showing it.
func CredentialsHint(password Secret) string {
	if strings.Contains(string(password), "${") {
		return "The password still holds a placeholder, ${…}: what it names is not set. Set that environment variable, or write $${ if the password is meant to hold ${"
	}
	return "Check the user name and the password: username and password beside the storage's contact_points"
}

// Driver opens storages of one kind of database.
type Driver interface {
	// Open connects and checks that the database answers. Errors have class
	// model.ErrUnavailable or model.ErrBadArgument and hold no secret.
	Open(ctx context.Context, cfg Config) (Storage, error)
}

var (
	driversMu sync.RWMutex
	drivers   = map[string]Driver{}
)

// Register makes a driver available under a name; package init functions call
// it. Registering a name twice panics.
func Register(name string, d Driver) {
	driversMu.Lock()
	defer driversMu.Unlock()
	if _, dup := drivers[name]; dup {
		panic("storage: driver " + name + " registered twice")
	}
	drivers[name] = d
}

// Drivers returns the registered names in order.
func Drivers() []string {
	driversMu.RLock()
	defer driversMu.RUnlock()
	return slices.Sorted(maps.Keys(drivers))
}

// Open opens a storage with the driver that its configuration names:
// model.ErrBadArgument, naming the import, if the program has not registered it.
func Open(ctx context.Context, cfg Config) (Storage, error) {
	driversMu.RLock()
	d, ok := drivers[cfg.Driver]
	driversMu.RUnlock()
	if !ok {
		have := "none"
		if names := Drivers(); len(names) > 0 {
			have = strings.Join(names, ", ")
		}
		return nil, &model.Error{Class: model.ErrBadArgument, Op: "open storage", Subject: quote(cfg.Name),
			Detail: fmt.Sprintf("driver %q is not in this program (registered: %s)", cfg.Driver, have),
			Hint:   fmt.Sprintf("Import it: _ \"github.com/stillpoint-db/stillpoint/storage/%s\", or _ \"…/storage/all\" for every one", cfg.Driver)}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return d.Open(ctx, cfg)
}
