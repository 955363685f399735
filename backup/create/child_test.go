//go:build linux && (failpoints || servers)

package create_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/stillpoint-db/stillpoint/backup/create"
	"github.com/stillpoint-db/stillpoint/backup/fence"
	"github.com/stillpoint-db/stillpoint/backup/plan"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/storage"
	"github.com/stillpoint-db/stillpoint/storage/multi"
)

// childEnv names the folder in which a child process of the test takes a backup,
// and fullEnv says that its repository is to be small.
const (
	childEnv = "STILLPOINT_TEST_CREATE"
	fullEnv  = "STILLPOINT_TEST_FULL"
)

func init() {
	folder := os.Getenv(childEnv)
	if folder == "" {
		return
	}
	err := small(filepath.Join(folder, "repo"))
	if err == nil {
		err = takeIn(folder)
	}
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		left, _ := filepath.Glob(filepath.Join(folder, "repo", "2*"))
		for _, name := range left {
			_, _ = os.Stderr.WriteString("left: " + name + "\n")
		}
		os.Exit(1)
	}
	os.Exit(0)
}

// takeIn backs the two SQLite files of a folder up to its repository.
func takeIn(folder string) (err error) {
	ctx := context.Background()
	var storages []storage.Storage
	for _, name := range []string{"one", "two"} {
		s, err := storage.Open(ctx, storage.Config{Name: name, Driver: "sqlite", URL: "jdbc:sqlite:" + filepath.Join(folder, name+".db")})
		if err != nil {
			return err
		}
		storages = append(storages, s)
	}
	set, err := multi.New(storages, multi.Routing{Default: "one", Namespaces: map[string]string{"two": "two"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	_, err = create.Run(ctx, set, repo.InFolder(filepath.Join(folder, "repo")), create.Options{Plan: plan.Options{Scratch: filepath.Join(folder, "scratch"), ProofBudget: 5 * time.Minute},
		Fence: fence.Options{Budget: 5 * time.Minute, Hold: time.Minute}}) // a busy machine is not what tests are about
	return err
}
