package postgres

import (
	"context"

	"github.com/google/uuid"
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
func Workspaces(ctx context.Context, pool *pgxpool.Pool, userID uuid.UUID) ([]Workspace, error) {
	return nil, errUnfinished
}

// CreateWorkspace makes the workspace with an admin, or adds the admin to the one that has the slug. It runs as
// service and is for setting up only.
func CreateWorkspace(ctx context.Context, pool *pgxpool.Pool, slug, name string, admin uuid.UUID) (uuid.UUID, error) {
	return uuid.Nil, errUnfinished
}

// RoleOf returns the caller's role in the caller's workspace, or ErrDenied when the caller is no member.
func RoleOf(ctx context.Context, q Querier, caller access.Caller) (access.Role, error) {
	return "", errUnfinished
}
