// Package sequence learns which pattern follows which within a session (a trace, a request, a block), and finds the sequences that break
// the habit. Events come in, in order; habits and breaks go out. It knows no line and no clock: who makes events of lines says which
// value is the session (see Finder and Keys).
//
//	session 7   open ──> read ──> read ──> close            start ─> open 100 %, open ─> read 97 %, read ─> close 60 %, ...
//	session 8   open ──> read ──> close
//	session 9   open ──> error                              open ─> error once in 300: breaks the habit
//	session 10  open ──> read                               read ─> end, where close follows: a successor is missing
//
// Transitions are counted to the first order, with the times between. Memory is bounded: of the open sessions, the one that was quiet
// the longest is forgotten where there are too many, and counted.
package sequence

import (
	"container/list"
	"math/bits"
	"time"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// Event is a line of a pattern within a session.
type Event struct {
	Session string
	At      int64 // Unix nanoseconds
	Pattern pattern.ID
}

// Options bound a Learner; zero values are the defaults.
type Options struct {
	MaxSessions    int           // open at a time; 20,000
	MaxTransitions int           // different ones; 50,000
	Idle           time.Duration // a session that was quiet for longer has ended, and starts anew; 0 is never
}

const (
	defaultSessions    = 20_000
	defaultTransitions = 50_000
	// maxSightings is how many examples a transition keeps. One that is rare in the end has few, so these are all or most of them.
	maxSightings = 3
	// maxSession is how much of a session's name is kept, in bytes.
	maxSession = 64
	// gapBuckets count times between two events by powers of two, from a millisecond on: the last is from 12 days on.
	gapBuckets = 32
)

// Sighting is where a transition was seen.
type Sighting struct {
	Session string `json:"session"`
	At      int64  `json:"at"` // of the second event, or of the last one of a session that ended
}

// transition is from one pattern to the next in a session. Pattern 0 is the start as From, and the end as To.
type transition struct {
	From, To int32
	Count    int64
	Gaps     [gapBuckets]int64 `json:",omitzero"`
	Seen     []Sighting
}

type session struct {
	Name string
	Last int32 // pattern
	At   int64
}

// Learner counts transitions. It is not safe for concurrent use. The same events in the same order give the same result.
type Learner struct {
	options  Options
	patterns []pattern.ID         // 0 is start and end
	index    map[pattern.ID]int32 // of patterns
	edges    map[[2]int32]*transition
	order    []*transition // as first seen
	open     map[string]*list.Element
	recent   *list.List // of session, the latest first

	events, sessions, evicted, dropped int64
	latest                             int64 // time of any event
}

// NewLearner returns a Learner that has seen nothing.
func NewLearner(o Options) *Learner {
	if o.MaxSessions <= 0 {
		o.MaxSessions = defaultSessions
	}
	if o.MaxTransitions <= 0 {
		o.MaxTransitions = defaultTransitions
	}
	return &Learner{
		options: o, patterns: []pattern.ID{""}, index: map[pattern.ID]int32{}, edges: map[[2]int32]*transition{},
		open: map[string]*list.Element{}, recent: list.New(),
	}
}

// Add takes the next event.
func (l *Learner) Add(e Event) {
	l.events++
	l.latest = max(l.latest, e.At)
	name := e.Session[:min(len(e.Session), maxSession)]
	at := l.number(e.Pattern)
	place := l.open[name]
	if place != nil {
		s := place.Value.(*session)
		if l.options.Idle <= 0 || e.At-s.At <= int64(l.options.Idle) {
			l.count(s.Last, at, max(0, e.At-s.At), Sighting{name, e.At})
			s.Last, s.At = at, max(s.At, e.At)
			l.recent.MoveToFront(place)
			return
		}
		l.end(place)
	}
	l.sessions++
	l.count(0, at, -1, Sighting{name, e.At})
	l.open[name] = l.recent.PushFront(&session{name, at, e.At})
	if l.recent.Len() > l.options.MaxSessions {
		// How it would have gone on is not known, so it does not end.
		oldest := l.recent.Back()
		delete(l.open, oldest.Value.(*session).Name)
		l.recent.Remove(oldest)
		l.evicted++
	}
}

// Close ends all open sessions.
func (l *Learner) Close() {
	for place := l.recent.Back(); place != nil; place = l.recent.Back() {
		l.end(place)
	}
}

func (l *Learner) end(place *list.Element) {
	s := place.Value.(*session)
	l.count(s.Last, 0, -1, Sighting{s.Name, s.At})
	delete(l.open, s.Name)
	l.recent.Remove(place)
}

func (l *Learner) number(id pattern.ID) int32 {
	n, ok := l.index[id]
	if !ok {
		n = int32(len(l.patterns))
		l.patterns = append(l.patterns, id)
		l.index[id] = n
	}
	return n
}

// count counts a transition; gap is in nanoseconds, or negative where there is none. Beyond the bound, new ones are only counted.
func (l *Learner) count(from, to int32, gap int64, at Sighting) {
	t := l.edges[[2]int32{from, to}]
	if t == nil {
		if len(l.edges) >= l.options.MaxTransitions {
			l.dropped++
			return
		}
		t = &transition{From: from, To: to}
		l.edges[[2]int32{from, to}] = t
		l.order = append(l.order, t)
	}
	t.Count++
	if gap >= 0 {
		t.Gaps[min(bits.Len64(uint64(gap/int64(time.Millisecond))), gapBuckets-1)]++
	}
	if len(t.Seen) < maxSightings {
		t.Seen = append(t.Seen, at)
	}
}

// quantile is the time that a share of the gaps do not pass, to a factor of two.
func (t *transition) quantile(share float64) time.Duration {
	var all, below int64
	for _, n := range t.Gaps {
		all += n
	}
	for k, n := range t.Gaps {
		if below += n; below > 0 && float64(below) >= share*float64(all) {
			return time.Duration(1<<k-1) * time.Millisecond
		}
	}
	return 0
}
