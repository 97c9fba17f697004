package template

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// DefaultMaxShapes bounds a Library unless Options say otherwise.
const DefaultMaxShapes = 1 << 20

// record is a shape in a library.
type record struct {
	id      ShapeID
	text    uint32 // in the arena
	length  uint16
	cluster uint16 // in its group
	group   uint32
	pattern uint32
}

// groupView is what an Index needs of a group: its clusters, and how a message with unknown words finds one.
type groupView struct {
	skel     uint64
	clusters []clusterView
	masks    []mask
	open     map[uint64]uint16 // id with the columns of one of masks replaced -> cluster
}

type clusterView struct {
	pattern uint32
	plan    []slotPlan
}

// group is what only the Library needs of it.
type group struct {
	shapes   []uint32
	clusters []clusterRef
	dirty    bool
	evidence evidence
}

// clusterRef remembers the template of a cluster.
type clusterRef struct {
	key   uint64 // of the pattern it is in
	text  string
	rep   uint32 // the shape with the least text
	vars  mask
	lines int // shapes
}

type member struct{ group, cluster uint32 }

// family is the clusters that share one pattern.
type family struct {
	members []member
	pattern uint32 // index + 1; 0 is none yet
}

type patternRecord struct {
	id       pattern.ID
	template string
	slots    []pattern.Slot
	shapes   int32 // alive if > 0
}

// Library partitions shapes into patterns. It is not safe for concurrent use.
type Library struct {
	max      int
	texts    arena
	records  pages[record]
	byID     table
	views    pages[*groupView]
	bySkel   table
	groups   []*group
	families map[uint64]*family
	patterns pages[patternRecord]
	byName   map[pattern.ID]uint32
	free     []uint32
	alive    int
	words    wordbook
	scan     scanner
}

// NewLibrary returns an empty Library.
func NewLibrary(o Options) *Library {
	if o.MaxShapes <= 0 {
		o.MaxShapes = DefaultMaxShapes
	}
	l := &Library{max: o.MaxShapes, families: map[uint64]*family{}, byName: map[pattern.ID]uint32{}, words: newWordbook()}
	l.scan.parse = true
	return l
}

func (l *Library) text(i uint32) string {
	r := l.records.at(int(i))
	return string(l.texts.get(r.text, int(r.length)))
}

func (l *Library) find(id ShapeID) int {
	return l.byID.find(uint64(id), func(i int) bool { return l.records.at(i).id == id })
}

// Learn adds shapes and repartitions the groups that they touch. The patterns of a library depend on the set of shapes it has
// learnt, not on their order. Learning nothing new costs one look-up per shape.
func (l *Library) Learn(shapes []Shape) Change {
	var ch Change
	ch.Assigned = make([]Assignment, len(shapes))
	at := make([]int, len(shapes))
	var dirty []uint32
	for k, s := range shapes {
		ch.Assigned[k].Given = s.ID
		at[k] = -1
		if s.ID == Other {
			continue
		}
		i := l.find(s.ID)
		if i < 0 {
			if l.records.len() >= l.max || len(s.Text) > maxTextLen {
				ch.Full = true
				continue
			}
			i = l.add(s, &dirty)
			ch.Added = append(ch.Added, s)
		}
		at[k] = i
		ch.Assigned[k].Shape = s.ID
	}
	l.repartition(dirty, &ch)
	for k, i := range at {
		if i >= 0 {
			ch.Assigned[k].Pattern = l.patterns.at(int(l.records.at(i).pattern)).id
		}
	}
	return ch
}

// maxTextLen is the longest canonical text: maxText and the last word before it, cut by the arena's block.
const maxTextLen = 1<<16 - 1

const noPattern = ^uint32(0)

