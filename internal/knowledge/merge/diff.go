package merge

// The limits of the search, which are git's: the same texts must give the same hunks.
const (
	longSnake    = 20      // lines in a row that make a diagonal promising
	promising    = 256     // edits after which a promising diagonal is taken
	leastCost    = 256     // edits after which the furthest path is taken, at least
	worth        = 4       // a promising diagonal has come this many times further than its edits
	manyMatches  = 1024    // occurrences that make a line common, at most
	commonWindow = 100     // lines looked at on either side of a common line
	commonRatio  = 4       // a common line is dropped where fewer than one in so many of its neighbours are common
	beyond       = 1 << 30 // more than any text has lines
)

// hunk says that the lines [a, a+del) of the old text are the lines [b, b+ins) of the new one.
type hunk struct{ a, b, del, ins int }

// file is one of the two texts that are compared.
type file struct {
	lines   []int // the number of each line among all different lines
	changed []bool
	kept    []int // the lines that are compared, in order
	keys    []int // their numbers
}

// differences returns the hunks between two texts, first to last, with at least one equal line between any two. They are
// those of git's default algorithm without the indent heuristic, which is what git merges with: Myers' linear search [1] for
// the middle of the shortest script, cut short on long searches; before it, lines that cannot match are left out;
// behind it, runs that may lie in several places are moved to where the other text has a change, or else down.
//
// [1] E. W. Myers, An O(ND) Difference Algorithm and Its Variations, Algorithmica 1, 1986.
func differences(a, b []string) []hunk {
	old, now := prepare(a, b)
	size := len(old.kept) + len(now.kept) + 3
	s := search{
		old: old, now: now, maxCost: max(rootLike(size), leastCost),
		forward: make([]int, size), backward: make([]int, size), zero: len(now.kept) + 1,
	}
	s.compare(0, len(old.kept), 0, len(now.kept), false)
	slide(old, now)
	slide(now, old)
	return hunks(old.changed, now.changed)
}

// hunks reads the changes off.
func hunks(old, now []bool) (out []hunk) {
	for i, k := 0, 0; i < len(old) || k < len(now); {
		h := hunk{a: i, b: k}
		for i < len(old) && old[i] {
			i++
		}
		for k < len(now) && now[k] {
			k++
		}
		if h.del, h.ins = i-h.a, k-h.b; h.del+h.ins > 0 {
			out = append(out, h)
		}
		i, k = i+1, k+1
	}
	return out
}

// rootLike is a power of two near the square root of n.
func rootLike(n int) int {
	r := 1
	for ; n > 0; n >>= 2 {
		r <<= 1
	}
	return r
}

// prepare numbers the lines, and leaves the equal ends and what is not worth comparing out of kept.
func prepare(a, b []string) (old, now *file) {
	numbers := make(map[string]int, len(a)+len(b))
	number := func(lines []string) *file {
		f := &file{lines: make([]int, len(lines)), changed: make([]bool, len(lines))}
		for i, line := range lines {
			n, ok := numbers[line]
			if !ok {
				n = len(numbers)
				numbers[line] = n
			}
			f.lines[i] = n
		}
		return f
	}
	old, now = number(a), number(b)
	start, short := 0, min(len(a), len(b))
	for start < short && old.lines[start] == now.lines[start] {
		start++
	}
	tail := 0
	for tail < short-start && old.lines[len(a)-1-tail] == now.lines[len(b)-1-tail] {
		tail++
	}
	inOld, inNow := make([]int, len(numbers)), make([]int, len(numbers))
	for _, n := range old.lines {
		inOld[n]++
	}
	for _, n := range now.lines {
		inNow[n]++
	}
	old.keep(start, len(a)-tail, inNow)
	now.keep(start, len(b)-tail, inOld)
	return old, now
}

// What is known of a line before the search: how often the other text has it.
const (
	nowhere = iota
	somewhere
	often
)

// keep chooses the lines of [start, end) to compare, and marks the others as changed.
func (f *file) keep(start, end int, other []int) {
	limit := min(rootLike(len(f.lines)), manyMatches)
	found := make([]uint8, end-start)
	for i := range found {
		switch n := other[f.lines[start+i]]; {
		case n >= limit:
			found[i] = often
		case n > 0:
			found[i] = somewhere
		}
	}
	for i, kind := range found {
		if kind == nowhere || kind == often && amongStrangers(found, i) {
			f.changed[start+i] = true
			continue
		}
		f.kept = append(f.kept, start+i)
		f.keys = append(f.keys, f.lines[start+i])
	}
}

// amongStrangers reports whether the common line i lies in a run that is mostly of lines that the other text does not have,
// with some on either side.
func amongStrangers(found []uint8, i int) bool {
	strangers, common := 0, 0
	for _, step := range []int{-1, 1} {
		here := 0
		common++ // the line itself counts on either side
		for n := 1; n <= commonWindow; n++ {
			k := i + step*n
			if k < 0 || k >= len(found) || found[k] == somewhere {
				break
			}
			if found[k] == nowhere {
				here++
			} else {
				common++
			}
		}
		if here == 0 {
			return false
		}
		strangers += here
	}
	return common*commonRatio < common+strangers
}

// search is Myers' algorithm over the kept lines.
type search struct {
	old, now          *file
	maxCost           int
	forward, backward []int // furthest line of old reached on each diagonal, old line minus new line, from either end
	zero              int   // index of diagonal 0
}

