package workers

import (
	"context"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/internal/access"
)

// Grants signs what goes with each activity task, and checks it before the activity runs. Agents in Python check the same.
type Grants struct {
	Key  *access.Key // signs for workflows; nil on a worker that runs none
	Keys access.Keys // verifies for activities
}

// GrantRefused is the type of the error with which a task that has no good grant fails. It is not retried.
const GrantRefused = "GrantRefused"

// grantHeader carries the grant.
const grantHeader = "tartan-grant"

// grantLife is how long after it was signed a grant is good for a task to be scheduled. What counts is when the server
// scheduled the task, not when a worker takes it: a task that waits out an outage is still what the workflow asked for.
const grantLife = 5 * time.Minute

// interceptors are nil without grants.
func (g *Grants) interceptors() []interceptor.WorkerInterceptor {
	if g == nil {
		return nil
	}
	return []interceptor.WorkerInterceptor{&granting{grants: *g}}
}

type granting struct {
	interceptor.WorkerInterceptorBase
	grants Grants
}

func (g *granting) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	w := &grantingWorkflow{grants: g.grants}
	w.Next = next
	return w
}

func (g *granting) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	a := &checkingActivity{grants: g.grants}
	a.Next = next
	return a
}

// grantingWorkflow knows in which workspace its workflow acts: the input's Caller says it.
type grantingWorkflow struct {
	interceptor.WorkflowInboundInterceptorBase
	grants    Grants
	workspace uuid.UUID
}

func (w *grantingWorkflow) Init(outbound interceptor.WorkflowOutboundInterceptor) error {
	o := &grantingOutbound{inbound: w}
	o.Next = outbound
	return w.Next.Init(o)
}

func (w *grantingWorkflow) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	w.workspace = workspaceOf(in.Args)
	return w.Next.ExecuteWorkflow(ctx, in)
}

type grantingOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	inbound *grantingWorkflow
}

// ExecuteActivity puts the grant beside the task. Headers are no part of what a replay compares, so a signature may differ in it.
func (o *grantingOutbound) ExecuteActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	if err := o.grant(ctx, activityType); err != nil {
		done, set := workflow.NewFuture(ctx)
		set.SetError(err)
		return done
	}
	return o.Next.ExecuteActivity(ctx, activityType, args...)
}

func (o *grantingOutbound) grant(ctx workflow.Context, activityType string) error {
	if o.inbound.grants.Key == nil {
		return nil
	}
	queue := workflow.GetActivityOptions(ctx).TaskQueue
	info, now := workflow.GetInfo(ctx), workflow.Now(ctx)
	if queue == "" {
		queue = info.TaskQueueName
	}
	token, err := access.IssueGrant(o.inbound.grants.Key, access.Grant{
		Agent: agentOf(queue), Activity: activityType, WorkflowID: info.WorkflowExecution.ID,
		WorkspaceID: o.inbound.workspace, Expires: now.Add(grantLife),
	}, now)
	if err != nil {
		return err
	}
	payload, err := converter.GetDefaultDataConverter().ToPayload(token)
	if err != nil {
		return err
	}
	interceptor.WorkflowHeader(ctx)[grantHeader] = payload
	return nil
}

type checkingActivity struct {
	interceptor.ActivityInboundInterceptorBase
	grants Grants
}

// ExecuteActivity refuses a task without the grant for it. Local activities run where the workflow runs and need none.
func (a *checkingActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	if info := activity.GetInfo(ctx); !info.IsLocalActivity {
		if err := a.check(interceptor.Header(ctx)[grantHeader], info, workspaceOf(in.Args)); err != nil {
			return nil, temporal.NewNonRetryableApplicationError(err.Error(), GrantRefused, nil)
		}
	}
	return a.Next.ExecuteActivity(ctx, in)
}

func (a *checkingActivity) check(payload *commonpb.Payload, info activity.Info, workspace uuid.UUID) error {
	var token string
	if payload != nil {
		if err := converter.GetDefaultDataConverter().FromPayload(payload, &token); err != nil {
			return err
		}
	}
	grant, err := access.VerifyGrant(token, a.grants.Keys, info.ScheduledTime)
	if err != nil {
		return err
	}
	return grant.For(access.Grant{
		Agent: agentOf(info.TaskQueue), Activity: info.ActivityType.Name, WorkflowID: info.WorkflowExecution.ID, WorkspaceID: workspace,
	})
}

// agentOf is the name of the agent that a task queue belongs to.
func agentOf(queue string) string { return strings.TrimPrefix(queue, "agent.") }

var callerType = reflect.TypeFor[access.Caller]()

// workspaceOf is the workspace that an input acts in: that of its field Caller, or of the Caller of a struct it holds.
func workspaceOf(args []any) uuid.UUID {
	if len(args) == 0 {
		return uuid.Nil
	}
	v := reflect.Indirect(reflect.ValueOf(args[0]))
	for v.IsValid() && v.Kind() == reflect.Struct {
		if f := v.FieldByName("Caller"); f.IsValid() && f.Type() == callerType {
			return f.Interface().(access.Caller).WorkspaceID
		}
		if v.NumField() == 0 {
			break
		}
		v = reflect.Indirect(v.Field(0))
	}
	return uuid.Nil
}
