// Package textfile reads the small files that people write by hand: properties,
// schemas, queries.
package textfile

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/stillpoint-db/stillpoint/model"
)

// Limit is the most bytes that such a file may have.
const Limit = 16 << 20

// Read reads a file: model.ErrNotFound if there is none, model.ErrBadArgument if
// it is not a file that can be read or is larger than Limit. op says what for,
// as in "read the configuration".
func Read(op, path string) ([]byte, error) {
	if path == "" {
		return nil, &model.Error{Class: model.ErrBadArgument, Op: op, Detail: "no file is named"}
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &model.Error{Class: model.ErrNotFound, Op: op, Detail: "there is no file " + path}
	}
	if err != nil {
		return nil, &model.Error{Class: model.ErrBadArgument, Op: op, Err: err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, Limit+1))
	if err != nil {
		return nil, &model.Error{Class: model.ErrBadArgument, Op: op, Err: err}
	}
	if len(data) > Limit {
		return nil, &model.Error{Class: model.ErrBadArgument, Op: op, Detail: path + " is larger than 16 MiB, so it is not what is meant"}
	}
	return data, nil
}
