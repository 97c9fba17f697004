package migration

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	marks   = []string{"plan", "set", "check", "query", "step", "up", "down", "verify", "allow"}
	kinds   = []string{"sql", "backfill", "copy", "index", "validate", "dual-write", "switch", "drop"}
	setters = map[string]func(*Settings, string) error{
		"lock_timeout":      duration(func(s *Settings) *time.Duration { return &s.LockTimeout }),
		"statement_timeout": duration(func(s *Settings) *time.Duration { return &s.StatementTimeout }),
		"approval_timeout":  duration(func(s *Settings) *time.Duration { return &s.ApprovalTimeout }),
		"soak":              duration(func(s *Settings) *time.Duration { return &s.Soak }),
		"max_active":        duration(func(s *Settings) *time.Duration { return &s.MaxActive }),
		"retention":         duration(func(s *Settings) *time.Duration { return &s.Retention }),
		"lock_attempts":     func(s *Settings, v string) (err error) { s.LockAttempts, err = positive(v); return },
		"approval":          func(s *Settings, v string) (err error) { s.Approval, err = yes(v); return },
		"max_error_rate":    func(s *Settings, v string) (err error) { s.MaxErrorRate, err = number(v, 0, 1); return },
		"max_slowdown":      func(s *Settings, v string) (err error) { s.MaxSlowdown, err = number(v, 1, 1e6); return },
		"max_rejected": func(s *Settings, v string) (err error) {
			s.MaxRejected, err = strconv.ParseInt(v, 10, 64)
			if err != nil || s.MaxRejected < 0 {
				err = fmt.Errorf("%q is no number of rows", v)
			}
			return
		},
	}
	// attributes of a step, by kind; every kind has those of ""
	attributes = map[string][]string{
		"":         {"irreversible", "transaction"},
		"backfill": {"table", "key", "rows", "pause", "per_sec"},
		"copy":     {"from", "format", "source", "table", "key", "map", "rows", "delimiter", "header", "null", "quote", "encoding"},
	}
	copyOptions = []string{"delimiter", "header", "null", "quote", "encoding"}
)

func duration(of func(*Settings) *time.Duration) func(*Settings, string) error {
	return func(s *Settings, v string) (err error) {
		*of(s), err = ParseDuration(v)
		return err
	}
}

// ParseDuration reads a duration as plans have it: 500ms, 2s, 10m, 12h, 7d.
func ParseDuration(v string) (time.Duration, error) {
	text := v
	if days, ok := strings.CutSuffix(v, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 10_000 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
		text = "?"
	}
	d, err := time.ParseDuration(strings.ReplaceAll(text, " ", ""))
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration: write 500ms, 2s, 10m, 12h or 7d", v)
	}
	return d, nil
}

func positive(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is no whole number above 0", v)
	}
	return n, nil
}

func number(v string, low, high float64) (float64, error) {
	n, err := strconv.ParseFloat(v, 64)
	if err != nil || !(n >= low && n <= high) {
		return 0, fmt.Errorf("%q is no number from %g to %g", v, low, high)
	}
	return n, nil
}

func yes(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "yes", "true", "on":
		return true, nil
	case "no", "false", "off":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no", v)
}

// tartanReader follows the marks of a plan over its files.
type tartanReader struct {
	p       *Plan
	f       File
	step    *Step
	section *[]Statement
	named   *NamedSQL // a check or a query that waits for its statement
	where   int       // line of the mark that opened what waits
}

// readTartan reads Tartan's own format.
func readTartan(p *Plan, files []File) error {
	r := &tartanReader{p: p}
	for _, f := range files {
		r.f, r.section = f, nil
		pieces, err := Scan(f.Text)
		if err != nil {
			return InFile(f, err)
		}
		for i, piece := range pieces {
			last := i == len(pieces)-1
			if err := r.piece(piece, last); err != nil {
				return err
			}
		}
		if err := r.settled(); err != nil {
			return err
		}
	}
	if p.Name == "" {
		return r.fail(1, "the plan has no name: begin with -- tartan:plan NAME")
	}
	return r.order()
}

