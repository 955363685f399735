package history

import (
	"fmt"
	"maps"
	"slices"
)

// life is one life of a key, from its insert to its delete: the tokens in the
// order in which they were appended.
type life struct {
	key     string
	tokens  []string
	readers [][]*Txn // readers[i] read the list that ends with tokens[i]
	deleter *Txn
}

// index is what the lists of a history tell.
type index struct {
	level   Level
	txns    []*Txn          // that count as committed
	writer  map[string]*Txn // of a token, by key and token; aborted ones too
	lives   map[string][]*life
	absent  map[string][]*Txn // who read that a key is not there
	found   []Anomaly
	claimed map[*Txn]bool  // unknown ones that must have committed
	settled int            // how many of those were known when the lists were read
	maybe   map[*life]bool // that an unknown transaction may have ended
}

func (x *index) report(k Kind, txns []*Txn, format string, args ...any) {
	a := Anomaly{Kind: k, Detail: fmt.Sprintf(format, args...), Txns: txns}
	if !slices.ContainsFunc(x.found, func(b Anomaly) bool { return b.Kind == a.Kind && b.Detail == a.Detail }) {
		x.found = append(x.found, a)
	}
}

func at(key, token string) string { return key + "\x00" + token }

// newIndex reads a history. What it finds out about transactions of unknown
// outcome may tell about others, so it begins again with each that it claims by
// a delete.
func newIndex(h History, level Level) *index {
	claimed := map[*Txn]bool{}
	for {
		x := readHistory(h, level, claimed)
		if len(x.claimed) == x.settled {
			return x
		}
		claimed = x.claimed
	}
}

func readHistory(h History, level Level, claimed map[*Txn]bool) *index {
	x := &index{level: level, writer: map[string]*Txn{}, lives: map[string][]*life{}, absent: map[string][]*Txn{},
		claimed: maps.Clone(claimed), maybe: map[*life]bool{}}
	for _, t := range h {
		for _, o := range t.Ops {
			if o.Write && len(o.List) > 0 {
				x.addWriter(t, o)
			}
		}
	}
	x.claim(h)
	x.settled = len(x.claimed)
	for _, t := range h {
		if t.Outcome == Committed || x.claimed[t] {
			x.txns = append(x.txns, t)
			x.internal(t)
		}
	}
	x.order()
	for _, t := range x.txns {
		x.reads(t)
		x.deletes(t)
	}
	x.assignDeletes(h)
	return x
}

func (x *index) addWriter(t *Txn, o Op) {
	token := at(o.Key, o.List[len(o.List)-1])
	if w := x.writer[token]; w != nil && w != t {
		x.report(Phantom, []*Txn{w, t}, "token %s of key %s was written twice: the workload is wrong", o.List[len(o.List)-1], o.Key)
	}
	x.writer[token] = t
}

// claim finds the transactions of unknown outcome whose writes a committed one
// has seen, and so on: they have committed.
func (x *index) claim(h History) {
	queue := slices.Clone(h)
	for len(queue) > 0 {
		t := queue[0]
		queue = queue[1:]
		if t.Outcome != Committed && !x.claimed[t] {
			continue
		}
		for _, o := range t.Ops {
			for _, token := range o.List {
				if w := x.writer[at(o.Key, token)]; w != nil && w != t && w.Outcome == Unknown && !x.claimed[w] {
					x.claimed[w] = true
					queue = append(queue, w)
				}
			}
		}
	}
}

// internal checks that a transaction sees its own writes, and reads the same
// twice.
func (x *index) internal(t *Txn) {
	last := map[string]Op{}
	for _, o := range t.Ops {
		p, ok := last[o.Key]
		if ok && !o.Write && !slices.Equal(p.List, o.List) && (p.Write || x.level != ReadCommitted) {
			x.report(Internal, []*Txn{t}, "%s, then %s", p, o)
		}
		if ok && o.Write && len(o.List) > 0 && len(p.List) > 0 && !isPrefix(p.List, o.List) {
			x.report(Internal, []*Txn{t}, "%s, then %s: the workload is wrong", p, o)
		}
		last[o.Key] = o
	}
}

// order finds the lives of each key and the longest list of each.
func (x *index) order() {
	for _, t := range x.txns {
		for _, o := range t.Ops {
			if len(o.List) == 0 {
				continue
			}
			l := x.life(o.Key, o.List[0])
			if l == nil {
				l = &life{key: o.Key}
				x.lives[o.Key] = append(x.lives[o.Key], l)
			}
			switch {
			case isPrefix(o.List, l.tokens):
			case isPrefix(l.tokens, o.List):
				l.tokens = o.List
			default:
				x.report(LostUpdate, x.fork(l, o.List), "key %s was [%s] and [%s]", o.Key, Join(l.tokens), Join(o.List))
				continue
			}
		}
	}
	for _, ls := range x.lives {
		for _, l := range ls {
			l.readers = make([][]*Txn, len(l.tokens))
		}
	}
}

