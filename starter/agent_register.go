package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// agentPatience is how long a change of an agent is waited for.
const agentPatience = 30 * time.Second

// issuedView is what register and rotate print: the only time that a token is seen.
type issuedView struct {
	Agent   string    `json:"agent"`
	ID      uuid.UUID `json:"id"`
	Token   string    `json:"token,omitempty"`
	Prefix  string    `json:"prefix,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
}

func (a *app) registerAgentCommand() *cobra.Command {
	var ttl time.Duration
	c := &cobra.Command{
		Use:   "register [MANIFEST]",
		Short: "Register an agent by its manifest, and print its token",
		Long: "Register an agent by its manifest, a file or standard input, as --describe of the agent prints it. An agent without a good token is\n" +
			"given one, which is printed once. Registering again takes over the manifest. It takes an admin: scopes are granted, not taken.\n\n" +
			"  uv run vibration --describe | tartan agent register",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("%s takes one manifest", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			in := a.in
			if len(args) == 1 && args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return &failure{code: codeNotFound, what: "the manifest", why: err}
				}
				defer f.Close()
				in = f
			}
			text, err := io.ReadAll(io.LimitReader(in, activities.MaxManifest+1))
			if err != nil {
				return fmt.Errorf("read the manifest: %w", err)
			}
			return a.registerAgent(c.Context(), text, ttl)
		},
	}
	tokenLife(c, &ttl)
	return c
}

func tokenLife(c *cobra.Command, ttl *time.Duration) {
	c.Flags().DurationVar(ttl, "ttl", 90*24*time.Hour, "how long the token is good for")
}

func (a *app) registerAgent(ctx context.Context, text []byte, ttl time.Duration) error {
	var about struct{ Name string }
	if err := json.Unmarshal(text, &about); err != nil || about.Name == "" || strings.Contains(about.Name, "/") {
		return usage("the manifest is not that of an agent: give what its --describe prints")
	}
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	in := workflows.RegisterAgentInput{Caller: caller, Manifest: text}
	out := issuedView{Agent: about.Name}
	has, err := a.hasToken(ctx, caller, about.Name)
	if err == nil && !has {
		in.Token, err = out.newToken(ttl)
	}
	if err != nil {
		return err
	}
	return changeAgent(ctx, a, in, caller, &out)
}

// hasToken reports whether the agent may work and has a token that is good.
func (a *app) hasToken(ctx context.Context, caller access.Caller, name string) (has bool, err error) {
	pool, err := a.database(ctx)
	if err != nil {
		return false, err
	}
	err = postgres.InWorkspace(ctx, pool, caller, func(tx pgx.Tx) error {
		found, err := postgres.AgentByName(ctx, tx, caller.WorkspaceID, name)
		if errors.Is(err, postgres.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		tokens, err := postgres.CredentialsOf(ctx, tx, caller.WorkspaceID, found.ID)
		has = found.RevokedAt == nil && slices.ContainsFunc(tokens, func(c postgres.AgentCredential) bool {
			return c.RevokedAt == nil && time.Now().Before(c.ExpiresAt)
		})
		return err
	})
	return has, err
}

// newToken makes a token here: of it only a digest goes to Tartan.
func (v *issuedView) newToken(ttl time.Duration) (*activities.NewToken, error) {
	if ttl <= 0 || ttl > 365*24*time.Hour {
		return nil, usage("--ttl %s: want more than 0 and at most 8760h", ttl)
	}
	c, err := access.NewCredential()
	if err != nil {
		return nil, err
	}
	v.Token, v.Prefix, v.Expires = c.Token, c.Prefix, time.Now().Add(ttl).UTC().Truncate(time.Second)
	return &activities.NewToken{Prefix: c.Prefix, Digest: c.Digest, Expires: v.Expires}, nil
}

// changeAgent has a change made and prints what came of it.
func changeAgent[In workflows.RegisterAgentInput | workflows.RotateAgentInput | workflows.RevokeAgentInput](ctx context.Context, a *app, in In, caller access.Caller, out *issuedView) error {
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return err
	}
	id, err := workflows.StartAgentChange(ctx, temporal, in, caller.WorkspaceID, out.Agent, uuid.NewString())
	if err != nil {
		return err
	}
	done, refused, err := workflows.AgentChangeResult(ctx, temporal, id, agentPatience)
	switch {
	case err != nil:
		return err
	case refused != nil:
		code := codeFailure
		if refused.Denied() {
			code = codeDenied
		}
		return &failure{code: code, what: "agent " + out.Agent, why: errors.New(refused.Message)}
	case done == nil:
		return &failure{code: codeUnavailable, what: "agent " + out.Agent + ": the change goes on", next: "see that a worker runs: tartan doctor"}
	}
	out.ID = done.ID
	if a.json() {
		return a.printJSON(out)
	}
	if out.Token == "" {
		_, err = fmt.Fprintf(a.out, "%s: done\n", out.Agent)
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s: its token, good until %s, is shown this once:\n%s\n", out.Agent, out.Expires.Format(time.RFC3339), out.Token)
	return err
}

func (a *app) rotateAgentCommand() *cobra.Command {
	var ttl time.Duration
	c := &cobra.Command{
		Use: "rotate NAME", Short: "Give an agent a new token; the one before stays good",
		Long: "Give an agent a new token and print it, this once. The two latest tokens of an agent are good, so that it can be restarted with the\nnew one; then revoke the old one, or rotate again.",
		Args: exactly(1, "an agent"),
		RunE: func(c *cobra.Command, args []string) error {
			caller, err := a.caller(c.Context())
			if err != nil {
				return err
			}
			out := issuedView{Agent: args[0]}
			token, err := out.newToken(ttl)
			if err != nil {
				return err
			}
			return changeAgent(c.Context(), a, workflows.RotateAgentInput{Caller: caller, Agent: args[0], Token: *token}, caller, &out)
		},
	}
	tokenLife(c, &ttl)
	return c
}

func (a *app) revokeAgentCommand() *cobra.Command {
	var prefix string
	c := &cobra.Command{
		Use: "revoke NAME", Short: "Revoke an agent with all its tokens, or one token",
		Long: "Revoke an agent: within a second its tokens open nothing, and calls of it are refused. Registering it again lets it work again, with a new token.",
		Args: exactly(1, "an agent"),
		RunE: func(c *cobra.Command, args []string) error {
			caller, err := a.caller(c.Context())
			if err != nil {
				return err
			}
			return changeAgent(c.Context(), a, workflows.RevokeAgentInput{Caller: caller, Agent: args[0], Prefix: prefix}, caller, &issuedView{Agent: args[0]})
		},
	}
	c.Flags().StringVar(&prefix, "token", "", "only the token with this prefix; tartan agents logs shows them")
	return c
}

// withRegistered adds what is registered in the workspace to what Temporal hears.
func (a *app) withRegistered(ctx context.Context, heard []agentView) ([]agentView, error) {
	caller, err := a.caller(ctx)
	if err != nil {
		return nil, err
	}
	var all []postgres.RegisteredAgent
	err = postgres.InWorkspace(ctx, a.pool, caller, func(tx pgx.Tx) (err error) {
		all, err = postgres.Agents(ctx, tx, caller.WorkspaceID)
		return err
	})
	for _, r := range all {
		i := slices.IndexFunc(heard, func(v agentView) bool { return v.Agent == r.Name })
		if i < 0 {
			heard = append(heard, agentView{Agent: r.Name, State: "unheard", TaskQueue: r.TaskQueue, Workers: []workerView{}})
			i = len(heard) - 1
		}
		heard[i].Registered = r.Version
		if r.RevokedAt != nil {
			heard[i].State = "revoked"
		}
	}
	slices.SortFunc(heard, func(x, y agentView) int { return strings.Compare(x.Agent, y.Agent) })
	return heard, err
}

// agentEvent is a line of an agent's log.
type agentEvent struct {
	At         time.Time `json:"at"`
	What       string    `json:"what"` // register, rotate, revoke, call; token of one that is kept
	State      string    `json:"state"`
	WorkflowID string    `json:"workflow_id,omitempty"`
	Prefix     string    `json:"prefix,omitempty"`
}

func (a *app) agentLogsCommand() *cobra.Command {
	var most int
	c := &cobra.Command{
		Use: "logs NAME", Short: "Show what an agent was asked for, and how it was changed",
		Long: "Show the workflows that registered, rotated, revoked and called an agent, as long as Temporal keeps them, and its tokens. The latest comes first.",
		Args: exactly(1, "an agent"),
		RunE: func(c *cobra.Command, args []string) error { return a.agentLogs(c.Context(), args[0], most) },
	}
	c.Flags().IntVar(&most, "limit", 50, "how many at most")
	return c
}

func (a *app) agentLogs(ctx context.Context, name string, most int) error {
	if strings.ContainsAny(name, `"'/`) || most < 1 || most > 1000 {
		return usage("want the name of an agent, and a --limit from 1 to 1000")
	}
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return err
	}
	events, err := a.tokenEvents(ctx, caller, name)
	if err != nil {
		return err
	}
	prefixes := map[string]string{"call": workflows.CallWorkflowID(caller.WorkspaceID, name, "")}
	for _, kind := range []string{"register", "rotate", "revoke"} {
		prefixes[kind] = workflows.AgentPrefix(kind, caller.WorkspaceID, name)
	}
	for what, prefix := range prefixes {
		page, err := temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: int32(most), Query: `WorkflowId STARTS_WITH "` + prefix + `"`})
		if err != nil {
			return fmt.Errorf("list workflows of agent %s: %w", name, err)
		}
		for _, e := range page.Executions {
			events = append(events, agentEvent{At: e.GetStartTime().AsTime(), What: what, State: strings.ToLower(e.Status.String()), WorkflowID: e.GetExecution().GetWorkflowId()})
		}
	}
	slices.SortFunc(events, func(x, y agentEvent) int { return y.At.Compare(x.At) })
	events = events[:min(len(events), most)]
	if a.json() {
		return a.printJSON(map[string]any{"agent": name, "events": events})
	}
	rows := [][]string{{"AT", "WHAT", "STATE", "WORKFLOW OR TOKEN"}}
	for _, e := range events {
		rows = append(rows, []string{e.At.UTC().Format(time.RFC3339), e.What, e.State, e.WorkflowID + e.Prefix})
	}
	return a.table(rows)
}

func (a *app) tokenEvents(ctx context.Context, caller access.Caller, name string) (out []agentEvent, err error) {
	out = []agentEvent{}
	err = postgres.InWorkspace(ctx, a.pool, caller, func(tx pgx.Tx) error {
		found, err := postgres.AgentByName(ctx, tx, caller.WorkspaceID, name)
		if errors.Is(err, postgres.ErrNotFound) {
			return nil // it may be called all the same
		}
		if err != nil {
			return err
		}
		tokens, err := postgres.CredentialsOf(ctx, tx, caller.WorkspaceID, found.ID)
		for _, t := range tokens {
			state := "good until " + t.ExpiresAt.UTC().Format(time.RFC3339)
			switch {
			case t.RevokedAt != nil:
				state = "revoked " + t.RevokedAt.UTC().Format(time.RFC3339)
			case !time.Now().Before(t.ExpiresAt):
				state = "expired"
			}
			out = append(out, agentEvent{At: t.CreatedAt, What: "token", State: state, Prefix: t.Prefix})
		}
		return err
	})
	return out, err
}
