package workflows

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
)

// The states of a change set: the first three are waits, the others ends.
const (
	ChangeValidating = "validating"
	ChangeInReview   = "in_review"
	ChangeConflicted = "conflicted"
	ChangePublished  = "published"
	ChangeRejected   = "rejected"
	ChangeExpired    = "expired"
	ChangeWithdrawn  = "withdrawn"
)

// PublishChangeInput asks for a change set that is stored as a draft to be brought to its end.
type PublishChangeInput struct {
	Caller   access.Caller `json:"caller"` // the author
	ChangeID uuid.UUID     `json:"change_id"`
}

// PublishChangeResult says how a change set ended. All of it is in the database too, without the bounds.
type PublishChangeResult struct {
	ChangeStatus
	SpaceID   uuid.UUID        `json:"space_id"`
	Revision  int64            `json:"revision"`  // of the space, to wait for; 0 where nothing changed
	Total     int              `json:"total"`     // entries that got a revision
	Unchanged int              `json:"unchanged"` // entries that said so already
	Merged    int              `json:"merged"`    // entries merged with what had been published since
	Entries   []PublishedEntry `json:"entries"`   // at most 64
}

// PublishedEntry is a revision that was published.
type PublishedEntry = activities.PublishedEntry

// Finding is what a check found.
type Finding = activities.Finding

