package routing

import (
	"hash/fnv"
	"strconv"
	"time"
)

// Unverified is an answer that came and did not pass its check.
const Unverified Class = "unverified"

// Ladder is the one place that says what is done about a failed call: the fast path, the gateway and the workflow all ask
// Next, and nothing below it tries again.
type Ladder struct {
	PerModel int           // attempts on one model; 0 is 2
	Total    int           // attempts of a call; 0 is 6
	Wait     time.Duration // the most that is waited for the same model while another could answer; 0 is 2 s
	MaxWait  time.Duration // the most that is waited where no other is left; 0 is 30 s
}

// Rung is a model that may be tried, best first.
type Rung struct {
	Model         string `json:"model"`
	ContextTokens int    `json:"context_tokens,omitempty"`
}

// Attempt is how one call to a model ended.
type Attempt struct {
	Model      string        `json:"model"`
	Class      Class         `json:"class"`
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	// Delivered says that the caller has seen a piece of the answer, so that another one cannot follow.
	Delivered bool `json:"delivered,omitempty"`
}

// Step is what to do next: try a model after a wait, or give up.
type Step struct {
	Model  string        `json:"model,omitempty"` // "" is to give up
	After  time.Duration `json:"after,omitempty"`
	Reason string        `json:"reason"`
}

// GaveUp reports whether nothing is left to try.
func (s Step) GaveUp() bool { return s.Model == "" }

// The waits before the same model is tried again where the provider names none.
const (
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 8 * time.Second
)

// Next says what to do after these attempts, in order. left is the time that the caller still has; 0 is no limit. seed spreads
// the waits of calls that failed together, and is the id of the decision. Without attempts it is the first model.
func (l Ladder) Next(rungs []Rung, attempts []Attempt, left time.Duration, seed string) Step {
	l = l.filled()
	if len(rungs) == 0 {
		return Step{Reason: "no model can answer this"}
	}
	if len(attempts) == 0 {
		return Step{Model: rungs[0].Model, Reason: "the best by the decision"}
	}
	last := attempts[len(attempts)-1]
	switch {
	case last.Class == Cancelled:
		return Step{Reason: "the caller went away"}
	case last.Class == ContentFilter:
		return Step{Reason: "a content filter is not routed around"}
	case last.Delivered:
		return Step{Reason: "a part of the answer has been passed on, and another answer cannot follow it"}
	case last.Class == BadRequest && last.Model == attempts[0].Model:
		return Step{Reason: "the request is at fault"}
	case len(attempts) >= l.Total:
		return Step{Reason: strconv.Itoa(len(attempts)) + " attempts failed"}
	}
	next, has := l.other(rungs, attempts, last)
	again, wait := l.again(attempts, last, seed)
	switch {
	case left > 0 && again && wait >= left:
		again = false
	case again && has && wait > l.Wait:
		again = false // another one answers sooner
	case again && wait > l.MaxWait:
		again = false
	}
	switch {
	case again:
		return Step{Model: last.Model, After: wait, Reason: string(last.Class) + ": the same again"}
	case has:
		return Step{Model: next, Reason: string(last.Class) + ": the next one"}
	}
	return Step{Reason: string(last.Class) + ": no other model is left"}
}

func (l Ladder) filled() Ladder {
	if l.PerModel <= 0 {
		l.PerModel = 2
	}
	if l.Total <= 0 {
		l.Total = 6
	}
	if l.Wait <= 0 {
		l.Wait = 2 * time.Second
	}
	if l.MaxWait <= 0 {
		l.MaxWait = 30 * time.Second
	}
	return l
}

// again says whether the same model may be tried once more, and after which wait.
func (l Ladder) again(attempts []Attempt, last Attempt, seed string) (bool, time.Duration) {
	if last.Class != Transient && last.Class != Throttled {
		return false, 0
	}
	tried := 0
	for _, a := range attempts {
		if a.Model == last.Model {
			tried++
		}
	}
	if tried >= l.PerModel {
		return false, 0
	}
	wait := firstBackoff << min(tried-1, 8)
	if last.Class == Throttled {
		wait *= 4
	}
	if wait = min(wait, maxBackoff); last.RetryAfter > 0 {
		return true, last.RetryAfter // as asked, and no sooner
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(seed + "/" + strconv.Itoa(len(attempts))))
	return true, wait/2 + wait*time.Duration(h.Sum32()%1000)/2000
}

// other is the best model that was not tried: one with more context where that was the fault.
func (l Ladder) other(rungs []Rung, attempts []Attempt, last Attempt) (string, bool) {
	tried, room := map[string]bool{}, 0
	for _, a := range attempts {
		tried[a.Model] = true
	}
	for _, r := range rungs {
		if tried[r.Model] && last.Class == ContextLength {
			room = max(room, r.ContextTokens)
		}
	}
	for _, r := range rungs {
		if !tried[r.Model] && (room == 0 || r.ContextTokens == 0 || r.ContextTokens > room) {
			return r.Model, true
		}
	}
	return "", false
}
