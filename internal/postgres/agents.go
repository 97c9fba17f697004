package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/access"
)

// RegisteredAgent is an agent as it was registered.
type RegisteredAgent struct {
	ID        uuid.UUID
	Name      string
	Version   string
	TaskQueue string
	Manifest  json.RawMessage
	Scopes    []string
	Tools     []string
	OwnerID   uuid.UUID
	RevokedAt *time.Time
	CreatedAt time.Time
	UpdatedAt time.Time
}

// AgentCredential is a token of an agent without its secret.
type AgentCredential struct {
	Prefix     string
	WorkflowID string // that issued it
	ExpiresAt  time.Time
	RevokedAt  *time.Time
	CreatedAt  time.Time
}

const agentColumns = `id, name, version, task_queue, manifest, scopes, tools, owner_id, revoked_at, created_at, updated_at`

// SaveAgent writes an agent under its name, makes it a member with the role of its scopes, and returns its id. One that was
// revoked may work again; its tokens stay revoked. It takes an admin.
func SaveAgent(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, a *RegisteredAgent) (id uuid.UUID, err error) {
	err = tx.QueryRow(ctx, `
		insert into tartan.agents as old (workspace_id, name, version, task_queue, manifest, scopes, tools, owner_id) values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict (workspace_id, name) do update set version = excluded.version, manifest = excluded.manifest, scopes = excluded.scopes,
			tools = excluded.tools, revoked_at = null, updated_at = now()
		returning id`, workspace, a.Name, a.Version, a.TaskQueue, a.Manifest, a.Scopes, a.Tools, a.OwnerID).Scan(&id)
	if err == nil {
		err = saveMember(ctx, tx, workspace, id, access.RoleOfScopes(a.Scopes))
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("save agent %s: %w", a.Name, known(err))
	}
	return id, nil
}

// AgentByName returns an agent of the workspace, or ErrNotFound.
func AgentByName(ctx context.Context, q Querier, workspace uuid.UUID, name string) (RegisteredAgent, error) {
	a, err := one(ctx, q, pgx.RowToStructByPos[RegisteredAgent], `select `+agentColumns+` from tartan.agents where workspace_id = $1 and name = $2`, workspace, name)
	if err != nil {
		return a, fmt.Errorf("agent %s: %w", name, err)
	}
	return a, nil
}

// Agents returns the agents of the workspace by name.
func Agents(ctx context.Context, q Querier, workspace uuid.UUID) ([]RegisteredAgent, error) {
	rows, _ := q.Query(ctx, `select `+agentColumns+` from tartan.agents where workspace_id = $1 order by name`, workspace)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[RegisteredAgent])
	if err != nil {
		return nil, fmt.Errorf("list agents: %w", known(err))
	}
	return all, nil
}

// CredentialsOf returns the tokens of an agent, the latest first.
func CredentialsOf(ctx context.Context, q Querier, workspace, agent uuid.UUID) ([]AgentCredential, error) {
	rows, _ := q.Query(ctx, `
		select prefix, workflow_id, expires_at, revoked_at, created_at from tartan.agent_credentials
		where workspace_id = $1 and agent_id = $2 order by created_at desc, prefix`, workspace, agent)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[AgentCredential])
	if err != nil {
		return nil, fmt.Errorf("tokens of agent %s: %w", agent, known(err))
	}
	return all, nil
}

// ValidCredentials is how many tokens of an agent are good at a time, so that one can be replaced while the other works.
const ValidCredentials = 2

// SaveCredential adds a token of an agent, and revokes those beyond the ValidCredentials latest. The same prefix again changes
// nothing. It takes an admin.
func SaveCredential(ctx context.Context, tx pgx.Tx, workspace, agent uuid.UUID, c AgentCredential, hmac []byte) error {
	// The lock makes of two rotations at once one after the other.
	_, err := tx.Exec(ctx, `select from tartan.agents where workspace_id = $1 and id = $2 for update`, workspace, agent)
	if err == nil {
		_, err = tx.Exec(ctx, `
			insert into tartan.agent_credentials (workspace_id, agent_id, prefix, hmac, workflow_id, expires_at, created_at)
			values ($1, $2, $3, $4, $5, $6, clock_timestamp()) on conflict (prefix) do nothing`, workspace, agent, c.Prefix, hmac, c.WorkflowID, c.ExpiresAt)
	}
	if err == nil {
		_, err = tx.Exec(ctx, `
			update tartan.agent_credentials set revoked_at = now() where workspace_id = $1 and agent_id = $2 and revoked_at is null and prefix not in (
				select prefix from tartan.agent_credentials where workspace_id = $1 and agent_id = $2 and revoked_at is null
				order by created_at desc, prefix limit $3)`, workspace, agent, ValidCredentials)
	}
	if err != nil {
		return fmt.Errorf("save token %s: %w", c.Prefix, known(err))
	}
	return nil
}

// RevokeAgent revokes an agent with its membership and all its tokens. Once more does no harm. It takes an admin.
func RevokeAgent(ctx context.Context, tx pgx.Tx, workspace, agent uuid.UUID) error {
	_, err := tx.Exec(ctx, `update tartan.agents set revoked_at = now(), updated_at = now() where workspace_id = $1 and id = $2 and revoked_at is null`, workspace, agent)
	if err == nil {
		_, err = tx.Exec(ctx, `update tartan.agent_credentials set revoked_at = now() where workspace_id = $1 and agent_id = $2 and revoked_at is null`, workspace, agent)
	}
	if err == nil {
		_, err = tx.Exec(ctx, `delete from tartan.members where workspace_id = $1 and user_id = $2`, workspace, agent)
	}
	if err != nil {
		return fmt.Errorf("revoke agent %s: %w", agent, known(err))
	}
	return nil
}

// RevokeCredential revokes one token of an agent. ErrNotFound says that the agent has none with the prefix.
func RevokeCredential(ctx context.Context, tx pgx.Tx, workspace, agent uuid.UUID, prefix string) error {
	tag, err := tx.Exec(ctx, `
		update tartan.agent_credentials set revoked_at = coalesce(revoked_at, now()) where workspace_id = $1 and agent_id = $2 and prefix = $3`, workspace, agent, prefix)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("revoke token %.16q: %w", prefix, known(err))
	}
	return nil
}

// CredentialByPrefix returns a token as it is kept, of whichever workspace, or ErrNotFound. It is the service's: who asks is not known yet.
func CredentialByPrefix(ctx context.Context, q Querier, prefix string) (k access.Kept, err error) {
	err = q.QueryRow(ctx, `
		select a.id, a.workspace_id, a.name, a.scopes, a.tools, c.hmac, c.expires_at, a.revoked_at is not null or c.revoked_at is not null
		from tartan.agent_credentials c join tartan.agents a on a.workspace_id = c.workspace_id and a.id = c.agent_id where c.prefix = $1`, prefix).
		Scan(&k.Agent.ID, &k.Agent.WorkspaceID, &k.Agent.Name, &k.Agent.Scopes, &k.Agent.Tools, &k.HMAC, &k.Expires, &k.Revoked)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return k, fmt.Errorf("token %s: %w", prefix, known(err))
	}
	return k, nil
}
