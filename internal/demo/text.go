package demo

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

// grouped renders a number with commas between the thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ms renders a duration in milliseconds, short ones with a decimal.
func ms(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// storedSum adds up the balances as they lie in a table now.
func storedSum(ctx context.Context, set *multi.Set, name model.TableName) (int64, error) {
	st := set.Route(name)
	t, err := st.Admin().Table(ctx, name)
	if err != nil {
		return 0, err
	}
	var sum int64
	for row, err := range check.ScanAll(ctx, st, t) {
		if err != nil {
			return 0, err
		}
		sum += row.Get("balance").Int64()
	}
	return sum, nil
}