// ChangeStatus is how a change set stands.
type ChangeStatus struct {
	ChangeID  uuid.UUID  `json:"change_id"`
	Space     string     `json:"space"`
	State     string     `json:"state"`
	Why       string     `json:"why,omitempty"` // it ended unpublished, or waits
	Round     int        `json:"round"`
	Approvals int        `json:"approvals"`
	Needed    int        `json:"needed"`              // approvals
	Conflicts int        `json:"conflicts,omitempty"` // open ones
	Found     int        `json:"found"`               // findings of the checks
	Findings  []Finding  `json:"findings"`            // the gravest, at most 20
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// publishChange is the name of the workflow type.
const publishChange = "PublishChange"

// PublishChange brings a change set from proposal to publication: it is validated, reviewed where the space or a check asks
// for it, merged with what was published meanwhile, and published in one transaction with the event that tells of it. Where
// it cannot be merged it waits with its conflicts. What waits for a person is reminded of, and expires.
func PublishChange(ctx workflow.Context, in PublishChangeInput) (*PublishChangeResult, error) {
	return newChange(in).run(ctx)
}

// change is one run of PublishChange. Its methods are the steps.
type change struct {
	ref       activities.ChangeRef
	knowledge *activities.Knowledge
	handlers  workflow.Mutex // updates one at a time

	status    ChangeStatus
	validated activities.Validated
	published *activities.Published
	busy      bool      // publishing: too late for reviewers
	expires   time.Time // of the wait
	again     bool      // amended or resolved: validate the new round
}

func newChange(in PublishChangeInput) *change {
	return &change{
		ref:    activities.ChangeRef{Caller: in.Caller, ChangeID: in.ChangeID},
		status: ChangeStatus{ChangeID: in.ChangeID, State: ChangeValidating, Findings: []Finding{}},
	}
}

// run goes through the rounds until the change set has ended.
func (c *change) run(ctx workflow.Context) (*PublishChangeResult, error) {
	c.handlers = workflow.NewMutex(ctx)
	if err := c.listen(ctx); err != nil {
		return nil, err
	}
	for !c.ended() {
		if err := c.round(ctx); err != nil {
			return c.end(ctx, err)
		}
	}
	return c.result(ctx)
}

// ended reports whether the change set is at one of its ends.
func (c *change) ended() bool {
	switch c.status.State {
	case ChangePublished, ChangeRejected, ChangeExpired, ChangeWithdrawn:
		return true
	}
	return false
}

// round validates the change set as it is now and brings it as far as it gets.
func (c *change) round(ctx workflow.Context) error {
	c.again = false
	if err := c.validate(ctx); err != nil || c.ended() {
		return err
	}
	if c.validated.Blocked > 0 {
		if c.status.Round == 1 {
			c.status.State, c.status.Why = ChangeRejected, fmt.Sprintf("%d findings forbid it", c.validated.Blocked)
			return c.mark(ctx, false)
		}
		c.status.State, c.status.Why = ChangeConflicted, fmt.Sprintf("%d findings forbid it: amend or withdraw it", c.validated.Blocked)
		return c.wait(ctx, func() bool { return false })
	}
	if c.status.Approvals < c.status.Needed {
		c.status.State = ChangeInReview
		if err := c.wait(ctx, func() bool { return c.status.Approvals >= c.status.Needed }); err != nil || c.again || c.ended() {
			return err
		}
	}
	if err := c.publish(ctx); err != nil || c.again || c.ended() {
		return err
	}
	return c.wait(ctx, func() bool { return false })
}

// validate checks the round. Approvals of earlier rounds do not count.
func (c *change) validate(ctx workflow.Context) error {
	c.status.State, c.status.Why, c.status.Approvals, c.status.Conflicts = ChangeValidating, "", 0, 0
	err := c.do(ctx, "validate", c.knowledge.ValidateChange, c.ref, &c.validated)
	if err != nil {
		return err
	}
	v := c.validated
	c.status.Space, c.status.Round, c.status.Needed, c.status.Found, c.status.Findings = v.Space, v.Round, v.Approvals, v.Found, v.Findings
	switch v.State {
	case ChangePublished, ChangeRejected, ChangeExpired, ChangeWithdrawn: // by an earlier run
		c.status.State, c.published = v.State, v.Published
	}
	return nil
}

// publish publishes, or finds conflicts. An update that came before goes first, and may have changed everything.
func (c *change) publish(ctx workflow.Context) error {
	if err := c.handlers.Lock(ctx); err != nil {
		return err
	}
	defer c.handlers.Unlock()
	if c.again || c.ended() {
		return nil
	}
	c.busy = true
	defer func() { c.busy = false }()
	var out activities.Published
	calm, _ := workflow.NewDisconnectedContext(ctx) // a commit is not called back
	if err := c.do(calm, "publish", c.knowledge.PublishChange, c.ref, &out); err != nil {
		return err
	}
	c.published, c.status.State, c.status.Why, c.status.Conflicts = &out, out.State, out.Why, out.Conflicts
	return nil
}

// wait marks the state and lets time pass until the condition holds, the change set is amended, or it ends: at the latest
// when it expires. Reviewers are reminded meanwhile.
func (c *change) wait(ctx workflow.Context, enough func() bool) error {
	c.expires = workflow.Now(ctx).Add(c.validated.ExpireAfter)
	for first := true; ; first = false {
		if c.status.State != ChangeConflicted || !first || c.status.Conflicts == 0 { // conflicts were marked when they were found
			if err := c.mark(ctx, true); err != nil {
				return err
			}
		}
		left := c.expires.Sub(workflow.Now(ctx))
		over, err := workflow.AwaitWithTimeout(ctx, min(left, c.validated.RemindAfter), func() bool { return enough() || c.again || c.ended() })
		if err != nil || over {
			return err
		}
		if !workflow.Now(ctx).Before(c.expires) {
			return c.expire(ctx, enough)
		}
	}
}

// expire ends the change set, unless an update that is under way decides at the last moment.
func (c *change) expire(ctx workflow.Context, enough func() bool) error {
	if err := c.handlers.Lock(ctx); err != nil {
		return err
	}
	defer c.handlers.Unlock()
	if enough() || c.again || c.ended() {
		return nil
	}
	c.status.State, c.status.Why = ChangeExpired, "nobody decided in time"
	return c.mark(ctx, false)
}

// mark brings the stored state to the one here.
func (c *change) mark(ctx workflow.Context, waiting bool) error {
	in := activities.MarkChangeInput{ChangeRef: c.ref, State: c.status.State, Why: c.status.Why, Waiting: waiting}
	return c.do(ctx, c.status.State, c.knowledge.MarkChange, in, nil)
}

func (c *change) do(ctx workflow.Context, summary string, activity any, in, out any) error {
	return workflow.ExecuteActivity(on(ctx, activities.QueueKnowledge, summary, time.Minute), activity, in).Get(ctx, out)
}

// end records why a change set ends without being published.
func (c *change) end(ctx workflow.Context, err error) (*PublishChangeResult, error) {
	calm, _ := workflow.NewDisconnectedContext(ctx)
	refused := hasType(err, activities.KnowledgeRefused)
	c.status.State, c.status.Why = ChangeRejected, words(err)
	if temporal.IsCanceledError(err) {
		c.status.State, c.status.Why = ChangeWithdrawn, "cancelled"
	}
	if e := c.mark(calm, false); e != nil {
		workflow.GetLogger(ctx).Warn("state of the change set not recorded", "state", c.status.State, "error", e)
	}
	if refused {
		return c.result(calm)
	}
	return nil, failure(err)
}

// result sums up, once the updates that are under way have their answers.
func (c *change) result(ctx workflow.Context) (*PublishChangeResult, error) {
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return nil, err
	}
	out := &PublishChangeResult{ChangeStatus: c.status, Entries: []PublishedEntry{}}
	if p := c.published; p != nil && c.status.State == ChangePublished {
		out.SpaceID, out.Revision, out.Total, out.Unchanged, out.Merged, out.Entries = p.SpaceID, p.Revision, p.Total, p.Unchanged, p.Merged, p.Entries
	}
	return out, nil
}
