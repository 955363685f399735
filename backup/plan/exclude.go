package plan

import (
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// exclusion is one table, or all of a namespace, to leave out.
type exclusion struct {
	text  string
	name  model.TableName // Name "*" = all
	known []string        // the tables that it left out
}

func (e *exclusion) matches(n model.TableName) bool {
	return e.name.Namespace == n.Namespace && (e.name.Name == "*" || e.name.Name == n.Name)
}

func parseExclude(list []string) ([]*exclusion, error) {
	var all []*exclusion
	for _, item := range list {
		for text := range strings.SplitSeq(item, ",") {
			if text = strings.TrimSpace(text); text == "" {
				continue
			}
			name, err := model.ParseTableName(text)
			if err != nil {
				return nil, model.Errorf(model.ErrBadArgument, "--exclude: %w", err)
			}
			all = append(all, &exclusion{text: text, name: name})
		}
	}
	return all, nil
}

// excluded tells whether a table is to be left out, and remembers it.
func (p *Plan) excluded(exclude []*exclusion, n model.TableName) bool {
	for _, e := range exclude {
		if e.matches(n) {
			e.known = append(e.known, n.String())
			p.Excluded = append(p.Excluded, n.String())
			return true
		}
	}
	return false
}

// unused refuses exclusions that mean no table: most likely a typing error.
func (p *Plan) unused(exclude []*exclusion) {
	for _, e := range exclude {
		if len(e.known) == 0 {
			p.find("", storage.Blocker, "exclude-unknown", e.text, "--exclude "+e.text+" names no table", "")
		}
	}
}
