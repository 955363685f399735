package history

// Check returns what in the history an isolation level forbids; nothing if the
// history is right.
func Check(h History, level Level) []Anomaly {
	x := newIndex(h, level)
	g := newGraph(x.txns)
	for key, ls := range x.lives {
		for _, l := range ls {
			x.chain(g, l)
			x.finals(l)
		}
		x.succession(g, ls)
		x.gaps(g, key, ls)
	}
	x.cycles(g)
	return x.found
}

// chain adds the dependencies within one life of a key.
func (x *index) chain(g *graph, l *life) {
	for i, token := range l.tokens {
		w := x.writer[at(l.key, token)]
		next := l.deleter
		if i+1 < len(l.tokens) {
			next = x.writer[at(l.key, l.tokens[i+1])]
		}
		g.add(w, next, ww)
		for _, r := range l.readers[i] {
			g.add(w, r, wr)
			g.add(r, next, rw)
			if x.level != ReadCommitted && next != nil && next != r && next.Outcome == Committed && next.End < r.Begin && !r.Final {
				x.report(StaleRead, []*Txn{next, r}, "key %s", l.key)
			}
		}
	}
}

// finals checks that final reads saw the last version of a life.
func (x *index) finals(l *life) {
	for i, rs := range l.readers {
		for _, r := range rs {
			if !r.Final {
				continue
			}
			missed := l.deleter
			if i+1 < len(l.tokens) {
				missed = x.writer[at(l.key, l.tokens[i+1])]
			}
			switch {
			case missed == nil:
			case missed.Outcome == Committed:
				x.report(LostWrite, []*Txn{missed}, "key %s is [%s] in the end", l.key, Join(l.tokens[:i+1]))
			case x.claimed[missed]:
				x.report(Fractured, []*Txn{missed}, "key %s is [%s] in the end, and other writes of this transaction were seen", l.key, Join(l.tokens[:i+1]))
			}
		}
	}
}

// succession orders the lives of a key by the clock, where it can.
func (x *index) succession(g *graph, ls []*life) {
	for _, a := range ls {
		for _, b := range ls {
			if a != b && a.deleter != nil && x.precedes(a, b) {
				g.add(a.deleter, x.first(b), ww)
			}
		}
	}
}

func (x *index) first(l *life) *Txn { return x.writer[at(l.key, l.tokens[0])] }

// members returns the transactions that made a life.
func (x *index) members(l *life) []*Txn {
	ms := x.writers(l)
	if l.deleter != nil {
		ms = append(ms, l.deleter)
	}
	return ms
}

// precedes tells whether something of life a ended before something of b began.
func (x *index) precedes(a, b *life) bool {
	for _, s := range x.members(a) {
		for _, t := range x.members(b) {
			if s.Outcome == Committed && s != t && s.End < t.Begin {
				return true
			}
		}
	}
	return false
}

// gaps places the reads that found no row between the lives of the key.
func (x *index) gaps(g *graph, key string, ls []*life) {
	for _, r := range x.absent[key] {
		for _, l := range ls {
			first := x.first(l)
			if first == nil || first == r || l.deleter == r {
				continue
			}
			over := l.deleter != nil || x.maybe[l]
			switch {
			case first.Outcome == Committed && first.End < r.Begin && over:
				if x.level != ReadCommitted {
					g.add(l.deleter, r, wr)
				}
			case first.Outcome == Committed && first.End < r.Begin && !r.Final:
				if x.level != ReadCommitted {
					x.report(StaleRead, []*Txn{first, r}, "key %s", key)
				}
			case !over || x.outlives(l, r):
				g.add(r, first, rw)
			}
		}
	}
}

// outlives tells whether a life went on after a transaction had ended.
func (x *index) outlives(l *life, r *Txn) bool {
	for _, m := range x.members(l) {
		if r.Outcome == Committed && r.End < m.Begin {
			return true
		}
	}
	return false
}

// cycles reports the worst circle of dependencies that the level forbids.
func (x *index) cycles(g *graph) {
	look := func(kind Kind, kinds, once dep, realTime bool) bool {
		txns := g.cycle(kinds, once)
		if txns == nil {
			return false
		}
		x.found = append(x.found, Anomaly{Kind: kind, RealTime: realTime, Txns: txns})
		return true
	}
	search := func(time dep) bool {
		if look(G0, ww|time, 0, time != 0) || look(G1c, ww|wr|time, 0, time != 0) {
			return true
		}
		if x.level < Serializable {
			return false
		}
		return look(GSingle, ww|wr|time, rw, time != 0) || look(G2, ww|wr|rw|time, 0, time != 0)
	}
	if search(0) || x.level == Serializable {
		return
	}
	g.addTime()
	search(rt)
}
