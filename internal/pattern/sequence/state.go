package sequence

import (
	"container/list"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// state is a Learner as it is stored between two chunks.
type state struct {
	Options                                    Options
	Patterns                                   []pattern.ID
	Transitions                                []*transition // as first seen
	Open                                       []*session    // the latest first
	Events, Sessions, Evicted, Dropped, Latest int64
}

// ErrState is returned by Restore for bytes that are not a stored Learner.
var ErrState = errors.New("not a stored learner of sequences")

// MarshalBinary stores the Learner; one that is restored goes on as if it had never been stored. Equal learners give equal bytes.
func (l *Learner) MarshalBinary() ([]byte, error) {
	s := state{
		Options: l.options, Patterns: l.patterns, Transitions: l.order, Events: l.events, Sessions: l.sessions, Evicted: l.evicted,
		Dropped: l.dropped, Latest: l.latest,
	}
	for place := l.recent.Front(); place != nil; place = place.Next() {
		s.Open = append(s.Open, place.Value.(*session))
	}
	return json.Marshal(s)
}

// Restore returns the Learner that MarshalBinary stored, or ErrState.
func Restore(b []byte) (*Learner, error) {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	if len(s.Patterns) == 0 || s.Patterns[0] != "" {
		return nil, fmt.Errorf("%w: no patterns", ErrState)
	}
	l := NewLearner(s.Options)
	l.patterns, l.events, l.sessions, l.evicted, l.dropped, l.latest = s.Patterns, s.Events, s.Sessions, s.Evicted, s.Dropped, s.Latest
	for i, id := range s.Patterns[1:] {
		l.index[id] = int32(i + 1)
	}
	valid := func(n int32) bool { return n >= 0 && int(n) < len(s.Patterns) }
	for _, t := range s.Transitions {
		if t == nil || !valid(t.From) || !valid(t.To) || t.Count <= 0 {
			return nil, fmt.Errorf("%w: a transition of no pattern", ErrState)
		}
		l.edges[[2]int32{t.From, t.To}] = t
		l.order = append(l.order, t)
	}
	l.recent = list.New()
	for _, o := range s.Open {
		if o == nil || !valid(o.Last) || l.open[o.Name] != nil {
			return nil, fmt.Errorf("%w: a session of no pattern", ErrState)
		}
		l.open[o.Name] = l.recent.PushBack(o)
	}
	return l, nil
}
