package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/routing"
)

// modelsCommand groups what is done about models.
func (a *app) modelsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "models",
		Short: "Which models there are, which one to ask, and how they did",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.modelsListCommand(), a.modelsRouteCommand(), a.modelsStatsCommand(), a.modelsReportCommand(), a.modelsRunCommand(), a.modelsBudgetCommand())
	return c
}

// modelsView is what list and stats print, as the tool list_models answers.
type modelsView struct {
	Models []struct {
		Model    string   `json:"model"`
		Can      []string `json:"can"`
		Context  int      `json:"context_tokens,omitempty"`
		Input    int64    `json:"input_per_mtok"`
		Output   int64    `json:"output_per_mtok"`
		State    string   `json:"state"`
		Latency  int64    `json:"latency_ms,omitempty"`
		Failures int64    `json:"failures,omitempty"`
		Tasks    []struct {
			Task    string  `json:"task,omitempty"`
			Calls   int64   `json:"calls"`
			Judged  int64   `json:"judged"`
			Quality float64 `json:"quality"`
			Cost    int64   `json:"cost"`
		} `json:"tasks,omitempty"`
	} `json:"models"`
}

func (a *app) modelsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "The models of the workspace, their prices and health",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var v modelsView
			if err := a.tool(c.Context(), "list_models", nil, &v); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(v)
			}
			table := [][]string{{"MODEL", "CAN", "CONTEXT", "IN $/MTOK", "OUT $/MTOK", "STATE", "LATENCY"}}
			for _, m := range v.Models {
				table = append(table, []string{
					m.Model, strings.Join(m.Can, ","), fmt.Sprint(m.Context), fmt.Sprintf("%.3f", float64(m.Input)/1e6),
					fmt.Sprintf("%.3f", float64(m.Output)/1e6), m.State, fmt.Sprintf("%d ms", m.Latency),
				})
			}
			return a.table(table)
		},
	}
}

func (a *app) modelsStatsCommand() *cobra.Command {
	var days int
	c := &cobra.Command{
		Use:   "stats",
		Short: "How the models did, by task",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var v modelsView
			if err := a.tool(c.Context(), "list_models", map[string]any{"days": days}, &v); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(v)
			}
			table := [][]string{{"MODEL", "TASK", "OUTCOMES", "JUDGED", "QUALITY", "COST"}}
			for _, m := range v.Models {
				for _, t := range m.Tasks {
					table = append(table, []string{m.Model, t.Task, fmt.Sprint(t.Calls), fmt.Sprint(t.Judged), fmt.Sprintf("%.3f", t.Quality), routing.Money(t.Cost).USD()})
				}
			}
			return a.table(table)
		},
	}
	c.Flags().IntVar(&days, "days", 30, "how far back, at most 365")
	return c
}

// routeView is what route prints, as the tool route_model answers.
type routeView struct {
	Decision string `json:"decision"`
	Model    string `json:"model"`
	Reason   string `json:"reason"`
	Explored bool   `json:"explored,omitempty"`
	Unlike   bool   `json:"out_of_domain,omitempty"`
	Ranked   []struct {
		Model    string  `json:"model"`
		Score    float64 `json:"score"`
		Quality  float64 `json:"quality"`
		Spread   float64 `json:"spread"`
		Cost     int64   `json:"cost"`
		Worst    int64   `json:"worst_cost"`
		Latency  int64   `json:"latency_ms,omitempty"`
		Outcomes int     `json:"outcomes"`
	} `json:"ranked"`
	Refused []struct {
		Model  string `json:"model"`
		Reason string `json:"reason"`
	} `json:"refused,omitempty"`
}

func (a *app) modelsRouteCommand() *cobra.Command {
	var task, pattern string
	var needs []string
	var maxOutput, dial int
	c := &cobra.Command{
		Use:   "route [PROMPT]",
		Short: "Choose a model for a prompt, and say why",
		Long: "Choose a model for PROMPT, or for what stands on standard input, and say why. No model is called. The decision is recorded,\n" +
			"so that tartan models report can tell how the answer was.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s takes one PROMPT, got %d; put it in quotes", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				body, err := io.ReadAll(io.LimitReader(c.InOrStdin(), 64<<10))
				if err != nil {
					return err
				}
				args = []string{string(body)}
			}
			in := map[string]any{"prompt": args[0], "task": task, "pattern": pattern, "max_output": maxOutput, "dial": dial, "needs": strings.Join(needs, ",")}
			var v routeView
			if err := a.toolAs(c.Context(), editorRole, "route_model", in, &v); err != nil {
				return err
			}
			return a.printRoute(v)
		},
	}
	c.Flags().StringVar(&task, "task", "", "kind of work, a stable name")
	c.Flags().StringVar(&pattern, "pattern", "", "id of the pattern it is about")
	c.Flags().StringSliceVar(&needs, "needs", nil, "tools, json, vision, embed")
	c.Flags().IntVar(&maxOutput, "max-output", 0, "tokens")
	c.Flags().IntVar(&dial, "dial", 70, "0, the cheapest, to 100, the best")
	return c
}

func (a *app) printRoute(v routeView) error {
	if a.json() {
		return a.printJSON(v)
	}
	fmt.Fprintf(a.out, "%s\ndecision %s\n", v.Reason, v.Decision)
	table := [][]string{{"MODEL", "SCORE", "QUALITY", "OUTCOMES", "COST", "AT MOST", "LATENCY"}}
	for _, m := range v.Ranked {
		table = append(table, []string{
			m.Model, fmt.Sprintf("%.3f", m.Score), fmt.Sprintf("%.2f ± %.2f", m.Quality, m.Spread), fmt.Sprint(m.Outcomes),
			routing.Money(m.Cost).USD(), routing.Money(m.Worst).USD(), fmt.Sprintf("%d ms", m.Latency),
		})
	}
	for _, r := range v.Refused {
		table = append(table, []string{r.Model, "-", r.Reason})
	}
	return a.table(table)
}

func (a *app) modelsReportCommand() *cobra.Command {
	var model, failed string
	var quality int
	c := &cobra.Command{
		Use:   "report DECISION",
		Short: "Tell how the answer of a chosen model was",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%s wants one DECISION, got %d", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			var v struct {
				Model string `json:"model"`
				New   bool   `json:"new"`
			}
			in := map[string]any{"decision": args[0], "model": model, "quality": quality, "failed": failed, "source": "feedback"}
			if err := a.toolAs(c.Context(), editorRole, "report_outcome", in, &v); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(v)
			}
			text := "learned about " + v.Model
			if !v.New {
				text = "feedback about " + v.Model + " was given before"
			}
			fmt.Fprintln(a.out, text)
			return nil
		},
	}
	c.Flags().StringVar(&model, "model", "", "the model that answered; the first chosen unless given")
	c.Flags().IntVar(&quality, "quality", -1, "of the answer, 0 to 100; -1 is not judged")
	c.Flags().StringVar(&failed, "failed", "", "how the call failed: "+strings.Join(routing.Classes(), ", "))
	return c
}
