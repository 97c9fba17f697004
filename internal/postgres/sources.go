package postgres

import (
	"context"
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
}

// SaveSource stores the source, or completes the stored one of the same library and digest with what was not known
// before, and returns the stored one.
func SaveSource(ctx context.Context, q Querier, s Source) (Source, error) {
	return Source{}, errUnfinished
}

// SourceByID returns the source or ErrNotFound.
func SourceByID(ctx context.Context, q Querier, id uuid.UUID) (Source, error) {
	return Source{}, errUnfinished
}

// InsertChunk writes the ledger row of a chunk. When the chunk is in the ledger already, fresh is false and stored is
// what was committed; nothing may be counted then. It waits for another transaction that is writing the same row.
func InsertChunk(ctx context.Context, tx pgx.Tx, workspaceID uuid.UUID, c Chunk) (fresh bool, stored Chunk, err error) {
	return false, Chunk{}, errUnfinished
}

// SetChunkResult completes the ledger row written in this transaction with what was known only after learning.
func SetChunkResult(ctx context.Context, tx pgx.Tx, sourceID uuid.UUID, seq int, newPatterns, otherLines int64) error {
	return errUnfinished
}

// Chunks returns the ledger of a source, by sequence number.
func Chunks(ctx context.Context, q Querier, sourceID uuid.UUID) ([]Chunk, error) {
	return nil, errUnfinished
}
