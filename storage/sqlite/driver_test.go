package sqlite

import (
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/storage/sqlite/internal/capi"
)

func TestAFileThatMayNotBeWrittenIsAMatterOfRights(t *testing.T) {
	err := openError("db", "/data/bank.db", &capi.Error{Code: 8 | 6<<8, Msg: "attempt to write a readonly database"})
	if !strings.Contains(err.Error(), "needs the right to write to the file and to the folder") {
		t.Error(err)
	}
}
