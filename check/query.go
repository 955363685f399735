package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// QueryFormat is the version of the query file that this package reads.
const QueryFormat = 1

// maxQueries bounds a file; 16 bits number the queries in scratch entries.
const maxQueries = 10_000

// Query is one question whose answer the user knows. Exactly one of Number and
// Right is given.
type Query struct {
	Name      string
	Left      Aggregate
	Right     *Aggregate // the answer is another aggregate; group by group if they have By
	Number    string     // the answer is this number, as written
	Tolerance float64    // how far apart the two may be
}

// Aggregate is a sum or a count over tables, added up.
type Aggregate struct {
	Sum   []ColumnRef       // columns to add up; NULL counts as nothing
	Count []model.TableName // tables whose rows to count
	By    []ColumnRef       // group by: as many as Sum or Count, each of the same table
}

// ColumnRef names a column of a table: "namespace.table.column" in a file.
type ColumnRef struct {
	Table  model.TableName
	Column string
}

// String returns "namespace.table.column".
func (c ColumnRef) String() string { return c.Table.String() + "." + c.Column }

type queryFile struct {
	Format  int         `json:"format"`
	Queries []queryJSON `json:"queries"`
}

type queryJSON struct {
	Name string `json:"name"`
	aggregateJSON
	Equals    json.RawMessage `json:"equals"`
	Tolerance float64         `json:"tolerance"`
}

type aggregateJSON struct {
	Sum   []string `json:"sum"`
	Count []string `json:"count"`
	By    []string `json:"by"`
}

// ParseQueries reads a query file:
//
//	{"format": 1, "queries": [
//	  {"name": "total", "sum": ["bank.accounts.balance", "vault.accounts.balance"], "equals": 60000},
//	  {"name": "accounts", "count": ["bank.accounts", "vault.accounts"], "equals": 60},
//	  {"name": "same number", "count": ["bank.orders"], "equals": {"count": ["ship.parcels"]}},
//	  {"name": "every account equals its history",
//	   "sum": ["bank.accounts.balance"], "by": ["bank.accounts.id"],
//	   "equals": {"sum": ["bank.history.amount"], "by": ["bank.history.account"]}}]}
//
// A sum adds up columns of type INT, BIGINT, FLOAT or DOUBLE, exactly; a count
// counts rows. With "by" the two sides are compared for each value of the
// columns named, of which there are as many as tables counted or columns summed;
// a value that one side lacks counts as 0 there. "tolerance" is how far the two
// sides may be apart (0 if not given). Anything else in the file is
// model.ErrBadArgument.
func ParseQueries(data []byte) ([]Query, error) {
	var file queryFile
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, badFile("%w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, badFile("something follows the object")
	}
	if file.Format != QueryFormat {
		return nil, badFile("its format is %d; this program reads format %d", file.Format, QueryFormat)
	}
	if len(file.Queries) > maxQueries {
		return nil, badFile("it has %d queries, more than %d", len(file.Queries), maxQueries)
	}
	seen := map[string]bool{}
	queries := make([]Query, 0, len(file.Queries))
	for i, j := range file.Queries {
		if j.Name == "" {
			return nil, badFile("query %d has no name", i+1)
		}
		if seen[j.Name] {
			return nil, badFile("two queries are named %q", j.Name)
		}
		seen[j.Name] = true
		q, err := j.parse()
		if err != nil {
			return nil, badFile("query %q: %w", j.Name, err)
		}
		queries = append(queries, q)
	}
	return queries, nil
}

func badFile(format string, args ...any) error {
	return model.Errorf(model.ErrBadArgument, "query file: "+format, args...)
}

func (j queryJSON) parse() (Query, error) {
	q := Query{Name: j.Name, Tolerance: j.Tolerance}
	var err error
	if q.Left, err = j.aggregateJSON.parse(); err != nil {
		return q, err
	}
	if q.Tolerance < 0 {
		return q, fmt.Errorf("its tolerance is negative")
	}
	expected := bytes.TrimSpace(j.Equals)
	switch {
	case len(expected) == 0:
		return q, fmt.Errorf("it has no \"equals\"")
	case expected[0] == '{':
		var right aggregateJSON
		dec := json.NewDecoder(bytes.NewReader(expected))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&right); err != nil {
			return q, err
		}
		a, err := right.parse()
		if err != nil {
			return q, err
		}
		q.Right = &a
		if (len(a.By) > 0) != (len(q.Left.By) > 0) {
			return q, fmt.Errorf("one side has \"by\" and the other has not")
		}
	default:
		var n json.Number
		if expected[0] == '"' || json.Unmarshal(expected, &n) != nil || n == "" {
			return q, fmt.Errorf("\"equals\" is neither a number nor an object")
		}
		if len(n) > 400 {
			return q, fmt.Errorf("\"equals\" is longer than any sum")
		}
		if _, _, err := new(big.Float).Parse(string(n), 10); err != nil {
			return q, fmt.Errorf("\"equals\" is out of range")
		}
		if len(q.Left.By) > 0 {
			return q, fmt.Errorf("with \"by\", \"equals\" must be an object with \"by\"")
		}
		q.Number = string(n)
	}
	return q, nil
}

func (j aggregateJSON) parse() (a Aggregate, err error) {
	if (len(j.Sum) == 0) == (len(j.Count) == 0) {
		return a, fmt.Errorf("it needs either \"sum\" or \"count\"")
	}
	for _, s := range j.Sum {
		c, err := parseColumnRef(s)
		if err != nil {
			return a, err
		}
		a.Sum = append(a.Sum, c)
	}
	for _, s := range j.Count {
		t, err := model.ParseTableName(s)
		if err != nil {
			return a, err
		}
		a.Count = append(a.Count, t)
	}
	if len(j.By) == 0 {
		return a, nil
	}
	if len(j.By) != len(a.Sum)+len(a.Count) {
		return a, fmt.Errorf("\"by\" names %d columns for %d terms", len(j.By), len(a.Sum)+len(a.Count))
	}
	for i, s := range j.By {
		c, err := parseColumnRef(s)
		if err != nil {
			return a, err
		}
		if c.Table != a.term(i) {
			return a, fmt.Errorf("\"by\" %s is not a column of %s", c, a.term(i))
		}
		a.By = append(a.By, c)
	}
	return a, nil
}

// term is the table of term i.
func (a Aggregate) term(i int) model.TableName {
	if len(a.Sum) > 0 {
		return a.Sum[i].Table
	}
	return a.Count[i]
}

func (a Aggregate) terms() int { return len(a.Sum) + len(a.Count) }

func parseColumnRef(s string) (ColumnRef, error) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 || i == len(s)-1 {
		return ColumnRef{}, fmt.Errorf("%q is not a column; write namespace.table.column", s)
	}
	t, err := model.ParseTableName(s[:i])
	if err != nil {
		return ColumnRef{}, fmt.Errorf("%q is not a column; write namespace.table.column", s)
	}
	return ColumnRef{Table: t, Column: s[i+1:]}, nil
}
