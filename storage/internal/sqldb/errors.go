package sqldb

import (
	"errors"

	"github.com/stillpoint-db/stillpoint/model"
)

func isNotFound(err error) bool { return errors.Is(err, model.ErrNotFound) }

func isDamaged(err error) bool { return errors.Is(err, model.ErrDamaged) }
