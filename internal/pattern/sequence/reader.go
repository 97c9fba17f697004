package sequence

import (
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// Scout reads messages to find which slot is the session.
type Scout struct {
	index  *template.Index
	finder *Finder
	keys   map[pattern.ID][]string
	match  template.Match
	values []string
}

// NewScout returns a Scout that recognises with the index.
func NewScout(ix *template.Index) *Scout {
	return &Scout{index: ix, finder: NewFinder(), keys: map[pattern.ID][]string{}}
}

// Add reads a message. It ignores the line that the message is of, and its time.
func (s *Scout) Add(message, _ []byte, _ int64) {
	if !s.index.Recognise(message, &s.match) {
		return
	}
	id := s.match.Pattern
	keys, ok := s.keys[id]
	if !ok {
		p, _ := s.index.Pattern(id)
		keys = Keys(p)
		s.keys[id] = keys
	}
	s.values = s.values[:0]
	for _, v := range s.match.Values {
		s.values = append(s.values, string(message[v.Start:v.End]))
	}
	s.finder.Add(id, keys, s.values)
}

// Best returns the key that the sessions go by, or "" if none does.
func (s *Scout) Best() string {
	key, _, _ := s.finder.Best()
	return key
}

// Reader makes events of messages and gives them to a Learner: a message with a pattern that has a slot of the key's name is one.
type Reader struct {
	Lines, Events int64

	index   *template.Index
	learner *Learner
	key     string
	slots   map[pattern.ID]int // which is the session; -1 for none
	match   template.Match
}

// NewReader returns a Reader that recognises with the index and takes the slots with a key, as Keys has it, for sessions.
func NewReader(ix *template.Index, l *Learner, key string) *Reader {
	return &Reader{index: ix, learner: l, key: key, slots: map[pattern.ID]int{}}
}

// Add reads a message of the time at, in Unix nanoseconds. It ignores the line that the message is of.
func (r *Reader) Add(message, _ []byte, at int64) {
	r.Lines++
	if r.key == "" || !r.index.Recognise(message, &r.match) {
		return
	}
	slot, ok := r.slots[r.match.Pattern]
	if !ok {
		slot = r.slotOf(r.match.Pattern)
		r.slots[r.match.Pattern] = slot
	}
	if slot < 0 || slot >= len(r.match.Values) {
		return
	}
	v := r.match.Values[slot]
	if v.Start == v.End {
		return
	}
	r.Events++
	r.learner.Add(Event{Session: string(message[v.Start:v.End]), At: at, Pattern: r.match.Pattern})
}

func (r *Reader) slotOf(id pattern.ID) int {
	p, _ := r.index.Pattern(id)
	for i, key := range Keys(p) {
		if key == r.key {
			return i
		}
	}
	return -1
}

// Messages finds the sequences of messages at hand, with their times in Unix nanoseconds; key "" is found. It returns the key, "" if no
// slot's values recur across patterns, and at most limit habits and breaks.
func Messages(ix *template.Index, key string, messages [][]byte, times []int64, limit int) (string, Report) {
	if key == "" {
		scout := NewScout(ix)
		for _, m := range messages {
			scout.Add(m, nil, 0)
		}
		key = scout.Best()
	}
	l := NewLearner(Options{})
	r := NewReader(ix, l, key)
	for i, m := range messages {
		r.Add(m, nil, times[i])
	}
	l.Close()
	return key, l.Report(limit)
}
