package check

import (
	"bytes"
	"fmt"
)

// answers compares what was computed with what is expected.
func (e *evaluator) answers() ([]QueryResult, error) {
	results := make([]QueryResult, len(e.queries))
	for i, q := range e.queries {
		left, right := &e.totals[i][0], &e.totals[i][1]
		results[i] = QueryResult{ID: q.Name, Status: QueryOK, Got: left.String(), Want: right.String()}
		if !left.equal(right, q.Tolerance) {
			results[i].Status = QueryFailed
		}
	}
	return results, e.compareGroups(results)
}

// compareGroups walks the contributions of grouped queries, group by group.
func (e *evaluator) compareGroups(results []QueryResult) error {
	for i, q := range e.queries {
		if len(q.Left.By) > 0 {
			results[i] = QueryResult{ID: q.Name, Status: QueryOK}
		}
	}
	var key []byte
	var sides [2]total
	flush := func() {
		if key == nil {
			return
		}
		at := int(key[0])<<8 | int(key[1])
		r := &results[at]
		r.Groups++
		if sides[0].equal(&sides[1], e.queries[at].Tolerance) {
			return
		}
		r.Wrong++
		if r.Status == QueryOK {
			d := decoder{b: key[2:]}
			r.Status = QueryFailed
			r.Got, r.Want = fmt.Sprintf("%s for %s", &sides[0], d.value()), sides[1].String()
		}
	}
	for entry, err := range e.groups.Sorted() {
		if err != nil {
			return err
		}
		if !bytes.Equal(entry.Key, key) {
			flush()
			key = append(make([]byte, 0, len(entry.Key)), entry.Key...)
			sides = [2]total{}
		}
		d := decoder{b: entry.Value}
		side := d.byte() & 1
		sides[side].addValue(d.value())
		if err := d.err(); err != nil {
			return err
		}
	}
	flush()
	for i := range results {
		r := &results[i]
		if len(e.queries[i].Left.By) == 0 {
			continue
		}
		if r.Status == QueryOK {
			r.Got = fmt.Sprintf("%s groups equal", group(r.Groups))
			r.Want = r.Got
		} else if r.Wrong > 1 {
			r.Got = fmt.Sprintf("%s (and %s more groups)", r.Got, group(r.Wrong-1))
		}
	}
	return nil
}
