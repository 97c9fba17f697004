package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Space is a part of the knowledge base with rules of its own.
type Space struct {
	ID          uuid.UUID
	WorkspaceID uuid.UUID
	Name        string
	Title       string
	Restricted  bool            // seen by its members only
	Approvals   int             // that a change set needs
	SelfReview  bool            // the author's counts
	Policy      json.RawMessage // of validation, an object
	RemindAfter time.Duration   // of waiting for a person; 0 is the default when it is created
	ExpireAfter time.Duration   // of waiting for a person; 0 is the default when it is created
	StaleAfter  time.Duration   // age at which an entry is due for review; 0 is never
	Retention   time.Duration   // of texts that are neither current nor tagged; 0 is for ever
	LegalHold   bool            // nothing is destroyed
	CreatedBy   uuid.UUID
	CreatedAt   time.Time
	Revision    int64 // grows by one with each change set published
}

// The defaults of a space.
const (
	DefaultRemindAfter = 24 * time.Hour
	DefaultExpireAfter = 14 * 24 * time.Hour
)

const spaceColumns = `s.id, s.workspace_id, s.name, s.title, s.restricted, s.approvals, s.self_review, s.policy, s.remind_after, s.expire_after,
	coalesce(s.stale_after, '0'), coalesce(s.retention, '0'), s.legal_hold, s.created_by, s.created_at, c.revision`

const fromSpaces = ` from tartan.knowledge_spaces s join tartan.knowledge_clocks c on c.space_id = s.id `

func scanSpace(row pgx.CollectableRow) (s Space, err error) {
	err = row.Scan(&s.ID, &s.WorkspaceID, &s.Name, &s.Title, &s.Restricted, &s.Approvals, &s.SelfReview, &s.Policy, &s.RemindAfter, &s.ExpireAfter,
		&s.StaleAfter, &s.Retention, &s.LegalHold, &s.CreatedBy, &s.CreatedAt, &s.Revision)
	return s, err
}

func positive(d time.Duration) *time.Duration {
	if d <= 0 {
		return nil
	}
	return &d
}

// SpaceByName returns the space, or ErrNotFound, which it also is for who may not see it.
func SpaceByName(ctx context.Context, q Querier, workspaceID uuid.UUID, name string) (Space, error) {
	s, err := one(ctx, q, scanSpace, `select `+spaceColumns+fromSpaces+`where s.workspace_id = $1 and s.name = $2`, workspaceID, name)
	if err != nil {
		return s, fmt.Errorf("space %s: %w", name, err)
	}
	return s, nil
}

// SpaceByID returns the space, or ErrNotFound, which it also is for who may not see it.
func SpaceByID(ctx context.Context, q Querier, id uuid.UUID) (Space, error) {
	s, err := one(ctx, q, scanSpace, `select `+spaceColumns+fromSpaces+`where s.id = $1`, id)
	if err != nil {
		return s, fmt.Errorf("space %s: %w", id, err)
	}
	return s, nil
}

// Spaces returns the spaces of the workspace that the caller may see, by name.
func Spaces(ctx context.Context, q Querier, workspaceID uuid.UUID) ([]Space, error) {
	rows, _ := q.Query(ctx, `select `+spaceColumns+fromSpaces+`where s.workspace_id = $1 order by s.name`, workspaceID)
	found, err := pgx.CollectRows(rows, scanSpace)
	if err != nil {
		return nil, fmt.Errorf("list spaces: %w", known(err))
	}
	return found, nil
}

// ErrExists says that there is one of that name already.
var ErrExists = errors.New("exists already")

// ErrName says that a space cannot have the name, and not why: it may be reserved, or that of a space hidden from the caller.
var ErrName = errors.New("the name is not available")

// reserved are no names of spaces. They are what addresses, commands and whole knowledge bases are called, and refused as
// the names of hidden spaces are: so that a refusal is no proof of one.
var reserved = map[string]bool{
	"admin": true, "all": true, "api": true, "attachments": true, "confidential": true, "entry": true, "fetch": true, "knowledge": true,
	"legal-hold": true, "new": true, "none": true, "null": true, "pattern": true, "patterns": true, "private": true, "root": true, "search": true, "service": true,
	"space": true, "spaces": true, "system": true, "tag": true, "tags": true, "tartan": true, "workspace": true,
}

