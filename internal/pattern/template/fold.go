package template

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// A column that has shown very many words in otherwise equal shapes is absorbed: the shapes fold into one wider shape, in which
// the column is any word.
//
//	login of ada ok     \
//	login of bob ok      >  256 of them  -->  login of \x14 ok
//	login of ...  ok    /
//
// The wider shape takes every later word without growing the library. That 256 shapes are equal but for one column is a
// property of the set, so the order in which they came does not matter.

const (
	foldAt        = 256  // shapes that differ in one column
	foldClusterAt = 2048 // shapes of one cluster, whatever columns they differ in
	counterBits   = 17
)

// columnCounter estimates how many live shapes are equal but for one column, for all columns of all shapes, in fixed memory, and
// counts exactly where there are many. The estimate is never too low. Shapes that fold are taken out again, so that a library that
// was loaded from its live shapes goes on like the one that learnt them.
type columnCounter struct {
	rows  [2][]uint16 // one that is full stays so
	exact map[uint64]uint32
}

func newColumnCounter() columnCounter {
	return columnCounter{rows: [2][]uint16{make([]uint16, 1<<counterBits), make([]uint16, 1<<counterBits)}, exact: map[uint64]uint32{}}
}

func (c *columnCounter) add(key uint64) (estimate int) {
	a, b := c.cells(key)
	for _, cell := range []*uint16{a, b} {
		if *cell < math.MaxUint16 {
			*cell++
		}
	}
	return int(min(*a, *b))
}

func (c *columnCounter) cells(key uint64) (a, b *uint16) {
	return &c.rows[0][key>>(64-counterBits)], &c.rows[1][key&(1<<counterBits-1)]
}

func (c *columnCounter) remove(key uint64) {
	a, b := c.cells(key)
	for _, cell := range []*uint16{a, b} {
		if *cell < math.MaxUint16 {
			*cell--
		}
	}
	if n, ok := c.exact[key]; ok && n > 1 {
		c.exact[key] = n - 1
	} else {
		delete(c.exact, key)
	}
}

// absorbed returns the columns of the scanned text that take any word.
func (s *scanner) absorbed() (m mask) {
	for c := range s.tokens {
		if s.tokens[c].kind == kindAny {
			m.set(c)
		}
	}
	return m
}

// with returns the id of the scanned shape with the columns of m replaced by any word.
func (s *scanner) with(m *mask) ShapeID {
	sum := s.sum
	for k, bits := range m {
		for c := k << 6; bits != 0; c, bits = c+1, bits>>1 {
			if bits&1 != 0 && c < len(s.tokens) {
				sum += mixAt(slotHash(kindAny), c) - mixAt(s.tokens[c].hash, c)
			}
		}
	}
	return finish(sum, s.skel)
}

// absorb returns the record of the wider shape that takes the scanned one, or -1.
func (l *Library) absorb(g uint32) int {
	for _, m := range (*l.views.at(int(g))).widened() {
		if i := l.find(l.scan.with(&m)); i >= 0 {
			return i
		}
	}
	return -1
}

// column returns the key under which the scanned shape is counted for column c, if that is a word.
func (s *scanner) column(c int) (m mask, key uint64, ok bool) {
	if t := &s.tokens[c]; t.kind != kindWord && !t.prefixed {
		return m, 0, false
	}
	m.set(c)
	return m, uint64(s.with(&m)) + uint64(c+1)*k1, true
}

// countColumns counts the shape that was just added under each of its columns, and folds where that makes too many.
func (l *Library) countColumns(i int, g uint32, run *learning) {
	var full []mask
	for c := range l.scan.tokens {
		m, key, ok := l.scan.column(c)
		if !ok {
			continue
		}
		estimate := l.columns.add(key)
		n, watched := l.columns.exact[key]
		switch {
		case watched:
			n++
		case estimate >= l.foldAt/2:
			n = l.countColumn(g, c, key)
		default:
			continue
		}
		l.columns.exact[key] = n
		if int(n) >= l.foldAt {
			full = append(full, m)
		}
	}
	for _, m := range full {
		if r := l.records.at(i); !r.folded {
			l.fold(g, uint32(i), m, run)
		}
	}
}

