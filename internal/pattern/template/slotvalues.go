package template

import (
	"cmp"
	"slices"
	"sync"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/values"
)

// What a slot of a pattern held is put together from its shapes, because shapes stay when patterns change:
//
//	shape  login of ada from ▒   12 lines   column 4: 10.0.0.7, 10.0.0.9, ...     slot word: ada 12, bob 30
//	shape  login of bob from ▒   30 lines   column 4: 10.0.0.7, ...          -->  slot ip:   both columns merged
//
// A masked column has a summary of its values for each period; a word that is a slot of the pattern counts as often as its shape.

// maxPeriods is how many periods of a shape a tally holds before it merges the old ones.
const maxPeriods = 160

// farTime keeps times in nanoseconds far enough from their end that a month may be taken away.
const farTime = 8e18

// recorder sums up the values of one entry of a tally.
type recorder struct {
	columns    []uint8         // tokens that are slots
	periods    []values.Period // sorted by start and span; each has all columns
	now        int             // the period of the last line
	start, end int64           // of it, in nanoseconds
}

// recordValues sums up the values of the message just scanned, which entry k counted.
func (t *Tally) recordValues(k int, message []byte, at int64) {
	if k == t.other {
		return
	}
	for len(t.recorders) <= k {
		t.recorders = append(t.recorders, nil)
	}
	r := t.recorders[k]
	if r == nil {
		r = &recorder{columns: slotColumns(t.entries[k].text), start: 1}
		t.recorders[k] = r
	}
	if at = min(max(at, -farTime), farTime); at < r.start || at >= r.end {
		r.turn(at, t.entries[k].last)
	}
	p := &r.periods[r.now]
	p.Lines++
	for i, c := range r.columns {
		x, s := &t.scan.tokens[c], p.Columns[i].Summary
		v := message[x.start:x.end]
		s.Add(v, 1, at)
		if !x.prefixed {
			recordNumber(s, x.kind, v)
		}
	}
}

func recordNumber(s *values.Summary, k kind, v []byte) {
	switch k { //nolint:exhaustive // the others are no numbers
	case kindNumber:
		if x, unit, ok := values.Number(v); ok {
			s.AddNumber(x, unit, 1)
		}
	case kindDuration:
		if x, ok := values.Duration(v); ok {
			s.AddNumber(x, values.Milliseconds, 1)
		}
	case kindSize:
		if x, ok := values.Size(v); ok {
			s.AddNumber(x, values.Bytes, 1)
		}
	}
}

// parsers are scanners of canonical text.
var parsers = sync.Pool{New: func() any { return &scanner{parse: true} }}

// slotColumns returns the first tokens of a canonical text that are slots.
func slotColumns(text []byte) (columns []uint8) {
	s := parsers.Get().(*scanner)
	defer parsers.Put(s)
	s.scan(baseText(text))
	for c := range s.tokens {
		if s.tokens[c].kind != kindWord && len(columns) < values.MaxColumns {
			columns = append(columns, uint8(c))
		}
	}
	return columns
}

// turn goes to the hour of a line, and merges old hours if there are many.
func (r *recorder) turn(at, last int64) {
	const hour = values.Hour * 1e9
	r.start = at - ((at%hour)+hour)%hour
	r.end = r.start + hour
	if len(r.periods) >= maxPeriods {
		r.periods = coarsen(r.periods, last)
	}
	start := r.start / 1e9
	i, ok := slices.BinarySearchFunc(r.periods, start, func(p values.Period, start int64) int {
		return cmp.Or(cmp.Compare(p.Start, start), cmp.Compare(p.Span, values.Hour))
	})
	if !ok {
		p := values.Period{Span: values.Hour, Start: start, Columns: make([]values.Column, len(r.columns))}
		for k, c := range r.columns {
			p.Columns[k] = values.Column{Index: int(c), Summary: &values.Summary{}}
		}
		if i == len(r.periods) && i > 1 {
			r.periods[i-2].Seal() // time goes on; lines may still be of the hour before
		}
		r.periods = slices.Insert(r.periods, i, p)
	}
	open(&r.periods[i])
	r.now = i
}

// open opens a period that was sealed here.
func open(p *values.Period) {
	if err := p.Open(); err != nil {
		panic("template: a sealed period does not open: " + err.Error())
	}
}

