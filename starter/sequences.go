package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
	"github.com/tartan-ai/tartan/internal/pattern/sequence"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// sequencesView is what is printed of sequences.
type sequencesView struct {
	Library    string          `json:"library"`
	SessionKey string          `json:"session_key"` // empty if no slot's values recur across patterns
	WorkflowID string          `json:"workflow_id,omitempty"`
	Report     sequence.Report `json:"report"`
}

// pass is a reading of messages; line is the line that the message is of.
type pass interface {
	Add(message, line []byte, at int64)
}

func (a *app) sequencesCommand() *cobra.Command {
	var (
		library, key string
		limit        int
		detach       bool
	)
	c := &cobra.Command{
		Use:   "sequences [FILE]",
		Short: "Which pattern follows which within a session, and what breaks the habit",
		Long: "Which pattern follows which within a session, and the sequences that break the habit.\n\n" +
			"FILE, plain or compressed, is read in this process and recognised with the library. Without FILE a workflow reads the sources\n" +
			"that were mined into the library. The session is the slot whose values recur across patterns, unless --key names one.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s takes at most one FILE, got %d", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			view := sequencesView{Library: library, SessionKey: key}
			entry, err := a.index(c.Context(), library)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				err = a.sequencesOf(entry, args[0], limit, &view)
			} else if err = a.analyze(c.Context(), limit, detach, &view); err == nil && detach {
				_, err = fmt.Fprintln(a.out, view.WorkflowID)
				return err
			}
			if err != nil {
				return err
			}
			return a.printSequences(entry, view)
		},
	}
	f := c.Flags()
	f.StringVarP(&library, "library", "l", defaultLibrary, "the library")
	f.StringVar(&key, "key", "", "the session: a slot's name, the prefix of its values (blk) or its type (uuid)")
	f.IntVarP(&limit, "limit", "n", 20, "at most so many habits, and as many breaks (1 to 500)")
	f.BoolVar(&detach, "detach", false, "without FILE: print the workflow id and do not wait")
	return c
}

// sequencesOf reads a file, twice where the key is to be found.
func (a *app) sequencesOf(entry *feed.Entry, name string, limit int, view *sequencesView) error {
	if view.SessionKey == "" {
		if name == "-" {
			return usage("stdin can be read once only: name the session with --key")
		}
		scout := sequence.NewScout(entry.Index)
		if err := a.readMessages(name, scout); err != nil {
			return err
		}
		view.SessionKey = scout.Best()
	}
	learner := sequence.NewLearner(sequence.Options{})
	if err := a.readMessages(name, sequence.NewReader(entry.Index, learner, view.SessionKey)); err != nil {
		return err
	}
	learner.Close()
	view.Report = learner.Report(limit)
	return nil
}

func (a *app) readMessages(name string, to pass) error {
	plain, done, err := a.openPlain(name)
	if err != nil {
		return readFailure(name, err)
	}
	defer done()
	r, parser, at := lines.NewReader(plain, maxLine), header.NewParser(time.Now().UTC()), int64(0)
	for {
		text, ok := r.Next()
		if !ok {
			break
		}
		h := parser.Parse(text)
		if h.HasTime {
			at = h.Time
		}
		to.Add(h.Message, text, at)
	}
	if err := r.Err(); err != nil {
		return readFailure(name, err)
	}
	return nil
}

// analyze starts the workflow over the library's sources, waits for it and reads what it found.
func (a *app) analyze(ctx context.Context, limit int, detach bool, view *sequencesView) error {
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return err
	}
	view.WorkflowID, _, _, err = workflows.StartSequences(ctx, temporal, workflows.AnalyzeSequencesInput{Caller: caller, Library: view.Library, SessionKey: view.SessionKey})
	if err != nil {
		return fmt.Errorf("start the workflow: %w", err)
	}
	if detach {
		return nil
	}
	status, err := workflows.Wait(ctx, temporal, view.WorkflowID, pollEvery, nil)
	if err != nil {
		return fmt.Errorf("wait for %s: %w", view.WorkflowID, err)
	}
	if status.Failure != nil {
		return &failure{code: codeFailure, what: "analyse the sequences of " + view.Library, why: errors.New(status.Failure.Message), next: "tartan workflows show " + view.WorkflowID}
	}
	return a.query(ctx, view.Library, func(tx pgx.Tx, _ access.Caller, lib postgres.Library) error {
		found, err := postgres.SequenceReportOf(ctx, tx, lib.ID, view.WorkflowID)
		if err != nil {
			return err
		}
		found.Report.Habits = found.Report.Habits[:min(limit, len(found.Report.Habits))]
		found.Report.Breaks = found.Report.Breaks[:min(limit, len(found.Report.Breaks))]
		view.SessionKey, view.Report = found.SessionKey, found.Report
		return nil
	})
}

func (a *app) printSequences(entry *feed.Entry, v sequencesView) error {
	if a.json() {
		return a.printJSON(v)
	}
	if v.SessionKey == "" {
		a.say("no slot's values recur across patterns: name the session with --key")
		return nil
	}
	r := v.Report
	a.say("%s sessions by %s, %s events of %d patterns", count(r.Sessions), v.SessionKey, count(r.Events), r.Patterns)
	text := func(id pattern.ID, edge string) string {
		if id == "" {
			return edge
		}
		p, _ := entry.Index.Pattern(id)
		return clip(title(entry.Names(id), p.Template), 48)
	}
	table := [][]string{{"BITS", "SEEN", "OF", "AFTER", "CAME", "USUALLY", "SESSION"}}
	for _, b := range r.Breaks {
		session := ""
		if len(b.Seen) > 0 {
			session = clip(b.Seen[0].Session, 40)
		}
		table = append(table, []string{fmt.Sprintf("%.1f", b.Score), count(b.Count), count(b.Support), text(b.From, "(start)"), text(b.To, "(end)"), text(b.Usual, "(end)"), session})
	}
	if err := a.table(table); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	table = [][]string{{"SEEN", "SHARE", "USUAL GAP", "AFTER", "COMES"}}
	for _, h := range r.Habits {
		table = append(table, []string{count(h.Count), fmt.Sprintf("%.0f %%", 100*h.Share), h.Usual.String(), text(h.From, "(start)"), text(h.To, "(end)")})
	}
	return a.table(table)
}
