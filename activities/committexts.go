package activities

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/cluster"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// MaxClusters bounds the clusters of a library. Texts that would make more are counted under no pattern.
const MaxClusters = 20_000

// CommitTexts puts the texts of a chunk into the clusters of their library, or makes clusters of them, and counts them, in
// one transaction with the ledger row of the chunk. As with CommitChunk, a chunk that was counted before adds nothing. The
// clusters are patterns of the library, with a shape each to count under.
func (t *Texts) CommitTexts(ctx context.Context, in CommitTextsInput) (*Committed, error) {
	var alive progress
	defer alive.beating(ctx)()
	texts, embedder, err := t.texts(ctx, in.Commit.Extracted.Tally)
	if err != nil {
		return nil, err
	}
	out := Committed{}
	err = postgres.InWorkspace(ctx, t.Pool, in.Commit.Caller, func(tx pgx.Tx) error {
		fresh, stored, err := postgres.InsertChunk(ctx, tx, in.Commit.Caller.WorkspaceID, in.Commit.row())
		if err != nil {
			return err
		}
		if !fresh {
			out = Committed{Totals: totals(stored), Already: true}
			return nil
		}
		lib, err := postgres.LockLibrary(ctx, tx, in.Commit.LibraryID)
		if err != nil {
			return err
		}
		known, err := t.known(ctx, tx, lib, embedder)
		if err != nil {
			return err
		}
		grouped := bounded(cluster.Assign(known, texts, in.Options.threshold()), len(known))
		change, counted := countTexts(texts, grouped, time.Now())
		if out, err = in.Commit.save(ctx, tx, lib, counted, change); err != nil {
			return err
		}
		return postgres.SaveTextClusters(ctx, tx, lib, out.Revision, embedder, touched(grouped))
	})
	if err != nil {
		return nil, typed(fmt.Sprintf("commit chunk %d of source %s", in.Commit.Seq, in.Commit.SourceID), err)
	}
	activity.GetLogger(ctx).Debug("texts committed", "source_id", in.Commit.SourceID, "chunk", in.Commit.Seq, "lines", out.Totals.Lines)
	return &out, nil
}

func (t *Texts) texts(ctx context.Context, key string) ([]cluster.Text, string, error) {
	const advice = "embed the chunk again"
	body, err := t.Bucket.ReadAll(ctx, key, maxTally)
	if errors.Is(err, bucket.ErrNotFound) {
		return nil, "", final(TallyLost, err, advice)
	}
	if err != nil {
		return nil, "", typed("read the vectors", err)
	}
	var all embedded
	if err := gob.NewDecoder(bytes.NewReader(body)).Decode(&all); err != nil || len(all.Vectors) != all.Dim*len(all.Texts) || len(all.Counts) != len(all.Texts) {
		return nil, "", final(TallyLost, err, advice)
	}
	texts := make([]cluster.Text, len(all.Texts))
	for i, text := range all.Texts {
		texts[i] = cluster.Text{Text: text, Count: all.Counts[i], Vector: all.Vectors[i*all.Dim : (i+1)*all.Dim]}
	}
	return texts, all.Embedder, nil
}

// known reads the library's clusters.
func (t *Texts) known(ctx context.Context, tx pgx.Tx, lib postgres.Library, embedder string) ([]cluster.Cluster, error) {
	clusters, err := postgres.TextClusters(ctx, tx, lib.ID, embedder)
	if err != nil {
		return nil, err
	}
	return clusters, cluster.Complete(ctx, t.embedder(), clusters)
}

// bounded leaves out the new clusters that go beyond the bound; their texts belong to nothing.
func bounded(r cluster.Result, known int) cluster.Result {
	most := max(known, MaxClusters)
	if len(r.Clusters) <= most {
		return r
	}
	r.Clusters = r.Clusters[:most]
	r.New = most - known
	for i, c := range r.Of {
		if c >= most {
			r.Of[i] = -1
		}
	}
	return r
}

// shapeOf is the shape that the texts of a cluster are counted under: the first half of its pattern's fingerprint.
func shapeOf(id pattern.ID) template.ShapeID {
	raw, err := hex.DecodeString(string(id[1:]))
	if err != nil || len(raw) != 8 {
		return template.Other
	}
	return template.ShapeID(binary.BigEndian.Uint64(raw))
}

// countTexts puts the assignment of texts into the words in which shapes are learned and counted.
func countTexts(texts []cluster.Text, r cluster.Result, at time.Time) (ch template.Change, counted []template.Counted) {
	lines, example, now := make([]int64, len(r.Clusters)+1), make([]string, len(r.Clusters)+1), at.UnixNano()
	for i, c := range r.Of {
		if c < 0 {
			c = len(r.Clusters)
		}
		lines[c] += texts[i].Count
		if example[c] == "" || texts[i].Text < example[c] {
			example[c] = texts[i].Text
		}
	}
	for c, n := range lines {
		shape := template.Shape{ID: template.Other}
		if c < len(r.Clusters) {
			k := r.Clusters[c]
			shape = template.Shape{ID: shapeOf(k.ID), Text: k.Text}
			ch.Assigned = append(ch.Assigned, template.Assignment{Given: shape.ID, Shape: shape.ID, Pattern: k.Pattern})
			if c >= len(r.Clusters)-r.New {
				ch.Added = append(ch.Added, shape)
				ch.Patterns = append(ch.Patterns, pattern.New(k.Text, nil))
			}
		}
		if n > 0 {
			counted = append(counted, template.Counted{
				Shape: shape, Lines: n, First: now, Last: now, Buckets: []template.Bucket{{Start: at.Unix(), Lines: n}}, Example: example[c], ExampleAt: now,
			})
		}
	}
	return ch, counted
}

// touched are the clusters that have texts of the call, and so another centre.
func touched(r cluster.Result) (out []cluster.Cluster) {
	has := make([]bool, len(r.Clusters))
	for _, c := range r.Of {
		if c >= 0 {
			has[c] = true
		}
	}
	for c, yes := range has {
		if yes {
			out = append(out, r.Clusters[c])
		}
	}
	return out
}
