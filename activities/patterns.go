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

	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// Patterns are the activities of agent.pattern: they learn from tallies and count them.
type Patterns struct {
	Pool      *pgxpool.Pool
	Bucket    *bucket.Bucket
	Libraries *feed.Libraries

	turns turns
}

// maxTally bounds the tally object that is read into memory. A chunk of 8 MiB makes at most a few MiB.
const maxTally = 64 << 20

// CommitChunk counts a tally in its library, in one transaction with the ledger row of the chunk. A chunk whose row is
// there already was counted before: nothing is added, and the numbers of the row are returned. So it does not matter
// how often a chunk is committed, or whether an answer was lost.
func (p *Patterns) CommitChunk(ctx context.Context, in CommitInput) (*Committed, error) {
	var alive progress
	defer alive.beating(ctx)()
	counted, err := p.tally(ctx, in.Extracted.Tally)
	if err != nil {
		return nil, err
	}
	leave, err := p.turns.take(ctx, in.LibraryID)
	if err != nil {
		return nil, err
	}
	defer leave()
	out, learnt := Committed{}, false
	err = postgres.InWorkspace(ctx, p.Pool, in.Caller, func(tx pgx.Tx) error {
		fresh, stored, err := postgres.InsertChunk(ctx, tx, in.Caller.WorkspaceID, in.row())
		if err != nil {
			return err
		}
		if !fresh {
			out = Committed{Totals: totals(stored), Already: true}
			return nil
		}
		lib, err := postgres.LockLibrary(ctx, tx, in.LibraryID)
		if err != nil {
			return err
		}
		change, err := p.Libraries.Learn(ctx, tx, lib, shapes(counted))
		if err != nil {
			return err
		}
		learnt = true
		out, err = in.save(ctx, tx, lib, counted, change)
		return err
	})
	switch {
	case learnt && err != nil:
		p.Libraries.Forget(in.LibraryID)
	case learnt:
		p.Libraries.Committed(in.LibraryID, out.Revision)
	}
	if err != nil {
		return nil, typed(fmt.Sprintf("commit chunk %d of source %s", in.Seq, in.SourceID), err)
	}
	activity.GetLogger(ctx).Debug("chunk committed", "source_id", in.SourceID, "chunk", in.Seq, "lines", out.Totals.Lines)
	return &out, nil
}

func (p *Patterns) tally(ctx context.Context, key string) ([]template.Counted, error) {
	const advice = "extract the chunk again"
	body, err := p.Bucket.ReadAll(ctx, key, maxTally)
	if errors.Is(err, bucket.ErrNotFound) {
		return nil, final(TallyLost, err, advice)
	}
	if err != nil {
		return nil, typed("read the tally", err)
	}
	counted, err := template.ReadTally(body)
	if err != nil {
		return nil, final(TallyLost, err, advice)
	}
	return counted, nil
}

func shapes(counted []template.Counted) []template.Shape {
	out := make([]template.Shape, 0, len(counted))
	for _, c := range counted {
		if c.ID != template.Other {
			out = append(out, c.Shape)
		}
	}
	return out
}

func (in CommitInput) row() postgres.Chunk {
	return postgres.Chunk{
		SourceID: in.SourceID, Seq: in.Seq, Start: in.Start, End: in.End,
		Lines: in.Extracted.Lines, Bytes: in.Extracted.Bytes, Untimed: in.Extracted.Untimed, Continued: in.Extracted.Continued,
	}
}

// save writes what was learnt and counted, in the transaction that holds the lock.
func (in CommitInput) save(ctx context.Context, tx pgx.Tx, lib postgres.Library, counted []template.Counted, change template.Change) (Committed, error) {
	added, revision, err := learned(ctx, tx, lib, counted, change, in.SourceID)
	if err != nil {
		return Committed{}, err
	}
	fresh, other := int64(len(added)), otherLines(counted, change.Assigned)
	if fresh > 0 || other > 0 {
		if err := postgres.SetChunkResult(ctx, tx, in.SourceID, in.Seq, fresh, other); err != nil {
			return Committed{}, err
		}
	}
	row := in.row()
	row.NewPatterns, row.OtherLines = fresh, other
	out := Committed{Totals: totals(row), Patterns: lib.Patterns + fresh - int64(len(change.Retired)), Revision: revision}
	return out, postgres.AddRunProgress(ctx, tx, activity.GetInfo(ctx).WorkflowExecution.ID, postgres.Run{
		WorkspaceID: in.Caller.WorkspaceID, Lines: row.Lines, Bytes: row.Bytes, ChunksDone: 1, NewPatterns: fresh, OtherLines: other, Untimed: row.Untimed, Continued: row.Continued, Patterns: out.Patterns,
	})
}

// learned writes what was learnt and counted, and returns the patterns that the library never had before, and its new revision.
func learned(ctx context.Context, tx pgx.Tx, lib postgres.Library, counted []template.Counted, change template.Change, source uuid.UUID) (fresh map[pattern.ID]bool, revision int64, err error) {
	if fresh, err = newPatterns(ctx, tx, lib, change); err != nil {
		return nil, 0, err
	}
	if revision, err = postgres.SaveChange(ctx, tx, lib, change, activity.GetInfo(ctx).WorkflowExecution.ID, time.Now()); err != nil {
		return nil, 0, err
	}
	return fresh, revision, postgres.AddCounts(ctx, tx, lib, revision, counted, change.Assigned, source)
}

// newPatterns returns the patterns that the library has never had before.
func newPatterns(ctx context.Context, tx pgx.Tx, lib postgres.Library, change template.Change) (map[pattern.ID]bool, error) {
	fresh := make(map[pattern.ID]bool, len(change.Patterns))
	if len(change.Patterns) == 0 {
		return fresh, nil
	}
	ids := make([]pattern.ID, len(change.Patterns))
	for i, p := range change.Patterns {
		ids[i], fresh[p.ID] = p.ID, true
	}
	known, err := postgres.KnownPatterns(ctx, tx, lib.ID, ids)
	for id := range known {
		delete(fresh, id)
	}
	return fresh, err
}

// otherLines counts the lines that have no pattern, because the tally or the library was full.
func otherLines(counted []template.Counted, assigned []template.Assignment) (n int64) {
	unassigned := map[template.ShapeID]bool{template.Other: true}
	for _, a := range assigned {
		if a.Shape == template.Other {
			unassigned[a.Given] = true
		}
	}
	for _, c := range counted {
		if unassigned[c.ID] {
			n += c.Lines
		}
	}
	return n
}

func totals(c postgres.Chunk) Totals {
	return Totals{Chunks: 1, Lines: c.Lines, Bytes: c.Bytes, NewPatterns: c.NewPatterns, OtherLines: c.OtherLines, Untimed: c.Untimed, Continued: c.Continued}
}
