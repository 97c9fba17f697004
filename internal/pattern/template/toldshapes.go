package template

import (
	"slices"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// toldShape is a shape that tells values of its base.
type toldShape struct {
	id            ShapeID
	text          string // canonical, with what is told
	base          uint32 // record
	pattern, plan uint32
	into          uint32 // the number + 1 of the told shape that it folded into with its base; 0 if it is live
	ruled         bool   // a rule takes it
}

// toldShapes are the told shapes of a library, and what its rules ask of its other shapes.
type toldShapes struct {
	shapes pages[toldShape]
	byID   table
	live   int
	asked  pages[asked]
	byBase table // asked by record
}

// asked is what the rules ask of a record that has askedOf set.
type asked struct {
	record uint32
	asks   []ask
}

func recordKey(i uint32) uint64 { return mixAt(uint64(i), 0) }

func (t *toldShapes) snapshot() toldShapes {
	return toldShapes{shapes: t.shapes.snapshot(), byID: t.byID.snapshot(), live: t.live, asked: t.asked.snapshot(), byBase: t.byBase.snapshot()}
}

// find returns the told shape with the id, folded or not, or -1.
func (t *toldShapes) find(id ShapeID) int {
	return t.byID.find(uint64(id), func(i int) bool { return t.shapes.at(i).id == id })
}

func (t *toldShapes) resolve(i int) int {
	for t.shapes.at(i).into != 0 {
		i = int(t.shapes.at(i).into - 1)
	}
	return i
}

func (t *toldShapes) asksOf(record int) []ask {
	i := t.byBase.find(recordKey(uint32(record)), func(i int) bool { return t.asked.at(i).record == uint32(record) })
	if i < 0 {
		return nil
	}
	return t.asked.at(i).asks
}

// askOf notes what the rules ask of record i, whose text was just scanned.
func (l *Library) askOf(i int, s *scanner) {
	if len(l.rules.asking) == 0 {
		return
	}
	if a := l.rules.asks(s); len(a) > 0 {
		l.records.edit(i).askedOf = true
		k := l.told.asked.push(asked{record: uint32(i), asks: a})
		l.told.byBase.insert(recordKey(uint32(i)), k, func(k int) uint64 { return recordKey(l.told.asked.at(k).record) })
	}
}

// askAll notes what the rules now in force ask, if others asked before.
func (l *Library) askAll(old *ruleSet) {
	if slices.EqualFunc(old.asking, l.rules.asking, func(a, b *matcher) bool { return a.text() == b.text() }) {
		return
	}
	l.told.asked, l.told.byBase = pages[asked]{}, table{}
	s := scanner{parse: true}
	for i := range l.records.len() {
		r := l.records.at(i)
		if r.askedOf {
			l.records.edit(i).askedOf = false
		}
		if !r.folded && len(l.rules.asking) > 0 {
			s.scan(l.texts.get(r.text))
			l.askOf(i, &s)
		}
	}
}

// Places that learn returns: a record, a told shape behind toldPlace, or nowhere.
const (
	nowhere   = -1
	toldPlace = 1 << 40
)

// learnTold returns the place of a shape that tells values: where there is no room for it, that of its base.
func (l *Library) learnTold(s Shape, base string, told []ask, run *learning) int {
	if i := l.told.find(s.ID); i >= 0 && l.told.shapes.at(i).text == s.Text {
		return toldPlace + i
	}
	l.scan.scan([]byte(base))
	i := l.learn(Shape{ID: l.scan.id(), Text: base}, run)
	if i < 0 || len(told) == 0 {
		return i
	}
	if k := l.tell(l.resolve(i), told, run); k >= 0 {
		return toldPlace + k
	}
	return i
}

// tell returns the told shape of a live record, a new one if need be, or -1 if there is no room.
func (l *Library) tell(base int, told []ask, run *learning) int {
	r := l.records.at(base)
	t := tellOf(r.id, 0)
	for i := range told {
		t.add(&told[i])
	}
	id, _ := t.shape()
	text := string(appendTold([]byte(l.text(uint32(base))), told))
	if i := l.told.find(id); i >= 0 {
		if l.told.shapes.at(i).text != text {
			return -1
		}
		return i
	}
	if l.live+l.told.live >= l.max {
		run.ch.Full = true
		return -1
	}
	i := l.told.shapes.push(toldShape{id: id, text: text, base: uint32(base), pattern: noPattern})
	l.told.byID.insert(uint64(id), i, func(i int) uint64 { return uint64(l.told.shapes.at(i).id) })
	l.told.live++
	return i
}

// follow gives told shapes the rule that takes them, or else the pattern of their base, and lets those fold whose base did.
func (l *Library) follow(run *learning) {
	s := scanner{parse: true}
	for i := 0; i < l.told.shapes.len(); i++ { // those that others fold into come behind
		if t := l.told.shapes.at(i); t.into == 0 && l.records.at(int(t.base)).folded {
			l.foldTold(i, run)
		}
		if l.told.shapes.at(i).into == 0 {
			l.followOne(i, &s, run)
		}
	}
}

// foldTold lets told shape i fold into that of the wider base.
func (l *Library) foldTold(i int, run *learning) {
	t := l.told.shapes.at(i)
	_, told := cutTold(t.text)
	wide := l.tell(l.resolve(int(t.base)), told, run)
	if wide < 0 {
		return // there is no room: it stays as it is, and follows its base
	}
	if i < run.firstTold {
		run.toldFolds = append(run.toldFolds, Fold{From: t.id, To: l.told.shapes.at(wide).id})
	}
	l.told.shapes.edit(i).into = uint32(wide) + 1
	l.told.live--
}

func (l *Library) followOne(i int, s *scanner, run *learning) {
	t := *l.told.shapes.at(i)
	before := t.pattern
	if before == noPattern || run.ruled {
		t.ruled = l.rule(&t, s)
	}
	if !t.ruled {
		r := l.records.at(l.resolve(int(t.base)))
		cl := (*l.views.at(int(r.group))).clusters[r.cluster]
		t.pattern, t.plan = cl.pattern, cl.plan
	}
	if before != t.pattern {
		if before != noPattern && run.ruled {
			run.lost(before, t.pattern, 1)
		}
		run.ch.Moved = append(run.ch.Moved, Move{Shape: t.id, Pattern: l.patterns.at(int(t.pattern)).id()})
	}
	if t != *l.told.shapes.at(i) {
		*l.told.shapes.edit(i) = t
	}
}

// rule gives a told shape to the best rule that takes it, if there is one.
func (l *Library) rule(t *toldShape, s *scanner) bool {
	if len(l.rules.rules) == 0 {
		return false
	}
	base, told := cutTold(t.text)
	s.scan([]byte(base))
	know := telling{told: told}
	by := l.rules.best(s, know)
	if by == nil {
		return false
	}
	t.pattern, t.plan = l.rules.places[by.rule], l.plan(l.rules.fits[by.rule].fit(s, know, nil))
	return true
}

// toldOf returns the pattern of a told shape, or "".
func (l *Library) toldOf(id ShapeID) (pattern.ID, bool) {
	i := l.told.find(id)
	if i < 0 {
		return "", false
	}
	return l.patterns.at(int(l.told.shapes.at(l.told.resolve(i)).pattern)).id(), true
}

// toldMatch fills m for a scanned message whose record asks for values, if it has some of them.
func (ix *Index) toldMatch(s *scanner, message []byte, record int, m *Match) bool {
	asks := ix.told.asksOf(record)
	t := tellOf(ix.records.at(record).id, 0)
	t.of(asks, s, message)
	if !t.told {
		return false
	}
	id, _ := t.shape()
	m.Confidence = 1
	if i := ix.told.find(id); i >= 0 {
		shape := ix.told.shapes.at(ix.told.resolve(i))
		m.Shape = shape.id
		m.Pattern = ix.patterns.at(int(shape.pattern)).id()
		m.take(s, *ix.plans.at(int(shape.plan)))
		return true
	}
	// Nobody has learnt it yet: what the library will make of it.
	r := ix.records.at(record)
	words := ix.scanners.Get().(*scanner)
	defer ix.scanners.Put(words)
	words.parse = true
	words.scan(ix.texts.get(r.text))
	words.parse = false
	var has [4]ask
	know := telling{told: appendHas(has[:0], asks, s, message)}
	by := ix.rules.best(words, know)
	if by == nil {
		return false
	}
	var room [16]slotPlan
	m.Shape = r.id
	m.Pattern = ix.rules.rules[by.rule].Target.ID
	m.take(s, ix.rules.fits[by.rule].fit(words, know, room[:0]))
	return true
}

// proofOf returns the proof and the text of a shape of the library, which may tell values.
func (l *Library) proofOf(id ShapeID) (uint32, []byte) {
	if i := l.find(id); i >= 0 {
		r := l.records.at(i)
		return r.proof, slices.Clone(l.texts.get(r.text))
	}
	t := l.told.shapes.at(l.told.find(id))
	r := l.records.at(l.resolve(int(t.base)))
	tell := tellOf(r.id, r.proof)
	_, told := cutTold(t.text)
	for i := range told {
		tell.add(&told[i])
	}
	_, proof := tell.shape()
	return proof, []byte(t.text)
}
