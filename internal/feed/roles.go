package feed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
)

const (
	// The feed tells of changes within milliseconds; this bounds what is missed while it is not connected.
	roleFresh = 30 * time.Second
	// While the database is away nobody can change a role in it, so known ones are good for longer.
	roleStale = 5 * time.Minute
	maxRoles  = 10_000
)

// roles remembers what callers may do. A caller who may do nothing is not remembered.
type roles struct {
	mu    sync.RWMutex
	known map[access.Caller]knownRole
	epoch int64 // advances with each change of a member
}

type knownRole struct {
	role access.Role
	at   time.Time
}

// Role returns the caller's role, from memory where it is known, or postgres.ErrDenied when the caller is no member.
func (l *Libraries) Role(ctx context.Context, caller access.Caller) (access.Role, error) {
	r := &l.roles
	r.mu.RLock()
	known, ok := r.known[caller]
	epoch := r.epoch
	r.mu.RUnlock()
	if ok && time.Since(known.at) < roleFresh {
		return known.role, nil
	}
	var role access.Role
	err := postgres.InWorkspace(ctx, l.pool, caller, func(tx pgx.Tx) (err error) {
		role, err = postgres.RoleOf(ctx, tx, caller)
		return err
	})
	switch {
	case err == nil:
		r.remember(caller, role, epoch)
		return role, nil
	case ok && postgres.Unavailable(err) && time.Since(known.at) < roleStale:
		return known.role, nil
	case errors.Is(err, postgres.ErrDenied):
		r.forget(caller.WorkspaceID, caller.UserID)
	}
	return "", fmt.Errorf("look up the role of %s: %w", caller.UserID, err)
}

// remember keeps the role, unless a member has changed since it was read.
func (r *roles) remember(caller access.Caller, role access.Role, epoch int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch != epoch {
		return
	}
	if r.known == nil || len(r.known) >= maxRoles {
		r.known = map[access.Caller]knownRole{}
	}
	r.known[caller] = knownRole{role, time.Now()}
}

func (r *roles) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	r.known = nil
}

func (r *roles) forget(workspace, user uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	delete(r.known, access.Caller{UserID: user, WorkspaceID: workspace})
}