// coarsen is values.Coarsen of periods that were sealed here.
func coarsen(periods []values.Period, last int64) []values.Period {
	out, err := values.Coarsen(periods, seconds(last))
	if err != nil {
		panic("template: a sealed period does not open: " + err.Error())
	}
	return out
}

// seconds rounds a time in nanoseconds down.
func seconds(at int64) int64 {
	at = min(max(at, -farTime), farTime)
	return (at - ((at%1e9)+1e9)%1e9) / 1e9
}

// mergeValues moves the values of one entry to another, which is wider or new.
func (t *Tally) mergeValues(to, from int) {
	if max(to, from) >= len(t.recorders) {
		t.recorders = append(t.recorders, make([]*recorder, max(to, from)+1-len(t.recorders))...)
	}
	r := t.recorders[from]
	t.recorders[from] = nil
	if to != t.other {
		t.takeValues(to, r, t.entries[from].text)
	}
}

// recorderOf returns the recorder of entry k, or nil.
func (t *Tally) recorderOf(k int) *recorder {
	if k >= len(t.recorders) {
		return nil
	}
	return t.recorders[k]
}

// takeValues adds what a shape held, whose text is given, to what an entry held that is equal or wider.
func (t *Tally) takeValues(to int, r *recorder, text []byte) {
	if r == nil {
		return
	}
	if to >= len(t.recorders) {
		t.recorders = append(t.recorders, make([]*recorder, to+1-len(t.recorders))...)
	}
	w := t.recorders[to]
	if w == nil {
		w = &recorder{columns: slotColumns(t.entries[to].text)}
		t.recorders[to] = w
	}
	for i := range r.periods {
		open(&r.periods[i])
	}
	moved := WidenValues(r.periods, string(text), string(t.entries[to].text))
	for i := range moved {
		w.keep(&moved[i])
	}
	w.start, w.end = 1, 0 // the period of the next line is to be found anew
}

// keep adds a period.
func (r *recorder) keep(p *values.Period) {
	i, ok := slices.BinarySearchFunc(r.periods, p, func(a values.Period, b *values.Period) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Span, b.Span))
	})
	if ok {
		open(&r.periods[i])
		r.periods[i].Merge(p)
		return
	}
	r.periods = slices.Insert(r.periods, i, *p)
}

// periodsOf returns what entry k held, in the periods that are kept.
func (t *Tally) periodsOf(k int) []values.Period {
	if k >= len(t.recorders) || t.recorders[k] == nil {
		return nil
	}
	filled := make([]values.Period, 0, len(t.recorders[k].periods))
	for _, p := range t.recorders[k].periods {
		if p.Lines > 0 {
			filled = append(filled, p)
		}
	}
	return coarsen(filled, t.entries[k].last)
}

// WidenValues returns what a shape held as what the wider shape holds that took it: a word of the one where the other takes any word is a
// value, seen at the start of its period. The periods must be open; those returned may share summaries with them.
func WidenValues(periods []values.Period, from, to string) []values.Period {
	from, _ = cutTold(from)
	words := parsers.Get().(*scanner)
	defer parsers.Put(words)
	words.scan([]byte(from))
	columns := slotColumns([]byte(to))
	out := make([]values.Period, 0, len(periods))
	for i := range periods {
		p := &periods[i]
		w := values.Period{Span: p.Span, Start: p.Start, Lines: p.Lines}
		for _, c := range columns {
			if int(c) >= len(words.tokens) {
				break
			}
			s := p.Find(int(c))
			if x := &words.tokens[c]; s == nil && x.kind == kindWord {
				s = &values.Summary{}
				s.Add([]byte(from[x.textStart:x.textEnd]), p.Lines, p.Start*1e9)
			}
			if s == nil {
				s = &values.Summary{}
			}
			w.Columns = append(w.Columns, values.Column{Index: int(c), Summary: s})
		}
		out = append(out, w)
	}
	return out
}

// SlotValues is what a slot of a pattern held.
type SlotValues struct {
	pattern.Slot
	*values.Summary
}

// Collector puts what the shapes of one pattern held together by the slots of the pattern.
type Collector struct {
	index   *Index
	pattern pattern.Pattern
	slots   []values.Summary
	skips   []int // bytes of literal prefix before the slot
	scan    scanner

	Lines    int64 // of the periods that were collected
	Unplaced int64 // lines of shapes that the index does not have under the pattern
}

