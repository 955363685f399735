package mysql

import (
	"context"
	"fmt"
	"strings"

	"github.com/stillpoint-db/stillpoint/storage"
)

// errXA is the server's refusal to list prepared transactions.
const errXA = 1401

// prepared warns of distributed transactions of others that are prepared and not
// finished. MariaDB lets the lock of a table go when the client of such a one
// leaves, so that no fence holds the commit that somebody makes of it later.
func (i *inspector) prepared(ctx context.Context, ses *session) error {
	if !i.opts.Backup {
		return nil
	}
	rows, err := ses.strings(ctx, "XA RECOVER")
	switch errorNumber(err) {
	case errXA, errRightMissing, errTableDenied, errDatabaseDenied:
		return nil
	}
	if err != nil {
		return err
	}
	for n, r := range rows {
		if n == 5 {
			break
		}
		id := strings.ToValidUTF8(r[len(r)-1], "?")
		i.add("prepared-transaction", storage.Warning, fmt.Sprintf("XA %q", id),
			"a distributed transaction of another program is prepared and not finished; if its client has left, the fence does not hold its commit", "XA COMMIT or XA ROLLBACK, as its coordinator says.")
	}
	return nil
}
