package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/temporal"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/workflows"
)

// excisionView is what --output json prints of an excision.
type excisionView struct {
	ID        string   `json:"excision"`
	State     string   `json:"state"` // planned with --dry-run, waiting, excised, rejected or expired
	Why       string   `json:"why,omitempty"`
	Entry     string   `json:"entry,omitempty"`
	Documents int      `json:"documents"` // to be destroyed, or that were
	Deleted   []string `json:"deleted"`   // entries that were current with one of them, at most 64
	Workflow  string   `json:"workflow,omitempty"`
}

func (a *app) knowledgeExcise() *cobra.Command {
	var reason, approve, reject, note string
	var numbers []int
	var dry bool
	c := &cobra.Command{
		Use:   "excise ENTRY --reason WHY",
		Short: "Destroy texts of an entry for legal reasons, once another reviewer approves",
		Long: "Destroy texts of an entry for legal reasons, once another reviewer approves. Their hashes, the revisions and the reason stay. An entry\n" +
			"whose current text is destroyed is deleted. It cannot be undone; to delete an entry otherwise, propose --delete.",
		Example: "  tartan knowledge excise ops/disk-full --revision 3 --reason 'request 17' --dry-run\n" +
			"  tartan knowledge excise ops/disk-full --revision 3 --reason 'request 17'\n" +
			"  tartan knowledge excise --approve ID                                     # as another reviewer",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 == (approve != "" || reject != "") || approve != "" && reject != "" {
				return fmt.Errorf("%s wants an entry, or --approve or --reject with the id of an excision", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.excise(c.Context(), args[0], reason, numbers, dry)
			}
			if dry {
				return usage("--dry-run is for asking for an excision, not for deciding about one")
			}
			if reject != "" {
				return a.decideExcision(c.Context(), reject, workflows.UpdateReject, note)
			}
			return a.decideExcision(c.Context(), approve, workflows.UpdateApprove, note)
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why: it is what is left")
	c.Flags().IntSliceVarP(&numbers, "revision", "r", nil, "revisions whose texts go (default all)")
	c.Flags().BoolVar(&dry, "dry-run", false, "say what would be destroyed, and ask for nothing")
	c.Flags().StringVar(&approve, "approve", "", "id of an excision to approve, as another reviewer than who asked")
	c.Flags().StringVar(&reject, "reject", "", "id of an excision to reject")
	c.Flags().StringVar(&note, "note", "", "why it is rejected")
	return c
}

func (a *app) excise(ctx context.Context, address, reason string, numbers []int, dry bool) error {
	space, slug, ok := strings.Cut(address, "/")
	if !ok {
		return usage("%q is no entry: want space/slug", address)
	}
	if reason == "" {
		return usage("say why: --reason TEXT. It is what is left of the text")
	}
	for _, n := range numbers {
		if n < 1 {
			return usage("--revision %d: revisions are counted from 1", n)
		}
	}
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	in := workflows.ExciseInput{ExciseInput: activities.ExciseInput{Caller: caller, Space: space, Slug: slug, Numbers: numbers, Reason: reason}, ChangeID: uuid.New()}
	plan, err := (&activities.Knowledge{Pool: a.pool}).PlanExcision(ctx, in.ExciseInput)
	if err != nil {
		var app *temporal.ApplicationError
		if errors.As(err, &app) {
			return refusal("excise "+address, &workflows.Failure{Type: app.Type(), Message: app.Message()})
		}
		return err
	}
	view := excisionView{State: "planned", Entry: address, Documents: plan.Revisions, Deleted: []string{}}
	if dry {
		return a.printExcision(view)
	}
	service, err := a.workflowService(ctx)
	if err != nil {
		return err
	}
	id, _, err := workflows.StartExcise(ctx, service, in)
	if err != nil {
		return fmt.Errorf("ask for the excision of %s: %w", address, err)
	}
	view.ID, view.Workflow, view.State = in.ChangeID.String(), id, "waiting"
	if err := a.printExcision(view); err != nil {
		return err
	}
	a.say("it waits for another reviewer of space %s:\n  tartan knowledge excise --approve %s", space, view.ID)
	return nil
}

func (a *app) decideExcision(ctx context.Context, text, update, note string) error {
	change, err := uuid.Parse(text)
	if err != nil {
		return usage("%q is no id of an excision", text)
	}
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	service, err := a.workflowService(ctx)
	if err != nil {
		return err
	}
	id := workflows.ExciseID(caller.WorkspaceID, change)
	out, failed, err := workflows.DecideExcise(ctx, service, id, update, workflows.ReviewChangeInput{Caller: caller, Note: note})
	switch {
	case errors.Is(err, workflows.ErrFinished):
		return &failure{code: codeNotFound, what: "no excision " + text + " waits", next: "tartan workflows list"}
	case err != nil:
		return err
	case failed != nil:
		return refusal(update+" excision "+text, failed)
	}
	return a.printExcision(excisionView{ID: text, State: out.State, Why: out.Why, Documents: out.Hashes, Deleted: append([]string{}, out.Deleted...), Workflow: id})
}

// refusal is what a step of a workflow refused, with its exit code.
func refusal(doing string, f *workflows.Failure) error {
	code, next := codeFailure, "mend what is said"
	switch f.Type {
	case activities.Denied:
		code, next = codeDenied, "ask another reviewer of the space"
	case activities.KnowledgeMissing:
		code, next = codeNotFound, "tartan knowledge history"
	}
	return &failure{code: code, what: doing, why: errors.New(f.Message), next: next}
}

func (a *app) printExcision(v excisionView) error {
	if a.json() {
		return a.printJSON(v)
	}
	return a.table([][]string{{"EXCISION", "STATE", "DOCUMENTS", "DELETED", "WHY"}, {v.ID, v.State, count(int64(v.Documents)), strings.Join(v.Deleted, " "), v.Why}})
}
