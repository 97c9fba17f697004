package workers

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/local"
)

type grantedInput struct{ Caller access.Caller }

// swapping puts another grant beside the task than the one that was signed for it.
type swapping struct {
	interceptor.WorkerInterceptorBase
	to func(access.Grant) string
}

func (s *swapping) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &swappingInbound{interceptor.WorkflowInboundInterceptorBase{Next: next}, s}
}

type swappingInbound struct {
	interceptor.WorkflowInboundInterceptorBase
	s *swapping
}

func (i *swappingInbound) Init(out interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&swappingOutbound{interceptor.WorkflowOutboundInterceptorBase{Next: out}, i.s})
}

type swappingOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	s *swapping
}

func (o *swappingOutbound) ExecuteActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	if o.s.to == nil {
		return o.Next.ExecuteActivity(ctx, activityType, args...)
	}
	header := interceptor.WorkflowHeader(ctx)
	grant := access.Grant{Agent: "vibration", Activity: activityType, WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID, WorkspaceID: args[0].(grantedInput).Caller.WorkspaceID}
	token := o.s.to(grant)
	delete(header, grantHeader)
	if token != "" {
		header[grantHeader], _ = converter.GetDefaultDataConverter().ToPayload(token)
	}
	return o.Next.ExecuteActivity(ctx, activityType, args...)
}

// TestGrantsAreChecked runs activities on a real server with the grant that was signed for them, and with every other one.
func TestGrantsAreChecked(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Temporal, which takes seconds")
	}
	server, err := local.StartTemporal(context.Background(), local.TemporalOptions{DataDir: t.TempDir(), Bin: os.Getenv("TARTAN_TEMPORAL_BIN"), Headless: true, Progress: func(line string) { t.Log(line) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	c, err := client.Dial(client.Options{HostPort: server.Address})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	key, err := access.NewKey()
	require.NoError(t, err)
	stranger, err := access.NewKey()
	require.NoError(t, err)
	sign := func(key *access.Key, g access.Grant, life time.Duration) string {
		now := time.Now().Add(min(life, 0) - time.Second)
		g.Expires = now.Add(max(life, time.Second))
		token, err := access.IssueGrant(key, g, now)
		require.NoError(t, err)
		return token
	}
	swap := &swapping{}
	entered := 0
	grants := &Grants{Key: key, Keys: key.Public()}
	agent := worker.New(c, "agent.vibration", worker.Options{Interceptors: grants.interceptors(), DisableWorkflowWorker: true})
	agent.RegisterActivityWithOptions(func(context.Context, grantedInput) error { entered++; return nil }, activity.RegisterOptions{Name: "vibration.features"})
	require.NoError(t, agent.Start())
	t.Cleanup(agent.Stop)
	flow := worker.New(c, "grants", worker.Options{Interceptors: append([]interceptor.WorkerInterceptor{swap}, grants.interceptors()...)})
	flow.RegisterWorkflowWithOptions(func(ctx workflow.Context, in grantedInput) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: "agent.vibration", StartToCloseTimeout: time.Minute})
		return workflow.ExecuteActivity(ctx, "vibration.features", in).Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "Granted"})
	require.NoError(t, flow.Start())
	t.Cleanup(flow.Stop)

	change := func(f func(*access.Grant)) func(access.Grant) string {
		return func(g access.Grant) string { f(&g); return sign(key, g, time.Minute) }
	}
	for _, c2 := range []struct {
		name    string
		to      func(access.Grant) string
		refused string
	}{
		{"as signed", nil, ""},
		{"good", func(g access.Grant) string { return sign(key, g, time.Minute) }, ""},
		{"none", func(access.Grant) string { return "" }, access.ErrMalformed.Error()},
		{"forged", func(g access.Grant) string { return sign(stranger, g, time.Minute) }, access.ErrSignature.Error()},
		{"expired", func(g access.Grant) string { return sign(key, g, -time.Minute) }, access.ErrExpired.Error()},
		{"another activity", change(func(g *access.Grant) { g.Activity = "vibration.other" }), access.ErrTask.Error()},
		{"another agent", change(func(g *access.Grant) { g.Agent = "spectral" }), access.ErrTask.Error()},
		{"another workflow", change(func(g *access.Grant) { g.WorkflowID = "w" }), access.ErrTask.Error()},
		{"another workspace", change(func(g *access.Grant) { g.WorkspaceID = uuid.New() }), access.ErrTask.Error()},
	} {
		t.Run(c2.name, func(t *testing.T) {
			swap.to, entered = c2.to, 0
			run, err := c.ExecuteWorkflow(context.Background(), client.StartWorkflowOptions{TaskQueue: "grants"}, "Granted", grantedInput{access.Caller{WorkspaceID: uuid.New()}})
			require.NoError(t, err)
			err = run.Get(context.Background(), nil)
			if c2.refused == "" {
				require.NoError(t, err)
				require.Equal(t, 1, entered)
				return
			}
			var app *temporal.ApplicationError
			require.True(t, errors.As(err, &app), "%v", err)
			require.Equal(t, GrantRefused, app.Type())
			require.ErrorContains(t, err, c2.refused)
			require.Zero(t, entered, "the activity was entered")
		})
	}
}

func TestWorkspaceOfInputs(t *testing.T) {
	w := uuid.New()
	in := grantedInput{access.Caller{WorkspaceID: w}}
	require.Equal(t, w, workspaceOf([]any{in}))
	require.Equal(t, w, workspaceOf([]any{&in}))
	require.Equal(t, w, workspaceOf([]any{struct{ Mark grantedInput }{in}}))
	require.Equal(t, w, workspaceOf([]any{struct{ grantedInput }{in}}))
	for _, none := range [][]any{nil, {1}, {(*grantedInput)(nil)}, {struct{}{}}, {struct{ Text string }{"x"}}} {
		require.Equal(t, uuid.Nil, workspaceOf(none))
	}
}
