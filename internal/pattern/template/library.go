package template

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// DefaultMaxShapes bounds a Library unless Options say otherwise: some 125,000 patterns, which take about 75 MB.
const DefaultMaxShapes = 300_000

// maxGroup bounds the shapes with the same delimiters, which are partitioned at a time.
const maxGroup = 1 << 16

// record is a shape in a library.
type record struct {
	id      ShapeID
	proof   uint32
	text    uint32 // in the arena
	cluster uint32 // in its group
	group   uint32
	pattern uint32
	plan    uint16 // the number + 1 of its cluster's plan; 0 if the cluster has to be asked
	folded  bool   // into record number cluster
	askedOf bool   // rules ask for values of it
}

// Library partitions shapes into patterns. It is not safe for concurrent use.
//
//	shapes --(same delimiters)--> groups --(split, see partition)--> clusters
//	clusters --(same words)--> families --(a tail more, see tails)--> patterns
//
// Each step is a pure function of the set of shapes, so that the order in which they come does not matter, and only the groups
// and families that a new shape touches are computed again.
type Library struct {
	max                   int
	foldAt, foldClusterAt int
	texts                 arena
	records               pages[record]
	byID                  table
	live                  int // records that are not folded
	views                 pages[*groupView]
	bySkel                table
	groups                pages[group] // never snapshotted
	families              pages[family]
	crowds                crowds
	byKey                 table
	idle                  []uint32 // families without members
	byStem                table    // several families may have the same first words
	byOutline             table    // and the same outline
	patterns              pages[patternRecord]
	byName                table
	named                 int
	free                  []uint32
	plans                 pages[[]slotPlan]
	planOf                map[string]uint32 // plan, packed -> its place
	masks                 []mask
	maskOf                map[mask]uint32 // mask -> its place
	words                 wordbook
	columns               columnCounter
	scan                  scanner
	rules                 *ruleSet
	told                  toldShapes
}

// patternRecord is a pattern in one string: its template, its slots as names closed by the byte of their type, its id.
type patternRecord struct {
	text   string
	shapes int32
	slots  uint16 // bytes of text that are slots: at most maxTokens names of at most maxWord
	origin uint8  // place in origins; a rule holds the pattern if it is not Mined
}

// alive reports whether the pattern has shapes or a rule.
func (r *patternRecord) alive() bool { return r.shapes > 0 || r.origin != 0 }

var origins = []pattern.Origin{pattern.Mined, pattern.Own, pattern.Merged, pattern.Split, pattern.Pinned}

const idLen = len("p0123456789abcdef")

func packPattern(p pattern.Pattern) patternRecord {
	var b []byte
	b = append(b, p.Template...)
	for _, s := range p.Slots {
		b = append(append(b, s.Name...), typeByte(s.Type))
	}
	n := len(b) - len(p.Template)
	return patternRecord{text: string(append(b, p.ID...)), slots: uint16(n), origin: uint8(max(0, slices.Index(origins, p.Origin)))}
}

func (r *patternRecord) id() pattern.ID { return pattern.ID(r.text[max(0, len(r.text)-idLen):]) }

func (r *patternRecord) template() string { return r.text[:max(0, len(r.text)-idLen-int(r.slots))] }

func (r *patternRecord) pattern() pattern.Pattern {
	p := pattern.Pattern{ID: r.id(), Template: r.template(), Origin: origins[r.origin]}
	packed := r.text[len(p.Template) : len(p.Template)+int(r.slots)]
	for from, i := 0, 0; i < len(packed); i++ {
		if packed[i] < ' ' {
			p.Slots = append(p.Slots, pattern.Slot{Name: packed[from:i], Type: typeOf[kind(packed[i])]})
			from = i + 1
		}
	}
	return p
}

// NewLibrary returns an empty Library.
func NewLibrary(o Options) *Library {
	if o.MaxShapes <= 0 {
		o.MaxShapes = DefaultMaxShapes
	}
	l := &Library{
		max: o.MaxShapes, foldAt: foldAt, foldClusterAt: foldClusterAt, words: newWordbook(), columns: newColumnCounter(),
		planOf: map[string]uint32{}, maskOf: map[mask]uint32{}, rules: &ruleSet{},
	}
	l.scan.parse = true
	return l
}

func (l *Library) text(i uint32) string {
	r := l.records.at(int(i))
	return string(l.texts.get(r.text))
}

