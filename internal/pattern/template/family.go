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
	key     uint64
	one     [1]member // most families have one member; the place of its crowd if there are more
	stem    uint32
	outline uint32
	head    uint32 // the place of the family whose template takes this one; its own if none does
	placed  bool   // stem, outline and head are known
	has     amount
}

// familyAt returns the place of the family with the key, or -1.
func (l *Library) familyAt(key uint64) int {
	return l.byKey.find(key, func(i int) bool { return l.families.at(i).key == key })
}

// family returns the family with the key, or nil.
func (l *Library) family(key uint64) *family {
	i := l.familyAt(key)
	if i < 0 {
		return nil
	}
	return l.families.edit(i)
}

func (l *Library) familyKey(i int) uint64 { return l.families.at(i).key }

// newFamily makes an empty family with the key, and returns its place.
func (l *Library) newFamily(key uint64) int {
	var i int
	if n := len(l.idle); n > 0 {
		i = int(l.idle[n-1])
		l.idle = l.idle[:n-1]
	} else {
		i = l.families.push(family{})
	}
	*l.families.edit(i) = family{key: key}
	l.byKey.insert(key, i, l.familyKey)
	return i
}

// dropFamily forgets a family that has lost all members.
func (l *Library) dropFamily(key uint64) {
	i := l.familyAt(key)
	if f := l.families.at(i); f.placed {
		l.byStem.remove(tableKey(f.stem), i, l.familyStem)
		l.unline(f, i)
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
	stems, outlines := map[uint32]struct{}{}, map[uint32]struct{}{}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		f := l.family(key)
		if f.placed {
			stems[f.stem] = struct{}{}
			stems[l.families.at(int(f.head)).stem] = struct{}{}
			outlines[f.outline] = struct{}{}
		}
		if len(l.crowds.of(f)) == 0 {
			l.dropFamily(key)
			continue
		}
		l.locate(f, made)
		stems[f.stem] = struct{}{}
		outlines[f.outline] = struct{}{}
	}
	for _, o := range slices.Sorted(maps.Keys(outlines)) {
		l.alignAll(o, made, stems)
	}
	for _, stem := range slices.Sorted(maps.Keys(stems)) {
		for _, b := range l.bundles(stem, made) {
			l.name(b, made, groups, run)
		}
	}
}

// locate puts a family where those are found that it may belong to.
func (l *Library) locate(f *family, made renderings) {
	r := l.least(l.crowds.of(f), made)
	o, stem := outline(r.fields()), r.stem()
	if f.placed && f.outline == o && f.stem == stem {
		return
	}
	i := l.familyAt(f.key)
	if f.placed {
		l.byStem.remove(tableKey(f.stem), i, l.familyStem)
		l.unline(f, i)
	}
	f.outline = o
	if o == 0 {
		f.head = uint32(i)
	}
	if !f.placed {
		f.head, f.placed = uint32(i), true
	}
	f.stem = stem
	l.byStem.insert(tableKey(stem), i, l.familyStem)
	if f.outline != 0 {
		l.byOutline.insert(tableKey(f.outline), i, l.familyOutline)
	}
}

// unline takes a family from those with its outline.
func (l *Library) unline(f *family, i int) {
	if f.outline != 0 {
		l.byOutline.remove(tableKey(f.outline), i, l.familyOutline)
	}
}

func (l *Library) familyOutline(i int) uint64 { return tableKey(l.families.at(i).outline) }

// tableKey makes a key of a table of 32 bits.
func tableKey(x uint32) uint64 { return uint64(x) << 7 }

// maxAligned bounds the families with one outline that are compared with each other.
const maxAligned = 64

// outlined returns the keys of the families with an outline, sorted.
func (l *Library) outlined(o uint32) []uint64 {
	var keys []uint64
	l.byOutline.all(tableKey(o), func(i int) {
		if f := l.families.at(i); f.outline == o {
			keys = append(keys, f.key)
		}
	})
	slices.Sort(keys)
	return keys
}

