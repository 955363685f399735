package mysql

import (
	"context"

	"github.com/stillpoint-db/stillpoint/storage"
)

var _ storage.ExactNamespaces = (*admin)(nil)

// exact are the options of a database whose tables tell texts apart, but for blanks
// at their ends.
const exact = " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

// CreateExactNamespace implements storage.ExactNamespaces.
func (a *admin) CreateExactNamespace(ctx context.Context, ns string) error {
	if err := a.D.CheckNamespace(ns); err != nil {
		return err
	}
	_, where, err := a.defaultCollation(ctx, ns)
	if err != nil || where != "" {
		return err // there already
	}
	err = a.Ex.Exec(ctx, "CREATE SCHEMA "+a.D.Ident(ns)+exact)
	if err != nil && a.Ex.IsDuplicate(err) {
		return nil
	}
	return err
}