// find returns the record with the id, folded or not, or -1.
func (l *Library) find(id ShapeID) int {
	return l.byID.find(uint64(id), func(i int) bool { return l.records.at(i).id == id })
}

// resolve follows folds to a live record.
func (l *Library) resolve(i int) int {
	for l.records.at(i).folded {
		i = int(l.records.at(i).cluster)
	}
	return i
}

// learning is the state of one call of Learn.
type learning struct {
	ch      Change
	first   int                       // records from here on are new
	dirty   []uint32                  // groups
	old     map[uint32]map[uint32]int // pattern before -> pattern now -> shapes
	orphans map[uint32][]uint32       // pattern before -> records that folded away from it
	touched map[uint32]struct{}       // patterns to report
	fresh   []uint32                  // patterns that got an id
	cloned  map[uint32]bool           // groups whose view is a copy of this call's
	dropped map[uint32]bool           // patterns that lost their rule

	firstTold int    // told shapes from here on are new
	toldFolds []Fold // of told shapes that were there
	ruled     bool   // the rules have changed
	silent    bool   // nobody asks what changed
}

func (l *Library) begin() learning {
	return learning{
		first: l.records.len(), old: map[uint32]map[uint32]int{}, orphans: map[uint32][]uint32{}, touched: map[uint32]struct{}{},
		cloned: map[uint32]bool{}, dropped: map[uint32]bool{}, firstTold: l.told.shapes.len(),
	}
}

// Learn adds shapes and repartitions the groups that they touch. The patterns of a library depend on the set of shapes it has
// learnt, not on their order. Learning nothing new costs one look-up per shape.
func (l *Library) Learn(shapes []Shape) Change {
	run := l.begin()
	run.ch.Assigned = make([]Assignment, len(shapes))
	at := make([]int, len(shapes))
	for k, s := range shapes {
		run.ch.Assigned[k].Given = s.ID
		at[k] = l.learn(s, &run)
	}
	if len(run.dirty) > 0 {
		l.repartition(&run)
	} else if l.told.shapes.len() > run.firstTold {
		l.follow(&run)
	}
	for k, i := range at {
		if i == nowhere {
			continue
		}
		run.ch.Assigned[k].Shape, run.ch.Assigned[k].Pattern = l.assigned(i)
	}
	for i := run.first; i < l.records.len(); i++ {
		if r := l.records.at(i); !r.folded {
			run.ch.Added = append(run.ch.Added, Shape{ID: r.id, Text: l.text(uint32(i))})
		}
	}
	for i := run.firstTold; i < l.told.shapes.len(); i++ {
		if t := l.told.shapes.at(i); t.into == 0 {
			run.ch.Added = append(run.ch.Added, Shape{ID: t.id, Text: t.text})
		}
	}
	return run.ch
}

// Load is Learn for who does not ask what changed, such as a process that starts: it takes little more memory than the library does, where
// what Learn tells takes as much again. It returns whether shapes were left out because the library is full.
func (l *Library) Load(shapes iter.Seq[Shape]) (full bool) {
	run := l.begin()
	run.silent = true
	for s := range shapes {
		l.learn(s, &run)
	}
	if len(run.dirty) > 0 {
		l.repartition(&run)
	} else if l.told.shapes.len() > run.firstTold {
		l.follow(&run)
	}
	return run.ch.Full
}

// assigned returns the shape of a place that learn returned, and its pattern.
func (l *Library) assigned(i int) (ShapeID, pattern.ID) {
	if i >= toldPlace {
		t := l.told.shapes.at(l.told.resolve(i - toldPlace))
		return t.id, l.patterns.at(int(t.pattern)).id()
	}
	r := l.records.at(l.resolve(i))
	return r.id, l.patterns.at(int(r.pattern)).id()
}

