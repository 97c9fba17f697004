// Package report writes what became of a migration, or of its rehearsal, for people: as Markdown, as a page of HTML that needs nothing
// beside itself, and as a picture of its time. Plain values come in, and bytes go out, the same for the same values.
package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/tartan-ai/tartan/internal/migration"
)

// Report is a migration as it is told. What is empty is left out.
type Report struct {
	Plan      string
	Target    string
	Migration string
	SHA256    string // of the plan
	State     string // such as completed, rolled back, rehearsed
	Why       string
	Started   time.Time
	Finished  time.Time // zero: it is under way
	Steps     []Step
	Phases    []Span // that are no step: approval, soak
	Before    []migration.Timing
	After     []migration.Timing
	Slower    []string // as migration.Slower says it
	Findings  []migration.Finding
	Changes   []migration.Difference // of the catalogue, by the plan
	Left      []migration.Difference // from what it was, after it was undone
	Undone    bool                   // Left was looked for; empty means exact
	Notes     []string
}

// Step is a step as it is told.
type Step struct {
	Name     string
	Kind     string
	State    string
	Started  time.Time // zero: not begun
	Finished time.Time
	Undo     Span // zero: it was not undone
	Rows     int64
	Note     string // such as the proof of a copy, or why the step failed
	Locks    []migration.Lock
	Touched  []migration.Touched
}

// Span is a stretch of time with a name.
type Span struct {
	Name     string
	Started  time.Time
	Finished time.Time
}

// OfRehearsal tells a rehearsal that began at a time. Its steps follow one another from there.
func OfRehearsal(r migration.Rehearsal, p *migration.Plan, target, id string, began time.Time) Report {
	out := Report{
		Plan: p.Name, Target: target, Migration: id, SHA256: p.SHA256, State: "rehearsed", Started: began,
		Before: r.Timings[0], After: r.Timings[1], Findings: r.Findings, Changes: r.Catalogue, Left: r.Differences, Undone: true,
		Notes: []string{fmt.Sprintf("Rehearsed on a clone of the database (%s, %s), which is gone.", r.Clone, Span{Finished: time.Time{}.Add(r.Took)}.length())},
	}
	factor := p.Settings.MaxSlowdown
	if factor == 0 {
		factor = 1.5
	}
	out.Slower = migration.Slower(r.Timings[0], r.Timings[1], factor)
	at := began
	for _, s := range r.Steps {
		step := Step{Name: s.Name, Kind: string(s.Kind), State: "done", Started: at, Finished: at.Add(s.Took), Locks: s.Locks, Touched: s.Touched}
		for _, t := range s.Touched {
			step.Rows += t.Inserted + t.Updated + t.Deleted
		}
		switch {
		case s.Fault != "":
			step.State, step.Note, out.Why = "failed", s.Fault, s.Fault
		case s.UndoFault != "":
			step.State, step.Note, out.Undone = "not undone", s.UndoFault, false
			out.Why = fmt.Sprintf("step %q cannot be undone: %s", s.Name, s.UndoFault)
		case s.Undo > 0:
			step.Note = "undone in " + Span{Finished: time.Time{}.Add(s.Undo)}.length()
		}
		out.Left = append(out.Left, s.Differences...)
		at = step.Finished
		out.Steps = append(out.Steps, step)
	}
	for _, s := range p.Steps[min(len(r.Steps), len(p.Steps)):] {
		out.Steps = append(out.Steps, Step{Name: s.Name, Kind: string(s.Kind), State: "pending"})
	}
	out.Finished = at
	return out
}

