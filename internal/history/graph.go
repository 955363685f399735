package history

import (
	"cmp"
	"slices"
)

// dep is a kind of dependency; a set of them is their sum.
type dep uint8

const (
	ww dep = 1 << iota
	wr
	rw
	rt // one ended before the other began
)

type edge struct {
	to   int
	kind dep
}

// graph has the transactions as its first nodes; the others are moments, in
// order, so that real time costs few edges.
type graph struct {
	txns  []*Txn
	node  map[*Txn]int
	edges [][]edge
}

func newGraph(txns []*Txn) *graph {
	g := &graph{txns: txns, node: make(map[*Txn]int, len(txns)), edges: make([][]edge, len(txns))}
	for i, t := range txns {
		g.node[t] = i
	}
	return g
}

// add adds a dependency; nil, unknown and equal transactions have none.
func (g *graph) add(from, to *Txn, k dep) {
	a, ok1 := g.node[from]
	b, ok2 := g.node[to]
	if !ok1 || !ok2 || a == b {
		return
	}
	if e := (edge{b, k}); !slices.Contains(g.edges[a], e) {
		g.edges[a] = append(g.edges[a], e)
	}
}

// addTime adds the moments at which transactions ended.
func (g *graph) addTime() {
	ended := slices.DeleteFunc(slices.Clone(g.txns), func(t *Txn) bool { return t.Outcome != Committed })
	slices.SortFunc(ended, func(a, b *Txn) int { return cmp.Compare(a.End, b.End) })
	first := len(g.edges)
	for i, t := range ended {
		g.edges[g.node[t]] = append(g.edges[g.node[t]], edge{first + i, rt})
		var next []edge
		if i+1 < len(ended) {
			next = []edge{{first + i + 1, rt}}
		}
		g.edges = append(g.edges, next)
	}
	for i, t := range g.txns {
		n, _ := slices.BinarySearchFunc(ended, t.Begin, func(e *Txn, begin int64) int { return cmp.Compare(e.End, begin) })
		if n > 0 {
			m := first + n - 1
			g.edges[m] = append(g.edges[m], edge{i, rt})
		}
	}
}

// components numbers the strongly connected components of the graph of some
// kinds of edges (Tarjan); nodes of one component have equal numbers.
func (g *graph) components(kinds dep) (of []int, size []int) {
	n := len(g.edges)
	of = make([]int, n)
	low, num, onStack := make([]int, n), make([]int, n), make([]bool, n)
	var stack []int
	count := 0
	var visit func(v int)
	visit = func(v int) {
		count++
		num[v], low[v] = count, count
		stack = append(stack, v)
		onStack[v] = true
		for _, e := range g.edges[v] {
			if e.kind&kinds == 0 {
				continue
			}
			if num[e.to] == 0 {
				visit(e.to)
				low[v] = min(low[v], low[e.to])
			} else if onStack[e.to] {
				low[v] = min(low[v], num[e.to])
			}
		}
		if low[v] != num[v] {
			return
		}
		size = append(size, 0)
		for {
			w := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			onStack[w] = false
			of[w] = len(size) - 1
			size[len(size)-1]++
			if w == v {
				return
			}
		}
	}
	for v := range n {
		if num[v] == 0 {
			visit(v)
		}
	}
	return of, size
}

// cycle returns a short circle of edges of some kinds, or nil. With once, it
// takes exactly one edge of that kind and otherwise only kinds.
func (g *graph) cycle(kinds, once dep) []*Txn {
	of, size := g.components(kinds | once)
	var best []int
	for a := range g.edges {
		if size[of[a]] < 2 {
			continue
		}
		for _, e := range g.edges[a] {
			start := kinds
			if once != 0 {
				start = once
			}
			if e.kind&start == 0 || of[e.to] != of[a] || a >= len(g.txns) {
				continue
			}
			if path := g.path(e.to, a, kinds, of); path != nil && (best == nil || len(path) < len(best)) {
				best = path
			}
		}
	}
	var txns []*Txn
	for _, v := range best {
		if v < len(g.txns) {
			txns = append(txns, g.txns[v])
		}
	}
	return txns
}

// path returns a shortest path within one component, both ends included.
func (g *graph) path(from, to int, kinds dep, of []int) []int {
	prev := map[int]int{from: -1}
	queue := []int{from}
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		if v == to {
			var p []int
			for ; v >= 0; v = prev[v] {
				p = append(p, v)
			}
			slices.Reverse(p)
			return p
		}
		for _, e := range g.edges[v] {
			if _, seen := prev[e.to]; !seen && e.kind&kinds != 0 && of[e.to] == of[from] {
				prev[e.to] = v
				queue = append(queue, e.to)
			}
		}
	}
	return nil
}