// fork returns the transactions that wrote the first tokens in which two lists
// differ.
func (x *index) fork(l *life, list []string) (txns []*Txn) {
	for i := range min(len(l.tokens), len(list)) {
		if l.tokens[i] != list[i] {
			for _, token := range []string{l.tokens[i], list[i]} {
				if w := x.writer[at(l.key, token)]; w != nil {
					txns = append(txns, w)
				}
			}
			break
		}
	}
	return txns
}

func (x *index) life(key, first string) *life {
	for _, l := range x.lives[key] {
		if len(l.tokens) > 0 && l.tokens[0] == first {
			return l
		}
	}
	return nil
}

// reads checks what a transaction read and notes it as a reader.
func (x *index) reads(t *Txn) {
	own := map[string]bool{}
	for _, o := range t.Ops {
		if o.Write {
			own[o.Key] = true
			continue
		}
		if own[o.Key] {
			continue
		}
		if len(o.List) == 0 {
			x.absent[o.Key] = append(x.absent[o.Key], t)
			continue
		}
		for _, token := range o.List {
			w := x.writer[at(o.Key, token)]
			switch {
			case w == nil:
				x.report(Phantom, []*Txn{t}, "nobody wrote token %s of key %s", token, o.Key)
			case w.Outcome == Aborted:
				x.report(G1a, []*Txn{w, t}, "token %s of key %s", token, o.Key)
			}
		}
		last := o.List[len(o.List)-1]
		if w := x.writer[at(o.Key, last)]; w != nil && w != t && w.replaces(o.Key, last) {
			x.report(G1b, []*Txn{w, t}, "token %s of key %s", last, o.Key)
		}
		l := x.life(o.Key, o.List[0])
		if i := slices.Index(l.tokens, last); i >= 0 && !slices.Contains(l.readers[i], t) {
			l.readers[i] = append(l.readers[i], t)
		}
	}
}

// replaces tells whether the transaction itself overwrote a token later.
func (t *Txn) replaces(key, token string) bool {
	seen, replaced := false, false
	for _, o := range t.Ops {
		if o.Write && o.Key == key {
			replaced = seen
			if n := len(o.List); n > 0 && o.List[n-1] == token {
				seen = true
			}
		}
	}
	return replaced
}

// deletes notes the transaction as the deleter of what it deleted.
func (x *index) deletes(t *Txn) {
	for l := range x.deleted(t) {
		if l.deleter != nil && l.deleter != t {
			x.report(LostUpdate, []*Txn{l.deleter, t}, "key %s with [%s] was deleted twice", l.key, Join(l.tokens))
		}
		l.deleter = t
	}
}

// deleted yields the lives that a transaction ended: those of keys that it had
// read or written before it deleted them.
func (x *index) deleted(t *Txn) func(yield func(*life) bool) {
	return func(yield func(*life) bool) {
		last := map[string][]string{}
		for _, o := range t.Ops {
			if o.Write && len(o.List) == 0 && len(last[o.Key]) > 0 {
				if l := x.life(o.Key, last[o.Key][0]); l != nil && !yield(l) {
					return
				}
			}
			last[o.Key] = o.List
		}
	}
}

// assignDeletes gives a life that must have ended, and that no committed
// transaction ended, the only one of unknown outcome that can have done it.
func (x *index) assignDeletes(h History) {
	candidates := map[*life][]*Txn{}
	for _, t := range h {
		if t.Outcome == Unknown && !x.claimed[t] {
			for l := range x.deleted(t) {
				candidates[l] = append(candidates[l], t)
			}
		}
	}
	for key, ls := range x.lives {
		for _, l := range ls {
			c := candidates[l]
			if l.deleter != nil {
				continue
			}
			x.maybe[l] = len(c) > 0
			switch {
			case !x.ended(key, l):
			case len(c) == 0:
				x.report(LostWrite, x.writers(l), "key %s with [%s] is gone and nobody deleted it", key, Join(l.tokens))
			case len(c) == 1:
				x.claimed[c[0]] = true
			}
		}
	}
}

// ended tells whether a life must be over: a final read has not found it.
func (x *index) ended(key string, l *life) bool {
	for _, t := range x.absent[key] {
		if t.Final {
			return true
		}
	}
	for _, other := range x.lives[key] {
		if other == l {
			continue
		}
		for _, rs := range other.readers {
			if slices.ContainsFunc(rs, func(t *Txn) bool { return t.Final }) {
				return true
			}
		}
	}
	return false
}

func (x *index) writers(l *life) (txns []*Txn) {
	for _, token := range l.tokens {
		if w := x.writer[at(l.key, token)]; w != nil && !slices.Contains(txns, w) {
			txns = append(txns, w)
		}
	}
	return txns
}

func isPrefix(p, list []string) bool { return len(p) <= len(list) && slices.Equal(p, list[:len(p)]) }
