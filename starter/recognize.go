package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// answer is what is known of one line: one JSON object a line with --output json.
type answer struct {
	Line       string            `json:"line"` // with those that go on with it
	Known      bool              `json:"known"`
	PatternID  pattern.ID        `json:"pattern_id,omitempty"`
	Name       string            `json:"name,omitempty"`
	Severity   string            `json:"severity,omitempty"`
	Owner      string            `json:"owner,omitempty"`
	Tags       []string          `json:"tags,omitempty"`
	Ignored    bool              `json:"ignored,omitempty"`
	Origin     pattern.Origin    `json:"origin,omitempty"`
	Template   string            `json:"template,omitempty"`
	Values     map[string]string `json:"values,omitempty"`
	Confidence float64           `json:"confidence"`
	Nearest    *nearest          `json:"nearest,omitempty"`
	Why        string            `json:"why,omitempty"`    // with --explain, like what follows
	Tokens     []tokenView       `json:"tokens,omitempty"` // against its own pattern or the nearest
	Next       *nearest          `json:"next,omitempty"`   // the nearest other pattern
}

type tokenView struct {
	Text string `json:"text"`
	Role string `json:"role"` // constant, value, differs or extra
	Slot string `json:"slot,omitempty"`
	Want string `json:"want,omitempty"` // what the template has there
}

type nearest struct {
	PatternID pattern.ID `json:"pattern_id"`
	Template  string     `json:"template"`
	Want      string     `json:"want"` // the token of the template that the line does not have
	Got       string     `json:"got"`
}

func (a *app) recognizeCommand() *cobra.Command {
	var (
		library  string
		noHeader bool
		o        observing
		explain  bool
	)
	c := &cobra.Command{
		Use:   "recognize [FILE]",
		Short: "Say which known pattern each line is (lines from FILE or stdin)",
		Long: "Say which known pattern each line is. Lines come from FILE or stdin; the answer is one line each, in order:\n" +
			"pattern id, confidence, template, values. With --output json it is one JSON object a line. A stack trace is one with\n" +
			"the line before it. Of a library of kind record each line is a JSON event. --explain says of each which tokens\n" +
			"matched, which slot took what, why, and which other pattern is nearest and where it differs.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s takes at most one FILE, got %d", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			name := "-"
			if len(args) == 1 {
				name = args[0]
			}
			entry, err := a.index(c.Context(), library)
			if errors.Is(err, errTexts) {
				return a.recognizeFile(c.Context(), library, name)
			}
			if err != nil {
				return err
			}
			o.kind = entry.Library.Kind
			return a.recognize(entry, name, o, noHeader, explain)
		},
	}
	c.Flags().StringVarP(&library, "library", "l", defaultLibrary, "the library to recognise with")
	c.Flags().BoolVar(&o.noFold, "no-fold", false, "take each line by itself, also the lines of a stack trace")
	c.Flags().BoolVar(&explain, "explain", false, "say why, token by token")
	c.Flags().BoolVar(&noHeader, "no-header", false, "each line is a bare message without time, level and component")
	return c
}

// index loads a library's index, after the database has said that the caller may read it.
func (a *app) index(ctx context.Context, library string) (*feed.Entry, error) {
	var found postgres.Library
	err := a.query(ctx, library, func(_ pgx.Tx, _ access.Caller, lib postgres.Library) error {
		found = lib
		if lib.Kind == activities.KindText {
			return errTexts
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return feed.NewLibraries(a.pool, a.log.Named("feed")).Entry(ctx, found.ID)
}

func (a *app) recognize(entry *feed.Entry, name string, o observing, noHeader, explain bool) error {
	plain, done, err := a.openPlain(name)
	if err != nil {
		return readFailure(name, err)
	}
	defer done()
	var (
		r   = newObserver(plain, o, noHeader, time.Now().UTC())
		out = bufio.NewWriter(a.out)
		m   template.Match
	)
	for r.Next() {
		ans := answerOf(entry, r.text, r.header.Message, &m)
		if explain {
			ans.explain(entry, r.header.Message)
		}
		if err := a.printAnswer(out, ans); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if err := r.Err(); err != nil {
		return readFailure(name, err)
	}
	return nil
}

func answerOf(entry *feed.Entry, text, message []byte, m *template.Match) answer {
	ans := answer{Line: string(text)}
	if !entry.Index.Recognise(message, m) {
		if near, ok := entry.Index.Nearest(message); ok {
			ans.Nearest = &nearest{near.Pattern, near.Template, near.Want, near.Got}
		}
		return ans
	}
	ans.Known, ans.PatternID, ans.Confidence = true, m.Pattern, m.Confidence
	note := entry.Notes(m.Pattern)
	ans.Name, ans.Severity, ans.Owner, ans.Tags, ans.Ignored = note.Name, note.Severity, note.Owner, note.Tags, note.Ignored
	p, _ := entry.Index.Pattern(m.Pattern)
	ans.Template, ans.Origin = p.Template, p.Origin
	for i, s := range p.Slots {
		if i < len(m.Values) {
			if ans.Values == nil {
				ans.Values = make(map[string]string, len(p.Slots))
			}
			ans.Values[s.Name] = string(message[m.Values[i].Start:m.Values[i].End])
		}
	}
	return ans
}

// explain adds which tokens matched and what is nearest.
func (ans *answer) explain(entry *feed.Entry, message []byte) {
	e := entry.Index.Explain(message)
	ans.Why = e.Why
	for _, t := range e.Tokens {
		v := tokenView{Text: string(message[t.Start:t.End]), Role: t.Role, Want: t.Want}
		if t.Slot >= 0 && t.Slot < len(e.Of.Slots) {
			v.Slot = e.Of.Slots[t.Slot].Name
		}
		ans.Tokens = append(ans.Tokens, v)
	}
	if e.Next != nil {
		ans.Next = &nearest{e.Next.Pattern, e.Next.Template, e.Next.Want, e.Next.Got}
	}
}

func (a *app) printAnswer(w *bufio.Writer, ans answer) error {
	if a.json() {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(ans)
	}
	if ans.Known {
		fmt.Fprintf(w, "%s\t%.2f\t%s\n", ans.PatternID, ans.Confidence, title(ans.Name, ans.Template))
	} else {
		fmt.Fprintf(w, "unknown\t0.00\t%s\n", near(ans))
	}
	if ans.Why == "" {
		return nil // a failed write is kept by the writer and reported by Flush
	}
	fmt.Fprintf(w, "  %s\n", ans.Why)
	for _, t := range ans.Tokens {
		fmt.Fprintf(w, "  %-9s %-20s %s", t.Role, t.Slot, t.Text)
		if t.Want != "" {
			fmt.Fprintf(w, " (the template has %q)", t.Want)
		}
		fmt.Fprintln(w)
	}
	if ans.Next != nil {
		fmt.Fprintf(w, "  next      %s %s: %q where it has %q\n", ans.Next.PatternID, ans.Next.Template, ans.Next.Got, ans.Next.Want)
	}
	return nil
}

// near says in words what an unknown line is closest to.
func near(ans answer) string {
	if ans.Nearest == nil {
		return clip(ans.Line, 120)
	}
	return fmt.Sprintf("%s (nearest %s: %q where it has %q)", clip(ans.Line, 80), ans.Nearest.PatternID, ans.Nearest.Got, ans.Nearest.Want)
}