// add records a new shape in its group and marks the group dirty.
func (l *Library) add(s Shape, dirty *[]uint32) int {
	l.scan.scan([]byte(s.Text))
	skel := l.scan.skel
	g := l.bySkel.find(skel, func(i int) bool { return (*l.views.at(i)).skel == skel })
	if g < 0 {
		g = l.views.push(&groupView{skel: skel})
		l.groups = append(l.groups, &group{})
		l.bySkel.insert(skel, g, func(i int) uint64 { return (*l.views.at(i)).skel })
	}
	i := l.records.push(record{id: s.ID, text: l.texts.add(s.Text), length: uint16(len(s.Text)), group: uint32(g), pattern: noPattern})
	l.byID.insert(uint64(s.ID), i, func(i int) uint64 { return uint64(l.records.at(i).id) })
	l.groups[g].shapes = append(l.groups[g].shapes, uint32(i))
	if !l.groups[g].dirty {
		l.groups[g].dirty = true
		*dirty = append(*dirty, uint32(g))
	}
	return i
}

// repartition splits the dirty groups anew, and says in ch what that changed.
func (l *Library) repartition(dirty []uint32, ch *Change) {
	if len(dirty) == 0 {
		return
	}
	keys := map[uint64]struct{}{}
	for _, g := range dirty {
		l.observe(g)
	}
	for _, g := range l.words.flipped() {
		if !l.groups[g].dirty {
			l.groups[g].dirty = true
			dirty = append(dirty, g)
		}
	}
	for _, g := range dirty {
		l.rebuild(g, keys)
	}
	old := map[uint32]map[uint32]int{} // pattern before -> pattern now -> shapes
	touched := map[uint32]struct{}{}
	for key := range keys {
		l.settle(key, touched)
	}
	regroup := map[uint32]struct{}{}
	for key := range keys {
		if f := l.families[key]; f != nil {
			for _, m := range f.members {
				regroup[m.group] = struct{}{}
			}
		}
	}
	for _, g := range dirty {
		regroup[g] = struct{}{}
	}
	for g := range regroup {
		l.move(g, old, ch)
	}
	l.retire(old, touched, ch)
	slices.SortFunc(ch.Moved, func(a, b Move) int { return cmp.Compare(a.Shape, b.Shape) })
}

// observe runs the first pass over group g and tells the wordbook what it found.
func (l *Library) observe(g uint32) {
	grp := l.groups[g]
	rows, value := l.rows(grp)
	p := partitioner{value: value, values: map[uint64]struct{}{}, unsure: map[uint64]struct{}{}}
	p.partition(rows)
	constant := map[uint64]struct{}{}
	for i := range rows {
		for c := range rows[i].cells {
			x := &rows[i].cells[c]
			if x.bare {
				continue
			}
			if _, ok := p.values[x.hash]; ok {
				continue
			}
			if _, ok := p.unsure[x.hash]; ok {
				continue
			}
			constant[x.hash] = struct{}{}
		}
	}
	l.words.update(g, &grp.evidence, p.values, constant, p.unsure)
}

// rebuild partitions group g and renews its clusters; keys collects the families that lost or won one.
func (l *Library) rebuild(g uint32, keys map[uint64]struct{}) {
	grp := l.groups[g]
	grp.dirty = false
	for c := range grp.clusters {
		key := grp.clusters[c].key
		keys[key] = struct{}{}
		f := l.families[key]
		f.members = slices.DeleteFunc(f.members, func(m member) bool { return m == member{g, uint32(c)} })
	}
	rows, value := l.rows(grp)
	p := partitioner{value: value, known: l.words.known, strong: l.words.strong}
	clusters := p.partition(rows)
	view := &groupView{skel: (*l.views.at(int(g))).skel, clusters: make([]clusterView, len(clusters))}
	grp.clusters = make([]clusterRef, len(clusters))
	for c := range clusters {
		cl := &clusters[c]
		slices.SortFunc(cl.rows, func(a, b row) int { return cmp.Compare(l.records.at(int(a.shape)).id, l.records.at(int(b.shape)).id) })
		r := render(cl, l.text, &l.scan)
		ref := clusterRef{key: r.words(), text: r.text(false), rep: cl.rows[0].shape, vars: cl.vars, lines: len(cl.rows)}
		grp.clusters[c] = ref
		view.clusters[c] = clusterView{plan: r.plan(false)}
		for _, row := range cl.rows {
			l.records.edit(int(row.shape)).cluster = uint16(c)
		}
		keys[ref.key] = struct{}{}
		f := l.families[ref.key]
		if f == nil {
			f = &family{}
			l.families[ref.key] = f
		}
		f.members = append(f.members, member{g, uint32(c)})
	}
	*l.views.edit(int(g)) = view
}

