package workflows

import (
	"context"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
)

// What the workflows of agents take and give.
type (
	RegisterAgentInput = activities.RegisterInput
	RotateAgentInput   = activities.RotateInput
	RevokeAgentInput   = activities.RevokeInput
	AgentResult        = activities.Registered
)

// RegisterAgent registers an agent, with a token where one is asked for.
func RegisterAgent(ctx workflow.Context, in RegisterAgentInput) (*AgentResult, error) {
	var a *activities.Agents
	return agentChange(ctx, a.RegisterAgent, in)
}

// RotateAgent issues one more token of an agent; the one before stays good.
func RotateAgent(ctx workflow.Context, in RotateAgentInput) (*AgentResult, error) {
	var a *activities.Agents
	return agentChange(ctx, a.RotateAgent, in)
}

// RevokeAgent revokes an agent, or one token of it.
func RevokeAgent(ctx workflow.Context, in RevokeAgentInput) (*AgentResult, error) {
	var a *activities.Agents
	return agentChange(ctx, a.RevokeAgent, in)
}

func agentChange(ctx workflow.Context, change, in any) (*AgentResult, error) {
	var out AgentResult
	if err := quickly(ctx, change, in, &out); err != nil {
		return nil, failure(err)
	}
	return &out, nil
}

// AgentPrefix begins the Workflow IDs of all changes of an agent of a kind: register, rotate or revoke.
func AgentPrefix(kind string, workspace uuid.UUID, agent string) string {
	return kind + "-agent/" + workspace.String() + "/" + agent + "/"
}

// StartAgentChange starts a change of an agent: its input says which. The same key is the same change. The error is
// ErrUnavailable where that says more.
func StartAgentChange[In RegisterAgentInput | RotateAgentInput | RevokeAgentInput](ctx context.Context, c client.Client, in In, workspace uuid.UUID, agent, key string) (id string, err error) {
	var kind string
	var fn any
	switch any(in).(type) {
	case RegisterAgentInput:
		kind, fn = "register", RegisterAgent
	case RotateAgentInput:
		kind, fn = "rotate", RotateAgent
	case RevokeAgentInput:
		kind, fn = "revoke", RevokeAgent
	}
	id = AgentPrefix(kind, workspace, agent) + key
	_, _, err = begin(ctx, c, fn, in, client.StartWorkflowOptions{ID: id, StaticSummary: kind + " agent " + agent})
	return id, err
}

// AgentChangeResult waits for a change of an agent. It returns nil without an error where it goes on after the time given, and a
// Failure where it was refused.
func AgentChangeResult(ctx context.Context, c client.Client, id string, patience time.Duration) (*AgentResult, *Failure, error) {
	return resultOf[AgentResult](ctx, c, id, patience)
}
