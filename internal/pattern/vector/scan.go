package vector

import "math"

// candidate is a row that may be among the best: its rounded score, and the most that its exact one can be.
type candidate struct {
	row          int32
	score, upper float32
}

// scanned collects candidates. With the k greatest lower bounds in a heap, its least is a floor: k rows are exactly at
// least so good, so a row whose upper bound is below it is none of the k best.
type scanned struct {
	k     int
	floor float32
	least []float32 // heap of the k greatest lower bounds, the least first
	found []candidate
}

// scan passes over all rows. For a row v = v' + e with e of length ε, and a query q = q' + d with d of length δ,
//
//	|q·v - q'·v'| = |q·e + d·v'| <= |q| ε + δ |v'|
//
// and |v'| is at most |v| + ε. What float32 arithmetic itself loses is far below the slack.
func (x *Index[K]) scan(q []float32, k int, least float32) *scanned {
	s := &scanned{k: k, floor: least, least: make([]float32, 0, k)}
	codes := make([]int16, x.stride)
	scale, lost := quantizeQuery(codes, q)
	length := norm(q)
	// A code is at most 127 in size, so |v'| <= 127 scale sqrt(dim).
	perScale := 127 * (lost*float32(math.Sqrt(float64(x.dim))) + slack*length)
	var sums [blockRows]int32
	for at, b := range x.blocks {
		rows := min(blockRows, len(x.keys)-at*blockRows)
		dots(sums[:rows], codes, b.codes)
		cut := s.cut(length*b.maxError+perScale*b.maxScale, scale*b.maxScale)
		for i, sum := range sums[:rows] {
			if sum < cut {
				continue // nearly all rows end here
			}
			score := float32(sum) * scale * b.scales[i]
			bound := length*b.errors[i] + perScale*b.scales[i]
			if score+bound >= s.floor {
				s.take(candidate{int32(at*blockRows + i), score, score + bound}, score-bound)
			}
		}
	}
	return s
}

// cut is a sum below which no row of a block can reach the floor: bound is the most that a row's exact score can be above
// its rounded one, most the greatest score that a sum of one stands for.
func (s *scanned) cut(bound, most float32) int32 {
	need := s.floor - bound
	if !(need > 0) || most <= 0 {
		return math.MinInt32 // a sum below 0 may be enough
	}
	return int32(min(float64(need)/float64(most)*(1-slack), math.MaxInt32))
}

// slack covers the rounding of float32 sums, relative to the greatest product.
const slack = 1e-4

// take adds a candidate and raises the floor. Candidates below a raised floor are dropped when they outnumber the rest.
func (s *scanned) take(c candidate, lower float32) {
	s.found = append(s.found, c)
	switch {
	case len(s.least) < s.k:
		s.push(lower)
		if len(s.least) == s.k {
			s.floor = max(s.floor, s.least[0])
		}
	case lower > s.least[0]:
		s.replace(lower)
		s.floor = max(s.floor, s.least[0])
	}
	if len(s.found) >= 4*s.k+4096 && len(s.found) == cap(s.found) {
		kept := s.found[:0]
		for _, c := range s.found {
			if c.upper >= s.floor {
				kept = append(kept, c)
			}
		}
		s.found = kept
	}
}

func (s *scanned) push(v float32) {
	h := append(s.least, v)
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[up] <= h[i] {
			break
		}
		h[up], h[i] = h[i], h[up]
		i = up
	}
	s.least = h
}

// replace puts v in place of the least.
func (s *scanned) replace(v float32) {
	h := s.least
	h[0] = v
	for i := 0; ; {
		next := 2*i + 1
		if next >= len(h) {
			return
		}
		if next+1 < len(h) && h[next+1] < h[next] {
			next++
		}
		if h[i] <= h[next] {
			return
		}
		h[i], h[next] = h[next], h[i]
		i = next
	}
}

// quantize writes v as whole numbers from -127 to 127 and returns what one of them stands for, and the length of the
// difference, rounded up.
func quantize(codes []int8, v []float32) (scale, lost float32) {
	var top float32
	for _, f := range v {
		top = max(top, abs(f))
	}
	clear(codes)
	if top == 0 {
		return 0, 0
	}
	scale = top / 127
	var sum float64
	for i, f := range v {
		c := max(-127, min(127, math.Round(float64(f)/float64(scale))))
		codes[i] = int8(c)
		e := float64(f) - c*float64(scale)
		sum += e * e
	}
	return scale, up(math.Sqrt(sum))
}

// quantizeQuery is quantize for a query, which is not stored and so may be finer: 16 bits, or as many as keep the sum of
// its products with a row within 32 bits.
func quantizeQuery(codes []int16, q []float32) (scale, lost float32) {
	var top float32
	for _, f := range q {
		top = max(top, abs(f))
	}
	if top == 0 {
		return 0, 0
	}
	most := min(math.MaxInt16, math.MaxInt32/(127*len(codes)))
	scale = top / float32(most)
	var sum float64
	for i, f := range q {
		c := max(-float64(most), min(float64(most), math.Round(float64(f)/float64(scale))))
		codes[i] = int16(c)
		e := float64(f) - c*float64(scale)
		sum += e * e
	}
	return scale, up(math.Sqrt(sum))
}

// up is the float32 not below f.
func up(f float64) float32 { return math.Nextafter32(float32(f), math.MaxFloat32) }

func abs(f float32) float32 { return math.Float32frombits(math.Float32bits(f) &^ (1 << 31)) }

func norm(v []float32) float32 {
	var sum float64
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	return up(math.Sqrt(sum))
}

// Dot returns the inner product of two vectors of one length, added up in four sums whose order is fixed.
func Dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// dotsGo writes the inner product of the query with each row. The sums are whole numbers: every implementation gives the same.
func dotsGo(sums []int32, query []int16, rows []int8) {
	n := len(query)
	for i := range sums {
		row := rows[i*n : (i+1)*n]
		var a, b, c, d int32
		for j := 0; j+4 <= n; j += 4 {
			q, r := query[j:j+4:j+4], row[j:j+4:j+4]
			a += int32(q[0]) * int32(r[0])
			b += int32(q[1]) * int32(r[1])
			c += int32(q[2]) * int32(r[2])
			d += int32(q[3]) * int32(r[3])
		}
		sums[i] = a + b + c + d
	}
}
