package lint

import (
	"cmp"
	"slices"

	"github.com/tartan-ai/tartan/internal/migration"
)

// Severity says what a finding costs if it is let through.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // loses data, or keeps others out for as long as the table is large
	Warning Severity = "warning" // breaks clients of the old schema, or will cost later
	Info    Severity = "info"    // worth knowing
)

// Finding is something dangerous in a plan.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line"`
	Step     string   `json:"step,omitempty"`
	Message  string   `json:"message"`        // what stands there
	Why      string   `json:"why"`            // what it does to a database in use
	Safe     string   `json:"safe,omitempty"` // SQL that reaches the same without harm
	Docs     string   `json:"docs"`
}

// Options say what is asked. The zero value is for a plan that Tartan runs.
type Options struct {
	// Foreign judges the files as the tool that they were written for would run them: timeouts, and statements that can be
	// repeated, are then the files' own affair.
	Foreign bool
	// Schema asks for names of tables with their schema.
	Schema bool
	// Statistics of tables by name, as Complete writes it; durations are told for these.
	Statistics map[string]Statistics
	Throughput Throughput
}

// Report is what is known of a plan before it runs.
type Report struct {
	Findings     []Finding `json:"findings"`
	Statements   []Work    `json:"statements"`
	Irreversible []string  `json:"irreversible,omitempty"` // steps that cannot be undone exactly
}

// Errors reports whether a finding is an error.
func (r Report) Errors() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity == Error })
}

// item is a statement in the order in which it runs, or the begin or the end of the transaction that a step is.
type item struct {
	parsed
	step       *migration.Step
	begin, end bool
}

// linter goes over the statements of a plan or of a file.
type linter struct {
	items    []item
	options  Options
	engine   bool // Tartan runs it
	phases   bool // the plan has a contract phase
	findings []Finding
}

// Check completes a plan and looks for what is dangerous in it. The files are those that it was read from; what their comments
// allow is left out. The error is that of Complete.
func Check(p *migration.Plan, files []migration.File, o Options) (Report, error) {
	if o.Foreign && p.Format != migration.FormatTartan {
		return checkForeign(p, files, o)
	}
	if err := Complete(p); err != nil {
		return Report{}, err
	}
	l := &linter{options: o, engine: true, phases: p.Format == migration.FormatTartan}
	r := Report{Findings: []Finding{}, Statements: []Work{}}
	for i := range p.Steps {
		s := &p.Steps[i]
		up, err := parseAll(s.Up)
		if err != nil {
			return Report{}, err
		}
		if !s.NoTransaction && s.Kind != migration.KindBackfill {
			l.items = append(l.items, item{begin: true, step: s})
		}
		for _, st := range up {
			l.items = append(l.items, item{parsed: st, step: s})
			r.Statements = append(r.Statements, workOf(st, s, o))
		}
		if s.Kind == migration.KindCopy {
			r.Statements = append(r.Statements, copyWork(s))
		}
		if !s.NoTransaction && s.Kind != migration.KindBackfill {
			l.items = append(l.items, item{end: true, step: s})
		}
	}
	l.run(rules)
	l.plan(p)
	for i := range p.Steps {
		if why := irreversible(&p.Steps[i], l.of(&p.Steps[i])); why != "" {
			r.Irreversible = append(r.Irreversible, p.Steps[i].Name)
		}
	}
	l.longNames(files)
	r.Findings = append(r.Findings, l.allowed(files)...)
	return r, nil
}

// checkForeign looks at each file by itself, as its tool runs it.
func checkForeign(p *migration.Plan, files []migration.File, o Options) (Report, error) {
	r := Report{Findings: []Finding{}, Statements: []Work{}}
	for i := range p.Steps {
		s := &p.Steps[i]
		up, err := parseAll(s.Up)
		if err != nil {
			return Report{}, err
		}
		for _, st := range up {
			r.Statements = append(r.Statements, workOf(st, s, o))
		}
	}
	for _, f := range files {
		found, err := Text(f, o)
		if err != nil {
			return Report{}, err
		}
		r.Findings = append(r.Findings, found...)
	}
	return r, nil
}

// Text looks at one file of SQL as it stands, without a plan around it.
func Text(f migration.File, o Options) ([]Finding, error) {
	pieces, err := migration.Scan(f.Text)
	if err != nil {
		return nil, migration.InFile(f, err)
	}
	o.Foreign = true
	l := &linter{options: o}
	for _, p := range pieces {
		if !p.Statement {
			continue
		}
		st, err := parse(migration.Statement{SQL: p.Text, File: f.Name, Line: p.Line})
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, item{parsed: st})
	}
	l.run(rules)
	l.longNames([]migration.File{f})
	return l.allowed([]migration.File{f}), nil
}

func (l *linter) run(list []rule) {
	for _, r := range list {
		if r.check == nil || r.Optional && !l.wanted(r.Name) {
			continue
		}
		r.check(l, r)
	}
}

func (l *linter) wanted(name string) bool {
	switch name {
	case "require-table-schema":
		return l.options.Schema
	}
	return !l.engine
}

// report adds a finding at a statement.
func (l *linter) report(r rule, it item, offset int32, message, safe string) {
	f := Finding{Rule: r.Name, Severity: r.Severity, File: it.File, Line: it.lineAt(offset), Message: message, Why: r.Why, Safe: cmp.Or(safe, r.Safe), Docs: docs + "#" + r.Name}
	if it.step != nil {
		f.Step = it.step.Name
	}
	l.findings = append(l.findings, f)
}

// of returns the statements of a step.
func (l *linter) of(s *migration.Step) (out []parsed) {
	for _, it := range l.items {
		if it.step == s && it.node != nil {
			out = append(out, it.parsed)
		}
	}
	return out
}

const docs = "docs/migrations.md"