// countColumn counts the shapes of a group that are equal but for column c.
func (l *Library) countColumn(g uint32, c int, key uint64) (n uint32) {
	var s scanner
	s.parse = true
	for _, i := range l.groups.at(int(g)).shapes {
		r := l.records.at(int(i))
		s.scan(l.texts.get(r.text))
		if _, k, ok := s.column(c); ok && k == key {
			n++
		}
	}
	return n
}

// fold makes the wider shape of record i with the columns of m absorbed, and folds into it what it takes.
func (l *Library) fold(g, i uint32, m mask, run *learning) {
	l.scan.scan([]byte(l.text(i)))
	id := l.scan.with(&m)
	var text []byte
	end := 0
	for c := range l.scan.tokens {
		t := &l.scan.tokens[c]
		text = append(text, l.scan.text[end:t.textStart]...)
		if m.has(c) {
			text = append(text, byte(kindAny))
		} else {
			text = append(text, l.scan.text[t.textStart:t.textEnd]...)
		}
		end = int(t.textEnd)
	}
	text = append(text, l.scan.text[end:]...)
	if l.find(id) >= 0 {
		return
	}
	l.scan.scan(text)
	if l.scan.id() != id {
		return
	}
	k := l.add(Shape{ID: id, Text: string(text)}, g, run)
	l.scan.scan(text)
	l.countColumns(k, g, run)
}

// widen lets record i, which absorbs the columns of m, take the shapes of its group that it stands for.
func (l *Library) widen(g uint32, i int, m mask, run *learning) {
	view := *(*l.views.at(int(g)))
	if !slices.Contains(view.widened(), m) {
		wide := append(slices.Clone(view.widened()), m)
		slices.SortFunc(wide, compareMasks)
		view.wide = &wide
		*l.views.edit(int(g)) = &view
	}
	id := l.records.at(i).id
	grp := l.groups.at(int(g))
	var s scanner
	s.parse = true
	keep := grp.shapes[:0]
	for _, k := range grp.shapes {
		r := l.records.at(int(k))
		s.scan(l.texts.get(r.text))
		if int(k) == i || s.with(&m) != id {
			keep = append(keep, k)
			continue
		}
		if int(k) < run.first {
			run.ch.Folded = append(run.ch.Folded, Fold{From: r.id, To: id})
		}
		if r.pattern != noPattern {
			run.orphans[r.pattern] = append(run.orphans[r.pattern], uint32(i))
			l.patterns.edit(int(r.pattern)).shapes--
		}
		for c := range s.tokens {
			if _, key, ok := s.column(c); ok {
				l.columns.remove(key)
			}
		}
		w := l.records.edit(int(k))
		w.folded, w.cluster, w.pattern = true, uint32(i), noPattern
		l.live--
	}
	grp.shapes = keep
	grp.sorted = false
}

// foldCluster absorbs the columns of words of a cluster that has grown very large. It returns whether it did.
func (l *Library) foldCluster(g uint32, c *cluster, run *learning) bool {
	if len(c.rows) < l.foldClusterAt || c.vars == (mask{}) {
		return false
	}
	wide := map[ShapeID]uint32{}
	for _, r := range c.rows {
		l.scan.scan([]byte(l.text(r.shape)))
		id := l.scan.with(&c.vars)
		if i, ok := wide[id]; !ok || l.records.at(int(r.shape)).id < l.records.at(int(i)).id {
			wide[id] = r.shape
		}
	}
	for _, id := range slices.Sorted(maps.Keys(wide)) {
		if r := l.records.at(int(wide[id])); !r.folded {
			l.fold(g, wide[id], c.vars, run)
		}
	}
	return true
}

func compareMasks(a, b mask) int {
	for k := range a {
		if d := cmp.Compare(a[k], b[k]); d != 0 {
			return d
		}
	}
	return 0
}
