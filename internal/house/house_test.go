// Package house holds the rules of the house as tests: which room may use which.
package house

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/stillpoint-db/stillpoint"

// deps lists what a package is built of, without its tests.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}

// ours keeps the packages of this module, but for pkg itself.
func ours(all []string, pkg string) []string {
	var out []string
	for _, p := range all {
		if strings.HasPrefix(p, module) && p != pkg {
			out = append(out, strings.TrimPrefix(strings.TrimPrefix(p, module), "/"))
		}
	}
	return out
}

func TestArrowsPointOneWay(t *testing.T) {
	adapters := []string{"storage/sqlite", "storage/postgres", "storage/mysql", "storage/memory", "storage/all"}
	for _, rule := range []struct {
		pkg    string
		only   []string // all of ours that it may use; nil = no such list
		banned []string // and what it must not use, by prefix
	}{
		{pkg: "model", only: []string{}},
		{pkg: "storage", only: []string{"model"}},
		{pkg: "txn/record", only: []string{"model"}},
		{pkg: "txn", banned: slices.Concat(adapters, []string{"config", "schema", "backup", "restore", "check", "cmd"})},
		{pkg: "storage/sqlite", banned: []string{"txn", "config", "schema", "backup", "restore", "check", "cmd", "storage/postgres", "storage/mysql", "storage/memory"}},
		{pkg: "storage/postgres", banned: []string{"txn", "config", "schema", "backup", "restore", "check", "cmd", "storage/sqlite", "storage/mysql", "storage/memory"}},
		{pkg: "storage/mysql", banned: []string{"txn", "config", "schema", "backup", "restore", "check", "cmd", "storage/sqlite", "storage/postgres", "storage/memory"}},
		{pkg: "config", banned: append([]string{"schema", "backup", "restore", "check", "cmd"}, adapters...)},
		{pkg: "check", banned: append([]string{"restore", "cmd", "config"}, adapters...)},
		{pkg: "backup/create", banned: append([]string{"restore", "cmd", "config"}, adapters...)},
		{pkg: "restore", banned: append([]string{"cmd", "config"}, adapters...)},
		{pkg: "", banned: append([]string{"backup", "restore", "check", "cmd"}, adapters...)}, // the facade
		{pkg: "cmd/stillpoint-demo", banned: []string{"storage/postgres", "storage/mysql", "storage/memory", "storage/all"}},
	} {
		full := strings.TrimSuffix(module+"/"+rule.pkg, "/")
		t.Run(full, func(t *testing.T) {
			for _, dep := range ours(deps(t, full), full) {
				if rule.only != nil && !slices.Contains(rule.only, dep) {
					t.Errorf("it uses %s, and may only use %v", dep, rule.only)
				}
				for _, b := range rule.banned {
					if dep == b || strings.HasPrefix(dep, b+"/") {
						t.Errorf("it uses %s", dep)
					}
				}
			}
		})
	}
}

func TestALeafUsesTheStandardLibraryOnly(t *testing.T) {
	for _, pkg := range []string{"model", "storage"} {
		for _, dep := range deps(t, module+"/"+pkg) {
			if first, _, _ := strings.Cut(dep, "/"); strings.Contains(first, ".") && !strings.HasPrefix(dep, module) {
				t.Errorf("%s uses %s", pkg, dep)
			}
		}
	}
}
