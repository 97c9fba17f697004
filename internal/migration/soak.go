package migration

import (
	"fmt"
	"time"
)

// Sample is what a database has counted up to a moment, or between two.
type Sample struct {
	Commits   int64   `json:"commits"`
	Rollbacks int64   `json:"rollbacks"`
	ActiveMS  float64 `json:"active_ms,omitempty"` // that transactions were executing statements, all sessions together
	HasActive bool    `json:"has_active,omitempty"`
}

// fewTransactions say nothing about how a database does: a look at it is not judged by fewer.
const fewTransactions = 20

// Since is what was counted since another sample. Counters that were reset meanwhile count as nothing.
func (s Sample) Since(o Sample) Sample {
	out := Sample{Commits: s.Commits - o.Commits, Rollbacks: s.Rollbacks - o.Rollbacks, ActiveMS: s.ActiveMS - o.ActiveMS, HasActive: s.HasActive}
	if out.Commits < 0 || out.Rollbacks < 0 || out.ActiveMS < 0 {
		return Sample{HasActive: s.HasActive}
	}
	return out
}

// Plus adds what was counted in another stretch.
func (s Sample) Plus(o Sample) Sample {
	return Sample{Commits: s.Commits + o.Commits, Rollbacks: s.Rollbacks + o.Rollbacks, ActiveMS: s.ActiveMS + o.ActiveMS, HasActive: o.HasActive}
}

func (s Sample) transactions() int64 { return s.Commits + s.Rollbacks }

// ErrorRate is the share of transactions that were rolled back; 0 where there were none.
func (s Sample) ErrorRate() float64 {
	if s.transactions() <= 0 || s.Rollbacks <= 0 {
		return 0
	}
	return float64(s.Rollbacks) / float64(s.transactions())
}

// Active is how long a transaction was executing statements, in the mean; 0 where there were none.
func (s Sample) Active() time.Duration {
	if s.transactions() <= 0 {
		return 0
	}
	return time.Duration(s.ActiveMS / float64(s.transactions()) * float64(time.Millisecond))
}

// Faults says in words what was wrong in a stretch of the soak, such as "since the last look". Zero limits are not watched.
func (s Sample) Faults(when string, maxErrorRate float64, maxActive time.Duration) string {
	if s.transactions() < fewTransactions {
		return ""
	}
	if rate := s.ErrorRate(); maxErrorRate > 0 && rate > maxErrorRate {
		return fmt.Sprintf("%.1f %% of %d transactions were rolled back %s, and %.1f %% are allowed", 100*rate, s.transactions(), when, 100*maxErrorRate)
	}
	if active := s.Active(); maxActive > 0 && active > maxActive {
		return fmt.Sprintf("%d transactions were active for %s each %s, and %s is allowed", s.transactions(), active.Round(time.Microsecond), when, maxActive)
	}
	return ""
}