// rows reads the shapes of a group as a table.
func (l *Library) rows(grp *group) (rows []row, value []bool) {
	rows = make([]row, len(grp.shapes))
	for k, i := range grp.shapes {
		text := l.text(i)
		l.scan.scan([]byte(text))
		cells := make([]cell, len(l.scan.tokens))
		for c := range l.scan.tokens {
			t := &l.scan.tokens[c]
			cells[c] = cell{hash: t.hash, text: text[t.textStart:t.textEnd], kind: t.kind, bare: t.kind != kindWord && !t.prefixed}
		}
		rows[k] = row{cells: cells, shape: i}
		if k == 0 {
			value = make([]bool, len(cells))
			for c := range l.scan.tokens {
				if from := int(l.scan.tokens[c].textStart); from > 0 {
					b := text[from-1]
					value[c] = b == '=' || b == '"' || b == '\'' || b == '[' || b == '('
				}
			}
		}
	}
	return rows, value
}

// settle gives a family its pattern.
func (l *Library) settle(key uint64, touched map[uint32]struct{}) {
	f := l.families[key]
	if len(f.members) == 0 {
		delete(l.families, key)
		return
	}
	slices.SortFunc(f.members, func(a, b member) int {
		return cmp.Compare(l.groups[a.group].clusters[a.cluster].text, l.groups[b.group].clusters[b.cluster].text)
	})
	lead := f.members[0]
	collapse := false
	for _, m := range f.members[1:] {
		if l.groups[m.group].clusters[m.cluster].text != l.groups[lead.group].clusters[lead.cluster].text {
			collapse = true
		}
	}
	var p pattern.Pattern
	for k, m := range f.members {
		r := l.rerender(m)
		if k == 0 {
			p = pattern.New(r.text(collapse), r.slots(collapse))
		} else {
			for i, s := range r.slots(collapse) {
				if i < len(p.Slots) && p.Slots[i].Type != s.Type {
					p.Slots[i].Type = pattern.Text
				}
			}
		}
		(*l.views.at(int(m.group))).clusters[m.cluster].plan = r.plan(collapse)
	}
	i, ok := l.byName[p.ID]
	if !ok {
		if n := len(l.free); n > 0 {
			i = l.free[n-1]
			l.free = l.free[:n-1]
		} else {
			i = uint32(l.patterns.push(patternRecord{}))
		}
		*l.patterns.edit(int(i)) = patternRecord{id: p.ID}
		l.byName[p.ID] = i
	}
	if rec := l.patterns.at(int(i)); !slices.Equal(rec.slots, p.Slots) || rec.template == "" {
		rec = l.patterns.edit(int(i))
		rec.template, rec.slots = p.Template, p.Slots
		touched[i] = struct{}{}
	}
	f.pattern = i + 1
}

// rerender renders a cluster from its group again.
func (l *Library) rerender(m member) rendered {
	grp := l.groups[m.group]
	c := cluster{vars: grp.clusters[m.cluster].vars}
	sub := group{}
	for _, i := range grp.shapes {
		if l.records.at(int(i)).cluster == uint16(m.cluster) {
			sub.shapes = append(sub.shapes, i)
		}
	}
	c.rows, _ = l.rows(&sub)
	return render(&c, l.text, &l.scan)
}