func (r *tartanReader) fail(line int, format string, args ...any) error {
	return &SyntaxError{r.f.Name, line, fmt.Sprintf(format, args...)}
}

// piece takes a statement with the marks in it. One mark within a statement means that its semicolon is missing, but for the
// marks that lint reads.
func (r *tartanReader) piece(p Piece, last bool) error {
	if !p.Statement {
		for _, c := range p.Comments {
			if err := r.comment(c); err != nil {
				return err
			}
		}
		return nil
	}
	var follow []Comment // marks behind the last statement of a file that lacks its semicolon are behind a statement all the same
	text := p.Text
	for i, c := range p.Comments {
		name, _, ok := markOf(c)
		if !ok || name == "allow" {
			continue
		}
		if rest := strings.TrimSpace(p.Text[c.Offset-p.Offset+len(c.Text):]); !last || rest != "" && !strings.HasPrefix(rest, "--") {
			return r.fail(c.Line, "-- tartan:%s stands within the statement of line %d: its semicolon is missing", name, p.Line)
		}
		text, follow = p.Text[:c.Offset-p.Offset], p.Comments[i:]
		break
	}
	p.Text = text
	if err := r.statement(statement(r.f, p)); err != nil {
		return err
	}
	for _, c := range follow {
		if err := r.comment(c); err != nil {
			return err
		}
	}
	return nil
}

func (r *tartanReader) statement(s Statement) error {
	switch {
	case r.named != nil:
		r.named.SQL, r.named = s, nil
	case r.section == nil:
		return r.fail(s.Line, "a statement stands outside of any step: begin one with -- tartan:step NAME")
	default:
		*r.section = append(*r.section, s)
	}
	return nil
}

func markOf(c Comment) (name, rest string, ok bool) {
	text, dashes := strings.CutPrefix(c.Text, "--")
	text, ok = strings.CutPrefix(strings.TrimLeft(text, " \t"), "tartan:")
	if !ok || !dashes || !c.First {
		return "", "", false
	}
	name, rest, _ = strings.Cut(text, " ")
	return strings.TrimSpace(name), strings.TrimSpace(rest), true
}

// settled refuses to leave a check, a query or a step that is not complete.
func (r *tartanReader) settled() error {
	if r.named != nil {
		return r.fail(r.where, "%q has no statement", r.named.Name)
	}
	return nil
}

func (r *tartanReader) comment(c Comment) error {
	name, rest, ok := markOf(c)
	if !ok || name == "allow" {
		return nil
	}
	if err := r.settled(); err != nil {
		return err
	}
	if r.p.Name == "" && name != "plan" && slices.Contains(marks, name) {
		return r.fail(c.Line, "-- tartan:plan NAME comes first")
	}
	switch name {
	case "plan":
		if r.p.Name != "" {
			return r.fail(c.Line, "the plan is called %q already", r.p.Name)
		}
		if rest == "" {
			return r.fail(c.Line, "the plan needs a name")
		}
		r.p.Name = rest
		return nil
	case "set":
		return r.set(c, rest)
	case "check", "query":
		if rest == "" {
			return r.fail(c.Line, "-- tartan:%s needs a name", name)
		}
		list := &r.p.Settings.Checks
		if name == "query" {
			list = &r.p.Settings.Queries
		}
		*list = append(*list, NamedSQL{Name: rest})
		r.named, r.where, r.section, r.step = &(*list)[len(*list)-1], c.Line, nil, nil
		return nil
	case "step":
		return r.begin(c, rest)
	case "up", "down", "verify":
		if r.step == nil {
			return r.fail(c.Line, "-- tartan:%s stands outside of any step", name)
		}
		if rest != "" {
			return r.fail(c.Line, "-- tartan:%s takes no words: put %q on a line of its own", name, rest)
		}
		r.section = map[string]*[]Statement{"up": &r.step.Up, "down": &r.step.Down, "verify": &r.step.Verify}[name]
		return nil
	}
	return unknown(r.f, c.Line, "mark", name, marks)
}

