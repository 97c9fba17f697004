package values

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
)

// The spans of periods in seconds, and how long the shorter ones are kept. What is kept is said relative to the last line of a shape, so
// that it is the same whatever the order in which lines are counted, and whether they are of today or of years ago:
//
//	... | 30 days | 30 days | day | day | ... | day | hour | hour | ... | hour |  last line
//	                        <--- up to 31 days ----><-- 2 to 3 days ---->
//
// So a shape has at most 72 periods of an hour, 31 of a day, and one for each 30 days before.
const (
	Hour  = 3600
	Day   = 24 * Hour
	Month = 30 * Day

	keepHours = 2 * Day
	keepDays  = 30 * Day
)

// MaxColumns is how many columns of a shape have their values summed up: the first so many that hold values.
const MaxColumns = 32

// Column is the summary of one column of a shape.
type Column struct {
	Index   int // of the token in the shape
	Summary *Summary
}

// Period is what one shape held in one span of time. It is open, with its columns at hand, or sealed, which takes a tenth of the memory. What uses the
// columns needs it open.
type Period struct {
	Span    int64 // seconds: Hour, Day or Month
	Start   int64 // Unix seconds, a multiple of Span
	Lines   int64
	Columns []Column // sorted by index; nil while it is sealed

	body []byte // the encoded columns, while it is sealed
}

// Seal encodes the columns and forgets them, if it is open.
func (p *Period) Seal() {
	if p.body == nil {
		p.body = p.AppendBody(nil)
		p.Columns = nil
	}
}

// Open decodes the columns, if it is sealed. It returns ErrCorrupt for a period that was read from bytes that nobody wrote.
func (p *Period) Open() error {
	if p.body == nil {
		return nil
	}
	body := p.body
	p.body = nil
	return p.ReadBody(body)
}

// End returns the end in Unix seconds.
func (p *Period) End() int64 { return p.Start + p.Span }

// Place returns the period in which a line at a time is kept, if the last line of its shape is at last; both in Unix seconds.
func Place(at, last int64) (span, start int64) {
	today := floor(last, Day)
	switch {
	case at >= today-keepHours:
		span = Hour
	case at >= floor(today-keepDays, Day):
		span = Day
	default:
		span = Month
	}
	return span, floor(at, span)
}

// Horizons returns the times in Unix seconds before which periods of an hour and of a day are merged into longer ones.
func Horizons(last int64) (hours, days int64) {
	today := floor(last, Day)
	return today - keepHours, today - keepDays
}

func floor(at, step int64) int64 { return at - ((at%step)+step)%step }

// Merge adds all of o, which stays as it is; the time of p stays too. Both must be open.
func (p *Period) Merge(o *Period) {
	p.Lines += o.Lines
	for _, c := range o.Columns {
		p.Column(c.Index).Merge(c.Summary)
	}
}

// Column returns the summary of a column, an empty one if there was none.
func (p *Period) Column(index int) *Summary {
	i, ok := slices.BinarySearchFunc(p.Columns, index, func(c Column, i int) int { return cmp.Compare(c.Index, i) })
	if !ok {
		p.Columns = slices.Insert(p.Columns, i, Column{index, &Summary{}})
	}
	return p.Columns[i].Summary
}

// Find returns the summary of a column, or nil.
func (p *Period) Find(index int) *Summary {
	i, ok := slices.BinarySearchFunc(p.Columns, index, func(c Column, i int) int { return cmp.Compare(c.Index, i) })
	if !ok {
		return nil
	}
	return p.Columns[i].Summary
}