// move gives the shapes of a group the patterns of their clusters.
func (l *Library) move(g uint32, old map[uint32]map[uint32]int, ch *Change) {
	grp := l.groups[g]
	next := *(*l.views.at(int(g)))
	next.clusters = slices.Clone(next.clusters)
	for c := range grp.clusters {
		next.clusters[c].pattern = l.families[grp.clusters[c].key].pattern - 1
	}
	*l.views.edit(int(g)) = &next
	for _, i := range grp.shapes {
		r := l.records.at(int(i))
		now := next.clusters[r.cluster].pattern
		if r.pattern == now {
			continue
		}
		if r.pattern != noPattern {
			if old[r.pattern] == nil {
				old[r.pattern] = map[uint32]int{}
			}
			old[r.pattern][now]++
			l.patterns.edit(int(r.pattern)).shapes--
		}
		l.patterns.edit(int(now)).shapes++
		ch.Moved = append(ch.Moved, Move{Shape: r.id, Pattern: l.patterns.at(int(now)).id})
		l.records.edit(int(i)).pattern = now
	}
}

// retire makes aliases of the patterns that lost all shapes: each goes to the pattern that took most of them.
func (l *Library) retire(old map[uint32]map[uint32]int, touched map[uint32]struct{}, ch *Change) {
	for i, to := range old {
		rec := l.patterns.at(int(i))
		if rec.shapes > 0 {
			continue
		}
		best, most := pattern.ID(""), 0
		for j, n := range to {
			if id := l.patterns.at(int(j)).id; n > most || n == most && id < best {
				best, most = id, n
			}
		}
		ch.Retired = append(ch.Retired, Alias{Old: rec.id, New: best})
	}
	for i := range old {
		if rec := l.patterns.at(int(i)); rec.shapes == 0 {
			delete(l.byName, rec.id)
			delete(touched, i)
			*l.patterns.edit(int(i)) = patternRecord{}
			l.free = append(l.free, i)
		}
	}
	for i := range touched {
		rec := l.patterns.at(int(i))
		if rec.shapes > 0 {
			ch.Patterns = append(ch.Patterns, pattern.Pattern{ID: rec.id, Template: rec.template, Slots: rec.slots})
		}
	}
	slices.SortFunc(ch.Patterns, func(a, b pattern.Pattern) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(ch.Retired, func(a, b Alias) int { return cmp.Compare(a.Old, b.Old) })
}

// Checksum is equal for libraries with equal shapes and patterns, in whatever order they were learnt.
func (l *Library) Checksum() uint64 {
	var sum uint64
	for i := range l.records.len() {
		r := l.records.at(i)
		id := l.patterns.at(int(r.pattern)).id
		sum += hashBytes(binary.LittleEndian.AppendUint64([]byte(id), uint64(r.id)))
	}
	return sum
}

// Patterns returns all patterns, sorted by id.
func (l *Library) Patterns() []pattern.Pattern {
	out := make([]pattern.Pattern, 0, len(l.byName))
	for _, i := range l.byName {
		rec := l.patterns.at(int(i))
		out = append(out, pattern.Pattern{ID: rec.id, Template: rec.template, Slots: slices.Clone(rec.slots)})
	}
	slices.SortFunc(out, func(a, b pattern.Pattern) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Pattern returns the pattern with the id.
func (l *Library) Pattern(id pattern.ID) (pattern.Pattern, bool) {
	i, ok := l.byName[id]
	if !ok {
		return pattern.Pattern{}, false
	}
	rec := l.patterns.at(int(i))
	return pattern.Pattern{ID: rec.id, Template: rec.template, Slots: slices.Clone(rec.slots)}, true
}

// PatternOf returns the pattern of a shape.
func (l *Library) PatternOf(s ShapeID) (pattern.ID, bool) {
	i := l.find(s)
	if i < 0 {
		return "", false
	}
	return l.patterns.at(int(l.records.at(i).pattern)).id, true
}

// Len returns the number of shapes and patterns.
func (l *Library) Len() (shapes, patterns int) { return l.records.len(), len(l.byName) }
