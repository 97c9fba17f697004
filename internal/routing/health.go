package routing

import (
	"math"
	"time"
)

// BreakerState is whether calls go to a model.
type BreakerState string

// States of a breaker.
const (
	Closed   BreakerState = "closed"    // calls go
	Open     BreakerState = "open"      // none goes
	HalfOpen BreakerState = "half_open" // one goes, to see
)

const (
	failuresToOpen = 3
	firstPause     = 5 * time.Second
	longestPause   = 2 * time.Minute
	keyPause       = 5 * time.Minute  // after a refused key or a used-up account: no retry helps soon
	probeTimeout   = 60 * time.Second // a probe that was never answered for gives the place to another
)

// Breaker keeps calls from a model that fails. Three failures in a row open it, a refused key at once; after a pause, that
// doubles each time, one call is let through, and closes it by success. The zero Breaker is closed. It is a value: each
// method returns what it becomes.
type Breaker struct {
	Failures int           `json:"failures,omitempty"` // in a row
	Until    time.Time     `json:"until,omitzero"`     // open until then
	Pause    time.Duration `json:"pause,omitempty"`    // of the last opening; 0 is closed
	Probe    time.Time     `json:"probe,omitzero"`     // when the call that tries was let through
}

// State says what the breaker does at a time.
func (b Breaker) State(now time.Time) BreakerState {
	switch {
	case b.Pause == 0:
		return Closed
	case now.Before(b.Until):
		return Open
	case !b.Probe.IsZero() && now.Sub(b.Probe) < probeTimeout:
		return Open
	}
	return HalfOpen
}

// Allow says whether a call may go, and what the breaker becomes by letting it.
func (b Breaker) Allow(now time.Time) (Breaker, bool) {
	switch b.State(now) {
	case Closed:
		return b, true
	case Open:
		return b, false
	}
	b.Probe = now
	return b, true
}

// Record takes in how a call ended; an empty class is an answer. Failures that are the request's own change nothing but
// that a probe is over.
func (b Breaker) Record(class Class, now time.Time) Breaker {
	switch {
	case class == "":
		return Breaker{}
	case !class.Blames():
		b.Probe = time.Time{}
		return b
	}
	probed := !b.Probe.IsZero()
	b.Failures++
	b.Probe = time.Time{}
	switch {
	case class == Auth || class == Quota:
		b.Pause = keyPause
	case b.Pause > 0 && probed:
		b.Pause = max(firstPause, min(longestPause, 2*b.Pause))
	case b.Pause > 0 && now.Before(b.Until):
		return b // a call that was under way when it opened
	case b.Pause > 0 || b.Failures >= failuresToOpen:
		b.Pause = max(firstPause, b.Pause)
	default:
		return b
	}
	b.Until = now.Add(b.Pause)
	return b
}

// latencyMemory is how long a measured latency counts: one of that age weighs 1/e.
const latencyMemory = 10 * time.Minute

// Health is how a model does lately.
type Health struct {
	Breaker Breaker       `json:"breaker"`
	Latency time.Duration `json:"latency,omitempty"` // moving mean of answers
	Weight  float64       `json:"weight,omitempty"`  // of Latency, decaying
	At      time.Time     `json:"at,omitzero"`       // of the last answer
}

// Record takes in the end of a call: its breaker, and, of an answer, its latency. Old latencies fade by time, so that a slow
// minute is forgotten, however few calls follow.
func (h Health) Record(class Class, latency time.Duration, now time.Time) Health {
	h.Breaker = h.Breaker.Record(class, now)
	if class != "" || latency <= 0 {
		return h
	}
	if age := now.Sub(h.At); age > 0 && !h.At.IsZero() {
		h.Weight *= math.Exp(-float64(age) / float64(latencyMemory))
	}
	h.Weight = min(h.Weight, 20)
	h.Latency = time.Duration((float64(h.Latency)*h.Weight + float64(latency)) / (h.Weight + 1))
	h.Weight++
	h.At = now
	return h
}