// Coarsen merges periods into those in which they are kept when the last line of the shape is at last, in Unix seconds. The result is sorted by
// start; it shares the summaries of periods that stay alone with those given, and opens those that do not. It returns ErrCorrupt if one cannot be
// opened.
func Coarsen(periods []Period, last int64) ([]Period, error) {
	type key struct{ span, start int64 }
	at := map[key]int{}
	var out []Period
	var own []bool
	for i := range periods {
		p := &periods[i]
		span, start := Place(p.Start, last)
		if span < p.Span {
			span, start = p.Span, p.Start
		}
		k, ok := at[key{span, start}]
		if !ok {
			if p.Span != span || p.Start != start { // a body is relative to its start
				if err := p.Open(); err != nil {
					return nil, err
				}
			}
			at[key{span, start}] = len(out)
			out = append(out, Period{Span: span, Start: start, Lines: p.Lines, Columns: p.Columns, body: p.body})
			own = append(own, false)
			continue
		}
		if err := errors.Join(p.Open(), out[k].Open()); err != nil {
			return nil, err
		}
		if !own[k] {
			alone := out[k]
			own[k], out[k] = true, Period{Span: span, Start: start}
			out[k].Merge(&alone)
		}
		out[k].Merge(p)
	}
	slices.SortFunc(out, func(a, b Period) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Span, b.Span)) })
	return out, nil
}

// bodyVersion is the first byte of an encoded period.
const bodyVersion = 1

// AppendBody encodes the columns; the span, start and lines are the caller's to keep. A column takes 80 to
// 700 bytes as a rule, and less than 5 KiB at worst.
func (p *Period) AppendBody(b []byte) []byte {
	if p.body != nil {
		return append(b, p.body...)
	}
	b = append(b, bodyVersion, byte(len(p.Columns)))
	for _, c := range p.Columns {
		b = c.Summary.Append(append(b, byte(c.Index)), p.Start*1e9)
	}
	return b
}

// ReadBody decodes what AppendBody wrote of a period with the same Start. It returns ErrCorrupt for anything else, also of another version.
func (p *Period) ReadBody(b []byte) error {
	if len(b) < 2 || b[0] != bodyVersion {
		return ErrCorrupt
	}
	n := int(b[1])
	b = b[2:]
	p.Columns = make([]Column, 0, min(n, 2*MaxColumns))
	for range n {
		if len(b) == 0 || len(p.Columns) > 0 && int(b[0]) <= p.Columns[len(p.Columns)-1].Index {
			return ErrCorrupt
		}
		s, rest, err := Read(b[1:], p.Start*1e9)
		if err != nil {
			return err
		}
		p.Columns = append(p.Columns, Column{int(b[0]), s})
		b = rest
	}
	if len(b) > 0 {
		return ErrCorrupt
	}
	return nil
}

// AppendPeriods encodes periods one after another.
func AppendPeriods(b []byte, periods []Period) []byte {
	b = binary.AppendUvarint(b, uint64(len(periods)))
	for i := range periods {
		p := &periods[i]
		b = binary.AppendUvarint(b, uint64(p.Span))
		b = binary.AppendVarint(b, p.Start)
		b = binary.AppendUvarint(b, uint64(p.Lines))
		body := p.AppendBody(nil)
		b = append(binary.AppendUvarint(b, uint64(len(body))), body...)
	}
	return b
}

// ReadPeriods decodes what AppendPeriods wrote, as sealed periods that share the bytes, and returns the bytes behind it. It returns ErrCorrupt for
// anything else; what the bodies hold shows when they are opened.
func ReadPeriods(b []byte) (periods []Period, rest []byte, err error) {
	d := decoder{b: b}
	for range d.uvarint() {
		p := Period{Span: d.count63(), Start: d.varint(), Lines: d.count63()}
		size := d.uvarint()
		if d.bad || size > uint64(len(d.b)) || p.Span != Hour && p.Span != Day && p.Span != Month || p.Start != floor(p.Start, p.Span) || p.Start > maxStart || p.Start < -maxStart {
			return nil, nil, ErrCorrupt
		}
		if p.body = d.bytes(int(size)); size < 2 || p.body[0] != bodyVersion {
			return nil, nil, ErrCorrupt
		}
		periods = append(periods, p)
	}
	if d.bad {
		return nil, nil, ErrCorrupt
	}
	return periods, d.b, nil
}

// maxStart keeps times in nanoseconds within 64 bits.
const maxStart = 1 << 33
