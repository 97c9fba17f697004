package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// Agents are the activities that register agents, and give and take their tokens.
type Agents struct {
	Pool   *pgxpool.Pool
	Keeper *access.Keeper // nil issues no token
}

// MaxManifest bounds a manifest with its schemas.
const MaxManifest = 48 << 10

// maxTokenLife is how long a token of an agent may be good.
const maxTokenLife = 366 * 24 * time.Hour

// NewToken is a token of an agent without its secret, which never leaves who asked for it.
type NewToken struct {
	Prefix  string    `json:"prefix"`
	Digest  []byte    `json:"digest"` // SHA-256 of the token
	Expires time.Time `json:"expires"`
}

// RegisterInput asks to register an agent, or to register it again with another manifest.
type RegisterInput struct {
	Caller   access.Caller   `json:"caller"`
	Manifest json.RawMessage `json:"manifest"`        // as the kit's --describe prints it
	Token    *NewToken       `json:"token,omitempty"` // to be issued with it
}

// RotateInput asks for one more token of an agent.
type RotateInput struct {
	Caller access.Caller `json:"caller"`
	Agent  string        `json:"agent"`
	Token  NewToken      `json:"token"`
}

// RevokeInput asks to revoke an agent, or one token of it.
type RevokeInput struct {
	Caller access.Caller `json:"caller"`
	Agent  string        `json:"agent"`
	Prefix string        `json:"prefix,omitempty"` // of the token; "" is the agent with all of them
}

// Registered is an agent after a change.
type Registered struct {
	ID   uuid.UUID `json:"id"`
	Name string    `json:"name"`
}

type manifest struct {
	Name        string             `json:"name"`
	Version     string             `json:"version"`
	Description string             `json:"description"`
	TaskQueue   string             `json:"task_queue"`
	Activities  []manifestActivity `json:"activities"`
	Scopes      []string           `json:"scopes"`
	Tools       []string           `json:"tools"`
	Limits      map[string]int     `json:"limits"`
}

type manifestActivity struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Input       json.RawMessage `json:"input"`
	Output      json.RawMessage `json:"output"`
}

