//go:build servers && linux

package create_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stillpoint-db/stillpoint/backup/internal/bank"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// TestADiskThatFillsUpEndsTheBackupWithNothingLeft runs a backup in a process
// whose repository is a file system of 2 MB, too small for what it copies and
// not so small that the plan could know.
func TestADiskThatFillsUpEndsTheBackupWithNothingLeft(t *testing.T) {
	folder := t.TempDir()
	set := bank.New(t, func(t testing.TB, name string) storage.Storage {
		return bank.OpenSQLite(t, name, filepath.Join(folder, name+".db"))
	}, 1, "one", "two")
	rnd := rand.New(rand.NewPCG(1, 2))
	every := bank.Every("two")
	bank.Create(t, set.Storages()[1], every)
	for i := range 50 {
		row := bank.Limits(every)[1]
		blob := make([]byte, 100_000)
		for j := range blob {
			blob[j] = byte(rnd.Uint32())
		}
		row.Values[1], row.Values[every.Position("v_blob")] = model.IntValue(int32(i)), model.BlobValue(blob)
		bank.PutRow(t, set.Storages()[1], row)
	}
	if err := os.Mkdir(filepath.Join(folder, "scratch"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+folder, fullEnv+"=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("the backup found room for itself")
	}
	for _, says := range []string{"not made: no space left in " + filepath.Join(folder, "repo"), "What was written of it is removed, and nothing is held. Make room"} {
		if !strings.Contains(string(out), says) {
			t.Errorf("%s\ndoes not say %q", out, says)
		}
	}
	if strings.Contains(string(out), "left:") {
		t.Errorf("%s", out)
	}
	empty(t, filepath.Join(folder, "scratch"))
	for _, s := range set.Storages() {
		bank.Put(t, s, bank.Accounts(s.Name()), 0, 1)
	}
}