// compare marks what differs between [a0, a1) of old and [b0, b1) of now.
func (s *search) compare(a0, a1, b0, b1 int, exact bool) {
	for {
		for a0 < a1 && b0 < b1 && s.old.keys[a0] == s.now.keys[b0] {
			a0, b0 = a0+1, b0+1
		}
		for a0 < a1 && b0 < b1 && s.old.keys[a1-1] == s.now.keys[b1-1] {
			a1, b1 = a1-1, b1-1
		}
		if a0 == a1 || b0 == b1 {
			for _, i := range s.old.kept[a0:a1] {
				s.old.changed[i] = true
			}
			for _, i := range s.now.kept[b0:b1] {
				s.now.changed[i] = true
			}
			return
		}
		m := s.middle(box{a0, a1, b0, b1}, exact)
		s.compare(a0, m.a, b0, m.b, m.exactBefore)
		a0, b0, exact = m.a, m.b, m.exactAfter
	}
}

type box struct{ a0, a1, b0, b1 int }

// split is a point that the script goes through, and whether either side of it is to be searched without cutting short.
type split struct {
	a, b                    int
	exactBefore, exactAfter bool
}

// reach is the range of diagonals that one direction has come to.
type reach struct{ low, high, mid int }

// widen takes one more diagonal on either side where the box has one, and one fewer where not.
func (r *reach) widen(at []int, zero, least, most, outside int) {
	if r.low > least {
		r.low--
		at[zero+r.low-1] = outside
	} else {
		r.low++
	}
	if r.high < most {
		r.high++
		at[zero+r.high+1] = outside
	} else {
		r.high--
	}
}

func (r reach) has(d int) bool { return r.low <= d && d <= r.high }

// middle searches from both ends until the paths meet.
func (s *search) middle(in box, exact bool) split {
	a, b, f, g, z := s.old.keys, s.now.keys, s.forward, s.backward, s.zero
	least, most := in.a0-in.b1, in.a1-in.b0
	ahead, back := reach{mid: in.a0 - in.b0}, reach{mid: in.a1 - in.b1}
	ahead.low, ahead.high, back.low, back.high = ahead.mid, ahead.mid, back.mid, back.mid
	odd := (ahead.mid-back.mid)&1 != 0
	f[z+ahead.mid], g[z+back.mid] = in.a0, in.a1
	for cost := 1; ; cost++ {
		snake := false
		ahead.widen(f, z, least, most, -1)
		for d := ahead.high; d >= ahead.low; d -= 2 {
			i := max(f[z+d-1]+1, f[z+d+1])
			from := i
			for i < in.a1 && i-d < in.b1 && a[i] == b[i-d] {
				i++
			}
			snake = snake || i-from > longSnake
			f[z+d] = i
			if odd && back.has(d) && g[z+d] <= i {
				return split{i, i - d, true, true}
			}
		}
		back.widen(g, z, least, most, beyond)
		for d := back.high; d >= back.low; d -= 2 {
			i := min(g[z+d-1], g[z+d+1]-1)
			from := i
			for i > in.a0 && i-d > in.b0 && a[i-1] == b[i-d-1] {
				i--
			}
			snake = snake || from-i > longSnake
			g[z+d] = i
			if !odd && ahead.has(d) && i <= f[z+d] {
				return split{i, i - d, true, true}
			}
		}
		if exact {
			continue
		}
		if snake && cost > promising {
			if m, ok := s.promising(in, ahead, back, cost); ok {
				return m
			}
		}
		if cost >= s.maxCost {
			return s.furthest(in, ahead, back)
		}
	}
}

// promising finds a diagonal that has come far for its cost and ends in a long snake.
func (s *search) promising(in box, ahead, back reach, cost int) (split, bool) {
	a, b := s.old.keys, s.now.keys
	best, m := 0, split{}
	for d := ahead.high; d >= ahead.low; d -= 2 {
		i := s.forward[s.zero+d]
		k := i - d
		v := (i - in.a0) + (k - in.b0) - distance(d, ahead.mid)
		if v > worth*cost && v > best && in.a0+longSnake <= i && i < in.a1 && in.b0+longSnake <= k && k < in.b1 &&
			sameKeys(a[i-longSnake:i], b[k-longSnake:k]) {
			best, m = v, split{i, k, true, false}
		}
	}
	if best > 0 {
		return m, true
	}
	for d := back.high; d >= back.low; d -= 2 {
		i := s.backward[s.zero+d]
		k := i - d
		v := (in.a1 - i) + (in.b1 - k) - distance(d, back.mid)
		if v > worth*cost && v > best && in.a0 < i && i <= in.a1-longSnake && in.b0 < k && k <= in.b1-longSnake &&
			sameKeys(a[i:i+longSnake], b[k:k+longSnake]) {
			best, m = v, split{i, k, false, true}
		}
	}
	return m, best > 0
}

// furthest takes the path of either direction that has covered most lines.
func (s *search) furthest(in box, ahead, back reach) split {
	far, farAt := -1, -1
	for d := ahead.high; d >= ahead.low; d -= 2 {
		i := min(s.forward[s.zero+d], in.a1, in.b1+d)
		if 2*i-d > far {
			far, farAt = 2*i-d, i
		}
	}
	near, nearAt := beyond, beyond
	for d := back.high; d >= back.low; d -= 2 {
		i := max(s.backward[s.zero+d], in.a0, in.b0+d)
		if 2*i-d < near {
			near, nearAt = 2*i-d, i
		}
	}
	if in.a1+in.b1-near < far-in.a0-in.b0 {
		return split{farAt, far - farAt, true, false}
	}
	return split{nearAt, near - nearAt, false, true}
}

func distance(d, mid int) int { return max(d-mid, mid-d) }

func sameKeys(a, b []int) bool {
	for i, n := range a {
		if b[i] != n {
			return false
		}
	}
	return true
}
