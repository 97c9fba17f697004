package postgres

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// VectorsOf returns what a model made of documents of a space before, by their hashes.
func VectorsOf(ctx context.Context, q Querier, spaceID uuid.UUID, model string, hashes []string) (map[string][]float32, error) {
	out := map[string][]float32{}
	if len(hashes) == 0 {
		return out, nil
	}
	rows, _ := q.Query(ctx, `select hash, vector from tartan.knowledge_vectors where space_id = $1 and model = $2 and hash = any ($3)`, spaceID, model, hashes)
	var (
		hash string
		raw  []byte
	)
	_, err := pgx.ForEachRow(rows, []any{&hash, &raw}, func() error {
		v := make([]float32, len(raw)/4)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		out[hash] = v
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read vectors of %d documents: %w", len(hashes), known(err))
	}
	return out, nil
}

// VectorDim returns the number of components that the vectors of a model have in a workspace; 0 where there are none.
func VectorDim(ctx context.Context, q Querier, workspaceID uuid.UUID, model string) (int, error) {
	n, err := one(ctx, q, pgx.RowTo[int], `select coalesce((select octet_length(v.vector) / 4 from tartan.knowledge_spaces s
		join tartan.knowledge_vectors v on v.space_id = s.id where s.workspace_id = $1 and v.model = $2 limit 1), 0)`, workspaceID, model)
	if err != nil {
		return 0, fmt.Errorf("components of the vectors of %s: %w", model, err)
	}
	return n, nil
}

// SaveVectors keeps what a model made of documents of a space, by their hashes. Those of documents that are gone are left out. Only the
// service may: readers' processes make them.
func SaveVectors(ctx context.Context, q Querier, workspaceID, spaceID uuid.UUID, model string, vectors map[string][]float32) error {
	hashes, texts := []string{}, []string{}
	for hash, v := range vectors {
		raw := make([]byte, 0, 4*len(v))
		for _, f := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
		}
		hashes, texts = append(hashes, hash), append(texts, base64.StdEncoding.EncodeToString(raw))
	}
	_, err := q.Exec(ctx, `insert into tartan.knowledge_vectors (workspace_id, space_id, hash, model, vector)
		select $1, $2, v.hash, $3, decode(v.vector, 'base64') from unnest($4::text[], $5::text[]) v (hash, vector)
		join (select hash from tartan.knowledge_bodies where space_id = $2 and hash = any ($4)) b on b.hash = v.hash
		on conflict do nothing`, workspaceID, spaceID, model, hashes, texts)
	if err != nil {
		return fmt.Errorf("keep vectors of %d documents: %w", len(hashes), known(err))
	}
	return nil
}
