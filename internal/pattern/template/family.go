package template

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// Clusters of different groups are one family if their templates have the same words and slots, whatever the delimiters and
// however many slots stand in a row. A family whose template is another's with a tail more joins it, and the tail becomes a slot:
//
//	renewed lease of <*>
//	renewed lease of <*> after <*> tries     -->  renewed lease of <*> <*>
//
// A tail with key=value in it says something of its own and stays apart.

type member struct{ group, cluster uint32 }

type family struct {
	key, stem uint64
	members   []member
	placed    bool // stem is known
}

// family returns the family with the key, or nil.
func (l *Library) family(key uint64) *family {
	i := l.byKey.find(key, func(i int) bool { return l.families.at(i).key == key })
	if i < 0 {
		return nil
	}
	return l.families.edit(i)
}

func (l *Library) familyKey(i int) uint64 { return l.families.at(i).key }

// newFamily makes an empty family with the key.
func (l *Library) newFamily(key uint64) *family {
	var i int
	if n := len(l.idle); n > 0 {
		i = int(l.idle[n-1])
		l.idle = l.idle[:n-1]
	} else {
		i = l.families.push(family{})
	}
	*l.families.edit(i) = family{key: key}
	l.byKey.insert(key, i, l.familyKey)
	return l.families.edit(i)
}

// dropFamily forgets a family that has lost all members.
func (l *Library) dropFamily(key uint64) {
	i := l.byKey.find(key, func(i int) bool { return l.families.at(i).key == key })
	if f := l.families.at(i); f.placed {
		l.byStem.remove(f.stem, i, l.familyStem)
	}
	l.byKey.remove(key, i, l.familyKey)
	*l.families.edit(i) = family{}
	l.idle = append(l.idle, uint32(i))
}

// minStem is the least number of words and slots of a template that takes tails.
const minStem = 3

// settle finds the patterns of the families whose keys are given and of those that share their first words. groups collects
// the groups whose clusters may have got another pattern.
func (l *Library) settle(keys map[uint64]struct{}, made renderings, groups map[uint32]struct{}, run *learning) {
	stems := map[uint64]struct{}{}
	for key := range keys {
		f := l.family(key)
		if len(f.members) == 0 {
			if f.placed {
				stems[f.stem] = struct{}{}
			}
			l.dropFamily(key)
			continue
		}
		if !f.placed {
			r := l.rendered(f.members[0], made)
			f.stem, f.placed = r.stem(), true
			i := l.byKey.find(key, func(i int) bool { return l.families.at(i).key == key })
			l.byStem.insert(f.stem, i, l.familyStem)
		}
		stems[f.stem] = struct{}{}
	}
	for _, stem := range slices.Sorted(maps.Keys(stems)) {
		for _, b := range l.bundles(stem, made) {
			l.name(b, made, groups, run)
		}
	}
}

// keysOf returns the keys of the families with a stem, sorted.
func (l *Library) keysOf(stem uint64) []uint64 {
	var keys []uint64
	l.byStem.all(stem, func(i int) {
		if f := l.families.at(i); f.stem == stem {
			keys = append(keys, f.key)
		}
	})
	slices.Sort(keys)
	return keys
}

func (l *Library) familyStem(i int) uint64 { return l.families.at(i).stem }

// bundle is the families of one pattern: the first has the template, the others have a tail more.
type bundle struct{ keys []uint64 }

// bundles finds which families with the same first words belong together.
func (l *Library) bundles(stem uint64, made renderings) []bundle {
	list := l.keysOf(stem)
	switch len(list) {
	case 0:
		return nil
	case 1:
		return []bundle{{keys: list}}
	}
	root := make(map[uint64]uint64, len(list))
	for _, key := range list {
		root[key] = key
		r := l.least(l.family(key).members, made)
		for _, p := range r.prefixes() {
			if k, ok := slices.BinarySearch(list, p); ok {
				root[key] = list[k]
				break
			}
		}
	}
	heads := map[uint64][]uint64{}
	for _, key := range list {
		if root[key] == key {
			heads[key] = append([]uint64{key}, heads[key]...)
		} else {
			heads[root[key]] = append(heads[root[key]], key)
		}
	}
	var out []bundle
	for _, key := range list {
		if root[key] == key {
			out = append(out, bundle{keys: heads[key]})
		}
	}
	return out
}

// name makes the pattern of a bundle and gives it to the clusters.
func (l *Library) name(b bundle, made renderings, groups map[uint32]struct{}, run *learning) {
	head := l.family(b.keys[0]).members
	best := l.rendered(head[0], made)
	bestText := best.text(nil)
	n := best.elements()
	diff := make(merged, n)
	for _, m := range head[1:] {
		r := l.rendered(m, made)
		diff.differences(&best, &r, n)
		if t := r.text(nil); t < bestText {
			best, bestText = r, t
		}
	}
	cutAt := make([][]int, len(b.keys)) // parts of the members of a family that the template covers
	for f, key := range b.keys[1:] {
		for _, m := range l.family(key).members {
			r := l.rendered(m, made)
			cutAt[f+1] = append(cutAt[f+1], r.partOf(n))
			diff.differences(&best, &r, n)
		}
	}
	text, slots := best.text(diff), best.slots(diff)
	if len(b.keys) > 1 {
		text += " " + pattern.Wildcard
		slots = append(slots, pattern.Slot{Name: unused("tail", slots), Type: pattern.Text})
	}
	plans := map[member][]slotPlan{}
	for f, key := range b.keys {
		for k, m := range l.family(key).members {
			r := l.rendered(m, made)
			whole := len(r.parts)
			if f > 0 {
				r.parts = r.parts[:cutAt[f][k]]
			}
			joinTypes(slots, r.slots(diff))
			plan := r.plan(diff)
			switch {
			case f > 0:
				plan = append(plan, slotPlan{first: uint8(len(r.parts)), last: uint8(whole - 1), tail: true})
			case len(b.keys) > 1:
				plan = append(plan, slotPlan{tail: true, last: noTail})
			}
			plans[m] = plan
		}
	}
	i := l.record(pattern.New(text, slots), run)
	for _, key := range b.keys {
		for _, m := range l.family(key).members {
			l.place(m, i, plans[m], groups, run)
		}
	}
}

