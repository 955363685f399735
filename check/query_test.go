package check_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stillpoint-db/stillpoint/check"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

func TestQueriesAreEvaluatedOnSettledRows(t *testing.T) {
	w := newWorld(t, openMemory)
	w.put("bank.accounts", prepared(0, "done", 40))   // 100 -> 40
	w.put("bank.accounts", inserted(7, "done", 60))   // new
	w.put("bank.accounts", prepared(1, "gone", 1))    // stays 100
	w.put("bank.accounts", inserted(8, "gone", 1000)) // never was
	w.put("bank.accounts", prepared(2, "done", 100).with(columns{"tx_state": 2}))
	w.decide("done", record.Committed, t0+20)
	for i, amount := range []int{40, 99, 1, 60} {
		account := []int{0, 1, 1, 7}[i]
		w.put("bank.history", columns{"account": account, "seq": i, "amount": amount, "rate": 0.1})
	}
	queries, err := check.ParseQueries([]byte(`{"format": 1, "queries": [
		{"name": "sum", "sum": ["bank.accounts.balance"], "equals": 200},
		{"name": "over two databases", "sum": ["bank.accounts.balance", "vault.accounts.balance"], "equals": 500},
		{"name": "count", "count": ["bank.accounts"], "equals": 3},
		{"name": "decimals", "sum": ["bank.history.rate"], "equals": 0.4},
		{"name": "two aggregates", "sum": ["bank.accounts.balance"], "equals": {"sum": ["bank.history.amount"]}},
		{"name": "history", "sum": ["bank.accounts.balance"], "by": ["bank.accounts.id"], "equals": {"sum": ["bank.history.amount"], "by": ["bank.history.account"]}},
		{"name": "wrong sum", "sum": ["bank.accounts.balance"], "equals": 201},
		{"name": "near enough", "sum": ["bank.accounts.balance"], "equals": 201, "tolerance": 1},
		{"name": "wrong groups", "count": ["bank.accounts"], "by": ["bank.accounts.id"], "equals": {"count": ["bank.history"], "by": ["bank.history.account"]}}
	]}`))
	w.must(err)
	for _, live := range []bool{false, true} {
		rep := w.check(live, check.Options{Queries: queries, Memory: 500})
		for _, q := range rep.Queries {
			want := check.QueryOK
			if strings.HasPrefix(q.ID, "wrong") {
				want = check.QueryFailed
			}
			if q.Status != want {
				t.Errorf("live %v: %+v, want %s", live, q, want)
			}
		}
		if last := rep.Queries[8]; last.Got != "1 for 1" || last.Want != "2" || last.Groups != 3 || last.Wrong != 1 {
			t.Errorf("live %v: %+v", live, last)
		}
		if rep.Counts["V16"] != 2 || rep.Consistent {
			t.Errorf("live %v: %v", live, rep.Violations)
		}
	}
}

func TestSumsAreExactBeyond64Bits(t *testing.T) {
	w := newWorld(t, openMemory)
	w.put("bank.accounts", columns{"id": 20, "balance": math.MaxInt64})
	w.put("bank.accounts", columns{"id": 21, "balance": math.MaxInt64})
	w.put("bank.accounts", columns{"id": 22, "balance": -1})
	queries, err := check.ParseQueries([]byte(`{"format":1,"queries":[{"name":"q","sum":["bank.accounts.balance"],"equals":18446744073709551913}]}`))
	w.must(err)
	if rep := w.check(false, check.Options{Queries: queries}); rep.Queries[0].Status != check.QueryOK {
		t.Errorf("%+v", rep.Queries[0]) // 2*(2^63-1) - 1 + 300
	}
}

func TestQueryAboutWhatIsNotThereIsABadArgument(t *testing.T) {
	w := newWorld(t, openMemory)
	for file, want := range map[string]string{
		`{"format":1,"queries":[{"name":"q","sum":["bank.accounts.balanse"],"equals":1}]}`:                                                                        `did you mean "balance"?`,
		`{"format":1,"queries":[{"name":"q","count":["bank.account"],"equals":1}]}`:                                                                               "did you mean bank.accounts?",
		`{"format":1,"queries":[{"name":"q","sum":["bank.accounts.note"],"equals":1}]}`:                                                                           "is TEXT and cannot be summed",
		`{"format":1,"queries":[{"name":"q","count":["bank.history"],"by":["bank.history.rate"],"equals":{"count":["bank.history"],"by":["bank.history.seq"]}}]}`: "is DOUBLE and cannot be grouped by",
	} {
		queries, err := check.ParseQueries([]byte(file))
		w.must(err)
		_, err = check.Run(t.Context(), w.source(), check.Options{Queries: queries})
		if !errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", file, err, want)
		}
	}
}

var badQueryFiles = map[string]string{
	"":                            "EOF",
	"{}":                          "format is 0",
	`{"format":2,"queries":[]}`:   "reads format 1",
	`{"format":1,"queries":[]} x`: "follows",
	`{"format":1,"query":[]}`:     "unknown field",
	`{"format":1,"queries":[{"sum":["a.b.c"],"equals":1}]}`:                                                    "no name",
	`{"format":1,"queries":[{"name":"q","equals":1}]}`:                                                         `either "sum" or "count"`,
	`{"format":1,"queries":[{"name":"q","count":["a.b"]}]}`:                                                    `no "equals"`,
	`{"format":1,"queries":[{"name":"q","sum":["b"],"equals":1}]}`:                                             "not a column",
	`{"format":1,"queries":[{"name":"q","count":["a.b"],"equals":"1"}]}`:                                       "neither a number",
	`{"format":1,"queries":[{"name":"q","count":["a.b"],"equals":null}]}`:                                      "neither a number",
	`{"format":1,"queries":[{"name":"q","count":["a.b"],"by":["a.c.d"],"equals":{"count":["a.b"]}}]}`:          "not a column of",
	`{"format":1,"queries":[{"name":"q","count":["a.b"],"by":["a.b.d"],"equals":{"count":["a.b"]}}]}`:          "the other has not",
	`{"format":1,"queries":[{"name":"q","count":["a.b"],"by":["a.b.d"],"equals":1}]}`:                          "must be an object",
	`{"format":1,"queries":[{"name":"q","count":["a.b"],"equals":1},{"name":"q","count":["a.b"],"equals":1}]}`: "two queries",
	`{"format":1,"queries":[{"name":"q","count":["a.b"],"equals":1,"tolerance":-1}]}`:                          "negative",
}

func TestBadQueryFileIsABadArgument(t *testing.T) {
	for file, want := range badQueryFiles {
		_, err := check.ParseQueries([]byte(file))
		if !errors.Is(err, model.ErrBadArgument) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", file, err, want)
		}
	}
}

func FuzzParseQueries(f *testing.F) {
	for file := range badQueryFiles {
		f.Add([]byte(file))
	}
	f.Add([]byte(`{"format":1,"queries":[{"name":"q","sum":["a.b.c"],"by":["a.b.d"],"equals":{"count":["a.e"],"by":["a.e.f"]},"tolerance":0.5}]}`))
	f.Add([]byte(`{"format":1,"queries":[{"name":"q","sum":["a.b.c"],"equals":1e300}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		queries, err := check.ParseQueries(data)
		if err != nil {
			if !errors.Is(err, model.ErrBadArgument) {
				t.Errorf("class of %v", err)
			}
			return
		}
		for _, q := range queries {
			if q.Name == "" || (q.Right == nil) == (q.Number == "") || len(q.Left.Sum)+len(q.Left.Count) == 0 {
				t.Errorf("accepted %+v", q)
			}
		}
	})
}
