package model

import "strings"

// Op is a comparison.
type Op uint8

// The comparisons. As in SQL, each but IsNull and IsNotNull is false when the
// column is NULL, and all are false on a row that does not exist.
const (
	Eq Op = iota + 1
	Ne
	Gt
	Ge
	Lt
	Le
	IsNull
	IsNotNull
	Like    // scans only
	NotLike // scans only
)

var opText = [...]string{Eq: "=", Ne: "<>", Gt: ">", Ge: ">=", Lt: "<", Le: "<=", IsNull: "IS NULL", IsNotNull: "IS NOT NULL", Like: "LIKE", NotLike: "NOT LIKE"}

// String returns the SQL form.
func (o Op) String() string {
	if o >= 1 && int(o) < len(opText) {
		return opText[o]
	}
	return "?"
}

// Condition compares one column with a value.
type Condition struct {
	Column string
	Op     Op
	Value  Value  // not used by IsNull and IsNotNull
	Escape string // Like and NotLike: the escape character; "" means none
}

// Predicate is a disjunction of conjunctions: true if all conditions of any one
// list hold. A nil or empty Predicate is true.
type Predicate [][]Condition

// Holds evaluates the condition on a value of its column.
func (c Condition) Holds(v Value) bool {
	switch c.Op {
	case IsNull:
		return v.null
	case IsNotNull:
		return v.IsSet() && !v.null
	}
	if !v.IsSet() || v.null || c.Value.null || !c.Value.IsSet() {
		return false
	}
	switch c.Op {
	case Like:
		return like(v.s, c.Value.s, c.Escape)
	case NotLike:
		return !like(v.s, c.Value.s, c.Escape)
	}
	d := v.Compare(c.Value)
	switch c.Op {
	case Eq:
		return d == 0
	case Ne:
		return d != 0
	case Gt:
		return d > 0
	case Ge:
		return d >= 0
	case Lt:
		return d < 0
	case Le:
		return d <= 0
	}
	return false
}

// Holds evaluates the predicate on a row; false on nil.
func (p Predicate) Holds(r *Row) bool {
	if r == nil {
		return false
	}
	if len(p) == 0 {
		return true
	}
	for _, and := range p {
		ok := true
		for _, c := range and {
			if !c.Holds(r.Get(c.Column)) {
				ok = false
				break
			}
		}
		if ok {
			return true
		}
	}
	return false
}

// Check reports a condition that table t cannot answer.
func (c Condition) Check(t *Table) error {
	i, err := t.Column(c.Column)
	if err != nil {
		return err
	}
	switch c.Op {
	case IsNull, IsNotNull:
		return nil
	case Like, NotLike:
		if t.columns[i].Type != Text {
			return Errorf(ErrBadArgument, "LIKE needs a TEXT column; %s of %s is %s", c.Column, t.name, t.columns[i].Type)
		}
		if len([]rune(c.Escape)) > 1 {
			return Errorf(ErrBadArgument, "the escape of LIKE is one character, not %q", c.Escape)
		}
	case Eq, Ne, Gt, Ge, Lt, Le:
	default:
		return Errorf(ErrBadArgument, "condition on %s of %s has no comparison", c.Column, t.name)
	}
	if c.Value.t != t.columns[i].Type {
		return Errorf(ErrBadArgument, "%s of %s is %s and cannot be compared with %s", c.Column, t.name, t.columns[i].Type, c.Value.t)
	}
	if c.Value.null {
		return Errorf(ErrBadArgument, "%s of %s cannot be compared with NULL; use IS NULL", c.Column, t.name)
	}
	return c.Value.Check()
}

// Check reports the first condition that table t cannot answer.
func (p Predicate) Check(t *Table) error {
	for _, and := range p {
		for _, c := range and {
			if err := c.Check(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// like matches s with an SQL LIKE pattern, case-sensitively.
func like(s, pattern, escape string) bool {
	type token struct {
		lit  rune
		kind byte // 'l' literal, '_' one, '%' any
	}
	var toks []token
	rs := []rune(pattern)
	for i := 0; i < len(rs); i++ {
		switch {
		case escape != "" && string(rs[i]) == escape && i+1 < len(rs):
			i++
			toks = append(toks, token{rs[i], 'l'})
		case rs[i] == '%':
			toks = append(toks, token{kind: '%'})
		case rs[i] == '_':
			toks = append(toks, token{kind: '_'})
		default:
			toks = append(toks, token{rs[i], 'l'})
		}
	}
	text := []rune(s)
	ti, pi, star, mark := 0, 0, -1, 0
	for ti < len(text) {
		switch {
		case pi < len(toks) && toks[pi].kind == '%':
			star, mark = pi, ti
			pi++
		case pi < len(toks) && (toks[pi].kind == '_' || toks[pi].kind == 'l' && toks[pi].lit == text[ti]):
			ti++
			pi++
		case star >= 0:
			mark++
			pi, ti = star+1, mark
		default:
			return false
		}
	}
	for pi < len(toks) && toks[pi].kind == '%' {
		pi++
	}
	return pi == len(toks)
}

// String renders the condition for people.
func (c Condition) String() string {
	if c.Op == IsNull || c.Op == IsNotNull {
		return c.Column + " " + c.Op.String()
	}
	return c.Column + " " + c.Op.String() + " " + c.Value.String()
}

// String renders the predicate for people.
func (p Predicate) String() string {
	ors := make([]string, len(p))
	for i, and := range p {
		cs := make([]string, len(and))
		for j, c := range and {
			cs[j] = c.String()
		}
		ors[i] = strings.Join(cs, " AND ")
	}
	return strings.Join(ors, " OR ")
}
