package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/cluster"
)

// TextClusters returns the clusters of a library of kind text by their ids, as the embedder has them. One whose pattern was
// merged into another keeps its centre and counts as that. Where the embedder has no row for one yet, the centre is nil, and threshold and examples are those of another.
func TextClusters(ctx context.Context, q Querier, libraryID uuid.UUID, embedder string) ([]cluster.Cluster, error) {
	rows, _ := q.Query(ctx, `
		select distinct on (p.id) p.id, coalesce(a.new_id, p.id), p.template, case when c.embedder = $2 then c.centre end, c.texts, c.threshold, c.examples
		from tartan.patterns p join tartan.text_clusters c on c.library_id = p.library_id and c.pattern_id = p.id
			left join tartan.pattern_aliases a on a.library_id = p.library_id and a.old_id = p.id
		where p.library_id = $1 and (p.state = 'active' or a.new_id is not null) order by p.id, c.embedder <> $2, c.embedder`, libraryID, embedder)
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c cluster.Cluster, err error) {
		var id, counted string
		var centre []byte
		err = row.Scan(&id, &counted, &c.Text, &centre, &c.Texts, &c.Threshold, &c.Examples)
		c.ID, c.Pattern, c.Text, c.Centre = pattern.ID(id), pattern.ID(counted), plain(c.Text), floats(centre)
		for i := range c.Examples {
			c.Examples[i] = plain(c.Examples[i])
		}
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("read clusters of library %s: %w", libraryID, known(err))
	}
	return found, nil
}

// SaveTextClusters stores the clusters as the embedder has them, at the revision. Their patterns must be stored, and the
// library locked by LockLibrary in the same transaction.
func SaveTextClusters(ctx context.Context, tx pgx.Tx, lib Library, revision int64, embedder string, clusters []cluster.Cluster) error {
	b := &pgx.Batch{}
	for _, c := range clusters {
		examples := make([]string, len(c.Examples))
		for i, e := range c.Examples {
			examples[i] = stored(e)
		}
		b.Queue(`insert into tartan.text_clusters (workspace_id, library_id, pattern_id, embedder, centre, texts, threshold, examples, revision)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			on conflict (library_id, pattern_id, embedder) do update set centre = excluded.centre, texts = excluded.texts, threshold = excluded.threshold,
				examples = excluded.examples, revision = excluded.revision`,
			lib.WorkspaceID, lib.ID, string(c.ID), embedder, octets(c.Centre), c.Texts, c.Threshold, examples, revision)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("save %d clusters of library %s: %w", len(clusters), lib.Name, known(err))
	}
	return nil
}

// octets and floats are a vector as the database has it.
func octets(v []float32) []byte {
	out := make([]byte, 0, 4*len(v))
	for _, f := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(f))
	}
	return out
}

func floats(b []byte) []float32 {
	if b == nil {
		return nil
	}
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}
