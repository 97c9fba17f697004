package migration

import (
	"fmt"
	"time"
)

// Timing is how a reference query ran.
type Timing struct {
	Name  string  `json:"name"`
	MS    float64 `json:"ms"`              // median
	Runs  int     `json:"runs,omitempty"`  // of which it is the median
	Shape string  `json:"shape,omitempty"` // of its plan: the nodes, with what they read
}

// Slower compares reference queries after a migration with before, by name, and says in words which take longer than the factor allows.
// A difference under a millisecond is none.
func Slower(before, after []Timing, factor float64) (out []string) {
	was := map[string]Timing{}
	for _, t := range before {
		was[t.Name] = t
	}
	for _, now := range after {
		then, ok := was[now.Name]
		if !ok || now.MS <= then.MS*factor || now.MS-then.MS < 1 {
			continue
		}
		text := fmt.Sprintf("query %q takes %.1f ms and took %.1f ms before; %.1f times as long is allowed", now.Name, now.MS, then.MS, factor)
		if now.Shape != then.Shape {
			text += fmt.Sprintf("; its plan is now %s and was %s", now.Shape, then.Shape)
		}
		out = append(out, text)
	}
	return out
}

// Finding is something that is wrong with the data, whatever brought it about.
type Finding struct {
	Kind string `json:"kind"` // orphans, refused by a check, duplicates, sequence behind
	Path string `json:"path"` // of the constraint, index or sequence
	Rows int64  `json:"rows"` // of a sequence: how far it is behind
	Text string `json:"text"`
}

// Lock is a lock on a table that a step held when it was about to commit, or was seen to hold while it ran.
type Lock struct {
	Table string `json:"table"`
	Mode  string `json:"mode"` // as Postgres names it, such as "ACCESS EXCLUSIVE"
}

// Touched is how many rows of a table a step changed.
type Touched struct {
	Table    string `json:"table"`
	Inserted int64  `json:"inserted,omitempty"`
	Updated  int64  `json:"updated,omitempty"`
	Deleted  int64  `json:"deleted,omitempty"`
	Rewrites bool   `json:"rewrites,omitempty"` // the whole table was written anew
}

// RehearsedStep is what a step did to a clone.
type RehearsedStep struct {
	Name        string        `json:"name"`
	Kind        Kind          `json:"kind"`
	Took        time.Duration `json:"took"`
	Undo        time.Duration `json:"undo,omitempty"` // how long undoing took
	Locks       []Lock        `json:"locks,omitempty"`
	Touched     []Touched     `json:"touched,omitempty"`
	Catalogue   []Difference  `json:"catalogue,omitempty"`
	Fault       string        `json:"fault,omitempty"`      // why it could not be applied; nothing comes after it
	UndoFault   string        `json:"undo_fault,omitempty"` // why it could not be undone
	Differences []Difference  `json:"differences,omitempty"`
}

// Rehearsal is a plan applied to a clone of the database, and undone.
type Rehearsal struct {
	Clone       string          `json:"clone"` // how it was made
	Took        time.Duration   `json:"took"`  // making it
	Steps       []RehearsedStep `json:"steps"`
	Catalogue   []Difference    `json:"catalogue"`           // before and after all steps
	Differences []Difference    `json:"differences"`         // left after undoing all steps
	Timings     [2][]Timing     `json:"timings"`             // of the reference queries, before and after
	Findings    []Finding       `json:"findings,omitempty"`  // after all steps
	Leftovers   []string        `json:"leftovers,omitempty"` // clones of earlier runs that were removed
}
