package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/sequence"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

type sequencesArgs struct {
	Lines   lineList `json:"lines" doc:"Or the library's sources" note:"Answered at once; without lines a durable workflow reads the sources, and the call returns what it found or its id"`
	Key     string   `json:"session_key" doc:"Slot name; found if not given" note:"Or the literal prefix of a slot's values, such as blk, or its type, such as uuid"`
	Limit   int      `json:"limit" min:"1" max:"100" default:"10"`
	Refresh bool     `json:"refresh" note:"Read the sources again although there is a report"`
	Library string   `json:"library" default:"default"`
}

type sequencesFound struct {
	SessionKey string          `json:"session_key"` // empty if no slot's values recur across patterns
	Events     int64           `json:"events"`
	Sessions   int64           `json:"sessions"`
	Evicted    int64           `json:"evicted,omitempty"`
	Breaks     []sequenceBreak `json:"breaks"` // the most surprising first
	Habits     []sequenceHabit `json:"habits"` // the most frequent first
	Workflow   string          `json:"workflow_id,omitempty"`
	Found      string          `json:"found,omitempty"` // when the report was made
	Next       string          `json:"next,omitempty"`
}

type sequenceHabit struct {
	From    pattern.ID `json:"from"` // empty is the start
	To      pattern.ID `json:"to"`   // empty is the end
	Count   int64      `json:"count"`
	Share   float64    `json:"share"`
	UsualMS int64      `json:"usual_ms,omitempty"`
}

type sequenceBreak struct {
	From       pattern.ID `json:"from"`
	To         pattern.ID `json:"to"`
	Usual      pattern.ID `json:"usual"`
	Text       string     `json:"text"`
	Count      int64      `json:"count"`
	Support    int64      `json:"support"`
	Confidence float64    `json:"confidence"`
	Score      float64    `json:"score"`
	Session    string     `json:"session"` // the first it was seen in
	At         string     `json:"at"`
}

func (s *Suite) findSequences() Tool {
	return define[sequencesArgs, sequencesFound](Tool{
		Name: "find_sequences", Title: "Find sequences", Role: editor, Idempotent: true,
		Description: "Which pattern follows which within a session, and the sequences that break the habit.",
	}, func(ctx context.Context, c Call, in sequencesArgs) (sequencesFound, string, error) {
		entry, err := s.entry(ctx, c, in.Library, 0)
		if err != nil {
			return sequencesFound{}, "", err
		}
		var out sequencesFound
		if len(in.Lines) > 0 {
			out = sequencesOf(entry, in)
		} else if out, err = s.analysed(ctx, c, entry, in); err != nil {
			return out, "", err
		}
		return out, out.text(), nil
	})
}

// sequencesOf reads the lines at hand. A line without a time has that of the line before.
func sequencesOf(entry *feed.Entry, in sequencesArgs) sequencesFound {
	parser, at := header.NewParser(time.Now().UTC()), int64(0)
	messages, times := make([][]byte, len(in.Lines)), make([]int64, len(in.Lines))
	for i, line := range in.Lines {
		h := parser.Parse(line)
		if h.HasTime {
			at = h.Time
		}
		messages[i], times[i] = own(line, h.Message), at
	}
	key, report := sequence.Messages(entry.Index, in.Key, messages, times, in.Limit)
	return foundSequences(entry, key, report)
}

// analysed returns the report of the library at its present revision, or starts the workflow that makes it.
func (s *Suite) analysed(ctx context.Context, c Call, entry *feed.Entry, in sequencesArgs) (out sequencesFound, err error) {
	id := workflows.SequencesID(c.Caller.WorkspaceID, in.Library, "", in.Key)
	var stored postgres.SequenceReport
	err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		stored, err = postgres.SequenceReportOf(ctx, tx, entry.Library.ID, id)
		return err
	})
	if err != nil && !errors.Is(err, postgres.ErrNotFound) {
		return out, err
	}
	if err == nil && !in.Refresh {
		stored.Report.Habits = stored.Report.Habits[:min(in.Limit, len(stored.Report.Habits))]
		stored.Report.Breaks = stored.Report.Breaks[:min(in.Limit, len(stored.Report.Breaks))]
		out = foundSequences(entry, stored.SessionKey, stored.Report)
		out.Workflow, out.Found = id, stamp(stored.CreatedAt)
		if stored.Revision != entry.Revision {
			out.Next = "the library has learnt since: call with refresh true for a new report"
		}
		return out, nil
	}
	temporal, err := s.durable()
	if err != nil {
		return out, err
	}
	id, _, _, err = workflows.StartSequences(ctx, temporal, workflows.AnalyzeSequencesInput{Caller: c.Caller, Library: in.Library, SessionKey: in.Key})
	if err != nil {
		return out, explainWorkflow(err, "")
	}
	return sequencesFound{
		Breaks: []sequenceBreak{}, Habits: []sequenceHabit{}, Workflow: id, SessionKey: in.Key,
		Next: "get_workflow with this id and wait_seconds 20, then find_sequences again",
	}, nil
}

func foundSequences(entry *feed.Entry, key string, r sequence.Report) sequencesFound {
	out := sequencesFound{SessionKey: key, Events: r.Events, Sessions: r.Sessions, Evicted: r.Evicted, Breaks: []sequenceBreak{}, Habits: []sequenceHabit{}}
	for _, h := range r.Habits {
		out.Habits = append(out.Habits, sequenceHabit{h.From, h.To, h.Count, round(h.Share), h.Usual.Milliseconds()})
	}
	text := func(id pattern.ID, edge string) string {
		if id == "" {
			return edge
		}
		if name := nameOf(entry, id); name != "" {
			return name
		}
		p, _ := entry.Index.Pattern(id)
		return fmt.Sprintf("%q", cut(p.Template, 80))
	}
	for _, b := range r.Breaks {
		v := sequenceBreak{
			From: b.From, To: b.To, Usual: b.Usual, Count: b.Count, Support: b.Support, Confidence: round(b.Confidence), Score: round(b.Score),
			Text: text(b.From, "start") + " -> " + text(b.To, "end") + ", usually " + text(b.Usual, "end"),
		}
		if len(b.Seen) > 0 {
			v.Session, v.At = cut(b.Seen[0].Session, maxValue), stamp(time.Unix(0, b.Seen[0].At))
		}
		out.Breaks = append(out.Breaks, v)
	}
	return out
}

func (f sequencesFound) text() string {
	if f.Events == 0 && f.Workflow != "" && f.Found == "" {
		return "started " + f.Workflow
	}
	if f.SessionKey == "" {
		return "no slot's values recur across patterns: there are no sessions"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s by %s, %s that break the habit", plural(int(f.Sessions), "session"), f.SessionKey, plural(len(f.Breaks), "sequence"))
	for i, x := range f.Breaks {
		if i == 5 {
			b.WriteString("\n...")
			break
		}
		fmt.Fprintf(&b, "\n%.1f bits, %d of %d: %s (%s)", x.Score, x.Count, x.Support, x.Text, cut(x.Session, 40))
	}
	return b.String()
}