var (
	agentName    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}[a-z0-9]$`)
	agentVersion = regexp.MustCompile(`^\d+\.\d+\.\d+([-+][0-9A-Za-z.-]+)?$`)
	agentScope   = regexp.MustCompile(`^[a-z]+:([a-z]+|\*)$`)
	toolName     = regexp.MustCompile(`^[a-z][a-z_]{0,63}$`)
)

// parseManifest reads a manifest and names every fault of it at once.
func parseManifest(text []byte) (m manifest, err error) {
	if len(text) > MaxManifest {
		return m, fmt.Errorf("the manifest has %d bytes, over %d", len(text), MaxManifest)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("the manifest is not as the kit's --describe prints it: %w", err)
	}
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(!agentName.MatchString(m.Name), "name %.60q: lower-case letters, digits and hyphens, 2 to 41 of them, a letter first", m.Name)
	fault(slices.Contains([]string{"pattern", "features", "knowledge", "router", "migrate"}, m.Name), "name %q belongs to an agent of Tartan itself", m.Name)
	fault(!agentVersion.MatchString(m.Version), "version %.60q: write it as 1.2.3", m.Version)
	fault(m.TaskQueue != "agent."+m.Name, "task_queue %.60q: that of this agent is agent.%.60s", m.TaskQueue, m.Name)
	fault(len(m.Activities) == 0, "activities: an agent without one has nothing to do")
	seen := map[string]bool{}
	for _, a := range m.Activities {
		fault(!strings.HasPrefix(a.Name, m.Name+"."), "activity %.60q: its name begins with %.60s.", a.Name, m.Name)
		fault(seen[a.Name], "activity %.60q is there twice", a.Name)
		seen[a.Name] = true
		for which, schema := range map[string]json.RawMessage{"input": a.Input, "output": a.Output} {
			fault(!bytes.HasPrefix(bytes.TrimSpace(schema), []byte("{")), "activity %.60q: its %s has no JSON Schema", a.Name, which)
		}
	}
	for _, s := range m.Scopes {
		fault(!agentScope.MatchString(s), "scope %.60q: write it as pattern:read or knowledge:*", s)
	}
	for _, t := range m.Tools {
		fault(!toolName.MatchString(t), "tool %.60q is no name of an MCP tool", t)
	}
	fault(len(m.Scopes) > 64 || len(m.Tools) > 128, "at most 64 scopes and 128 tools")
	return m, errors.Join(faults...)
}

// RegisterAgent writes what the manifest says, and issues the token where one is asked for. Scopes are granted, not taken: it takes an admin.
func (a *Agents) RegisterAgent(ctx context.Context, in RegisterInput) (*Registered, error) {
	m, err := parseManifest(in.Manifest)
	if err != nil {
		return nil, final(AgentRefused, err, "nothing was registered")
	}
	out := &Registered{Name: m.Name}
	err = postgres.InWorkspace(ctx, a.Pool, in.Caller, func(tx pgx.Tx) (err error) {
		if err := mustBeAdmin(ctx, tx, in.Caller); err != nil {
			return err
		}
		out.ID, err = postgres.SaveAgent(ctx, tx, in.Caller.WorkspaceID, &postgres.RegisteredAgent{
			Name: m.Name, Version: m.Version, TaskQueue: m.TaskQueue, Manifest: in.Manifest, Scopes: listOf(m.Scopes), Tools: listOf(m.Tools), OwnerID: in.Caller.UserID,
		})
		if err == nil && in.Token != nil {
			err = a.issue(ctx, tx, in.Caller.WorkspaceID, out.ID, *in.Token)
		}
		return err
	})
	return out, agentFault("register agent "+m.Name, err)
}

// RotateAgent issues one more token. The two latest are good; what is older is revoked.
func (a *Agents) RotateAgent(ctx context.Context, in RotateInput) (*Registered, error) {
	out := &Registered{Name: in.Agent}
	err := a.change(ctx, in.Caller, in.Agent, out, func(tx pgx.Tx, found postgres.RegisteredAgent) error {
		if found.RevokedAt != nil {
			return final(AgentRefused, nil, "the agent is revoked: register it again first")
		}
		return a.issue(ctx, tx, in.Caller.WorkspaceID, found.ID, in.Token)
	})
	return out, err
}

// RevokeAgent revokes an agent with all its tokens, or one token.
func (a *Agents) RevokeAgent(ctx context.Context, in RevokeInput) (*Registered, error) {
	out := &Registered{Name: in.Agent}
	err := a.change(ctx, in.Caller, in.Agent, out, func(tx pgx.Tx, found postgres.RegisteredAgent) error {
		if in.Prefix != "" {
			return postgres.RevokeCredential(ctx, tx, in.Caller.WorkspaceID, found.ID, in.Prefix)
		}
		return postgres.RevokeAgent(ctx, tx, in.Caller.WorkspaceID, found.ID)
	})
	return out, err
}

func (a *Agents) change(ctx context.Context, caller access.Caller, name string, out *Registered, fn func(pgx.Tx, postgres.RegisteredAgent) error) error {
	err := postgres.InWorkspace(ctx, a.Pool, caller, func(tx pgx.Tx) error {
		if err := mustBeAdmin(ctx, tx, caller); err != nil {
			return err
		}
		found, err := postgres.AgentByName(ctx, tx, caller.WorkspaceID, name)
		if err != nil {
			return err
		}
		out.ID = found.ID
		return fn(tx, found)
	})
	return agentFault("change agent "+name, err)
}

func (a *Agents) issue(ctx context.Context, tx pgx.Tx, workspace, agent uuid.UUID, t NewToken) error {
	now := time.Now()
	switch {
	case a.Keeper == nil:
		return final(AgentRefused, nil, "this worker cannot issue tokens: set TARTAN_GRANT_KEY for workers and MCP servers")
	case len(t.Digest) != 32:
		return final(AgentRefused, nil, "the digest of the token is not a SHA-256")
	case t.Expires.Before(now) || t.Expires.After(now.Add(maxTokenLife)):
		return final(AgentRefused, nil, "a token expires within a year")
	}
	c := postgres.AgentCredential{Prefix: t.Prefix, WorkflowID: activity.GetInfo(ctx).WorkflowExecution.ID, ExpiresAt: t.Expires}
	return postgres.SaveCredential(ctx, tx, workspace, agent, c, a.Keeper.Keep(t.Digest))
}

func mustBeAdmin(ctx context.Context, tx pgx.Tx, caller access.Caller) error {
	role, err := postgres.RoleOf(ctx, tx, caller)
	if err == nil && role != access.Admin {
		err = fmt.Errorf("as %s: %w", role, postgres.ErrDenied)
	}
	return err
}

// agentFault gives an error its type.
func agentFault(doing string, err error) error {
	switch {
	case errors.Is(err, postgres.ErrDenied):
		return final(Denied, fmt.Errorf("%s: %w", doing, err), "only an admin of the workspace registers, rotates and revokes")
	case errors.Is(err, postgres.ErrNotFound):
		return final(AgentRefused, fmt.Errorf("%s: %w", doing, err), "tartan agents list shows what there is")
	}
	return typed(doing, err)
}

// admitAgent refuses work for an agent that is revoked. One that is not registered is not held to anything.
func admitAgent(ctx context.Context, tx pgx.Tx, in AdmitInput) error {
	found, err := postgres.AgentByName(ctx, tx, in.Caller.WorkspaceID, in.Agent)
	switch {
	case errors.Is(err, postgres.ErrNotFound):
		return nil
	case err == nil && found.RevokedAt != nil:
		return final(AgentRefused, nil, "the agent "+in.Agent+" was revoked: an admin may register it again")
	}
	return err
}

func listOf(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
