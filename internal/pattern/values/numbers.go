package values

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

const (
	maxBins  = 128
	subBits  = 5 // 32 bins an octave at level 0
	binShift = 52 - subBits
	tiny     = 1.0 / (1 << 63) / 2 // what is nearer to zero counts as zero
)

// Numbers sums up numbers: count, least, greatest, sum, and a histogram whose bins are a fraction of an octave wide.
//
//	level 0: 32 bins an octave, relative error <= 1/64
//	level 1: 16 bins an octave, relative error <= 1/32    bin k of level l+1 = bins 2k and 2k+1 of level l
//
// It starts at level 0 and goes one up whenever more than 128 bins hold numbers, so that the level is the least at which all of the numbers
// fit, whatever their order. Masson, Rim, Lee: DDSketch, VLDB 2019; the collapse of neighbours is Epicoco, Melle, Cafaro, Pulimeno: UDDSketch,
// IEEE Access 2020, with the exponent and leading fraction of the float as the logarithm.
type Numbers struct {
	count    int64
	min, max float64
	sum      sum
	fraction bool // some are not whole
	level    uint8
	bins     []bin
	slots    []uint8 // open addressing by key: place in bins + 1; nil up to linear bins
}

type bin struct {
	key   int32 // > 0 for positive numbers, < 0 for negative ones, 0 for zero
	count int64
}

// key is the bin of x at level 0.
func key(x float64) int32 {
	if x > -tiny && x < tiny {
		return 0
	}
	k := int32(math.Float64bits(x) << 1 >> (binShift + 1))
	if x < 0 {
		return -k
	}
	return k
}

// raised is the bin of a key some levels up.
func raised(k int32, levels uint8) int32 {
	if k < 0 {
		return -(-k >> levels)
	}
	return k >> levels
}

func (n *Numbers) add(x float64, lines int64) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return
	}
	if n.count == 0 {
		n.min, n.max = x, x
	} else {
		n.min, n.max = min(n.min, x), max(n.max, x)
	}
	n.count += lines
	n.fraction = n.fraction || x != math.Trunc(x)
	n.sum.add(x, lines)
	n.addBin(raised(key(x), n.level), lines)
}

func (n *Numbers) addBin(k int32, lines int64) {
	if b := n.find(k); b != nil {
		b.count += lines
		return
	}
	n.bins = append(n.bins, bin{k, lines})
	if len(n.bins) > maxBins {
		n.raise(n.level + 1)
		return
	}
	if len(n.bins) > linear {
		n.index()
	}
}

func place(k int32) uint8 { return uint8(uint32(k) * 0x9E3779B1 >> 24) }

func (n *Numbers) find(k int32) *bin {
	if n.slots == nil {
		for i := range n.bins {
			if n.bins[i].key == k {
				return &n.bins[i]
			}
		}
		return nil
	}
	for i := place(k); n.slots[i] != 0; i++ {
		if b := &n.bins[n.slots[i]-1]; b.key == k {
			return b
		}
	}
	return nil
}

// index adds the last bin to the table, which has twice as many places as there may be bins.
func (n *Numbers) index() {
	from := len(n.bins) - 1
	if n.slots == nil {
		n.slots, from = make([]uint8, 256), 0
	}
	for k := from; k < len(n.bins); k++ {
		i := place(n.bins[k].key)
		for n.slots[i] != 0 {
			i++
		}
		n.slots[i] = uint8(k + 1)
	}
}

// raise goes to a level, and on while there are too many bins.
func (n *Numbers) raise(level uint8) {
	for n.level < level || len(n.bins) > maxBins {
		n.level++
		old := n.bins
		for i := range old {
			old[i].key = raised(old[i].key, 1)
		}
		slices.SortFunc(old, func(a, b bin) int { return cmp.Compare(a.key, b.key) })
		n.bins = old[:0]
		for _, b := range old {
			if last := len(n.bins) - 1; last >= 0 && n.bins[last].key == b.key {
				n.bins[last].count += b.count
				continue
			}
			n.bins = append(n.bins, b)
		}
	}
	n.slots = nil
	if len(n.bins) > linear {
		n.index()
	}
}