// alignAll finds which families with an outline take others, and collects the first words of those for which that matters.
func (l *Library) alignAll(o uint32, made renderings, stems map[uint32]struct{}) {
	if o == 0 {
		return
	}
	keys := l.outlined(o)
	heads := make([]uint64, len(keys))
	copy(heads, keys)
	if len(keys) > 1 && len(keys) <= maxAligned {
		l.align(keys, heads, made)
	}
	for i, key := range keys {
		f, now := l.family(key), uint32(l.familyAt(heads[i]))
		if f.head == now && heads[i] == key {
			continue
		}
		for _, k := range []uint32{f.head, now} {
			if h := l.families.at(int(k)); h.placed {
				stems[h.stem] = struct{}{}
			}
		}
		stems[f.stem] = struct{}{}
		f.head = now
	}
}

// align sets the heads of families: of the templates that take one, that with the least text.
func (l *Library) align(keys, heads []uint64, made renderings) {
	reps := make([]rendered, len(keys))
	fields := make([][]field, len(keys))
	texts := make([]string, len(keys))
	for i, key := range keys {
		reps[i] = l.least(l.crowds.of(l.family(key)), made)
		fields[i] = reps[i].fields()
		texts[i] = reps[i].text(nil)
	}
	to := make([]int, len(keys))
	for b := range keys {
		to[b] = b
		for a := range keys {
			if a == b || len(texts[a]) >= len(texts[to[b]]) && (to[b] != b || len(texts[a]) >= len(texts[b])) {
				continue
			}
			if reps[a].takes(&reps[b], fields[a], fields[b]) && l.takesAll(&reps[a], fields[a], l.crowds.of(l.family(keys[b])), made) {
				to[b] = a
			}
		}
	}
	for b := range keys {
		a := b
		for to[a] != a {
			a = to[a]
		}
		if a != to[b] && !l.takesAll(&reps[a], fields[a], l.crowds.of(l.family(keys[b])), made) {
			a = b
		}
		heads[b] = keys[a]
	}
}

// takesAll reports whether a template takes all members of a family.
func (l *Library) takesAll(r *rendered, fields []field, members []member, made renderings) bool {
	for _, m := range members {
		b := l.rendered(m, made)
		if !r.takes(&b, fields, b.fields()) {
			return false
		}
	}
	return true
}

// keysOf returns the keys of the families with a stem, sorted.
func (l *Library) keysOf(stem uint32) []uint64 {
	var keys []uint64
	l.byStem.all(tableKey(stem), func(i int) {
		if f := l.families.at(i); f.stem == stem && int(f.head) == i {
			keys = append(keys, f.key)
		}
	})
	slices.Sort(keys)
	return keys
}

func (l *Library) familyStem(i int) uint64 { return tableKey(l.families.at(i).stem) }

// bundle is the families of one pattern: the first has the template, the others have a tail more. Or all of them have the same template
// once the holes of each are slots.
type bundle struct {
	keys  []uint64
	holes [][]hole
}

// filled returns a member of the f-th family with a slot in the place of each hole.
func (b *bundle) filled(f int, r *rendered) rendered {
	if b.holes == nil {
		return *r
	}
	return r.fill(b.holes[f], nil)
}

// tails reports whether all families but the first have a tail more.
func (b *bundle) tails() bool { return len(b.keys) > 1 && b.holes == nil }

