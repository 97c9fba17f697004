package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/completion"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/provider"
	"github.com/tartan-ai/tartan/internal/routing"
	"github.com/tartan-ai/tartan/workflows"
)

// callPatience is how long a call may take: three attempts of the longest kind.
const callPatience = 36 * time.Minute

// modelRun is what `tartan models run` asks for.
type modelRun struct {
	task, agent, model, key string
	tokens                  int
	dial                    int
	maxCost                 string
}

func (a *app) modelsRunCommand() *cobra.Command {
	var m modelRun
	c := &cobra.Command{
		Use:   "run [PROMPT...]",
		Short: "Ask a model, durably and within the budgets, and print its answer",
		Long: "Ask a model: the workflow Complete decides, reserves what the call may cost, calls, and settles. Without PROMPT, or with -, it is read from standard\n" +
			"input. The same --key is the same call: it is paid for once, and answered from what it got.",
		RunE: func(c *cobra.Command, args []string) error { return a.runModel(c.Context(), m, args) },
	}
	c.Flags().StringVar(&m.task, "task", "", "what kind of work it is, as summarize_incident")
	c.Flags().StringVar(&m.agent, "agent", "", "the agent whose budget it falls under")
	c.Flags().StringVar(&m.model, "model", completion.Auto, "auto, or a model of: tartan models list")
	c.Flags().StringVar(&m.key, "key", "", "what makes this call this call (default: a fresh one)")
	c.Flags().IntVar(&m.tokens, "max-tokens", 1000, "tokens of the answer at most")
	c.Flags().IntVar(&m.dial, "dial", 50, "0 the cheapest to 100 the best")
	c.Flags().StringVar(&m.maxCost, "max-cost", "", "US dollars that the call may cost at most, as 0.05")
	return c
}

func (a *app) runModel(ctx context.Context, m modelRun, args []string) error {
	prompt := strings.Join(args, " ")
	if prompt == "" || prompt == "-" {
		text, err := io.ReadAll(io.LimitReader(a.in, 1<<20))
		if err != nil {
			return fmt.Errorf("read the prompt: %w", err)
		}
		prompt = string(text)
	}
	if strings.TrimSpace(prompt) == "" {
		return usage("the prompt is empty")
	}
	if m.dial < 0 || m.dial > 100 {
		return usage("--dial %d: want 0 to 100", m.dial)
	}
	var most routing.Money
	if m.maxCost != "" {
		var err error
		if most, err = parseUSD(m.maxCost); err != nil {
			return usage("--max-cost %s", err)
		}
	}
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return err
	}
	if m.key == "" {
		m.key = uuid.NewString()
	}
	id, _, _, err := workflows.StartComplete(ctx, temporal, workflows.CompleteInput{Call: activities.ModelCall{
		Caller: caller, Key: m.key, Task: m.task, Agent: m.agent, Dial: float64(m.dial) / 100, MaxCost: most,
		Request: provider.Request{Model: m.model, MaxTokens: m.tokens, Messages: []provider.Message{{Role: "user", Content: provider.Content{Text: prompt}}}},
	}})
	if err != nil {
		return err
	}
	got, failed, err := workflows.CompleteAnswer(ctx, temporal, id, callPatience)
	switch {
	case failed != nil:
		err = errors.New(failed.Message)
	case err == nil && got == nil:
		err = fmt.Errorf("the call %s goes on", id)
	}
	if err != nil {
		return &failure{code: codeFailure, what: "ask a model", why: err, next: "tartan models list, tartan models budget list"}
	}
	if a.json() {
		return a.printJSON(got)
	}
	fmt.Fprintln(a.out, got.Text)
	a.say("%s, %s, %d tokens in, %d out", got.Model, got.Total.USD(), got.Usage.Input, got.Usage.Output)
	return nil
}

func (a *app) modelsBudgetCommand() *cobra.Command {
	var period, agent, task string
	c := &cobra.Command{
		Use:   "budget",
		Short: "What may be spent on models, and what was",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	which := func() (postgres.Budget, error) {
		b := postgres.Budget{Scope: "workspace", Period: period}
		switch {
		case agent != "" && task != "":
			return b, usage("give --agent or --task, not both")
		case agent != "":
			b.Scope, b.Name = "agent", agent
		case task != "":
			b.Scope, b.Name = "task", task
		}
		if period != "day" && period != "month" && period != "total" {
			return b, usage("--period %q: want day, month or total", period)
		}
		return b, nil
	}
	set := &cobra.Command{
		Use: "set USD", Short: "Set a limit in US dollars, as 25 or 0.5", Args: exactly(1, "an amount"),
		Long: "Set a limit in US dollars, of the workspace, or of an agent or a task. A call falls under all that it belongs to. Admins may.",
		RunE: func(c *cobra.Command, args []string) error {
			b, err := which()
			if err != nil {
				return err
			}
			if b.Limit, err = parseUSD(args[0]); err != nil {
				return usage("%s", err)
			}
			return a.budgets(c.Context(), func(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) error {
				return postgres.SetBudget(ctx, tx, workspace, b)
			})
		},
	}
	remove := &cobra.Command{
		Use: "remove", Short: "Remove a limit", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := which()
			if err != nil {
				return err
			}
			return a.budgets(c.Context(), func(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) error {
				return postgres.RemoveBudget(ctx, tx, workspace, b.Scope, b.Name, b.Period)
			})
		},
	}
	for _, s := range []*cobra.Command{set, remove} {
		s.Flags().StringVar(&period, "period", "month", "day, month or total")
		s.Flags().StringVar(&agent, "agent", "", "of this agent")
		s.Flags().StringVar(&task, "task", "", "of this task")
	}
	c.AddCommand(set, remove, &cobra.Command{
		Use: "list", Short: "List the limits with what was spent and is held", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.budgets(c.Context(), nil) },
	})
	return c
}

// budgets does something about budgets as the caller, and prints those that there are then.
func (a *app) budgets(ctx context.Context, do func(context.Context, pgx.Tx, uuid.UUID) error) error {
	pool, err := a.database(ctx)
	if err != nil {
		return err
	}
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	var all []postgres.Budget
	err = postgres.InWorkspace(ctx, pool, caller, func(tx pgx.Tx) (err error) {
		if do != nil {
			if err := do(ctx, tx, caller.WorkspaceID); err != nil {
				return err
			}
		}
		all, err = postgres.Budgets(ctx, tx, caller.WorkspaceID)
		return err
	})
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(map[string]any{"budgets": all})
	}
	if len(all) == 0 {
		fmt.Fprintln(a.out, "nothing limits what is spent; set a limit with: tartan models budget set USD")
		return nil
	}
	rows := [][]string{{"OF", "PERIOD", "LIMIT", "SPENT", "HELD", "SINCE"}}
	for _, b := range all {
		rows = append(rows, []string{strings.TrimSpace(b.Scope + " " + b.Name), b.Period, b.Limit.USD(), b.Spent.USD(), b.Reserved.USD(), b.PeriodStart.UTC().Format("2006-01-02")})
	}
	return a.table(rows)
}

// parseUSD reads an amount of US dollars, to the micro-dollar.
func parseUSD(text string) (routing.Money, error) {
	x, err := strconv.ParseFloat(strings.TrimPrefix(text, "$"), 64)
	if err != nil || math.IsNaN(x) || x < 0 || x > 1e9 {
		return 0, fmt.Errorf("%q is no amount of US dollars: want 0 to 1000000000, as 25 or 0.5", text)
	}
	return routing.Money(math.Round(x * 1e6)), nil
}
