package activities

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern/sequence"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// Sequences are the activities of AnalyzeSequences: they read sources again, in order, and learn which pattern follows which.
type Sequences struct {
	Pool      *pgxpool.Pool
	Bucket    *bucket.Bucket
	Libraries *feed.Libraries
}

const (
	// maxSequenceSources bounds the sources of a library that are read: the latest.
	maxSequenceSources = 64
	// maxLearner bounds what is stored between two chunks.
	maxLearner = 64 << 20
	// reported bounds the habits and the breaks that are stored, and told those that the workflow returns.
	reported, told = 500, 20
)

// PlanSequencesInput asks which sources of a library are to be read.
type PlanSequencesInput struct {
	Caller    access.Caller `json:"caller"`
	Library   string        `json:"library"`
	SHA256    string        `json:"sha256,omitempty"` // of one source; "" is all of the library
	StartedAt time.Time     `json:"started_at"`
}

// SequenceSource is a source to read.
type SequenceSource struct {
	Key        string    `json:"key"` // of the plain bytes
	Bytes      int64     `json:"bytes"`
	ReceivedAt time.Time `json:"received_at"`
}

// SequencePlan is what is to be read, the earliest received first.
type SequencePlan struct {
	LibraryID uuid.UUID        `json:"library_id"`
	Kind      string           `json:"kind"`
	Revision  int64            `json:"revision"`
	Sources   []SequenceSource `json:"sources"`
}

// PlanSequences finds the sources and stores the run.
func (s *Sequences) PlanSequences(ctx context.Context, in PlanSequencesInput) (*SequencePlan, error) {
	out := &SequencePlan{}
	err := postgres.InWorkspace(ctx, s.Pool, in.Caller, func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(ctx, tx, in.Caller.WorkspaceID, in.Library)
		if err != nil {
			return err
		}
		*out = SequencePlan{LibraryID: lib.ID, Kind: lib.Kind, Revision: lib.Revision}
		found, err := postgres.Sources(ctx, tx, lib.ID, maxSequenceSources)
		if err != nil {
			return err
		}
		var total int64
		for i := len(found) - 1; i >= 0; i-- { // the latest come first
			if src := found[i]; src.PlainKey != "" && (in.SHA256 == "" || src.SHA256 == in.SHA256) {
				out.Sources = append(out.Sources, SequenceSource{Key: src.PlainKey, Bytes: src.PlainBytes, ReceivedAt: src.ReceivedAt})
				total += src.PlainBytes
			}
		}
		if len(out.Sources) == 0 {
			return final(SourceMissing, fmt.Errorf("library %s has no such source", lib.Name), "mine it first, with mine_patterns")
		}
		info := activity.GetInfo(ctx)
		run := postgres.Run{
			WorkspaceID: in.Caller.WorkspaceID, WorkflowID: info.WorkflowExecution.ID, RunID: info.WorkflowExecution.RunID, Kind: info.WorkflowType.Name,
			State: StateRunning, Library: lib.Name, LibraryID: lib.ID, SourceName: fmt.Sprintf("%d sources", len(out.Sources)), TotalBytes: total, StartedAt: in.StartedAt,
		}
		if err := postgres.SaveRun(ctx, tx, run); err != nil {
			return err
		}
		return postgres.SetRunProgress(ctx, tx, run) // of an earlier run of this workflow
	})
	return out, typed("find the sources", err)
}

// LearnSequencesInput asks for a range of a source to be read.
type LearnSequencesInput struct {
	Caller     access.Caller  `json:"caller"`
	LibraryID  uuid.UUID      `json:"library_id"`
	Kind       string         `json:"kind"`
	Source     SequenceSource `json:"source"`
	Start      int64          `json:"start"`
	End        int64          `json:"end"`
	SessionKey string         `json:"session_key,omitempty"` // "" is to be found
	Learner    string         `json:"learner,omitempty"`     // object key of what was learnt before; "" for nothing
	Before     SequenceCounts `json:"before"`
}

// SequenceCounts are what has been read.
type SequenceCounts struct {
	Lines  int64 `json:"lines"`
	Events int64 `json:"events"`
	Bytes  int64 `json:"bytes"`
	Chunks int   `json:"chunks"`
}

// LearnedSequences is what is known after a range.
type LearnedSequences struct {
	SessionKey string         `json:"session_key,omitempty"`
	Learner    string         `json:"learner,omitempty"`
	Counts     SequenceCounts `json:"counts"` // with those before
}

