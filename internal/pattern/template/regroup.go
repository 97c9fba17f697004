package template

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// group is the shapes with the same delimiters and number of tokens: what only the Library needs of it.
type group struct {
	shapes   []uint32 // live records; those of a cluster stand together if sorted
	clusters []clusterRef
	evidence evidence
	dirty    bool
	sorted   bool
}

// clusterRef remembers a cluster: its shapes are shapes[first:last+1] of its group, which has at most maxGroup.
type clusterRef struct {
	family      uint32 // its place; a family with members stays where it is
	vars        uint32 // the place of its mask
	first, last uint16
}

// of returns the shapes of a cluster of the group.
func (grp *group) of(ref clusterRef) []uint32 { return grp.shapes[ref.first : int(ref.last)+1] }

// mask returns the place of a mask; there are few.
func (l *Library) mask(m mask) uint32 {
	k, ok := l.maskOf[m]
	if !ok {
		k = uint32(len(l.masks))
		l.masks = append(l.masks, m)
		l.maskOf[m] = k
	}
	return k
}

// groupView is what an Index needs of a group too. It is never changed once an Index may have it.
type groupView struct {
	skel     uint64
	clusters []clusterView
	wide     *[]mask       // columns that wider shapes absorb; nil if there are none
	masks    []mask        // columns that are slots in some cluster
	open     []openCluster // sorted by id
}

func (v *groupView) widened() []mask {
	if v.wide == nil {
		return nil
	}
	return *v.wide
}

// openCluster is a cluster by its id with the columns of one of masks replaced.
type openCluster struct {
	id      ShapeID
	cluster uint32
}

func (v *groupView) find(id ShapeID) (cluster uint32, ok bool) {
	k, ok := slices.BinarySearchFunc(v.open, id, func(o openCluster, id ShapeID) int { return cmp.Compare(o.id, id) })
	if !ok {
		return 0, false
	}
	return v.open[k].cluster, true
}

type clusterView struct{ pattern, plan uint32 }

// repartition splits the dirty groups anew, finds the patterns of their clusters, and says what that changed.
func (l *Library) repartition(run *learning) {
	keys := map[uint64]struct{}{}
	made := renderings{}
	all := map[uint32]struct{}{}
	// What folds in a round changes what the group tells the others: it is observed again in the next.
	for work := run.dirty; len(work) > 0; {
		run.dirty = nil
		for _, g := range work {
			l.groups.at(int(g)).dirty = true
			l.observe(g)
		}
		for _, g := range l.words.flipped(&l.groups) {
			if grp := l.groups.at(int(g)); !grp.dirty {
				grp.dirty = true
				work = append(work, g)
			}
		}
		var folded []uint32
		for _, g := range work {
			all[g] = struct{}{}
			if l.rebuild(g, keys, made, run) {
				folded = append(folded, g)
			}
		}
		for _, g := range work {
			l.groups.at(int(g)).dirty = false
		}
		work = folded
	}
	l.settle(keys, made, all, run)
	for _, g := range slices.Sorted(maps.Keys(all)) {
		l.move(g, run)
	}
	l.follow(run)
	l.retire(run)
	slices.SortFunc(run.ch.Moved, func(a, b Move) int { return cmp.Compare(a.Shape, b.Shape) })
	for i := range run.ch.Folded {
		f := &run.ch.Folded[i]
		f.To = l.records.at(l.resolve(l.find(f.From))).id // what it folded into may have folded in this call as well
	}
	run.ch.Folded = append(run.ch.Folded, run.toldFolds...)
	slices.SortFunc(run.ch.Folded, func(a, b Fold) int { return cmp.Compare(a.From, b.From) })
}

// observe runs the first pass over group g and tells the wordbook what it found.
func (l *Library) observe(g uint32) {
	grp := l.groups.at(int(g))
	rows, frame := l.rows(grp.shapes)
	constant, prose := map[uint64]struct{}{}, map[uint64]struct{}{}
	p := partitioner{frame: frame, values: map[uint64]struct{}{}, unsure: map[uint64]struct{}{}, fields: constant}
	p.partition(rows)
	for i := range rows {
		for c := range rows[i].cells {
			x := &rows[i].cells[c]
			_, isValue := p.values[x.hash]
			_, isUnsure := p.unsure[x.hash]
			switch {
			case x.bare:
			case frame.quoted[c]:
				prose[x.hash] = struct{}{}
			case !isValue && !isUnsure:
				constant[x.hash] = struct{}{}
			}
		}
	}
	maps.Copy(p.unsure, prose) // they tell nothing, but what others tell of them matters
	l.words.update(g, &grp.evidence, p.values, constant, p.unsure, p.rivals)
}

