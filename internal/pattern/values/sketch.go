package values

import (
	"math"
	"math/bits"
	"slices"
)

const (
	precision = 9 // 512 registers
	registers = 1 << precision
	maxSparse = 64
	maxRank   = 32 - precision + 1
)

// sketch counts different 32-bit hashes: as a sorted set up to maxSparse of them, as a HyperLogLog beyond. Which of the two it is
// depends on the set of hashes alone, and so does what it holds, so sketches of parts merge to the sketch of the whole in any order.
//
// Flajolet, Fusy, Gandouet, Meunier: HyperLogLog, AofA 2007. The estimator is Ertl's, without bias corrections and with the whole
// range: New cardinality estimation algorithms for HyperLogLog sketches, arXiv 1702.01284, algorithm 6.
type sketch struct {
	sparse []uint32 // sorted, while dense is nil
	dense  *[registers]uint8
}

func (s *sketch) add(h uint32) {
	if s.dense != nil {
		s.rank(h)
		return
	}
	i, found := slices.BinarySearch(s.sparse, h)
	if found {
		return
	}
	s.sparse = slices.Insert(s.sparse, i, h)
	if len(s.sparse) > maxSparse {
		s.densify()
	}
}

func (s *sketch) densify() {
	s.dense = new([registers]uint8)
	for _, h := range s.sparse {
		s.rank(h)
	}
	s.sparse = nil
}

func (s *sketch) rank(h uint32) {
	r := uint8(bits.LeadingZeros32(h<<precision|1<<(precision-1)) + 1)
	if p := &s.dense[h>>(32-precision)]; r > *p {
		*p = r
	}
}

func (s *sketch) merge(o *sketch) {
	if o.dense == nil {
		for _, h := range o.sparse {
			s.add(h)
		}
		return
	}
	if s.dense == nil {
		s.densify()
	}
	for i, r := range o.dense {
		s.dense[i] = max(s.dense[i], r)
	}
}

func (s *sketch) estimate() (n, standardError int64) {
	if s.dense == nil {
		return int64(len(s.sparse)), 0
	}
	var c [maxRank + 1]float64
	for _, r := range s.dense {
		c[r]++
	}
	const m = float64(registers)
	z := m * tau(1-c[maxRank]/m)
	for k := maxRank - 1; k >= 1; k-- {
		z = 0.5 * (z + c[k])
	}
	z += m * sigma(c[0]/m)
	e := m * m / (2 * math.Ln2) / z
	return int64(math.Round(e)), int64(math.Ceil(1.04 / math.Sqrt(m) * e))
}

func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for {
		x *= x
		before := z
		z += x * y
		y += y
		if z == before {
			return z
		}
	}
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for {
		x = math.Sqrt(x)
		before := z
		y *= 0.5
		z -= (1 - x) * (1 - x) * y
		if z == before {
			return z / 3
		}
	}
}