// place gives a cluster its pattern and plan.
func (l *Library) place(m member, i uint32, plan []slotPlan, groups map[uint32]struct{}, run *learning) {
	view := clusterView{pattern: i, plan: l.plan(plan)}
	if (*l.views.at(int(m.group))).clusters[m.cluster] == view {
		groups[m.group] = struct{}{}
		return
	}
	l.ownView(m.group, run).clusters[m.cluster] = view
	groups[m.group] = struct{}{}
}

// ownView returns the view of a group for writing: no Index has it.
func (l *Library) ownView(g uint32, run *learning) *groupView {
	if !l.groups[g].dirty && !run.cloned[g] {
		next := *(*l.views.at(int(g)))
		next.clusters = slices.Clone(next.clusters)
		*l.views.edit(int(g)) = &next
		run.cloned[g] = true
	}
	return *l.views.at(int(g))
}

// plan returns the place of a plan; most templates share theirs with others.
func (l *Library) plan(plan []slotPlan) uint32 {
	var key []byte
	for _, p := range plan {
		tail := byte(0)
		if p.tail {
			tail = 1
		}
		key = append(key, p.first, p.last, p.skip, tail)
	}
	k, ok := l.planOf[string(key)]
	if !ok {
		k = uint32(l.plans.push(plan))
		l.planOf[string(key)] = k
	}
	return k
}

// record returns the place of a pattern, new if need be.
func (l *Library) record(p pattern.Pattern, run *learning) uint32 {
	if t, ok := l.rules.targets[p.ID]; ok {
		p = t // the slots of a rule stay as they are
	}
	k := findPattern(&l.byName, &l.patterns, p.ID)
	fresh := k < 0
	if fresh {
		if n := len(l.free); n > 0 {
			k = int(l.free[n-1])
			l.free = l.free[:n-1]
		} else {
			k = l.patterns.push(patternRecord{})
		}
		*l.patterns.edit(k) = packPattern(p)
		l.byName.insert(nameHash(p.ID), k, func(i int) uint64 { return nameHash(l.patterns.at(i).id()) })
		l.named++
		run.fresh = append(run.fresh, uint32(k))
	}
	now := packPattern(p)
	if rec := l.patterns.at(k); fresh || !rec.alive() || rec.text != now.text || rec.origin != now.origin {
		now.shapes = rec.shapes
		*l.patterns.edit(k) = now
		run.touched[uint32(k)] = struct{}{}
	}
	return uint32(k)
}

// least returns the template of the members that has the least text.
func (l *Library) least(members []member, made renderings) rendered {
	best := l.rendered(members[0], made)
	if len(members) == 1 {
		return best
	}
	text := best.text(nil)
	for _, m := range members[1:] {
		r := l.rendered(m, made)
		if t := r.text(nil); t < text {
			best, text = r, t
		}
	}
	return best
}

// renderings are templates of clusters that were made in this call of Learn: some of them, for they are much larger than what is
// kept of them.
type renderings map[member]rendered

const maxRenderings = 1 << 12

func (made renderings) put(m member, r rendered) {
	if len(made) >= maxRenderings {
		clear(made)
	}
	made[m] = r
}

// rendered returns the template of a cluster as it was just made, or makes it again.
func (l *Library) rendered(m member, made renderings) rendered {
	if r, ok := made[m]; ok {
		return r
	}
	ref := &l.groups[m.group].clusters[m.cluster]
	rows, _ := l.rows(l.groups[m.group].shapes[ref.from:ref.to])
	r := render(&cluster{rows: rows, vars: ref.vars}, l.text, &l.scan)
	made.put(m, r)
	return r
}

// retire makes aliases of the patterns that lost all shapes: each goes to the pattern that took most of them.
func (l *Library) retire(run *learning) {
	for before, records := range run.orphans {
		for _, i := range records {
			run.lost(before, l.records.at(l.resolve(int(i))).pattern, 1)
		}
	}
	for _, i := range run.fresh {
		if !l.patterns.at(int(i)).alive() {
			run.old[i] = nil // named and left again within this call
		}
	}
	for _, i := range slices.Sorted(maps.Keys(run.old)) {
		rec := *l.patterns.at(int(i))
		if rec.alive() {
			continue
		}
		best, most := pattern.ID(""), 0
		for j, n := range run.old[i] {
			if id := l.patterns.at(int(j)).id(); n > most || n == most && id < best {
				best, most = id, n
			}
		}
		if most > 0 || run.dropped[i] {
			run.ch.Retired = append(run.ch.Retired, Alias{Old: rec.id(), New: best})
		}
	}
	for i := range run.old {
		if rec := l.patterns.at(int(i)); !rec.alive() {
			delete(run.touched, i)
			l.byName.remove(nameHash(rec.id()), int(i), func(i int) uint64 { return nameHash(l.patterns.at(i).id()) })
			*l.patterns.edit(int(i)) = patternRecord{}
			l.free = append(l.free, i)
			l.named--
		}
	}
	for i := range run.touched {
		run.ch.Patterns = append(run.ch.Patterns, l.patterns.at(int(i)).pattern())
	}
	slices.SortFunc(run.ch.Patterns, func(a, b pattern.Pattern) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(run.ch.Retired, func(a, b Alias) int { return cmp.Compare(a.Old, b.Old) })
}
