// Package values sums up the values of one slot in bounded memory: how many, how many different, which most often, how numbers
// are spread, the first and the last. Values come in one by one or as summaries of others; quantiles, counts with their error
// bounds, and comparisons of two summaries go out. It knows no template, file, database or clock.
//
//	values ──Add──> Summary ──Merge──> Summary ──> distinct, top, quantiles
//	                   └──── Period: the summaries of one shape in one span of time, the unit that is stored
//
// Summaries of parts are merged by whoever has them, in any order. All of a summary but the top values is a pure function of the
// multiset of values, whatever the order and the parts: the count, the distinct count, the numbers with their histogram and sum, the first
// and the last value. The top values are too as long as no value was dropped (Missed is 0: at most MaxTop different values that fit in
// MaxTopText bytes); beyond that they keep their bound in any order (see Top).
package values

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// MaxValue is how many bytes of a value are kept. A longer one is told from others by all of its bytes, and shown cut.
const MaxValue = 80

// Summary is what is known of the values of one slot. The zero Summary is empty and ready to use. It is not safe for concurrent use.
type Summary struct {
	count       int64
	distinct    sketch
	top         top
	numbers     [units]*Numbers
	first, last moment
}

// moment is a value at a time in Unix nanoseconds.
type moment struct {
	at    int64
	value []byte
	set   bool
}

// Add counts n occurrences of a value at a time in Unix nanoseconds, without its number (see AddNumber). It allocates nothing for a
// value that is among the top.
func (s *Summary) Add(value []byte, n, at int64) {
	s.count += n
	h := hash(value)
	if e := s.top.find(h); e != nil {
		e.count += n
	} else {
		s.distinct.add(uint32(h >> 32))
		s.top.insert(h, value, n)
	}
	value = value[:min(len(value), MaxValue)]
	if !s.first.set || at < s.first.at || at == s.first.at && string(value) < string(s.first.value) {
		s.first.put(at, value)
	}
	if !s.last.set || at > s.last.at || at == s.last.at && string(value) > string(s.last.value) {
		s.last.put(at, value)
	}
}

func (m *moment) put(at int64, value []byte) {
	m.at, m.value, m.set = at, append(m.value[:0], value...), true
}

// AddNumber counts n occurrences of the number that a value is, beside Add. NaN and infinities are left out.
func (s *Summary) AddNumber(x float64, u Unit, n int64) {
	if s.numbers[u] == nil {
		s.numbers[u] = &Numbers{}
	}
	s.numbers[u].add(x, n)
}

// Merge adds all of o, which stays as it is.
func (s *Summary) Merge(o *Summary) {
	s.count += o.count
	s.distinct.merge(&o.distinct)
	s.top.merge(&o.top)
	for u, n := range o.numbers {
		if n == nil {
			continue
		}
		if s.numbers[u] == nil {
			s.numbers[u] = &Numbers{}
		}
		s.numbers[u].merge(n)
	}
	if f := o.first; f.set && (!s.first.set || f.at < s.first.at || f.at == s.first.at && string(f.value) < string(s.first.value)) {
		s.first.put(f.at, f.value)
	}
	if l := o.last; l.set && (!s.last.set || l.at > s.last.at || l.at == s.last.at && string(l.value) > string(s.last.value)) {
		s.last.put(l.at, l.value)
	}
}

// WithoutNumbers forgets the numbers, for values that turn out to be a part of a longer one.
func (s *Summary) WithoutNumbers() { s.numbers = [units]*Numbers{} }

// Count returns how many values were counted, exactly.
func (s *Summary) Count() int64 { return s.count }

// Distinct returns how many different values there are, and the standard error of that. Up to 64 it is exact (but for a chance of
// 1e-6 that two values share 32 bits of hash), and the error is 0; beyond that it is the estimate of a HyperLogLog of 512 registers with
// a standard error of 4.6 %.
func (s *Summary) Distinct() (n, standardError int64) { return s.distinct.estimate() }

// Numbers returns the summary of the numbers of the unit that most values have, and that unit; nil if none is a number.
func (s *Summary) Numbers() (*Numbers, Unit) {
	var best *Numbers
	var unit Unit
	for u, n := range s.numbers {
		if n != nil && n.count > 0 && (best == nil || n.count > best.count) {
			best, unit = n, Unit(u)
		}
	}
	return best, unit
}

// First and Last return the value with the least and the greatest time, and of several at that time the least and the greatest. The time is
// zero if there is none.
func (s *Summary) First() (value string, at time.Time) { return s.first.show() }

// Last is described at First.
func (s *Summary) Last() (value string, at time.Time) { return s.last.show() }

func (m *moment) show() (string, time.Time) {
	if !m.set {
		return "", time.Time{}
	}
	return string(m.value), time.Unix(0, m.at).UTC()
}

// hash spreads a value over 64 bits. It is stored, so it never changes: the multipliers are those of MurmurHash3's finaliser.
func hash(b []byte) uint64 {
	h := uint64(len(b)) * 0x9E3779B97F4A7C15
	for len(b) >= 8 {
		h = mix(h ^ binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	if len(b) > 0 {
		var x uint64
		for i, c := range b {
			x |= uint64(c) << (8 * i)
		}
		h = mix(h ^ x)
	}
	return mix(h)
}

func mix(h uint64) uint64 {
	hi, lo := bits.Mul64(h^0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53)
	return hi ^ lo ^ bits.RotateLeft64(h, 32)
}

// Strip takes the first n bytes off the values that are shown, where they are a literal prefix of all.
func (s *Summary) Strip(n int) {
	if n == 0 {
		return
	}
	s.first.value = s.first.value[min(n, len(s.first.value)):]
	s.last.value = s.last.value[min(n, len(s.last.value)):]
	for i := range s.top.entries {
		e := &s.top.entries[i]
		k := min(n, int(e.length))
		e.from, e.length = e.from+uint32(k), e.length-uint8(k)
	}
}
