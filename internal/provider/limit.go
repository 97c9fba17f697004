package provider

import (
	"time"

	"golang.org/x/time/rate"
)

// limit is what a provider lets one key send in a minute. The nil limit admits everything.
type limit struct{ requests, tokens *rate.Limiter }

func newLimit(rpm, tpm int) *limit {
	make := func(perMinute int) *rate.Limiter {
		if perMinute == 0 {
			return nil
		}
		return rate.NewLimiter(rate.Limit(float64(perMinute)/60), perMinute)
	}
	return &limit{make(rpm), make(tpm)}
}

// admit takes one request with its tokens, or nothing and says how long until it could. A request of more tokens than a
// minute has takes them all.
func (l *limit) admit(tokens int, now time.Time) time.Duration {
	if l == nil {
		return 0
	}
	var taken []*rate.Reservation
	var wait time.Duration
	take := func(r *rate.Limiter, n int) {
		if r == nil {
			return
		}
		got := r.ReserveN(now, min(n, r.Burst()))
		taken, wait = append(taken, got), max(wait, got.DelayFrom(now))
	}
	take(l.requests, 1)
	take(l.tokens, tokens)
	if wait > 0 {
		for _, r := range taken {
			r.CancelAt(now)
		}
	}
	return wait
}

func (l *limit) perMinute() int {
	if l == nil || l.requests == nil {
		return 0
	}
	return l.requests.Burst()
}
