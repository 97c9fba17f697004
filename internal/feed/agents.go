package feed

import (
	"context"
	"errors"
	"fmt"
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
	asService := func(fn func(pgx.Tx) error) error { return postgres.ReadAsService(ctx, l.pool, fn) }
	kept, err := l.agents.get(c.Prefix, asService, func(tx pgx.Tx) (access.Kept, error) { return postgres.CredentialByPrefix(ctx, tx, c.Prefix) })
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