func (r *tartanReader) set(c Comment, rest string) error {
	key, value, ok := strings.Cut(rest, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok {
		return r.fail(c.Line, "write -- tartan:set KEY = VALUE")
	}
	set := setters[key]
	if set == nil {
		return unknown(r.f, c.Line, "setting", key, slices.Sorted(maps.Keys(setters)))
	}
	if err := set(&r.p.Settings, value); err != nil {
		return r.fail(c.Line, "%s: %v", key, err)
	}
	return nil
}

// begin opens a step: a name, and in brackets its kind with what it needs.
func (r *tartanReader) begin(c Comment, rest string) error {
	name, attrs := rest, ""
	if i := strings.Index(rest, "["); i >= 0 {
		if !strings.HasSuffix(rest, "]") {
			return r.fail(c.Line, "the bracket has no end: write -- tartan:step NAME [KIND KEY=VALUE ...]")
		}
		name, attrs = strings.TrimSpace(rest[:i]), rest[i+1:len(rest)-1]
	}
	if name == "" {
		return r.fail(c.Line, "the step needs a name")
	}
	r.p.Steps = append(r.p.Steps, Step{Name: name, Kind: KindSQL})
	r.step = &r.p.Steps[len(r.p.Steps)-1]
	r.section, r.where = &r.step.Up, c.Line
	kind, values, err := r.attributes(c, attrs)
	if err != nil {
		return err
	}
	r.step.Kind = Kind(strings.ReplaceAll(kind, "-", " "))
	return r.apply(c, kind, values)
}

// attributes splits the words of a bracket. Values with spaces stand in double quotes.
func (r *tartanReader) attributes(c Comment, text string) (kind string, values map[string]string, err error) {
	kind, values = "sql", map[string]string{}
	fields, err := fields(text)
	if err != nil {
		return "", nil, r.fail(c.Line, "%v", err)
	}
	for i, w := range fields {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			if i > 0 {
				return "", nil, r.fail(c.Line, "%q is no KEY=VALUE; the kind comes first", w)
			}
			if !slices.Contains(kinds, w) {
				return "", nil, unknown(r.f, c.Line, "kind of step", w, kinds)
			}
			kind = w
			continue
		}
		known := append(slices.Clone(attributes[""]), attributes[kind]...)
		if !slices.Contains(known, key) {
			return "", nil, unknown(r.f, c.Line, "attribute of a "+kind+" step", key, known)
		}
		if _, twice := values[key]; twice {
			return "", nil, r.fail(c.Line, "%s is given twice", key)
		}
		values[key] = value
	}
	return kind, values, nil
}

