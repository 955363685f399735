package mysql

import (
	"context"
	"fmt"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// tablesByID lists the tables of InnoDB with their numbers. In NAME, characters
// other than letters and digits are written as in names of files.
const tablesByID = "SELECT CONVERT(CONVERT(CAST(SUBSTRING_INDEX(NAME,'/',1) AS BINARY) USING filename) USING utf8mb4)," +
	"CONVERT(CONVERT(CAST(SUBSTRING_INDEX(NAME,'/',-1) AS BINARY) USING filename) USING utf8mb4),TABLE_ID FROM information_schema."

// tableIDs tells which tables have these names now: by their numbers, or, where
// those may not be seen (which takes the right PROCESS) or there are several, by the time
// that the server says they are of; "" if there is no such table.
//
// A snapshot needs them because the server reads whatever has the name: it notices
// that a table is newer than the snapshot, and not that an old one was renamed.
func (s *Store) tableIDs(ctx context.Context, names []model.TableName) (map[model.TableName]string, error) {
	ids := map[model.TableName]string{}
	view := "INNODB_TABLES"
	if s.server.mariadb {
		view = "INNODB_SYS_TABLES"
	}
	err := s.read(ctx, "look at the tables of", func(ses *session) error {
		clear(ids)
		rows, err := ses.strings(ctx, tablesByID+view)
		if err != nil && !rightMissing(err) && errorNumber(err) != errNoSuchView {
			return err
		}
		found := make(map[model.TableName]string, len(rows))
		for _, r := range rows {
			found[s.folded(model.TableName{Namespace: r[0], Name: r[1]})] = "number " + r[2]
		}
		for _, name := range names {
			if id, ok := found[s.folded(name)]; ok {
				ids[name] = id
				continue
			}
			rows, err := ses.strings(ctx, "SELECT COALESCE(CREATE_TIME,'') FROM information_schema.tables WHERE TABLE_SCHEMA=? AND TABLE_NAME=?", name.Namespace, name.Name)
			if err != nil {
				return err
			}
			if len(rows) == 1 {
				ids[name] = "of " + rows[0][0]
			}
		}
		return nil
	})
	return ids, err
}

// folded is a name as the server compares it.
func (s *Store) folded(n model.TableName) model.TableName {
	if !s.dialect.FoldTables {
		return n
	}
	return model.TableName{Namespace: strings.ToLower(n.Namespace), Name: strings.ToLower(n.Name)}
}

// same fails if the table that has a name now is not the one that had it when the
// snapshot was prepared. The caller has read from the table in a transaction that
// is still open, so that what has the name is what was read.
func (n *snapshot) same(ctx context.Context, name model.TableName) error {
	now, err := n.store.tableIDs(ctx, []model.TableName{name})
	if err != nil || now[name] == n.noted[name] {
		return err
	}
	return &model.Error{Class: model.ErrInconsistent, Op: "read a snapshot of", Subject: fmt.Sprintf("storage %q", n.store.cfg.Name),
		Detail: fmt.Sprintf("another table was renamed to %s, or it was made anew", name), Hint: "Start again when the change of the schema is over."}
}
