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
	role, err := l.roles.get(caller, l.asCaller(ctx, caller), func(tx pgx.Tx) (access.Role, error) { return postgres.RoleOf(ctx, tx, caller) })
	if err != nil {
		return "", fmt.Errorf("look up the role of %s: %w", caller.UserID, err)
	}
	return role, nil
}

// Readable returns the spaces of the knowledge base that the caller may read, from memory where they are known.
func (l *Libraries) Readable(ctx context.Context, caller access.Caller) (map[uuid.UUID]bool, error) {
	spaces, err := l.spaces.get(caller, l.asCaller(ctx, caller), func(tx pgx.Tx) (map[uuid.UUID]bool, error) {
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

// asCaller has what is asked for read as the caller.
func (l *Libraries) asCaller(ctx context.Context, caller access.Caller) func(func(pgx.Tx) error) error {
	return func(fn func(pgx.Tx) error) error { return postgres.InWorkspace(ctx, l.pool, caller, fn) }
}

// rights remembers what callers may do, or who holds a token. What they may not do is not remembered.
type rights[K comparable, T any] struct {
	mu    sync.RWMutex
	known map[K]knownRight[T]
	epoch int64 // advances with each change of a member
}

type knownRight[T any] struct {
	value T
	at    time.Time
}

func (r *rights[K, T]) get(key K, within func(func(pgx.Tx) error) error, ask func(pgx.Tx) (T, error)) (value T, err error) {
	r.mu.RLock()
	known, ok := r.known[key]
	epoch := r.epoch
	r.mu.RUnlock()
	if ok && time.Since(known.at) < roleFresh {
		return known.value, nil
	}
	err = within(func(tx pgx.Tx) (err error) {
		value, err = ask(tx)
		return err
	})
	switch {
	case err == nil:
		r.remember(key, value, epoch)
	case ok && postgres.Unavailable(err) && time.Since(known.at) < roleStale:
		return known.value, nil
	case errors.Is(err, postgres.ErrDenied):
		r.forget(key)
	}
	return value, err
}

// remember keeps the value, unless a member has changed since it was read.
func (r *rights[K, T]) remember(key K, value T, epoch int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch != epoch {
		return
	}
	if r.known == nil || len(r.known) >= maxRoles {
		r.known = map[K]knownRight[T]{}
	}
	r.known[key] = knownRight[T]{value, time.Now()}
}

func (r *rights[K, T]) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	r.known = nil
}

func (r *rights[K, T]) forget(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	delete(r.known, key)
}

// forgetIf is forget for all keys of which gone is true.
func (r *rights[K, T]) forgetIf(gone func(K) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	maps.DeleteFunc(r.known, func(k K, _ knownRight[T]) bool { return gone(k) })
}