func fields(text string) (out []string, err error) {
	var b strings.Builder
	quoted, started := false, false
	for _, c := range text {
		switch {
		case c == '"':
			quoted, started = !quoted, true
		case !quoted && (c == ' ' || c == '\t'):
			if started {
				out = append(out, b.String())
			}
			b.Reset()
			started = false
		default:
			b.WriteRune(c)
			started = true
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quote in %q has no end", text)
	}
	if started {
		out = append(out, b.String())
	}
	return out, nil
}

// apply puts the attributes into the step.
func (r *tartanReader) apply(c Comment, kind string, values map[string]string) (err error) {
	s := r.step
	take := func(key string, set func(string) error) {
		if v, ok := values[key]; ok && err == nil {
			if e := set(v); e != nil {
				err = r.fail(c.Line, "%s: %v", key, e)
			}
		}
	}
	take("irreversible", func(v string) (e error) { s.Irreversible, e = yes(v); return })
	take("transaction", func(v string) error {
		on, e := yes(v)
		s.NoTransaction = !on
		return e
	})
	switch kind {
	case "backfill":
		s.Backfill = &Backfill{Table: values["table"], Key: list(values["key"])}
		take("rows", func(v string) (e error) { s.Backfill.Rows, e = positive(v); return })
		take("pause", func(v string) (e error) { s.Backfill.Pause, e = ParseDuration(v); return })
		take("per_sec", func(v string) (e error) { s.Backfill.PerSec, e = positive(v); return })
	case "copy":
		s.Copy = &Copy{From: values["from"], Format: values["format"], Source: values["source"], Table: values["table"], Key: list(values["key"])}
		take("rows", func(v string) (e error) { s.Copy.Rows, e = positive(v); return })
		take("map", func(v string) (e error) { s.Copy.Columns, e = pairs(v); return })
		for _, o := range copyOptions {
			take(o, func(v string) error {
				if s.Copy.Options == nil {
					s.Copy.Options = map[string]string{}
				}
				s.Copy.Options[o] = v
				return nil
			})
		}
		if err == nil {
			err = r.copyComplete(c, s.Copy)
		}
	}
	return err
}

var copyFormats = []string{"postgres", "csv", "jsonl", "parquet"}

func (r *tartanReader) copyComplete(c Comment, cp *Copy) error {
	if cp.Format == "" {
		cp.Format = "postgres"
		if !strings.HasPrefix(cp.From, "target:") {
			cp.Format = strings.TrimPrefix(strings.ToLower(cp.From[strings.LastIndex(cp.From, ".")+1:]), ".")
		}
	}
	switch {
	case cp.From == "":
		return r.fail(c.Line, "from= is missing: target:NAME, or the file or object that the rows come from")
	case cp.Table == "":
		return r.fail(c.Line, "table= is missing: the table that the rows go into")
	case !slices.Contains(copyFormats, cp.Format):
		return unknown(r.f, c.Line, "format", cp.Format, copyFormats)
	case (cp.Format == "postgres") != strings.HasPrefix(cp.From, "target:"):
		return r.fail(c.Line, "format %s does not go with from=%s: rows of another Postgres come from target:NAME", cp.Format, cp.From)
	case cp.Format == "postgres" && cp.Source == "":
		cp.Source = cp.Table
	}
	return nil
}

func list(v string) (out []string) {
	for _, part := range strings.Split(v, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func pairs(v string) (map[string]string, error) {
	out := map[string]string{}
	for _, part := range list(v) {
		here, there, ok := strings.Cut(part, "=")
		here, there = strings.TrimSpace(here), strings.TrimSpace(there)
		if !ok || here == "" || there == "" {
			return nil, fmt.Errorf("%q is no COLUMN=FIELD", part)
		}
		if _, twice := out[here]; twice {
			return nil, fmt.Errorf("column %q is given twice", here)
		}
		out[here] = there
	}
	return out, nil
}

// order refuses steps that have nothing to do, and contract steps before others.
func (r *tartanReader) order() error {
	contract := ""
	for i := range r.p.Steps {
		s := &r.p.Steps[i]
		n := len(s.Up)
		switch {
		case s.Kind == KindCopy && n > 0:
			return &SyntaxError{s.Up[0].File, s.Up[0].Line, fmt.Sprintf("step %q copies rows, and takes no statements: put them into a step of their own", s.Name)}
		case s.Kind != KindCopy && n == 0:
			return &SyntaxError{Message: fmt.Sprintf("step %q has no statements", s.Name), File: r.f.Name}
		case (s.Kind == KindBackfill || s.Kind == KindIndex) && n > 1:
			return &SyntaxError{s.Up[1].File, s.Up[1].Line, fmt.Sprintf("step %q is of kind %s, which takes one statement: put this one into a step of its own", s.Name, s.Kind)}
		case s.Kind == KindBackfill && !strings.Contains(s.Up[0].SQL, ":batch"):
			return &SyntaxError{s.Up[0].File, s.Up[0].Line, "the UPDATE of a backfill needs :batch in its WHERE, which stands for the rows of one batch"}
		case s.Kind.Contract():
			contract = s.Name
		case contract != "":
			return &SyntaxError{fileOf(s), lineOf(*s), fmt.Sprintf("step %q stands behind %q, which drops: what drops comes last", s.Name, contract)}
		}
	}
	return nil
}

func fileOf(s *Step) string {
	if len(s.Up) > 0 {
		return s.Up[0].File
	}
	return ""
}