// LearnSequences goes on learning with the lines that start in a byte range, and puts what it knows then into the bucket. The same
// input gives the same output, so a repeated call costs time only.
func (s *Sequences) LearnSequences(ctx context.Context, in LearnSequencesInput) (*LearnedSequences, error) {
	entry, err := s.Libraries.Entry(ctx, in.LibraryID)
	if err != nil {
		return nil, typed("load the library", err)
	}
	learner, err := s.learner(ctx, in.Learner)
	if err != nil {
		return nil, typed("load what was learnt before", err)
	}
	out := &LearnedSequences{SessionKey: in.SessionKey, Counts: in.Before}
	if out.SessionKey == "" {
		scout := sequence.NewScout(entry.Index)
		if _, err := s.read(ctx, in, scout); err != nil {
			return nil, err
		}
		out.SessionKey = scout.Best()
	}
	reader := sequence.NewReader(entry.Index, learner, out.SessionKey)
	bytes, err := s.read(ctx, in, reader)
	if err != nil {
		return nil, err
	}
	out.Counts = SequenceCounts{Lines: in.Before.Lines + reader.Lines, Events: in.Before.Events + reader.Events, Bytes: in.Before.Bytes + bytes, Chunks: in.Before.Chunks + 1}
	body, err := learner.MarshalBinary()
	if err != nil {
		return nil, typed("encode what was learnt", err)
	}
	o, err := s.Bucket.PutScratch(ctx, body)
	if err != nil {
		return nil, typed("store what was learnt", err)
	}
	out.Learner = o.Key
	return out, typed("record the progress", s.progress(ctx, in.Caller, out.Counts))
}

func (s *Sequences) read(ctx context.Context, in LearnSequencesInput, out tally) (bytes int64, err error) {
	c := newChunk(ExtractInput{
		LibraryID: in.LibraryID, Key: in.Source.Key, Start: in.Start, End: in.End, ReceivedAt: in.Source.ReceivedAt, Kind: in.Kind,
	}, s.Bucket, out)
	defer c.done.beating(ctx)()
	if err := c.read(ctx); err != nil {
		return 0, typed(fmt.Sprintf("read bytes %d to %d of the source", in.Start, in.End), err)
	}
	return c.bytes, nil
}

func (s *Sequences) learner(ctx context.Context, key string) (*sequence.Learner, error) {
	if key == "" {
		return sequence.NewLearner(sequence.Options{}), nil
	}
	body, err := s.Bucket.ReadAll(ctx, key, maxLearner)
	if err != nil {
		return nil, err
	}
	return sequence.Restore(body)
}

func (s *Sequences) progress(ctx context.Context, caller access.Caller, c SequenceCounts) error {
	return postgres.InWorkspace(ctx, s.Pool, caller, func(tx pgx.Tx) error {
		return postgres.SetRunProgress(ctx, tx, postgres.Run{
			WorkspaceID: caller.WorkspaceID, WorkflowID: activity.GetInfo(ctx).WorkflowExecution.ID, Lines: c.Lines, Bytes: c.Bytes, ChunksDone: c.Chunks,
		})
	})
}

// ReportSequencesInput asks for what was learnt to be judged and stored.
type ReportSequencesInput struct {
	Mark      MarkInput        `json:"mark"`
	LibraryID uuid.UUID        `json:"library_id"`
	Revision  int64            `json:"revision"`
	Sources   int              `json:"sources"`
	Learned   LearnedSequences `json:"learned"`
}

// ReportSequences judges what was learnt, stores the whole in the database and returns the head of it, and records the end of the run.
func (s *Sequences) ReportSequences(ctx context.Context, in ReportSequencesInput) (*sequence.Report, error) {
	learner, err := s.learner(ctx, in.Learned.Learner)
	if err != nil {
		return nil, typed("load what was learnt", err)
	}
	learner.Close()
	head := learner.Report(told)
	err = postgres.InWorkspace(ctx, s.Pool, in.Mark.Caller, func(tx pgx.Tx) error {
		run := in.Mark.run(ctx)
		if err := postgres.SaveSequenceReport(ctx, tx, postgres.SequenceReport{
			WorkspaceID: in.Mark.Caller.WorkspaceID, LibraryID: in.LibraryID, WorkflowID: run.WorkflowID, SessionKey: in.Learned.SessionKey,
			Revision: in.Revision, Sources: in.Sources, Lines: in.Learned.Counts.Lines, Events: in.Learned.Counts.Events, Report: learner.Report(reported),
		}); err != nil {
			return err
		}
		return postgres.SaveRun(ctx, tx, run)
	})
	return &head, typed("store what was found", err)
}
