package workflows

import (
	"fmt"
	"slices"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
)

// The updates and the query of PublishChange and RestoreKnowledge.
const (
	UpdateApprove  = "approve"
	UpdateReject   = "reject"
	UpdateAmend    = "amend"
	UpdateResolve  = "resolve"
	UpdateWithdraw = "withdraw"
	QueryChange    = "change"
)

// ReviewChangeInput is the argument of approve, reject and withdraw.
type ReviewChangeInput struct {
	Caller access.Caller `json:"caller"`
	Note   string        `json:"note,omitempty"`
}

// AmendChangeInput puts other proposals in the place of those of a change set. Documents are stored beforehand and go by hash.
type AmendChangeInput struct {
	Caller    access.Caller `json:"caller"` // the author
	Proposals []Proposal    `json:"proposals"`
}

// Proposal is the change of one entry.
type Proposal = activities.Proposal

// ResolveChangeInput resolves conflicts of a change set.
type ResolveChangeInput struct {
	Caller      access.Caller `json:"caller"`
	Resolutions []Resolution  `json:"resolutions"`
}

// Resolution says what becomes of a proposal with conflicts.
type Resolution = activities.Resolution

// Choice says which side of a conflict is taken.
type Choice = activities.Choice

// listen sets up the query and the updates.
func (c *change) listen(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, QueryChange, func() (ChangeStatus, error) { return c.stands(), nil },
		workflow.QueryHandlerOptions{Description: "How the change set stands."})
	if err != nil {
		return err
	}
	err = workflow.SetQueryHandlerWithOptions(ctx, QueryProgress, func() (Progress, error) {
		return Progress{State: activities.StateRunning, Library: c.status.Space, StartedAt: workflow.GetInfo(ctx).WorkflowStartTime, UpdatedAt: workflow.Now(ctx)}, nil
	}, workflow.QueryHandlerOptions{Description: "That the change set is under way."})
	if err != nil {
		return err
	}
	if err := handle(ctx, c, UpdateApprove, "Approve the change set as a reviewer.", c.approve, ChangeInReview); err != nil {
		return err
	}
	if err := handle(ctx, c, UpdateReject, "Reject the change set as a reviewer.", c.reject, ChangeInReview, ChangeConflicted); err != nil {
		return err
	}
	if err := handle(ctx, c, UpdateAmend, "Propose something else, as the author.", c.amend, ChangeInReview, ChangeConflicted); err != nil {
		return err
	}
	if err := handle(ctx, c, UpdateResolve, "Resolve conflicts.", c.resolve, ChangeConflicted); err != nil {
		return err
	}
	return handle(ctx, c, UpdateWithdraw, "Withdraw the change set as its author.", c.withdraw, ChangeInReview, ChangeConflicted)
}

// stands returns the status with the end of the wait, if it waits.
func (c *change) stands() ChangeStatus {
	out := c.status
	if !c.expires.IsZero() && (out.State == ChangeInReview || out.State == ChangeConflicted) {
		out.ExpiresAt = &c.expires
	}
	return out
}

// handle sets up an update that is accepted in some states only. Updates are handled one at a time, so each sees what those
// before it did.
func handle[In any](ctx workflow.Context, c *change, name, description string, do func(workflow.Context, In) error, states ...string) error {
	accept := func() error {
		if c.busy || c.again || !slices.Contains(states, c.status.State) {
			return temporal.NewNonRetryableApplicationError(fmt.Sprintf("the change set is %s: %s is possible while it is %v", c.status.State, name, states), activities.KnowledgeRefused, nil)
		}
		return nil
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, name, func(ctx workflow.Context, in In) (ChangeStatus, error) {
		if err := c.handlers.Lock(ctx); err != nil {
			return ChangeStatus{}, err
		}
		defer c.handlers.Unlock()
		if err := accept(); err != nil {
			return ChangeStatus{}, err
		}
		if err := do(ctx, in); err != nil {
			return ChangeStatus{}, failure(err)
		}
		return c.stands(), nil
	}, workflow.UpdateHandlerOptions{Description: description, Validator: func(In) error { return accept() }})
}

func (c *change) approve(ctx workflow.Context, in ReviewChangeInput) error {
	return c.review(ctx, in, activities.Approve)
}

func (c *change) reject(ctx workflow.Context, in ReviewChangeInput) error {
	return c.review(ctx, in, activities.Reject)
}

func (c *change) review(ctx workflow.Context, in ReviewChangeInput, decision string) error {
	ref := activities.ChangeRef{Caller: in.Caller, ChangeID: c.ref.ChangeID}
	var out activities.Reviewed
	err := c.do(ctx, decision, c.knowledge.ReviewChange, activities.ReviewInput{ChangeRef: ref, Decision: decision, Note: in.Note}, &out)
	if err != nil {
		return err
	}
	c.status.Approvals = out.Approvals
	if out.State == ChangeRejected {
		c.status.State, c.status.Why = ChangeRejected, "rejected by a reviewer"
		if in.Note != "" {
			c.status.Why += ": " + in.Note
		}
	}
	return nil
}

func (c *change) amend(ctx workflow.Context, in AmendChangeInput) error {
	ref := activities.ChangeRef{Caller: in.Caller, ChangeID: c.ref.ChangeID}
	err := c.do(ctx, "amend", c.knowledge.AmendChange, activities.AmendInput{ChangeRef: ref, Round: c.status.Round, Proposals: in.Proposals}, nil)
	if err == nil {
		c.again, c.status.State = true, ChangeValidating
	}
	return err
}

func (c *change) resolve(ctx workflow.Context, in ResolveChangeInput) error {
	ref := activities.ChangeRef{Caller: in.Caller, ChangeID: c.ref.ChangeID}
	var out activities.Resolved
	err := c.do(ctx, "resolve", c.knowledge.ResolveConflicts, activities.ResolveInput{ChangeRef: ref, Round: c.status.Round, Resolutions: in.Resolutions}, &out)
	if err != nil {
		return err
	}
	if c.status.Conflicts = out.Open; out.Open == 0 {
		c.again, c.status.State = true, ChangeValidating
	}
	return nil
}

func (c *change) withdraw(ctx workflow.Context, in ReviewChangeInput) error {
	ref := activities.ChangeRef{Caller: in.Caller, ChangeID: c.ref.ChangeID}
	why := "withdrawn"
	if in.Note != "" {
		why += ": " + in.Note
	}
	err := c.do(ctx, "withdraw", c.knowledge.WithdrawChange, activities.MarkChangeInput{ChangeRef: ref, State: ChangeWithdrawn, Why: why}, nil)
	if err == nil {
		c.status.State, c.status.Why = ChangeWithdrawn, why
	}
	return err
}

// ChangeID makes the id of a change set from an idempotency key: the same key gives the same change set.
func ChangeID(workspace uuid.UUID, key string) uuid.UUID {
	if key == "" {
		return uuid.New()
	}
	return uuid.NewSHA1(workspace, []byte("change/"+key))
}