// learn returns the place of a shape, a new one if need be, or nowhere if it goes to Other.
func (l *Library) learn(s Shape, run *learning) int {
	if s.ID == Other {
		return nowhere
	}
	if base, told := cutTold(s.Text); base != s.Text {
		return l.learnTold(s, base, told, run)
	}
	if i := l.find(s.ID); i >= 0 {
		if !l.records.at(i).folded && l.text(uint32(i)) != s.Text {
			return nowhere // two texts with one hash: the second is counted, but not known
		}
		return i
	}
	if len(s.Text) > maxTextLen {
		return nowhere
	}
	l.scan.scan([]byte(s.Text))
	if len(l.scan.tokens) > maxTokens {
		return nowhere
	}
	g := l.groupOf(l.scan.skel)
	if i := l.absorb(g); i >= 0 {
		return i
	}
	if l.live+l.told.live >= l.max || len(l.groups.at(int(g)).shapes) >= maxGroup {
		run.ch.Full = true
		return nowhere
	}
	i := l.add(s, g, run)
	l.countColumns(i, g, run)
	return i
}

// maxTextLen is what the arena takes.
const maxTextLen = arenaBlock - 2

const noPattern = ^uint32(0)

func (l *Library) groupOf(skel uint64) uint32 {
	key := func(i int) uint64 { return (*l.views.at(i)).skel }
	g := l.bySkel.find(skel, func(i int) bool { return key(i) == skel })
	if g < 0 {
		g = l.views.push(&groupView{skel: skel})
		l.groups.push(group{})
		l.bySkel.insert(skel, g, key)
	}
	return uint32(g)
}

// add records the shape that was just scanned in group g and marks the group dirty.
func (l *Library) add(s Shape, g uint32, run *learning) int {
	i := l.records.push(record{id: s.ID, proof: l.scan.proof(), text: l.texts.add(s.Text), group: g, pattern: noPattern})
	l.byID.insert(uint64(s.ID), i, func(i int) uint64 { return uint64(l.records.at(i).id) })
	grp := l.groups.at(int(g))
	grp.shapes = append(grp.shapes, uint32(i))
	l.live++
	l.askOf(i, &l.scan)
	l.soil(g, run)
	if wide := l.scan.absorbed(); wide != (mask{}) {
		l.widen(g, i, wide, run)
	}
	return i
}

// soil marks a group dirty.
func (l *Library) soil(g uint32, run *learning) {
	if grp := l.groups.at(int(g)); !grp.dirty {
		grp.dirty = true
		run.dirty = append(run.dirty, g)
	}
}

// Checksum is equal for libraries with equal shapes, patterns and rules, in whatever order they were learnt.
func (l *Library) Checksum() uint64 {
	sum := l.rules.sum
	for i := range l.records.len() {
		if r := l.records.at(i); !r.folded {
			id := l.patterns.at(int(r.pattern)).id()
			sum += hashBytes(binary.LittleEndian.AppendUint64([]byte(id), uint64(r.id)))
		}
	}
	for i := range l.told.shapes.len() {
		if t := l.told.shapes.at(i); t.into == 0 {
			id := l.patterns.at(int(t.pattern)).id()
			sum += hashBytes(binary.LittleEndian.AppendUint64([]byte(id), uint64(t.id)))
		}
	}
	return sum
}

// Patterns returns all patterns, sorted by id.
func (l *Library) Patterns() []pattern.Pattern {
	out := make([]pattern.Pattern, 0, l.named)
	for i := range l.patterns.len() {
		if rec := l.patterns.at(i); rec.alive() {
			out = append(out, rec.pattern())
		}
	}
	slices.SortFunc(out, func(a, b pattern.Pattern) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Pattern returns the pattern with the id.
func (l *Library) Pattern(id pattern.ID) (pattern.Pattern, bool) {
	i := findPattern(&l.byName, &l.patterns, id)
	if i < 0 {
		return pattern.Pattern{}, false
	}
	return l.patterns.at(i).pattern(), true
}

func nameHash(id pattern.ID) uint64 { return hashBytes([]byte(id)) }

// findPattern returns the living pattern with the id, or -1. Dead ones stay in the table until it grows.
func findPattern(t *table, p *pages[patternRecord], id pattern.ID) int {
	return t.find(nameHash(id), func(i int) bool { return p.at(i).id() == id })
}

// PatternOf returns the pattern of a shape; that of a folded shape is the wider one's.
func (l *Library) PatternOf(s ShapeID) (pattern.ID, bool) {
	i := l.find(s)
	if i < 0 {
		return l.toldOf(s)
	}
	return l.patterns.at(int(l.records.at(l.resolve(i)).pattern)).id(), true
}

// Len returns the number of shapes, without those that were folded, and of patterns.
func (l *Library) Len() (shapes, patterns int) { return l.live + l.told.live, l.named }