func (n *Numbers) merge(o *Numbers) {
	if o.count == 0 {
		return
	}
	if n.count == 0 {
		n.min, n.max = o.min, o.max
	} else {
		n.min, n.max = min(n.min, o.min), max(n.max, o.max)
	}
	n.count += o.count
	n.fraction = n.fraction || o.fraction
	n.sum.merge(o.sum)
	if n.level < o.level {
		n.raise(o.level)
	}
	for _, b := range o.bins {
		n.addBin(raised(b.key, n.level-o.level), b.count)
	}
}

// Count returns how many numbers there are.
func (n *Numbers) Count() int64 { return n.count }

// Min and Max return the least and the greatest number, exactly.
func (n *Numbers) Min() float64 { return n.min }

// Max is described at Min.
func (n *Numbers) Max() float64 { return n.max }

// Sum returns the sum, each number rounded to 2^-20 and bounded by 2^62.
func (n *Numbers) Sum() float64 { return n.sum.float() }

// Mean returns the mean, or 0 if there are no numbers.
func (n *Numbers) Mean() float64 { return n.Sum() / float64(max(n.count, 1)) }

// Error returns the relative error of quantiles, and so the half width of a bin.
func (n *Numbers) Error() float64 {
	if n.level <= subBits {
		return math.Ldexp(1, int(n.level)-subBits-1)
	}
	octaves := math.Ldexp(1, int(n.level)-subBits)
	return (math.Exp2(octaves) - 1) / 2
}

// Quantile returns the number at rank q of [0, 1], within Error of the number that stands there when all are sorted: the one at place
// floor(q (count - 1)), from 0. Where all are whole, so is the answer. It returns 0 if there are no numbers.
func (n *Numbers) Quantile(q float64) float64 {
	if n.count == 0 {
		return 0
	}
	rank := int64(q * float64(n.count-1))
	for _, b := range n.sorted() {
		if rank -= b.count; rank < 0 {
			return n.middle(b.key)
		}
	}
	return n.max
}

// sorted returns the bins in the order of their numbers.
func (n *Numbers) sorted() []bin {
	out := slices.Clone(n.bins)
	slices.SortFunc(out, func(a, b bin) int { return cmp.Compare(a.key, b.key) })
	return out
}

// middle is the number that stands for those of a bin.
func (n *Numbers) middle(k int32) float64 {
	low, high := n.edges(k)
	x := (low + high) / 2
	if !n.fraction {
		x = math.Floor(x) // a bin no wider than 1 then is one whole number
		if k < 0 {
			x = math.Ceil((low + high) / 2)
		}
	}
	return min(max(x, n.min), n.max)
}

// edges are the ends of a bin.
func (n *Numbers) edges(k int32) (low, high float64) {
	switch {
	case k > 0:
		return edge(k, n.level), edge(k+1, n.level)
	case k < 0:
		return -edge(-k+1, n.level), -edge(-k, n.level)
	}
	return 0, 0
}

func edge(k int32, level uint8) float64 {
	b := uint64(k) << level << binShift
	if b >= 0x7ff<<52 {
		return math.MaxFloat64
	}
	return math.Float64frombits(b)
}

// sum adds up numbers without rounding the total: 128 bits, in steps of 2^-20. So it does not depend on the order.
type sum struct {
	high int64
	low  uint64
}

const sumBits = 20

func (s *sum) add(x float64, n int64) {
	const most = 1 << 62
	x = min(max(x, -most), most)
	whole := math.Floor(x)
	part := uint64(math.Round((x - whole) * (1 << sumBits)))
	high, low := bits.Mul64(uint64(int64(whole))+1<<63, uint64(n)) // (whole + 2^63) n, which is not negative
	low, borrow := bits.Sub64(low, uint64(n)<<63, 0)
	high, _ = bits.Sub64(high, uint64(n)>>1, borrow)
	high, low = high<<sumBits|low>>(64-sumBits), low<<sumBits
	low, carry := bits.Add64(low, part*uint64(n), 0)
	high += carry
	s.merge(sum{int64(high), low})
}

func (s *sum) merge(o sum) {
	low, carry := bits.Add64(s.low, o.low, 0)
	s.low, s.high = low, int64(uint64(s.high)+uint64(o.high)+carry)
}

func (s *sum) float() float64 {
	high, low, sign := uint64(s.high), s.low, 1.0
	if s.high < 0 {
		var carry uint64
		low, carry = bits.Add64(^low, 1, 0)
		high, sign = ^high+carry, -1
	}
	return sign * math.Ldexp(math.Ldexp(float64(high), 64)+float64(low), -sumBits)
}
