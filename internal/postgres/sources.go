package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Source is one body of observations given to a library, known by the digest of its bytes.
type Source struct {
	ID          uuid.UUID
	WorkspaceID uuid.UUID
	LibraryID   uuid.UUID
	SHA256      string // of the bytes as received, lower case hex
	Name        string
	ObjectKey   string // where the bytes are in the bucket
	PlainKey    string // where the uncompressed bytes are; the same as ObjectKey when Compression is ""
	Compression string // "", "gzip" or "zstd"
	Bytes       int64
	PlainBytes  int64 // 0 until known
	ChunkBytes  int64 // 0 until planned; never changes afterwards, because the ledger counts in it
	Chunks      int   // 0 until planned
	WorkflowID  string
	ReceivedAt  time.Time
	Folded      bool // lines that go on with the record before them are counted with it; never changes once planned
}

// Chunk is one row of the ledger: a byte range of a source whose counts are in the library.
type Chunk struct {
	SourceID    uuid.UUID
	Seq         int
	Start       int64 // byte offset in the uncompressed source
	End         int64 // exclusive
	Lines       int64
	Bytes       int64
	NewPatterns int64
	OtherLines  int64
	Untimed     int64 // lines without a time of their own
	CommittedAt time.Time
	Continued   int64 // lines that go on with the one before; not in Lines
}

const sourceColumns = `id, workspace_id, library_id, sha256, name, object_key, plain_key, compression, bytes, plain_bytes, chunk_bytes, chunks, workflow_id, received_at, folded`

// SaveSource stores the source, or completes the stored one of the same library and digest with what was not known
// before, and returns the stored one. What is known already is kept, the size of chunks above all.
func SaveSource(ctx context.Context, q Querier, s Source) (Source, error) {
	saved, err := one(ctx, q, pgx.RowToStructByPos[Source], `
		insert into tartan.sources as s (workspace_id, library_id, sha256, name, object_key, plain_key, compression, bytes, plain_bytes, chunk_bytes, chunks, workflow_id, folded)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		on conflict (library_id, sha256) do update set
			object_key  = case when s.object_key = '' then excluded.object_key else s.object_key end,
			plain_key   = case when s.plain_key = '' then excluded.plain_key else s.plain_key end,
			compression = case when s.compression = '' then excluded.compression else s.compression end,
			bytes       = case when s.bytes = 0 then excluded.bytes else s.bytes end,
			plain_bytes = case when s.plain_bytes = 0 then excluded.plain_bytes else s.plain_bytes end,
			chunk_bytes = case when s.chunk_bytes = 0 then excluded.chunk_bytes else s.chunk_bytes end,
			chunks      = case when s.chunks = 0 then excluded.chunks else s.chunks end,
			workflow_id = case when s.workflow_id = '' then excluded.workflow_id else s.workflow_id end,
			folded      = case when s.chunks = 0 then excluded.folded else s.folded end
		returning `+sourceColumns,
		s.WorkspaceID, s.LibraryID, s.SHA256, stored(s.Name), s.ObjectKey, s.PlainKey, s.Compression, s.Bytes, s.PlainBytes,
		s.ChunkBytes, s.Chunks, s.WorkflowID, s.Folded)
	if err != nil {
		return Source{}, fmt.Errorf("save source %s: %w", s.Name, err)
	}
	saved.Name = plain(saved.Name)
	return saved, nil
}

// SourceByID returns the source or ErrNotFound.
func SourceByID(ctx context.Context, q Querier, id uuid.UUID) (Source, error) {
	s, err := one(ctx, q, pgx.RowToStructByPos[Source], `select `+sourceColumns+` from tartan.sources where id = $1`, id)
	if err != nil {
		return s, fmt.Errorf("source %s: %w", id, err)
	}
	s.Name = plain(s.Name)
	return s, nil
}

// HasObject reports whether an object is the body of a source or the training data of series that the transaction may see. A key follows from the
// content alone, so whoever names one has not shown that the content is theirs.
func HasObject(ctx context.Context, q Querier, key string) (bool, error) {
	has, err := one(ctx, q, pgx.RowTo[bool], `select exists (select from tartan.sources where object_key = $1)
		or exists (select from tartan.series_models where source_key = $1)`, key)
	if err != nil {
		return false, fmt.Errorf("source of object %s: %w", key, err)
	}
	return has, nil
}

// Sources returns the sources of a library, the latest first.
func Sources(ctx context.Context, q Querier, libraryID uuid.UUID, limit int) ([]Source, error) {
	rows, _ := q.Query(ctx, `select `+sourceColumns+` from tartan.sources where library_id = $1 order by received_at desc, id limit $2`, libraryID, limit)
	s, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Source])
	if err != nil {
		return nil, fmt.Errorf("list sources: %w", known(err))
	}
	for i := range s {
		s[i].Name = plain(s[i].Name)
	}
	return s, nil
}

const chunkColumns = `source_id, seq, start_byte, end_byte, lines, bytes, new_patterns, other_lines, untimed, committed_at, continued`

// InsertChunk writes the ledger row of a chunk. When the chunk is in the ledger already, fresh is false and stored is
// what was committed; nothing may be counted then. It waits for another transaction that is writing the same row.
func InsertChunk(ctx context.Context, tx pgx.Tx, workspaceID uuid.UUID, c Chunk) (fresh bool, stored Chunk, err error) {
	stored, err = one(ctx, tx, pgx.RowToStructByPos[Chunk], `
		insert into tartan.chunks (workspace_id, source_id, seq, start_byte, end_byte, lines, bytes, new_patterns, other_lines, untimed, continued)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		on conflict (source_id, seq) do nothing
		returning `+chunkColumns,
		workspaceID, c.SourceID, c.Seq, c.Start, c.End, c.Lines, c.Bytes, c.NewPatterns, c.OtherLines, c.Untimed, c.Continued)
	fresh = err == nil
	if errors.Is(err, ErrNotFound) {
		stored, err = one(ctx, tx, pgx.RowToStructByPos[Chunk],
			`select `+chunkColumns+` from tartan.chunks where source_id = $1 and seq = $2`, c.SourceID, c.Seq)
	}
	if err != nil {
		return false, Chunk{}, fmt.Errorf("enter chunk %d of source %s: %w", c.Seq, c.SourceID, err)
	}
	return fresh, stored, nil
}

// SetChunkResult completes the ledger row written in this transaction with what was known only after learning.
func SetChunkResult(ctx context.Context, tx pgx.Tx, sourceID uuid.UUID, seq int, newPatterns, otherLines int64) error {
	tag, err := tx.Exec(ctx, `update tartan.chunks set new_patterns = $3, other_lines = $4 where source_id = $1 and seq = $2`,
		sourceID, seq, newPatterns, otherLines)
	if err == nil && tag.RowsAffected() != 1 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("complete chunk %d of source %s: %w", seq, sourceID, known(err))
	}
	return nil
}

// Chunks returns the ledger of a source, by sequence number.
func Chunks(ctx context.Context, q Querier, sourceID uuid.UUID) ([]Chunk, error) {
	rows, _ := q.Query(ctx, `select `+chunkColumns+` from tartan.chunks where source_id = $1 order by seq`, sourceID)
	c, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Chunk])
	if err != nil {
		return nil, fmt.Errorf("read the ledger of source %s: %w", sourceID, known(err))
	}
	return c, nil
}
