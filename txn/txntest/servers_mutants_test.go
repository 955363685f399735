//go:build servers && mutants

package txntest_test

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/txn/txntest"
)

func TestMutantsAreCaughtOnPostgres(t *testing.T) {
	bed := several(onPostgres(t), onPostgres(t))
	caught(t, func(*testing.T, uint64) txntest.Bed { return bed })
}

func TestMutantsAreCaughtOnMariaDB(t *testing.T) {
	bed := several(onMariaDB(t))
	caught(t, func(*testing.T, uint64) txntest.Bed { return bed })
}
