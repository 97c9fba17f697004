package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/tartan-ai/tartan/internal/access"
)

// Workspace is a tenant, with the role in it of the user who asked.
type Workspace struct {
	ID   uuid.UUID
	Slug string
	Name string
	Role access.Role
}

// Workspaces returns the workspaces the user is a member of, by slug.
func Workspaces(ctx context.Context, pool *pgxpool.Pool, userID uuid.UUID) (found []Workspace, err error) {
	err = asUser(ctx, pool, userID, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `
			select w.id, w.slug, w.name, m.role::text
			from tartan.workspaces w join tartan.members m on m.workspace_id = w.id and m.user_id = $1
			order by w.slug`, userID)
		found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Workspace])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list workspaces of %s: %w", userID, err)
	}
	return found, nil
}

// CreateWorkspace makes the workspace with an admin, or adds the admin to the one that has the slug. It runs as
// service and is for setting up only.
func CreateWorkspace(ctx context.Context, pool *pgxpool.Pool, slug, name string, admin uuid.UUID) (id uuid.UUID, err error) {
	err = AsService(ctx, pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into tartan.workspaces (slug, name) values ($1, $2) on conflict (slug) do nothing`, slug, name)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `select id from tartan.workspaces where slug = $1`, slug).Scan(&id); err != nil {
			return err
		}
		return saveMember(ctx, tx, id, admin, access.Admin)
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("create workspace %s: %w", slug, err)
	}
	return id, nil
}

// SaveMember gives the user the role in the workspace. It takes an admin of the workspace, or the service.
func SaveMember(ctx context.Context, q Querier, workspaceID, userID uuid.UUID, role access.Role) error {
	if err := saveMember(ctx, q, workspaceID, userID, role); err != nil {
		return fmt.Errorf("make %s %s of workspace %s: %w", userID, role, workspaceID, known(err))
	}
	return nil
}

func saveMember(ctx context.Context, q Querier, workspaceID, userID uuid.UUID, role access.Role) error {
	_, err := q.Exec(ctx, `
		insert into tartan.members as m (workspace_id, user_id, role) values ($1, $2, $3::text::tartan.member_role)
		on conflict (workspace_id, user_id) do update set role = excluded.role where m.role <> excluded.role`,
		workspaceID, userID, string(role))
	return err
}

// RemoveMember takes the user out of the workspace. ErrNotFound says that there was no such member, or that the caller
// is no admin.
func RemoveMember(ctx context.Context, q Querier, workspaceID, userID uuid.UUID) error {
	tag, err := q.Exec(ctx, `delete from tartan.members where workspace_id = $1 and user_id = $2`, workspaceID, userID)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("remove member %s of workspace %s: %w", userID, workspaceID, known(err))
	}
	return nil
}

// RoleOf returns the caller's role in the caller's workspace, or ErrDenied when the caller is no member.
func RoleOf(ctx context.Context, q Querier, caller access.Caller) (role access.Role, err error) {
	err = q.QueryRow(ctx, `select role::text from tartan.members where workspace_id = $1 and user_id = $2`,
		caller.WorkspaceID, caller.UserID).Scan(&role)
	if errors.Is(err, pgx.ErrNoRows) {
		err = fmt.Errorf("not a member: %w", ErrDenied)
	}
	if err != nil {
		return "", fmt.Errorf("role of %s in workspace %s: %w", caller.UserID, caller.WorkspaceID, err)
	}
	return role, nil
}

// AllWorkspaces returns the ids of all workspaces. It is the service's: a user sees only those he is a member of.
func AllWorkspaces(ctx context.Context, q Querier) ([]uuid.UUID, error) {
	rows, _ := q.Query(ctx, `select id from tartan.workspaces order by id`)
	all, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("list all workspaces: %w", known(err))
	}
	return all, nil
}
