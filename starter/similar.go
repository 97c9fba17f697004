package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/mcp/tools"
	"github.com/tartan-ai/tartan/workflows"
)

// tool runs a reading tool of the MCP server in this process, as the caller, and decodes its answer.
func (a *app) tool(ctx context.Context, name string, args map[string]any, out any) error {
	return a.toolAs(ctx, access.Viewer, name, args, out)
}

// editorRole is for tools that write; the database refuses what the caller's own role does not allow.
const editorRole = access.Editor

// toolAs is tool for one that a role is needed for.
func (a *app) toolAs(ctx context.Context, role access.Role, name string, args map[string]any, out any) error {
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	embedder, err := a.embedder()
	if err != nil {
		return err
	}
	body, err := json.Marshal(args)
	if err != nil {
		return err
	}
	for _, t := range (&tools.Suite{Pool: a.pool, Embedder: embedder}).Tools() {
		if t.Name != name {
			continue
		}
		result, err := t.Call(ctx, tools.Call{Caller: caller, Role: role, Workspace: a.cfg.Workspace}, body)
		if err != nil {
			if told := tools.Explain(err); told != nil {
				return told
			}
			return err
		}
		return json.Unmarshal(result.Structured, out)
	}
	return fmt.Errorf("no tool %s", name)
}

// similarView is what similar prints, as the tool similar_patterns answers.
type similarView struct {
	Library  string `json:"library"`
	Revision int64  `json:"revision"`
	Patterns []struct {
		ID       pattern.ID `json:"id"`
		Name     string     `json:"name,omitempty"`
		Template string     `json:"template"`
		To       pattern.ID `json:"to,omitempty"`
		Score    float64    `json:"score"`
		Merge    bool       `json:"merge,omitempty"`
		Differs  []struct {
			Token int    `json:"token"`
			Here  string `json:"here"`
			There string `json:"there"`
		} `json:"differs,omitempty"`
	} `json:"patterns"`
}

var patternID = regexp.MustCompile(`^p[0-9a-f]{16}$`)

func (a *app) similarCommand() *cobra.Command {
	var library string
	var limit int
	c := &cobra.Command{
		Use:   "similar [ID|TEXT]",
		Short: "Patterns that mean nearly the same",
		Long: "Patterns that mean nearly the same as a pattern, or as any text, the nearest first, and the tokens in which they differ.\n" +
			"Without an argument: pairs of patterns that may be one, which is for you to decide.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s takes at most one ID or TEXT, got %d", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			in := map[string]any{"library": library, "limit": limit}
			if len(args) == 1 && patternID.MatchString(args[0]) {
				in["id"] = args[0]
			} else if len(args) == 1 {
				in["text"] = args[0]
			}
			var v similarView
			if err := a.tool(c.Context(), "similar_patterns", in, &v); err != nil {
				return err
			}
			return a.printSimilar(v)
		},
	}
	c.Flags().StringVarP(&library, "library", "l", defaultLibrary, "the library")
	c.Flags().IntVarP(&limit, "limit", "n", 10, "how many, at most 100")
	return c
}

func (a *app) printSimilar(v similarView) error {
	if a.json() {
		return a.printJSON(v)
	}
	table := [][]string{{"ID", "SCORE", "TEMPLATE", "DIFFERS"}}
	for _, p := range v.Patterns {
		var differs []string
		for _, d := range p.Differs {
			differs = append(differs, fmt.Sprintf("%d: %q, not %q", d.Token, d.Here, d.There))
		}
		if p.Merge {
			differs = append(differs, "may be one with "+string(p.To))
		}
		table = append(table, []string{string(p.ID), fmt.Sprintf("%.2f", p.Score), p.Template, strings.Join(differs, "; ")})
	}
	return a.table(table)
}

func (a *app) clusterCommand() *cobra.Command {
	var (
		library   string
		detach    bool
		threshold float64
	)
	c := &cobra.Command{
		Use:   "cluster FILE...",
		Short: "Group free text by meaning: tickets, messages, a text a line",
		Long: "Group free text by meaning, a text a line, from files that are plain, gzip or zstd; - is stdin.\n\n" +
			"The clusters are the patterns of a library of kind text. A workflow counts every text exactly once.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s wants at least one FILE", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if threshold <= 0 || threshold > 1 {
				return usage("--threshold: want a number above 0 and at most 1, got %v", threshold)
			}
			return a.mineWith(c.Context(), library, args, detach, func(ctx context.Context, t client.Client, caller access.Caller, source workflows.SourceRef) (string, string, bool, error) {
				return workflows.StartCluster(ctx, t, workflows.ClusterTextsInput{
					Caller: caller, Library: library, Source: source, Options: workflows.TextOptions{Threshold: threshold},
				})
			})
		},
	}
	f := c.Flags()
	f.StringVarP(&library, "library", "l", "texts", "the library, of kind text")
	f.BoolVar(&detach, "detach", false, "print the workflow ids and do not wait")
	f.Float64Var(&threshold, "threshold", 0.6, "likeness from which a text joins a cluster, from 0 to 1")
	return c
}
