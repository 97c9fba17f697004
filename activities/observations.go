package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/embed"
	"github.com/tartan-ai/tartan/internal/pattern/series"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// Observations are the activities of agent.pattern that analyse what Supabase clients inserted. They act as the service: who inserted a row
// was allowed to, and only Tartan may say what became of it.
type Observations struct {
	Pool      *pgxpool.Pool
	Bucket    *bucket.Bucket
	Libraries *feed.Libraries
	Embedder  embed.Embedder // nil is the built-in one

	turns  turns
	models series.Cache
}

// AnalyzeInput asks for the observations of a batch with ids from First to Last to be finished.
type AnalyzeInput struct {
	Caller  access.Caller `json:"caller"` // the workspace alone
	BatchID uuid.UUID     `json:"batch_id"`
	Library string        `json:"library"`
	First   int64         `json:"first"`
	Last    int64         `json:"last"`
}

func (in AnalyzeInput) batch() postgres.ObservationBatch {
	return postgres.ObservationBatch{WorkspaceID: in.Caller.WorkspaceID, ID: in.BatchID, Library: in.Library, First: in.First, Last: in.Last}
}

// Analyzed is a batch as it stands.
type Analyzed struct {
	Matched     int  `json:"matched"`
	Quarantined int  `json:"quarantined"`
	NewPatterns int  `json:"new_patterns"`
	Closed      bool `json:"closed"` // nothing of it is left
}

func analyzed(b postgres.ObservationBatch) *Analyzed {
	return &Analyzed{Matched: b.Matched, Quarantined: b.Quarantined, NewPatterns: b.NewPatterns, Closed: b.ClosedAt != nil}
}

// AnalyzeBatch matches or quarantines the observations of a range. Matches, counts and the batch's numbers are written in one transaction, and what
// was finished before is left out, so it does not matter how often a range is analysed.
func (o *Observations) AnalyzeBatch(ctx context.Context, in AnalyzeInput) (*Analyzed, error) {
	var alive progress
	defer alive.beating(ctx)()
	doing := fmt.Sprintf("analyse batch %s of library %s", in.BatchID, in.Library)
	var rows []postgres.Observation
	var lib postgres.Library
	missing := false
	err := postgres.ReadAsService(ctx, o.Pool, func(tx pgx.Tx) (err error) {
		if rows, err = postgres.ClaimedObservations(ctx, tx, in.batch()); err != nil {
			return err
		}
		lib, err = postgres.LibraryByName(ctx, tx, in.Caller.WorkspaceID, in.Library)
		if missing = errors.Is(err, postgres.ErrNotFound); missing {
			err = nil
		}
		return err
	})
	if err != nil {
		return nil, typed(doing, err)
	}
	if missing {
		return o.finish(ctx, in, rows, allFaults(rows, "unknown_library", fmt.Sprintf("there is no library %q: make it by mining into it, then retry", in.Library)))
	}
	s := sorted{lib: lib, all: rows}
	s.sort()
	switch lib.Kind {
	case KindSeries:
		err = o.recognizeSeries(ctx, &s)
	case KindText:
		return o.clusterObserved(ctx, in, &s)
	default:
		return o.mineObserved(ctx, in, &s)
	}
	if err != nil {
		return nil, typed(doing, err)
	}
	return o.finishWith(ctx, in, &s, nil)
}

// QuarantineInput asks for the observations of a range to be quarantined for one reason.
type QuarantineInput struct {
	Analyze AnalyzeInput `json:"analyze"`
	Reason  string       `json:"reason"`
}

// QuarantineBatch quarantines what is left of a range.
func (o *Observations) QuarantineBatch(ctx context.Context, in QuarantineInput) (*Analyzed, error) {
	var rows []postgres.Observation
	err := postgres.ReadAsService(ctx, o.Pool, func(tx pgx.Tx) (err error) {
		rows, err = postgres.ClaimedObservations(ctx, tx, in.Analyze.batch())
		return err
	})
	if err != nil {
		return nil, typed("quarantine observations", err)
	}
	return o.finish(ctx, in.Analyze, rows, allFaults(rows, "failed", in.Reason))
}

func allFaults(rows []postgres.Observation, code, reason string) []postgres.ObservationFault {
	out := make([]postgres.ObservationFault, len(rows))
	for i, r := range rows {
		out[i] = postgres.ObservationFault{Observation: r, Code: code, Reason: reason}
	}
	return out
}

func (o *Observations) finish(ctx context.Context, in AnalyzeInput, rows []postgres.Observation, faults []postgres.ObservationFault) (*Analyzed, error) {
	return o.finishWith(ctx, in, &sorted{all: rows, faults: faults}, nil)
}

// finishWith writes what became of the observations, after learn, which may be nil, in the same transaction.
func (o *Observations) finishWith(ctx context.Context, in AnalyzeInput, s *sorted, learn func(pgx.Tx) (postgres.Counted, error)) (out *Analyzed, err error) {
	err = postgres.AsService(ctx, o.Pool, func(tx pgx.Tx) error {
		b, err := postgres.LockBatch(ctx, tx, in.batch(), s.all)
		if err != nil {
			return err
		}
		var counted postgres.Counted
		if learn != nil && len(s.good) > 0 {
			if counted, err = learn(tx); err != nil {
				return err
			}
		}
		done, err := postgres.FinishObservations(ctx, tx, b, activity.GetInfo(ctx).WorkflowExecution.ID, s.matches, s.faults, counted)
		out = analyzed(done)
		return err
	})
	if err != nil {
		return nil, typed(fmt.Sprintf("finish batch %s of library %s", in.BatchID, in.Library), err)
	}
	return out, nil
}

// mineObserved learns and counts lines or events, and matches them with what the library is then.
func (o *Observations) mineObserved(ctx context.Context, in AnalyzeInput, s *sorted) (*Analyzed, error) {
	entry, err := o.Libraries.WaitFor(ctx, s.lib.ID, s.lib.Revision)
	if err != nil {
		return nil, typed("load the library", err)
	}
	tally := template.NewTally(template.TallyOptions{Bucket: time.Duration(s.lib.BucketSeconds) * time.Second, Index: entry.Index, Values: true})
	for _, g := range s.good {
		tally.Add(g.message, g.line, g.at.UnixNano())
	}
	counted := tally.Counted()
	leave, err := o.turns.take(ctx, s.lib.ID)
	if err != nil {
		return nil, err
	}
	defer leave()
	learnt, revision := false, int64(0)
	out, err := o.finishWith(ctx, in, s, func(tx pgx.Tx) (c postgres.Counted, err error) {
		lib, err := postgres.LockLibrary(ctx, tx, s.lib.ID)
		if err != nil {
			return c, err
		}
		change, err := o.Libraries.Learn(ctx, tx, lib, shapes(counted))
		if err != nil {
			return c, err
		}
		learnt = true
		index := o.Libraries.Learned(lib.ID)
		if index == nil {
			return c, postgres.ErrBatchChanged // the library was dropped from memory: once more
		}
		var fresh map[pattern.ID]bool
		if fresh, revision, err = learned(ctx, tx, lib, counted, change, uuid.Nil); err != nil {
			return c, err
		}
		s.match(index, fresh)
		return postgres.Counted{Library: lib.ID, NewPatterns: len(fresh)}, nil
	})
	switch {
	case learnt && err != nil:
		o.Libraries.Forget(s.lib.ID)
	case learnt:
		o.Libraries.Committed(s.lib.ID, revision)
	}
	return out, err
}