// bundles finds which families with the same first words belong together.
func (l *Library) bundles(stem uint32, made renderings) []bundle {
	list := l.keysOf(stem)
	switch len(list) {
	case 0:
		return nil
	case 1:
		return []bundle{{keys: list}}
	}
	out, list := l.quotations(list, made)
	more, list := l.endings(list, made)
	said, list := l.spoken(list, made)
	out = append(append(out, more...), said...)
	root := make(map[uint64]uint64, len(list))
	for _, key := range list {
		root[key] = key
		r := l.least(l.crowds.of(l.family(key)), made)
		for _, p := range r.prefixes() {
			if k, ok := slices.BinarySearch(list, p); ok {
				root[key] = list[k]
				break
			}
		}
	}
	for _, key := range list {
		for root[key] != root[root[key]] {
			root[key] = root[root[key]] // a tail of a tail
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
	for _, key := range list {
		if root[key] == key {
			out = append(out, bundle{keys: heads[key]})
		}
	}
	return out
}

// copies returns the members of a family, and of those that it takes, in the words of the family.
func (l *Library) copies(key uint64, made renderings) (members []member, reps []rendered) {
	at := l.familyAt(key)
	f := l.families.at(at)
	members = slices.Clone(l.crowds.of(f))
	for _, m := range members {
		reps = append(reps, l.rendered(m, made))
	}
	var head rendered
	var others []uint64
	if f.outline != 0 {
		others = l.outlined(f.outline)
	}
	for _, other := range others {
		o := l.family(other)
		if other == key || int(o.head) != at {
			continue
		}
		if head.parts == nil {
			head = l.least(l.crowds.of(f), made)
		}
		for _, m := range l.crowds.of(o) {
			r := l.rendered(m, made)
			members = append(members, m)
			reps = append(reps, head.as(&r))
		}
	}
	return members, reps
}

// name makes the pattern of a bundle and gives it to the clusters.
func (l *Library) name(b bundle, made renderings, groups map[uint32]struct{}, run *learning) {
	members := make([][]member, len(b.keys))
	reps := make([][]rendered, len(b.keys))
	for f, key := range b.keys {
		members[f], reps[f] = l.copies(key, made)
	}
	for f := range reps {
		for k := range reps[f] {
			reps[f][k] = b.filled(f, &reps[f][k])
		}
	}
	first := reps[0][0]
	best := &first
	bestText := best.text(nil)
	n := best.elements()
	diff := make(merged, n)
	for f := range reps {
		for k := range reps[f] {
			r := &reps[f][k]
			diff.differences(&first, r)
			if f > 0 && b.tails() {
				continue
			}
			if t := r.text(nil); t < bestText {
				best, bestText = r, t
			}
		}
	}
	text, slots := best.text(diff), best.slots(diff)
	if b.tails() {
		text += " " + pattern.Wildcard
		slots = append(slots, pattern.Slot{Name: unused("tail", slots), Type: pattern.Text})
	}
	plans := map[member][]slotPlan{}
	for f := range reps {
		for k, m := range members[f] {
			r := reps[f][k]
			whole := r.parts
			tail := f > 0 && b.tails()
			if tail {
				r.parts = r.parts[:r.partOf(n)]
			}
			joinTypes(slots, r.slots(diff))
			plan := r.plan(diff)
			switch {
			case tail:
				plan = append(plan, slotPlan{first: whole[len(r.parts)].first, last: whole[len(whole)-1].last, tail: true})
			case b.tails():
				plan = append(plan, slotPlan{tail: true, last: noTail})
			}
			plans[m] = plan
		}
	}
	i := l.record(pattern.New(text, slots), run)
	for f := range members {
		for _, m := range members[f] {
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
	if !l.groups.at(int(g)).dirty && !run.cloned[g] {
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
		if !run.silent {
			run.touched[uint32(k)] = struct{}{}
		}
	}
	return uint32(k)
}

// least returns the template of the members that has the least tokens, and of these the least text.
func (l *Library) least(members []member, made renderings) rendered {
	best := l.rendered(members[0], made)
	text := ""
	for _, m := range members[1:] {
		r := l.rendered(m, made)
		d := len(r.parts) - len(best.parts)
		if d == 0 {
			if text == "" {
				text = best.text(nil)
			}
			d = cmp.Compare(r.text(nil), text)
		}
		if d < 0 {
			best, text = r, ""
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
	grp := l.groups.at(int(m.group))
	ref := grp.clusters[m.cluster]
	rows, _ := l.rows(grp.of(ref))
	r := render(&cluster{rows: rows, vars: l.masks[ref.vars]}, l.text, &l.scan)
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
