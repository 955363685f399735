//go:build !servers

package txntest_test

import (
	"testing"

	"github.com/stillpoint-db/stillpoint/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }
