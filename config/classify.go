package config

import (
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// classify judges every key that was given: known, known to others, near a
// known one, or unknown.
func (l *loader) classify() {
	for _, e := range slices.SortedFunc(maps.Values(l.given), func(a, b entry) int { return a.seq - b.seq }) {
		key := e.key
		prefix, plain := "", key // plain is the key as it would read without a storage's name
		if name, rest, kind := l.split(key); kind != notOfStorage {
			if kind == badStorage {
				l.strange(e)
				continue
			}
			prefix = key[:len(key)-len(rest)]
			plain = scalar + rest
			if strings.HasPrefix(key, stillpoint) {
				plain = stillpoint + rest
			}
			if k, ok := l.keys[plain]; ok {
				if k.perStorage {
					l.apply(k, e)
				} else {
					l.notice(slog.LevelWarn, "%s: %s has no effect: it cannot be set for one storage (%s) alone", e.where, key, name)
				}
				continue
			}
		}
		l.judge(e, prefix, plain)
	}
	if len(l.others) > 0 {
		l.notice(slog.LevelInfo, "%s: properties of other ScalarDB products are ignored: %s", l.name, strings.Join(l.others, ", "))
	}
}

// strange judges a key of a storage that is not named.
func (l *loader) strange(e entry) {
	if len(l.names) == 0 {
		l.notice(slog.LevelWarn, "%s: %s has no effect: %sstorages is not in use", e.where, e.key, multiKey)
		return
	}
	tail := strings.TrimPrefix(strings.TrimPrefix(e.key, storagePrefix), ownStoragePrefix)
	name, _, _ := strings.Cut(tail, ".")
	l.fail(e, "%s: %s", e.key, l.noStorage(name))
}

// judge decides about a key that is not a storage's known one.
func (l *loader) judge(e entry, prefix, plain string) {
	if _, ok := l.keys[plain]; ok || plain == oldIsolation {
		return
	}
	if u, ok := ignored[plain]; ok {
		if e.value != "" && !strings.EqualFold(e.value, u.same) {
			l.notice(slog.LevelInfo, "%s: %s is ignored: %s", e.where, e.key, u.reason)
		}
		return
	}
	for _, other := range others {
		if strings.HasPrefix(plain, other) {
			l.others = append(l.others, e.key)
			return
		}
	}
	near := l.nearest(plain)
	if near != "" && prefix != "" {
		near = prefix + strings.TrimPrefix(strings.TrimPrefix(near, scalar), stillpoint)
	}
	switch {
	case near != "":
		l.fail(e, "%s is not a known property; did you mean %s?", e.key, near)
	case strings.HasPrefix(plain, stillpoint):
		l.fail(e, "%s is not a known property; those that begin with stillpoint. are %s", e.key, strings.Join(ownNames(), ", "))
	default:
		l.notice(slog.LevelWarn, "%s: %s is not a known property and is ignored", e.where, e.key)
	}
}

// nearest finds the known key that a typing error most likely meant: few
// letters away, spelt with other separators, or cut short.
func (l *loader) nearest(key string) string {
	if len(key) > 200 {
		return ""
	}
	own := strings.HasPrefix(key, stillpoint)
	trim := func(s string) string { return strings.TrimPrefix(strings.TrimPrefix(s, scalar), stillpoint) }
	best, bestDist := "", 1+min(3, max(1, len(trim(key))/4))
	if own {
		best = model.Nearest(trim(key), func(yield func(string) bool) {
			for _, name := range ownNames() {
				if !yield(trim(name)) {
					return
				}
			}
		})
		if best != "" {
			return stillpoint + best
		}
		return ""
	}
	all := slices.AppendSeq(append(slices.Collect(maps.Keys(l.keys)), oldIsolation), maps.Keys(ignored))
	for _, known := range slices.Sorted(slices.Values(all)) {
		if strings.HasPrefix(known, stillpoint) {
			continue
		}
		if rest, cut := strings.CutPrefix(known, key); squeeze(known) == squeeze(key) || cut && slices.Contains(ends, rest) {
			return known
		}
		if d := model.Distance(trim(key), trim(known)); d < bestDist {
			best, bestDist = known, d
		}
	}
	return best
}

// ends are what keys are cut short of.
var ends = []string{".enabled", "_secs", "_millis"}

var squeezer = strings.NewReplacer("_", "", "-", "", ".", "")

func squeeze(s string) string { return squeezer.Replace(strings.ToLower(s)) }

func ownNames() []string {
	var names []string
	for _, k := range ownKeys() {
		names = append(names, k.Name)
	}
	return names
}