// rebuild partitions group g and renews its clusters; keys collects the families that lost or won one. It returns whether shapes
// folded.
func (l *Library) rebuild(g uint32, keys map[uint64]struct{}, made renderings, run *learning) (changed bool) {
	grp := l.groups.at(int(g))
	for c := range grp.clusters {
		f := l.families.edit(int(grp.clusters[c].family))
		keys[f.key] = struct{}{}
		l.crowds.remove(f, member{g, uint32(c)})
	}
	grp.clusters = nil
	var clusters []cluster
	for {
		rows, frame := l.rows(grp.shapes)
		p := partitioner{frame: frame, known: l.words.known, strong: l.words.strong, told: l.words.told}
		clusters = p.partition(rows)
		folded := false
		for c := range clusters {
			folded = l.foldCluster(g, &clusters[c], run) || folded
		}
		if !folded {
			break
		}
		changed = true
	}
	view := &groupView{skel: (*l.views.at(int(g))).skel, wide: (*l.views.at(int(g))).wide, clusters: make([]clusterView, len(clusters))}
	grp.clusters = make([]clusterRef, len(clusters))
	grp.shapes = make([]uint32, 0, len(grp.shapes))
	for c := range clusters {
		cl := &clusters[c]
		r := render(cl, l.text, &l.scan)
		ref := clusterRef{vars: l.mask(cl.vars), first: uint16(len(grp.shapes))}
		for _, row := range cl.rows {
			l.records.edit(int(row.shape)).cluster = uint32(c)
			grp.shapes = append(grp.shapes, row.shape)
		}
		ref.last = uint16(len(grp.shapes) - 1)
		m := member{g, uint32(c)}
		made.put(m, r)
		key := r.words()
		keys[key] = struct{}{}
		i := l.familyAt(key)
		if i < 0 {
			i = l.newFamily(key)
		}
		l.crowds.add(l.families.edit(i), m)
		ref.family = uint32(i)
		grp.clusters[c] = ref
	}
	grp.sorted = true
	view.lookup(l, clusters)
	if len(l.rules.rules) > 0 {
		view.clusters = append(view.clusters, l.overlay(g)...)
	}
	*l.views.edit(int(g)) = view
	return changed
}

// maxMasks bounds what a message with unknown words costs.
const maxMasks = 64

// lookup prepares finding clusters for messages with words that no shape has.
func (v *groupView) lookup(l *Library, clusters []cluster) {
	uses := map[mask]int{}
	masks := make([]mask, len(clusters))
	for c := range clusters {
		m := clusters[c].vars
		for i, x := range clusters[c].rows[0].cells {
			if x.bare {
				m.set(i)
			}
		}
		masks[c] = m
		if m != (mask{}) {
			uses[m]++
		}
	}
	v.masks = slices.SortedFunc(maps.Keys(uses), func(a, b mask) int {
		return cmp.Or(cmp.Compare(uses[b], uses[a]), compareMasks(a, b))
	})
	v.masks = slices.Clone(v.masks[:min(len(v.masks), maxMasks)])
	found := 0
	for c := range clusters {
		if slices.Contains(v.masks, masks[c]) {
			found++
		}
	}
	if found == 0 {
		return
	}
	v.open = make([]openCluster, 0, found)
	for c := range clusters {
		if !slices.Contains(v.masks, masks[c]) {
			continue
		}
		l.scan.scan([]byte(l.text(clusters[c].rows[0].shape)))
		v.open = append(v.open, openCluster{id: l.scan.with(&masks[c]), cluster: uint32(c)})
	}
	slices.SortFunc(v.open, func(a, b openCluster) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.cluster, b.cluster))
	})
	v.open = slices.CompactFunc(v.open, func(a, b openCluster) bool { return a.id == b.id })
}

// rows reads shapes of one group as a table.
func (l *Library) rows(shapes []uint32) (rows []row, frame surroundings) {
	rows = make([]row, len(shapes))
	var cells []cell
	for k, i := range shapes {
		text := l.text(i)
		l.scan.scan([]byte(text))
		n := len(l.scan.tokens)
		if k == 0 {
			cells = make([]cell, 0, n*len(shapes))
			frame = surround(text, l.scan.tokens)
		}
		from := len(cells)
		for c := range l.scan.tokens {
			t := &l.scan.tokens[c]
			cells = append(cells, cell{hash: t.hash, text: text[t.textStart:t.textEnd], kind: t.kind, bare: t.kind != kindWord && !t.prefixed})
		}
		rows[k] = row{cells: cells[from:len(cells):len(cells)], shape: i}
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Compare(l.records.at(int(a.shape)).id, l.records.at(int(b.shape)).id)
	})
	return rows, frame
}

// move gives the shapes of a group the patterns of their clusters.
func (l *Library) move(g uint32, run *learning) {
	grp := l.groups.at(int(g))
	view := *l.views.at(int(g))
	for _, i := range grp.shapes {
		r := l.records.at(int(i))
		now := view.clusters[r.cluster].pattern
		if plan := shortPlan(view.clusters[r.cluster].plan); r.plan != plan {
			l.records.edit(int(i)).plan = plan
			r = l.records.at(int(i))
		}
		if r.pattern == now {
			continue
		}
		if r.pattern != noPattern {
			run.lost(r.pattern, now, 1)
			l.patterns.edit(int(r.pattern)).shapes--
		}
		l.patterns.edit(int(now)).shapes++
		if !run.silent {
			run.ch.Moved = append(run.ch.Moved, Move{Shape: r.id, Pattern: l.patterns.at(int(now)).id()})
		}
		l.records.edit(int(i)).pattern = now
	}
	l.inherit(g, run)
}

// shortPlan is the plan of a cluster as its records keep it, so that a known line needs neither group nor cluster.
func shortPlan(plan uint32) uint16 {
	if plan >= math.MaxUint16 {
		return 0
	}
	return uint16(plan + 1)
}

// lost notes that pattern before lost shapes to pattern now.
func (run *learning) lost(before, now uint32, shapes int) {
	if run.old[before] == nil {
		run.old[before] = map[uint32]int{}
	}
	run.old[before][now] += shapes
}
