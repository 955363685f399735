//go:build java && servers && failpoints

package interop

import (
	"fmt"
	"time"

	"github.com/stillpoint-db/stillpoint"
	"github.com/stillpoint-db/stillpoint/model"
)

// cellValue turns what a Row holds back into a value.
func cellValue(c stillpoint.ColumnDef, x any) (model.Value, error) {
	switch v := x.(type) {
	case nil:
		return model.Null(c.Type), nil
	case bool:
		return model.BooleanValue(v), nil
	case int32:
		return model.IntValue(v), nil
	case int64:
		return model.BigIntValue(v), nil
	case float32:
		return model.FloatValue(v), nil
	case float64:
		return model.DoubleValue(v), nil
	case string:
		return model.TextValue(v), nil
	case []byte:
		return model.BlobValue(v), nil
	case stillpoint.Date:
		return model.DateValue(v), nil
	case stillpoint.TimeOfDay:
		return model.TimeValue(v), nil
	case stillpoint.DateTime:
		return model.TimestampValue(v), nil
	case time.Time:
		return model.TimestampTZValue(v), nil
	}
	return model.Value{}, fmt.Errorf("column %s holds a %T", c.Name, x)
}
