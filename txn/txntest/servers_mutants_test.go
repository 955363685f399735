//go:build servers && mutants

package txntest_test

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/txn/txntest"
)

func TestMutantsAreCaughtOnPostgres(t *testing.T) {
	caught(t, func(t *testing.T, _ uint64) txntest.Bed { return several(onPostgres(t), onPostgres(t)) })
}

func TestMutantsAreCaughtOnMariaDB(t *testing.T) {
	caught(t, func(t *testing.T, _ uint64) txntest.Bed { return several(onMariaDB(t)) })
}
