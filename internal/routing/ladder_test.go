package routing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/routing"
)

func TestLadder(t *testing.T) {
	t.Parallel()
	rungs := []routing.Rung{{Model: "a", ContextTokens: 8000}, {Model: "b", ContextTokens: 4000}, {Model: "c", ContextTokens: 100000}}
	at := func(model string, class routing.Class) routing.Attempt {
		return routing.Attempt{Model: model, Class: class}
	}
	asked := func(d time.Duration) routing.Attempt {
		return routing.Attempt{Model: "a", Class: routing.Throttled, RetryAfter: d}
	}
	for _, c := range []struct {
		name     string
		attempts []routing.Attempt
		left     time.Duration
		rungs    []routing.Rung
		model    string
		after    time.Duration // at least
	}{
		{"first", nil, 0, rungs, "a", 0},
		{"transient goes to the same", []routing.Attempt{at("a", routing.Transient)}, 0, rungs, "a", 125 * time.Millisecond},
		{"twice is enough", []routing.Attempt{at("a", routing.Transient), at("a", routing.Transient)}, 0, rungs, "b", 0},
		{"throttled without a word", []routing.Attempt{at("a", routing.Throttled)}, 0, rungs, "a", 500 * time.Millisecond},
		{"a short wait that is asked for", []routing.Attempt{asked(2 * time.Second)}, 0, rungs, "a", 2 * time.Second},
		{"a long one goes elsewhere", []routing.Attempt{asked(20 * time.Second)}, 0, rungs, "b", 0},
		{"a long one is waited for where nobody else is", []routing.Attempt{asked(20 * time.Second)}, 0, rungs[:1], "a", 20 * time.Second},
		{"but not longer than the caller has", []routing.Attempt{asked(20 * time.Second)}, 10 * time.Second, rungs[:1], "", 0},
		{"nor for an hour", []routing.Attempt{asked(time.Hour)}, 0, rungs[:1], "", 0},
		{"silence goes elsewhere at once", []routing.Attempt{at("a", routing.Silent)}, 0, rungs, "b", 0},
		{"too long wants more context", []routing.Attempt{at("a", routing.ContextLength)}, 0, rungs, "c", 0},
		{"and none has it", []routing.Attempt{at("a", routing.ContextLength), at("c", routing.ContextLength)}, 0, rungs, "", 0},
		{"a filter ends it", []routing.Attempt{at("a", routing.ContentFilter)}, 0, rungs, "", 0},
		{"a bad key goes elsewhere", []routing.Attempt{at("a", routing.Auth)}, 0, rungs, "b", 0},
		{"an empty account too", []routing.Attempt{at("a", routing.Quota)}, 0, rungs, "b", 0},
		{"a bad request ends it", []routing.Attempt{at("a", routing.BadRequest)}, 0, rungs, "", 0},
		{"a fallback may refuse what the first took", []routing.Attempt{at("a", routing.Silent), at("b", routing.BadRequest)}, 0, rungs, "c", 0},
		{"a caller who left", []routing.Attempt{at("a", routing.Cancelled)}, 0, rungs, "", 0},
		{"what was passed on cannot be taken back", []routing.Attempt{{Model: "a", Class: routing.Transient, Delivered: true}}, 0, rungs, "", 0},
		{"a failed check goes on to the next", []routing.Attempt{at("a", routing.Unverified)}, 0, rungs, "b", 0},
		{"nothing to try", nil, 0, nil, "", 0},
	} {
		step := routing.Ladder{}.Next(c.rungs, c.attempts, c.left, "seed")
		require.Equal(t, c.model, step.Model, "%s: %s", c.name, step.Reason)
		require.GreaterOrEqual(t, step.After, c.after, c.name)
		require.Equal(t, step, routing.Ladder{}.Next(c.rungs, c.attempts, c.left, "seed"), "the same again is the same step")
		require.NotEmpty(t, step.Reason)
	}
}

// However calls fail, the ladder ends within its attempts, and no model is tried more than twice.
func TestLadderEnds(t *testing.T) {
	t.Parallel()
	classes := []routing.Class{routing.Transient, routing.Throttled, routing.Silent, routing.ContextLength, routing.Auth, routing.Quota, routing.BadRequest, routing.Unverified}
	rungs := []routing.Rung{{Model: "a"}, {Model: "b"}, {Model: "c"}, {Model: "d"}}
	for n := range 8 * 8 * 8 * 8 * 8 {
		var attempts []routing.Attempt
		tried := map[string]int{}
		for ; ; n /= 8 {
			step := routing.Ladder{}.Next(rungs, attempts, 0, "x")
			if step.GaveUp() {
				break
			}
			tried[step.Model]++
			require.LessOrEqual(t, tried[step.Model], 2)
			attempts = append(attempts, routing.Attempt{Model: step.Model, Class: classes[n%8]})
			require.LessOrEqual(t, len(attempts), 6)
		}
	}
}
