package feed

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

// Role returns the caller's role, from memory where it is known, or postgres.ErrDenied when the caller is no member.
func (l *Libraries) Role(ctx context.Context, caller access.Caller) (access.Role, error) {
	role, err := l.roles.get(ctx, l, caller, func(tx pgx.Tx) (access.Role, error) { return postgres.RoleOf(ctx, tx, caller) })
	if err != nil {
		return "", fmt.Errorf("look up the role of %s: %w", caller.UserID, err)
	}
	return role, nil
}

// Readable returns the spaces of the knowledge base that the caller may read, from memory where they are known.
func (l *Libraries) Readable(ctx context.Context, caller access.Caller) (map[uuid.UUID]bool, error) {
	spaces, err := l.spaces.get(ctx, l, caller, func(tx pgx.Tx) (map[uuid.UUID]bool, error) {
		ids, err := postgres.ReadableSpaces(ctx, tx)
		out := make(map[uuid.UUID]bool, len(ids))
		for _, id := range ids {
			out[id] = true
		}
		return out, err
	})
	if err != nil {
		return nil, fmt.Errorf("look up the spaces of %s: %w", caller.UserID, err)
	}
	return spaces, nil
}

// rights remembers what callers may do. What they may not do is not remembered.
type rights[T any] struct {
	mu    sync.RWMutex
	known map[access.Caller]knownRight[T]
	epoch int64 // advances with each change of a member
}

type knownRight[T any] struct {
	value T
	at    time.Time
}

func (r *rights[T]) get(ctx context.Context, l *Libraries, caller access.Caller, ask func(pgx.Tx) (T, error)) (value T, err error) {
	r.mu.RLock()
	known, ok := r.known[caller]
	epoch := r.epoch
	r.mu.RUnlock()
	if ok && time.Since(known.at) < roleFresh {
		return known.value, nil
	}
	err = postgres.InWorkspace(ctx, l.pool, caller, func(tx pgx.Tx) (err error) {
		value, err = ask(tx)
		return err
	})
	switch {
	case err == nil:
		r.remember(caller, value, epoch)
	case ok && postgres.Unavailable(err) && time.Since(known.at) < roleStale:
		return known.value, nil
	case errors.Is(err, postgres.ErrDenied):
		r.forget(caller.WorkspaceID, caller.UserID)
	}
	return value, err
}

// remember keeps the value, unless a member has changed since it was read.
func (r *rights[T]) remember(caller access.Caller, value T, epoch int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch != epoch {
		return
	}
	if r.known == nil || len(r.known) >= maxRoles {
		r.known = map[access.Caller]knownRight[T]{}
	}
	r.known[caller] = knownRight[T]{value, time.Now()}
}

func (r *rights[T]) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	r.known = nil
}

func (r *rights[T]) forget(workspace, user uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	delete(r.known, access.Caller{UserID: user, WorkspaceID: workspace})
}

// forgetWorkspace is forget for all its members.
func (r *rights[T]) forgetWorkspace(workspace uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	maps.DeleteFunc(r.known, func(c access.Caller, _ knownRight[T]) bool { return c.WorkspaceID == workspace })
}
