package sequence

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// requests are sessions that overlap: open, read once or more, close; a few go wrong.
func requests(rng *rand.Rand, n int) (out []Event) {
	type running struct {
		name  string
		steps []pattern.ID
	}
	var live []running
	at := int64(time.Hour)
	for i := 0; i < n || len(live) > 0; {
		if i < n && len(live) < 8 {
			steps := []pattern.ID{"open", "read"}
			for range rng.IntN(3) {
				steps = append(steps, "read")
			}
			steps = append(steps, "close")
			switch i {
			case n / 2:
				steps = []pattern.ID{"open", "error", "close"}
			case n/2 + 1:
				steps = []pattern.ID{"open", "read"}
			}
			live = append(live, running{fmt.Sprintf("r%d", i), steps})
			i++
		}
		k := rng.IntN(len(live))
		at += int64(20 * time.Millisecond)
		out = append(out, Event{live[k].name, at, live[k].steps[0]})
		if live[k].steps = live[k].steps[1:]; len(live[k].steps) == 0 {
			live = append(live[:k], live[k+1:]...)
		}
	}
	return out
}

func learn(events []Event, o Options) *Learner {
	l := NewLearner(o)
	for _, e := range events {
		l.Add(e)
	}
	return l
}

func TestHabitsAndBreaks(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	events := requests(rand.New(rand.NewPCG(seed, 1)), 400)
	l := learn(events, Options{})
	l.Close()
	r := l.Report(100)
	require.EqualValues(t, 400, r.Sessions)
	require.EqualValues(t, len(events), r.Events)
	require.Zero(t, r.Evicted+r.Dropped)
	found := map[string]Break{}
	for _, b := range r.Breaks {
		found[string(b.From)+">"+string(b.To)] = b
		require.Positive(t, b.Score)
	}
	require.Len(t, found, 2, "%+v", r.Breaks)
	b := found["open>error"]
	require.EqualValues(t, 1, b.Count)
	require.EqualValues(t, 400, b.Support)
	require.Equal(t, pattern.ID("read"), b.Usual)
	require.Equal(t, "r200", b.Seen[0].Session)
	require.Equal(t, "r201", found["read>"].Seen[0].Session, "its close is missing")
	habits := map[string]Habit{}
	for _, h := range r.Habits {
		habits[string(h.From)+">"+string(h.To)] = h
	}
	require.Equal(t, 1.0, habits[">open"].Share)
	require.Greater(t, habits["open>read"].Share, .99)
	require.Equal(t, 1.0, habits["close>"].Share)
	require.Positive(t, habits["open>read"].Usual)
}

// One that has just begun is not missing its end yet.
func TestWhatMayStillComeIsNotMissing(t *testing.T) {
	l := NewLearner(Options{})
	for i := range 30 {
		s, at := fmt.Sprint(i), int64(i)*int64(time.Minute)
		l.Add(Event{s, at, "ask"})
		if i < 29 {
			l.Add(Event{s, at + int64(time.Second), "answer"})
		}
	}
	l.Close()
	require.Empty(t, l.Report(10).Breaks)
	l = NewLearner(Options{})
	for i := range 30 {
		s, at := fmt.Sprint(i), int64(i)*int64(time.Minute)
		l.Add(Event{s, at, "ask"})
		if i != 15 {
			l.Add(Event{s, at + int64(time.Second), "answer"})
		}
	}
	l.Close()
	require.Len(t, l.Report(10).Breaks, 1)
}

// Cut anywhere, stored and restored, a learner finds the same.
func TestStoredLearnersGoOn(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	events := requests(rng, 200)
	o := Options{MaxSessions: 6, Idle: 10 * time.Second}
	whole := learn(events, o)
	parts := NewLearner(o)
	for _, e := range events {
		parts.Add(e)
		if rng.IntN(40) == 0 {
			b, err := parts.MarshalBinary()
			require.NoError(t, err)
			parts, err = Restore(b)
			require.NoError(t, err)
		}
	}
	a, err := whole.MarshalBinary()
	require.NoError(t, err)
	b, err := parts.MarshalBinary()
	require.NoError(t, err)
	require.Equal(t, string(a), string(b))
	whole.Close()
	parts.Close()
	require.Equal(t, whole.Report(50), parts.Report(50))
	require.Positive(t, whole.Report(50).Evicted)
}

func TestBounds(t *testing.T) {
	l := NewLearner(Options{MaxSessions: 10, MaxTransitions: 20})
	for i := range 10_000 {
		l.Add(Event{fmt.Sprint("s", i%5000), int64(i), pattern.ID(fmt.Sprint("p", i%777))})
	}
	require.Len(t, l.open, 10)
	require.Equal(t, 10, l.recent.Len())
	require.Len(t, l.edges, 20)
	r := l.Report(5)
	require.EqualValues(t, 9990, r.Evicted)
	require.Positive(t, r.Dropped)
	require.LessOrEqual(t, len(r.Habits), 5)
}

func TestIdleSessionsEnd(t *testing.T) {
	l := NewLearner(Options{Idle: time.Minute})
	l.Add(Event{"s", 0, "a"})
	l.Add(Event{"s", int64(time.Hour), "a"})
	l.Close()
	r := l.Report(10)
	require.EqualValues(t, 2, r.Sessions)
	require.Equal(t, []Habit{{From: "", To: "a", Count: 2, Share: 1}, {From: "a", To: "", Count: 2, Share: 1}}, r.Habits)
}

func TestKeys(t *testing.T) {
	p := pattern.New("got blk_<*> of <*> for trace_id=<*> from <*> size <*>", []pattern.Slot{
		{Name: "number", Type: pattern.Number}, {Name: "uuid", Type: pattern.UUID}, {Name: "trace_id", Type: pattern.Hex}, {Name: "ip", Type: pattern.IP}, {Name: "number_2", Type: pattern.Number},
	})
	require.Equal(t, []string{"blk", "uuid", "trace_id", "", ""}, Keys(p))
}

func TestFinder(t *testing.T) {
	f := NewFinder()
	keys := map[pattern.ID][]string{"a": {"host", "trace"}, "b": {"trace", "host", "user"}, "c": {"uuid"}}
	for i := range 100 {
		trace, host := fmt.Sprint("t", i), "h"
		f.Add("a", keys["a"], []string{host, trace})
		f.Add("b", keys["b"], []string{trace, host, fmt.Sprint("u", i%50)})
		f.Add("c", keys["c"], []string{fmt.Sprint("x", i)})
	}
	key, lines, ok := f.Best()
	require.True(t, ok)
	require.Equal(t, "trace", key)
	require.EqualValues(t, 200, lines)
	_, _, ok = NewFinder().Best()
	require.False(t, ok)
}

func FuzzRestore(f *testing.F) {
	b, _ := learn(requests(rand.New(rand.NewPCG(1, 1)), 5), Options{}).MarshalBinary()
	f.Add(b)
	f.Add([]byte(`{"Patterns":[""],"Open":[{"Name":"a","Last":7}]}`))
	f.Add([]byte(`{"Patterns":["","a"],"Transitions":[null]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Restore(b)
		if err != nil {
			require.ErrorIs(t, err, ErrState)
			return
		}
		l.Add(Event{"s", 1, "a"})
		l.Close()
		l.Report(10)
	})
}
