package activities

import (
	"github.com/tartan-ai/tartan/internal/pattern/header"
)

// near is how far, in bytes from line start to line start, a line without a time looks for one that has it: first
// backwards, then forwards. Because the distance is bounded in both directions, the answer is the same wherever the
// chunk borders fall.
const near = 64 << 10

// tally takes what is counted.
type tally interface {
	Add(message, line []byte, at int64)
}

// clock gives each line a time: its own, or that of the line before it, or that of the next, or the time of arrival.
//
//	offset  0        70K   71K        140K
//	line    10:00:00 stack stack stack 10:00:05
//	time    10:00:00 ^ too far from 10:00:00, near enough to 10:00:05
//
// Lines that still wait for one behind them are kept, at most near bytes and a line.
type clock struct {
	parser  *header.Parser
	arrival int64
	out     tally

	last    int64 // time of the last timed line
	lastAt  int64 // its offset
	timed   bool  // there was one
	waiting []waiting
	kept    []byte
	untimed int64
}

type waiting struct {
	offset          int64
	start, mid, end int // kept[start:mid] is the line, kept[mid:end] its message
}

// add counts one line, taken apart, that starts at offset.
func (c *clock) add(h header.Header, line []byte, offset int64) {
	if h.HasTime {
		c.arrive(h.Time, offset)
		c.out.Add(h.Message, line, h.Time)
		return
	}
	c.untimed++
	if c.timed && offset-c.lastAt <= near {
		c.out.Add(h.Message, line, c.last)
		return
	}
	if len(c.waiting) > 0 && offset-c.waiting[0].offset > 2*near {
		c.expire(offset)
	}
	start := len(c.kept)
	c.kept = append(append(c.kept, line...), h.Message...)
	c.waiting = append(c.waiting, waiting{offset, start, start + len(line), len(c.kept)})
}

// seen tells of a line of another chunk, which may be a timed one.
func (c *clock) seen(h header.Header, offset int64) (timed bool) {
	if h.HasTime {
		c.arrive(h.Time, offset)
	}
	return h.HasTime
}

// arrive settles the lines that wait for the time at offset.
func (c *clock) arrive(at, offset int64) {
	for _, w := range c.waiting {
		if offset-w.offset <= near {
			c.settle(w, at)
		} else {
			c.settle(w, c.arrival)
		}
	}
	c.waiting, c.kept = c.waiting[:0], c.kept[:0]
	c.last, c.lastAt, c.timed = at, offset, true
}

// expire gives up the lines that no time at offset or later can reach. It runs once for near bytes, so that the bytes
// it moves are few.
func (c *clock) expire(offset int64) {
	n := 0
	for n < len(c.waiting) && offset-c.waiting[n].offset > near {
		c.settle(c.waiting[n], c.arrival)
		n++
	}
	from := len(c.kept)
	if n < len(c.waiting) {
		from = c.waiting[n].start
	}
	c.kept = c.kept[:copy(c.kept, c.kept[from:])]
	c.waiting = c.waiting[:copy(c.waiting, c.waiting[n:])]
	for i := range c.waiting {
		w := &c.waiting[i]
		w.start, w.mid, w.end = w.start-from, w.mid-from, w.end-from
	}
}

// reach returns the offset up to which a time could still be of use to a waiting line.
func (c *clock) reach() int64 {
	if len(c.waiting) == 0 {
		return -1
	}
	return c.waiting[len(c.waiting)-1].offset + near
}

// close settles what still waits.
func (c *clock) close() {
	for _, w := range c.waiting {
		c.settle(w, c.arrival)
	}
	c.waiting, c.kept = c.waiting[:0], c.kept[:0]
}

func (c *clock) settle(w waiting, at int64) {
	c.out.Add(c.kept[w.mid:w.end], c.kept[w.start:w.mid], at)
}
