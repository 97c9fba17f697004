package feed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// Agent returns the agent that a token makes known and until when it does, from memory where the token is known. A token
// that is not good is an error that wraps one of the Err values of access. What is revoked is heard of through the outbox.
func (l *Libraries) Agent(ctx context.Context, keeper *access.Keeper, token string, now time.Time) (*access.Agent, time.Time, error) {
	c, err := access.ParseCredential(token)
	if err != nil {
		return nil, time.Time{}, err
	}
	kept, err := l.agents.get(ctx, l, c.Prefix)
	if errors.Is(err, postgres.ErrNotFound) {
		err = fmt.Errorf("check token %s: %w", c.Prefix, access.ErrSignature)
	}
	if err == nil {
		err = keeper.Check(c, kept, now)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	return &kept.Agent, kept.Expires, nil
}

// credentials remembers those of agents by their prefixes. One that does not exist is not remembered.
type credentials struct {
	mu    sync.RWMutex
	known map[string]knownRight[access.Kept]
	epoch int64 // advances with each change of an agent
}

func (r *credentials) get(ctx context.Context, l *Libraries, prefix string) (kept access.Kept, err error) {
	r.mu.RLock()
	known, ok := r.known[prefix]
	epoch := r.epoch
	r.mu.RUnlock()
	if ok && time.Since(known.at) < roleFresh {
		return known.value, nil
	}
	err = postgres.ReadAsService(ctx, l.pool, func(tx pgx.Tx) (err error) {
		kept, err = postgres.CredentialByPrefix(ctx, tx, prefix)
		return err
	})
	if err != nil {
		if ok && postgres.Unavailable(err) && time.Since(known.at) < roleStale {
			return known.value, nil // nobody can revoke it meanwhile
		}
		return kept, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch == epoch {
		if r.known == nil || len(r.known) >= maxRoles {
			r.known = map[string]knownRight[access.Kept]{}
		}
		r.known[prefix] = knownRight[access.Kept]{kept, time.Now()}
	}
	return kept, nil
}

func (r *credentials) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	r.known = nil
}