// CreateSpace makes a space; who makes a restricted one is a reviewer in it. An editor of the workspace may; others get
// ErrDenied, whatever the name. The error is ErrName where there is one of that name or the name is reserved.
func CreateSpace(ctx context.Context, q Querier, s Space) (Space, error) {
	if len(s.Policy) == 0 {
		s.Policy = json.RawMessage("{}")
	}
	if s.RemindAfter <= 0 {
		s.RemindAfter = DefaultRemindAfter
	}
	if s.ExpireAfter <= 0 {
		s.ExpireAfter = DefaultExpireAfter
	}
	s.ID = uuid.New()
	tag, err := q.Exec(ctx, `insert into tartan.knowledge_spaces (id, workspace_id, name, title, restricted, approvals, self_review, policy, remind_after,
			expire_after, stale_after, retention, legal_hold, created_by)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) on conflict do nothing`, // naming the columns would ask for the right to read the new row, which comes with it
		s.ID, s.WorkspaceID, s.Name, s.Title, s.Restricted, s.Approvals, s.SelfReview, s.Policy, s.RemindAfter, s.ExpireAfter,
		positive(s.StaleAfter), positive(s.Retention), s.LegalHold, s.CreatedBy)
	if err == nil && (tag.RowsAffected() == 0 || reserved[s.Name]) { // only now: who may not create learns no more of reserved names than of others
		err = ErrName
	}
	if err != nil {
		return Space{}, fmt.Errorf("create space %s: %w", s.Name, known(err))
	}
	return SpaceByID(ctx, q, s.ID)
}

// UpdateSpace changes what a space asks for, all but its name. It takes an admin; otherwise the error is ErrNotFound.
func UpdateSpace(ctx context.Context, q Querier, s Space) error {
	tag, err := q.Exec(ctx, `update tartan.knowledge_spaces set title = $2, restricted = $3, approvals = $4, self_review = $5, policy = $6,
			remind_after = $7, expire_after = $8, stale_after = $9, retention = $10, legal_hold = $11 where id = $1`,
		s.ID, s.Title, s.Restricted, s.Approvals, s.SelfReview, s.Policy, s.RemindAfter, s.ExpireAfter, positive(s.StaleAfter), positive(s.Retention), s.LegalHold)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("change space %s: %w", s.Name, known(err))
	}
	return nil
}

// The roles in a space, least first.
const (
	SpaceReader   = "reader"
	SpaceWriter   = "writer"
	SpaceReviewer = "reviewer"
)

// SaveSpaceMember gives a user a role in a restricted space. It takes a reviewer of the space.
func SaveSpaceMember(ctx context.Context, q Querier, s Space, userID uuid.UUID, role string) error {
	_, err := q.Exec(ctx, `insert into tartan.knowledge_space_members (workspace_id, space_id, user_id, role) values ($1, $2, $3, $4::text::tartan.space_role)
		on conflict (space_id, user_id) do update set role = excluded.role`, s.WorkspaceID, s.ID, userID, role)
	if err != nil {
		return fmt.Errorf("make %s %s of space %s: %w", userID, role, s.Name, known(err))
	}
	return nil
}

// RemoveSpaceMember takes a user out of a restricted space. ErrNotFound says that there was no such member, or that the
// caller is no reviewer there.
func RemoveSpaceMember(ctx context.Context, q Querier, s Space, userID uuid.UUID) error {
	tag, err := q.Exec(ctx, `delete from tartan.knowledge_space_members where space_id = $1 and user_id = $2`, s.ID, userID)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("remove member %s of space %s: %w", userID, s.Name, known(err))
	}
	return nil
}

// SpaceRole returns what the caller may do in the space: one of the roles above, or "" for nothing.
func SpaceRole(ctx context.Context, q Querier, spaceID uuid.UUID) (role string, err error) {
	err = q.QueryRow(ctx, `select case when $1 = any (tartan.my_spaces('reviewer')) then 'reviewer' when $1 = any (tartan.my_spaces('writer')) then 'writer'
		when $1 = any (tartan.my_spaces('reader')) then 'reader' else '' end`, spaceID).Scan(&role)
	if err != nil {
		return "", fmt.Errorf("role in space %s: %w", spaceID, known(err))
	}
	return role, nil
}

// Clock is the moment in a space that a publication makes: the revision it will have, and its time.
type Clock struct {
	Revision   int64
	RecordedAt time.Time
}

// LockClock locks the space for publishing until the transaction ends, and returns the next moment. ErrDenied says that
// the caller may read it but not write.
func LockClock(ctx context.Context, tx pgx.Tx, spaceID uuid.UUID) (c Clock, err error) {
	err = tx.QueryRow(ctx, `select revision + 1, greatest(clock_timestamp(), recorded_at + interval '1 microsecond')
		from tartan.knowledge_clocks where space_id = $1 for update`, spaceID).Scan(&c.Revision, &c.RecordedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		if _, err = SpaceByID(ctx, tx, spaceID); err == nil {
			err = ErrDenied
		}
	}
	if err != nil {
		return c, fmt.Errorf("lock space %s: %w", spaceID, known(err))
	}
	c.RecordedAt = c.RecordedAt.UTC()
	return c, nil
}