// length writes how long a span is, as people say it.
func (s Span) length() string {
	d := s.Finished.Sub(s.Started)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d days %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

func (s Step) took() string {
	if s.Started.IsZero() || s.Finished.IsZero() {
		return ""
	}
	return Span{Started: s.Started, Finished: s.Finished}.length()
}

// note is the note, and how long undoing took.
func (s Step) note() string {
	if s.Undo.Started.IsZero() || s.Undo.Finished.IsZero() {
		return s.Note
	}
	undone := "undone in " + s.Undo.length()
	if s.Note == "" {
		return undone
	}
	return s.Note + "; " + undone
}

// perSecond is the speed of a step with rows, where that says something.
func (s Step) perSecond() string {
	d := s.Finished.Sub(s.Started)
	if s.Rows == 0 || s.Started.IsZero() || d < time.Second {
		return ""
	}
	return count(int64(float64(s.Rows) / d.Seconds()))
}

// count writes a number with thousands apart.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// table is rows of cells under names. Its cells are plain text.
type table struct {
	title string
	head  []string
	right map[int]bool // columns of numbers
	rows  [][]string
}

// maxListed is how many differences are listed.
const maxListed = 200

// tables are the parts of a report that have rows.
func (r Report) tables() (out []table) {
	steps := table{title: "Steps", head: []string{"", "Step", "Kind", "State", "Took", "Rows", "Rows/s", "Note"}, right: map[int]bool{0: true, 4: true, 5: true, 6: true}}
	locks := table{title: "Locks and rows", head: []string{"Step", "Locks", "Rows touched"}}
	for i, s := range r.Steps {
		rows := ""
		if s.Rows > 0 {
			rows = count(s.Rows)
		}
		steps.rows = append(steps.rows, []string{fmt.Sprint(i + 1), s.Name, s.Kind, s.State, s.took(), rows, s.perSecond(), s.note()})
		if len(s.Locks)+len(s.Touched) > 0 {
			locks.rows = append(locks.rows, []string{s.Name, lockText(s.Locks), touchedText(s.Touched)})
		}
	}
	queries := table{title: "Reference queries", head: []string{"Query", "Before (ms)", "After (ms)", "Factor", "Plan"}, right: map[int]bool{1: true, 2: true, 3: true}}
	was := map[string]migration.Timing{}
	for _, t := range r.Before {
		was[t.Name] = t
	}
	for _, t := range r.After {
		b, ok := was[t.Name]
		row := []string{t.Name, "", fmt.Sprintf("%.1f", t.MS), "", t.Shape}
		if ok {
			row[1] = fmt.Sprintf("%.1f", b.MS)
			if b.MS > 0 {
				row[3] = fmt.Sprintf("%.2f", t.MS/b.MS)
			}
			if b.Shape == t.Shape && t.Shape != "" {
				row[4] = "as before: " + t.Shape
			} else if b.Shape != "" {
				row[4] = b.Shape + ", now " + t.Shape
			}
		}
		queries.rows = append(queries.rows, row)
	}
	findings := table{title: "What the data break", head: []string{"What", "Where", "Finding"}}
	for _, f := range r.Findings {
		findings.rows = append(findings.rows, []string{f.Kind, f.Path, f.Text})
	}
	for _, t := range []table{steps, locks, queries, findings, differences("Changes of the catalogue", r.Changes), differences("Not as it was", r.Left)} {
		if len(t.rows) > 0 {
			out = append(out, t)
		}
	}
	return out
}

func differences(title string, list []migration.Difference) table {
	t := table{title: title, head: []string{"What", "Before", "After"}}
	for i, d := range list {
		if i == maxListed {
			t.rows = append(t.rows, []string{fmt.Sprintf("and %s more", count(int64(len(list)-maxListed))), "", ""})
			break
		}
		t.rows = append(t.rows, []string{d.Path, d.Before, d.After})
	}
	return t
}

func lockText(locks []migration.Lock) string {
	out := make([]string, len(locks))
	for i, l := range locks {
		out[i] = l.Mode + " on " + l.Table
	}
	return strings.Join(out, ", ")
}

func touchedText(list []migration.Touched) string {
	var out []string
	for _, t := range list {
		var parts []string
		for _, p := range []struct {
			n    int64
			name string
		}{{t.Inserted, "inserted"}, {t.Updated, "updated"}, {t.Deleted, "deleted"}} {
			if p.n > 0 {
				parts = append(parts, count(p.n)+" "+p.name)
			}
		}
		if t.Rewrites {
			parts = append(parts, "written anew as a whole")
		}
		out = append(out, t.Table+": "+strings.Join(parts, ", "))
	}
	return strings.Join(out, "; ")
}

// facts are the lines at the top.
func (r Report) facts() (out [][2]string) {
	add := func(name, value string) {
		if value != "" {
			out = append(out, [2]string{name, value})
		}
	}
	add("Target", r.Target)
	add("State", r.State)
	add("Why", r.Why)
	if !r.Started.IsZero() {
		add("Started", stamp(r.Started))
	}
	if !r.Finished.IsZero() {
		add("Finished", stamp(r.Finished)+", after "+Span{Started: r.Started, Finished: r.Finished}.length())
	}
	if r.Undone && len(r.Left) == 0 {
		add("Undoing", "exact: catalogue and rows are as they were before")
	}
	add("Migration", r.Migration)
	add("Plan's SHA-256", r.SHA256)
	return out
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Markdown writes the report as a document.
func (r Report) Markdown() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Migration %s\n\n", markdown(r.Plan))
	for _, f := range r.facts() {
		fmt.Fprintf(&b, "- **%s**: %s\n", f[0], markdown(f[1]))
	}
	for _, n := range append(append([]string(nil), r.Notes...), r.Slower...) {
		fmt.Fprintf(&b, "\n%s\n", markdown(n))
	}
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "\n## %s\n\n|", t.title)
		for _, h := range t.head {
			fmt.Fprintf(&b, " %s |", h)
		}
		b.WriteString("\n|")
		for i := range t.head {
			if t.right[i] {
				b.WriteString("--:|")
			} else {
				b.WriteString("---|")
			}
		}
		for _, row := range t.rows {
			b.WriteString("\n|")
			for _, cell := range row {
				fmt.Fprintf(&b, " %s |", markdown(cell))
			}
		}
		b.WriteString("\n")
	}
	return []byte(b.String())
}

var escapes = strings.NewReplacer("\\", "\\\\", "|", "\\|", "\r", " ", "\n", " ", "*", "\\*", "_", "\\_", "`", "\\`", "<", "&lt;", "[", "\\[")

// markdown makes text stand in a line or a cell as it is.
func markdown(s string) string { return escapes.Replace(s) }