// Collect starts a Collector for a pattern.
func (ix *Index) Collect(p pattern.Pattern) *Collector {
	c := &Collector{index: ix, pattern: p, slots: make([]values.Summary, len(p.Slots)), skips: make([]int, len(p.Slots))}
	for i := range c.skips {
		c.skips[i] = -1
	}
	c.scan.parse = true
	return c
}

// Add adds what a shape of the pattern held, an open period. The shape may have folded into a wider one since.
func (c *Collector) Add(id ShapeID, p *values.Period) {
	text, n, ok := c.index.shape(id)
	if !ok {
		c.Unplaced += p.Lines
		return
	}
	plan := *c.index.plans.at(int(n))
	if len(plan) != len(c.slots) {
		c.Unplaced += p.Lines
		return
	}
	c.Lines += p.Lines
	c.scan.scan(text)
	for k, at := range plan {
		if at.tail && at.last == noTail {
			continue
		}
		if skip := int(at.skip); c.skips[k] < 0 || skip < c.skips[k] {
			c.skips[k] = skip
		}
		for col := int(at.first); col <= min(int(at.last), len(c.scan.tokens)-1); col++ {
			c.column(&c.slots[k], p, text, col, at)
		}
	}
}

// shape returns the canonical text of a shape, without what it tells, and the number of the plan by which it has its slots today.
func (ix *Index) shape(id ShapeID) (text []byte, plan uint32, ok bool) {
	if i := ix.find(id); i >= 0 {
		r := ix.records.at(i)
		text = ix.texts.get(r.text)
		for r.folded {
			r = ix.records.at(int(r.cluster))
		}
		return text, (*ix.views.at(int(r.group))).clusters[r.cluster].plan, true
	}
	i := ix.told.find(id)
	if i < 0 {
		return nil, 0, false
	}
	text = baseText([]byte(ix.told.shapes.at(i).text))
	return text, ix.told.shapes.at(ix.told.resolve(i)).plan, true
}

// column adds what a column held to the slot at the plan's columns.
func (c *Collector) column(slot *values.Summary, p *values.Period, text []byte, col int, at slotPlan) {
	word := func(col int) []byte {
		if col >= len(c.scan.tokens) || c.scan.tokens[col].kind != kindWord {
			return nil
		}
		return text[c.scan.tokens[col].textStart:c.scan.tokens[col].textEnd]
	}
	s := p.Find(col)
	switch w := word(col); {
	case s == nil && w == nil: // not among the columns that are summed up
	case s == nil && col > int(at.first) && sizeUnit(string(w)) && p.Find(col-1) != nil: // the KB of 1.2 KB, which is below
	case s == nil:
		slot.Add(w, p.Lines, p.Start*1e9)
	default:
		if col < int(at.last) {
			if sized, ok := s.InBytes(word(col + 1)); ok {
				s = sized
			}
		}
		slot.Merge(s)
	}
}

// Slots returns the summaries of the slots so far, in the order of the pattern. The Collector cannot be used after.
func (c *Collector) Slots() []SlotValues {
	out := make([]SlotValues, len(c.slots))
	for i := range c.slots {
		c.slots[i].Strip(max(c.skips[i], 0))
		out[i] = SlotValues{c.pattern.Slots[i], &c.slots[i]}
	}
	return out
}

// Values returns what the slots of each pattern held, as of the last Assign, if the options asked for it.
func (o *Offline) Values() map[pattern.ID][]SlotValues {
	ix, of := o.library.Index(), map[pattern.ID]*Collector{}
	for _, c := range o.Tally().Counted() {
		id, ok := o.PatternOf(c.ID)
		if !ok || len(c.Values) == 0 {
			continue
		}
		if of[id] == nil {
			p, _ := o.library.Pattern(id)
			of[id] = ix.Collect(p)
		}
		shape, periods := c.ID, c.Values
		for i := range periods {
			open(&periods[i])
		}
		if wide, ok := o.wider[c.ID]; ok {
			shape, periods = wide, WidenValues(periods, c.Text, o.library.text(uint32(o.library.find(wide))))
		}
		for i := range periods {
			of[id].Add(shape, &periods[i])
		}
	}
	out := make(map[pattern.ID][]SlotValues, len(of))
	for id, c := range of {
		out[id] = c.Slots()
	}
	return out
}
