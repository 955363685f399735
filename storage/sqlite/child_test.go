package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// child plays another process: the path of the database is the first argument.
func child(role string) int {
	var err error
	switch role {
	case "foreign-writer":
		err = foreignWriter(os.Args[1])
	case "holder":
		err = holder(os.Args[1])
	case "batches":
		err = batches(os.Args[1])
	case "full-disk":
		err = fullDisk(os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child", role+":", err)
		return 1
	}
	return 0
}

// foreign opens the file as a program that knows nothing of us does: by
// database/sql, waiting for locks as SQLite does by itself.
func foreign(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+strings.NewReplacer("%", "%25", "#", "%23", "?", "%3f").Replace(path)+"?_pragma=busy_timeout(5000)&_txlock=immediate")
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// foreignWriter moves 1 between the accounts f1 and f2 in transactions, until
// it hears "stop"; it says how many it made and how often the file was busy for as
// long as SQLite waits, and dies at the first other error.
func foreignWriter(path string) error {
	db, err := foreign(path)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	stop := make(chan struct{})
	go func() {
		bufio.NewScanner(os.Stdin).Scan()
		close(stop)
	}()
	fmt.Println("ready")
	busy := 0
	for n := 1; ; n++ {
		tx, err := db.Begin()
		if err != nil && strings.Contains(err.Error(), "SQLITE_BUSY") && busy < 100 {
			busy++
			n--
			continue
		}
		if err != nil {
			return fmt.Errorf("transaction %d: %w", n, err)
		}
		if _, err = tx.Exec(`UPDATE "bank$accounts" SET balance=balance-1 WHERE id='f1'`); err == nil {
			_, err = tx.Exec(`UPDATE "bank$accounts" SET balance=balance+1 WHERE id='f2'`)
		}
		if err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("commit %d: %w", n, err)
		}
		if n == 50 {
			fmt.Println("fifty")
		}
		select {
		case <-stop:
			fmt.Println("made", n, busy)
			return nil
		default:
		}
	}
}

// holder holds the write lock until it hears a line.
func holder(path string) error {
	db, err := foreign(path)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE "bank$accounts" SET balance=balance`); err != nil {
		return err
	}
	fmt.Println("locked")
	bufio.NewScanner(os.Stdin).Scan()
	return tx.Commit()
}

func openChild(path string) (storage.Storage, *model.Table, error) {
	s, err := storage.Open(context.Background(), storage.Config{Name: "child", Driver: "sqlite", URL: "jdbc:sqlite:" + path})
	if err != nil {
		return nil, nil, err
	}
	t, err := s.Admin().Table(context.Background(), model.TableName{Namespace: "bank", Name: "accounts"})
	return s, t, err
}

// batches writes pairs of rows until it is killed, and says each that has been
// reported as applied.
func batches(path string) error {
	s, table, err := openChild(path)
	if err != nil {
		return err
	}
	done := make(chan error)
	for w := range 4 {
		go func() {
			for n := int32(0); ; n++ {
				err := s.Mutate(context.Background(), storage.Batch{Mutations: []storage.Mutation{
					put(table, account(fmt.Sprint("left", w), n), int64(n)), put(table, account(fmt.Sprint("right", w), n), int64(n))}})
				if err != nil {
					done <- err
					return
				}
				fmt.Println("applied", w, n)
			}
		}()
	}
	return <-done
}

// fullDisk writes with a limit on the size of its files, then without one, and
// says what became of each batch.
func fullDisk(path string) error {
	s, table, err := openChild(path)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	write := func(n int32) error {
		m := put(table, account("full", n), int64(n))
		m.Set = append(m.Set, storage.Assignment{Column: "note", Value: model.TextValue(strings.Repeat("x", 3000))})
		return s.Mutate(context.Background(), storage.Batch{Mutations: []storage.Mutation{m}})
	}
	for n := int32(0); n < 60; n++ {
		limit := old
		if n%6 < 3 { // in turns, so that what follows a failure is seen too
			info, err := os.Stat(path + "-wal")
			if err != nil {
				return err
			}
			limit.Cur = uint64(info.Size()) + uint64(n)*800
			if n%2 == 0 {
				limit.Cur = uint64(n) * 300
			}
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		err := write(n)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			return err
		}
		fmt.Println("batch", n, storage.OutcomeOf(err))
	}
	return s.Close()
}
