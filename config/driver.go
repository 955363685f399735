package config

import (
	"fmt"
	"strings"
)

// drivers are the drivers by the beginning of the JDBC URL.
var drivers = []struct{ prefix, driver string }{
	{"jdbc:sqlite:", "sqlite"},
	{"jdbc:postgresql:", "postgres"},
	{"jdbc:mysql:", "mysql"},
	{"jdbc:mariadb:", "mysql"},
}

// DriverOf returns the name of the driver for a JDBC URL. Its error does not
// repeat the URL, which may hold a password.
func DriverOf(url string) (string, error) {
	for _, d := range drivers {
		if strings.HasPrefix(url, d.prefix) {
			return d.driver, nil
		}
	}
	const known = "jdbc:sqlite:, jdbc:postgresql:, jdbc:mysql: or jdbc:mariadb:"
	scheme, rest, ok := strings.Cut(url, ":")
	switch {
	case ok && scheme == "jdbc":
		if kind, _, ok := strings.Cut(rest, ":"); ok && isWord(kind) {
			return "", fmt.Errorf("databases of jdbc:%s: are not supported; the URL must begin with %s", kind, known)
		}
	case ok && isWord(scheme):
		return "", fmt.Errorf("a URL that begins with %s: is not a JDBC URL; it must begin with %s", scheme, known)
	}
	return "", fmt.Errorf("the value is not a JDBC URL; it must begin with %s", known)
}

func isWord(s string) bool {
	return s != "" && len(s) <= 20 && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789+-") == ""
}

// refusedStorage says why a value of scalar.db.storage is none here.
func refusedStorage(value string) string {
	switch value {
	case "cassandra", "cosmos", "dynamo", "s3", "blob-storage", "cloud-storage", "blob_storage", "cloud_storage", "grpc", "cluster", "bigtable":
		return fmt.Sprintf("%s is not supported; set it to jdbc or multi-storage", value)
	case "multi-storage":
		return "a storage of a multi-storage cannot be a multi-storage"
	}
	return fmt.Sprintf("%q is not a kind of storage; set it to jdbc or multi-storage", value)
}
