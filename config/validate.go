package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// Validate checks a Config, however it was made, and names the property that is
// wrong: model.ErrBadArgument.
func (c *Config) Validate() error {
	bad := func(key, format string, args ...any) error {
		return model.Errorf(model.ErrBadArgument, "%s: %s", key, fmt.Sprintf(format, args...))
	}
	if len(c.Storages) == 0 {
		return bad(scalar+"storage", "there is no storage")
	}
	names := make([]string, 0, len(c.Storages))
	for _, s := range c.Storages {
		switch {
		case !validName(s.Name):
			return bad(multiKey+"storages", "%q cannot be the name of a storage: letters, digits, - and _ only, 64 at most", s.Name)
		case slices.Contains(names, s.Name):
			return bad(multiKey+"storages", "two storages are named %q", s.Name)
		case s.Driver == "" && s.URL == "":
			return bad(scalar+"contact_points", "storage %q has no URL", s.Name)
		case s.Driver == "":
			if _, err := DriverOf(s.URL); err != nil {
				return bad(scalar+"contact_points", "storage %q: %v", s.Name, err)
			}
		}
		names = append(names, s.Name)
	}
	if d := c.Routing.Default; d == "" && len(names) > 1 {
		return bad(multiKey+"default_storage", "it is not set; it is one of %s", strings.Join(names, ", "))
	} else if d != "" && !slices.Contains(names, d) {
		return bad(multiKey+"default_storage", "there is no storage %q", d)
	}
	for ns, name := range c.Routing.Namespaces {
		if !slices.Contains(names, name) {
			return bad(multiKey+"namespace_mapping", "there is no storage %q for namespace %s", name, ns)
		}
	}
	for table, name := range c.Routing.Tables {
		if !slices.Contains(names, name) {
			return bad(multiKey+"table_mapping", "there is no storage %q for table %s", name, table)
		}
	}
	if err := (isolationField{new(Isolation)}).Set(string(c.Transaction.Isolation)); err != nil {
		return bad(cc+"isolation_level", "%v", err)
	}
	scan := c.CrossPartitionScan
	switch {
	case c.Transaction.CoordinatorNamespace == "":
		return bad(cc+"coordinator.namespace", "it is empty")
	case c.Transaction.Parallelism < 1:
		return bad(cc+"parallel_executor_count", "%d is less than 1", c.Transaction.Parallelism)
	case c.Transaction.AsyncBacklog < 1:
		return bad(stillpoint+"async_commit.backlog", "%d is less than 1", c.Transaction.AsyncBacklog)
	case c.ScanFetchSize < 1:
		return bad(scalar+"scan_fetch_size", "%d is less than 1", c.ScanFetchSize)
	case scan.Filtering && !scan.Enabled:
		return bad(scalar+"cross_partition_scan.filtering.enabled", "it needs %scross_partition_scan.enabled=true", scalar)
	case scan.Ordering && !scan.Enabled:
		return bad(scalar+"cross_partition_scan.ordering.enabled", "it needs %scross_partition_scan.enabled=true", scalar)
	}
	return nil
}

// validName tells whether s can name a storage: names become folders of backups.
func validName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
		default:
			return false
		}
	}
	return true
}
