package check

import (
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

// parentIDLen is the length of the id of a group.
const parentIDLen = 24

// checkCoordinatorRow applies V10, as far as one row goes, and V13. The row it
// returns is nil when nothing can be decided by it.
func checkCoordinatorRow(row *model.Row, now int64) (*record.Coordinator, []finding) {
	id := row.Get(record.TxID).Str()
	state, at := row.Get(record.TxState), row.Get(record.CreatedAt)
	c, err := record.ParseCoordinator(row)
	if err != nil {
		switch s := record.State(state.Int64()); {
		case s != record.Committed && s != record.Aborted:
			return nil, []finding{broken("V10", "tx_state is %s, not 3 (COMMITTED) or 4 (ABORTED)", state)}
		case at.IsNull() || at.Int64() <= 0:
			return nil, []finding{broken("V10", "tx_created_at is %s", at)}
		}
		return nil, []finding{broken("V10", "tx_write_set cannot be read")}
	}
	var fs []finding
	if len(c.Children) > 0 {
		if c.State != record.Committed {
			fs = append(fs, broken("V10", "ABORTED, and lists %d members", len(c.Children)))
		}
		if len(id) != parentIDLen || strings.Contains(id, "$") {
			fs = append(fs, broken("V10", "lists members, and its id is not that of a group"))
		}
		for _, child := range c.Children {
			if child == "" {
				fs = append(fs, broken("V10", "lists a member without a name"))
				break
			}
		}
	}
	if c.At > now {
		fs = append(fs, doubtful("V13", "tx_created_at is %s, later than the data can be", millis(c.At)))
	}
	return c, fs
}

// memberID is the full id of a member of a group.
func memberID(parent, child string) string { return parent + "$" + child }
