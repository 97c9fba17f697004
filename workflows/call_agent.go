package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
)

// CallAgentInput asks an agent for one activity. Input is a JSON object of the activity's contract; StartCall puts the caller into it.
type CallAgentInput struct {
	Caller   access.Caller   `json:"caller"`
	Agent    string          `json:"agent"`
	Activity string          `json:"activity"`
	Input    json.RawMessage `json:"input"`
	Timeout  time.Duration   `json:"timeout,omitempty"` // of one attempt; 0 is a minute
}

// MaxAgentInput is how many bytes go to an agent at once: a payload of Temporal stays under 64 KiB. More goes by reference.
const MaxAgentInput = 45 << 10

// CallAgent has an activity of an agent done, durably: where the agent is away, the work waits for it, and where it dies
// with it, another does it.
func CallAgent(ctx workflow.Context, in CallAgentInput) (json.RawMessage, error) {
	var runs *activities.Runs
	if err := quickly(ctx, runs.AdmitCaller, activities.AdmitInput{Caller: in.Caller, Role: access.Editor, Agent: in.Agent}, nil); err != nil {
		return nil, failure(err)
	}
	attempt := in.Timeout
	if attempt <= 0 {
		attempt = time.Minute
	}
	var out json.RawMessage
	if err := workflow.ExecuteActivity(on(ctx, "agent."+in.Agent, "call "+in.Activity, attempt), in.Activity, in.Input).Get(ctx, &out); err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// withCaller is the input with the caller put in, whoever it named before.
func withCaller(in CallAgentInput) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(in.Input, &fields); err != nil {
		return nil, fmt.Errorf("call agent %s: the input is not one JSON object: %w", in.Agent, err)
	}
	caller, err := json.Marshal(in.Caller)
	if err != nil {
		return nil, err
	}
	fields["caller"] = caller
	return json.Marshal(fields)
}

// CallWorkflowID returns the Workflow ID of a call. The same key is the same call.
func CallWorkflowID(workspace uuid.UUID, agent, key string) string {
	return "call/" + workspace.String() + "/" + agent + "/" + key
}

// StartCall starts CallAgent, or finds the call with the same key.
func StartCall(ctx context.Context, c client.Client, in CallAgentInput, key string) (id string, existed bool, err error) {
	if len(in.Input) > MaxAgentInput {
		return "", false, fmt.Errorf("call agent %s: the input has %d bytes, over %d: put it into the bucket and give its key", in.Agent, len(in.Input), MaxAgentInput)
	}
	if !strings.HasPrefix(in.Activity, in.Agent+".") {
		return "", false, fmt.Errorf("call agent %s: the name of an activity of it begins with %s., not %q", in.Agent, in.Agent, in.Activity)
	}
	if in.Input, err = withCaller(in); err != nil {
		return "", false, err
	}
	id = CallWorkflowID(in.Caller.WorkspaceID, in.Agent, key)
	_, existed, err = begin(ctx, c, CallAgent, in, client.StartWorkflowOptions{ID: id, StaticSummary: "call " + in.Activity})
	return id, existed, err
}

// CallResult waits for a call and returns what the activity returned, or an error with what the agent said.
func CallResult(ctx context.Context, c client.Client, id string) (json.RawMessage, error) {
	var out json.RawMessage
	if err := c.GetWorkflow(ctx, id, "").Get(ctx, &out); err != nil {
		return nil, errors.New(words(err))
	}
	return out, nil
}
