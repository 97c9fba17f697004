package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Attachment is a file of a space that is no entry. Its content is an object in the bucket.
type Attachment struct {
	Path   string `json:"path"` // from the root of the folder, with slashes
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// SaveAttachments stores where files of a space are, and returns how many were not there with that content.
func SaveAttachments(ctx context.Context, tx pgx.Tx, s Space, author uuid.UUID, workflowID string, files []Attachment) (int, error) {
	var paths, sums []string
	var sizes []int64
	for _, f := range files {
		paths, sums, sizes = append(paths, f.Path), append(sums, f.SHA256), append(sizes, f.Bytes)
	}
	// One at a time in a space: two imports of the same file would both find that it is not there.
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('attachments/' || $1, 0))`, s.ID.String()); err != nil {
		return 0, fmt.Errorf("lock the attachments of space %s: %w", s.Name, known(err))
	}
	tag, err := tx.Exec(ctx, `insert into tartan.knowledge_attachments (workspace_id, space_id, path, sha256, bytes, author, workflow_id)
		select $1, $2, f.path, f.sha256, f.bytes, $6, $7 from unnest($3::text[], $4::text[], $5::bigint[]) f (path, sha256, bytes)
		where f.sha256 is distinct from (select a.sha256 from tartan.knowledge_attachments a where a.space_id = $2 and a.path = f.path order by a.recorded_at desc limit 1)`,
		s.WorkspaceID, s.ID, paths, sums, sizes, author, workflowID)
	if err != nil {
		return 0, fmt.Errorf("store attachments of space %s: %w", s.Name, known(err))
	}
	return int(tag.RowsAffected()), nil
}

// Attachments returns the files of a space that are no entries by path: now, or as they were at a time.
func Attachments(ctx context.Context, q Querier, spaceID uuid.UUID, at time.Time) ([]Attachment, error) {
	rows, _ := q.Query(ctx, `select distinct on (path) path, sha256, bytes from tartan.knowledge_attachments
		where space_id = $1 and ($2::timestamptz is null or recorded_at <= $2) order by path, recorded_at desc`, spaceID, moment(at))
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Attachment])
	if err != nil {
		return nil, fmt.Errorf("list attachments: %w", known(err))
	}
	return found, nil
}
