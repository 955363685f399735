package memory

import (
	"encoding/base64"
	"encoding/json"

	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// place is a value in a token.
type place struct {
	Null bool   `json:"z,omitempty"`
	N    int64  `json:"n,omitempty"`
	S    []byte `json:"s,omitempty"`
}

// tokenColumns are the positions of the columns that make a place in the order
// of a scan: its order columns and the key.
func tokenColumns(scan storage.Scan) []int {
	var at []int
	for _, o := range scan.OrderBy {
		at = append(at, scan.Table.Position(o.Column))
	}
	for i := range scan.Table.KeyLen() {
		at = append(at, i)
	}
	return at
}

// token renders the place of a row in the order of a scan.
func token(scan storage.Scan, r *model.Row) string {
	var places []place
	for _, i := range tokenColumns(scan) {
		v := r.Get(scan.Table.Columns()[i].Name)
		p := place{Null: v.IsNull()}
		if v.Type() == model.Text || v.Type() == model.Blob {
			p.S = []byte(v.Str())
		} else {
			p.N = v.Raw()
		}
		places = append(places, p)
	}
	b, _ := json.Marshal(places) // numbers and bytes: cannot fail
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseToken reads the token of a scan into a row that has only the values that
// make its place; nil if there is no token.
func parseToken(scan storage.Scan) (*model.Row, error) {
	if scan.Token == "" {
		return nil, nil
	}
	bad := model.Errorf(model.ErrBadArgument, "the token of a scan of %s is not one that this storage gave", scan.Table.Name())
	b, err := base64.RawURLEncoding.DecodeString(scan.Token)
	if err != nil {
		return nil, bad
	}
	var places []place
	at := tokenColumns(scan)
	if err := json.Unmarshal(b, &places); err != nil || len(places) != len(at) {
		return nil, bad
	}
	row := &model.Row{Table: scan.Table, Values: make([]model.Value, len(scan.Table.Columns()))}
	for i, p := range places {
		typ := scan.Table.Columns()[at[i]].Type
		switch {
		case p.Null:
			row.Values[at[i]] = model.Null(typ)
		case typ == model.Text:
			row.Values[at[i]] = model.TextValue(string(p.S))
		case typ == model.Blob:
			row.Values[at[i]] = model.BlobValue(p.S)
		default:
			row.Values[at[i]] = model.RawValue(typ, p.N)
		}
	}
	return row, nil
}
