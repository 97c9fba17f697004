package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/export"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// exportLines is how many example lines an expression is fitted to.
const exportLines = 100

// exportView is a pattern in another program's language: one JSON object a line with --output json.
type exportView struct {
	ID       pattern.ID `json:"id"`
	Format   string     `json:"format"`
	Template string     `json:"template"`
	Text     string     `json:"text"`
	Groups   []string   `json:"groups,omitempty"`
	Matched  int        `json:"matched"`  // example lines that it takes, value for value
	Examples int        `json:"examples"` // that were tried
}

func (a *app) exportCommand() *cobra.Command {
	var (
		library, format string
		all             bool
	)
	c := &cobra.Command{
		Use:   "export [PATTERN]",
		Short: "Write patterns as regular expression, grok or OpenTelemetry configuration",
		Long: "Write a pattern, or with --all every pattern of the library, as an anchored regular expression (RE2 and PCRE), as grok, or as\n" +
			"configuration of an OpenTelemetry collector. Expressions are as strict as the examples of the pattern allow.",
		Args: func(c *cobra.Command, args []string) error {
			if all != (len(args) == 0) || len(args) > 1 {
				return fmt.Errorf("%s wants a pattern id, or --all", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if _, ok := export.As(format, pattern.Pattern{}, nil); !ok {
				return usage("--format %q: want regex, grok or otel", format)
			}
			entry, err := a.index(c.Context(), library)
			if err != nil {
				return err
			}
			return a.query(c.Context(), library, func(tx pgx.Tx, _ access.Caller, lib postgres.Library) error {
				if all {
					return a.exportAll(c.Context(), tx, entry, format)
				}
				row, err := postgres.PatternByID(c.Context(), tx, lib.ID, pattern.ID(args[0]))
				if err != nil {
					return notFound(err, fmt.Sprintf("pattern %s in library %q", args[0], library), "tartan patterns list --library "+library)
				}
				return a.exportRow(c.Context(), tx, entry, row, format)
			})
		},
	}
	c.Flags().StringVarP(&library, "library", "l", defaultLibrary, "the library")
	c.Flags().StringVar(&format, "format", "regex", "regex, grok or otel")
	c.Flags().BoolVar(&all, "all", false, "every pattern, the most frequent first")
	return c
}

func (a *app) exportAll(ctx context.Context, tx pgx.Tx, entry *feed.Entry, format string) error {
	for after := ""; ; {
		rows, next, err := postgres.Patterns(ctx, tx, postgres.ListPatterns{Library: entry.Library.ID, Limit: 1000, After: after})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := a.exportRow(ctx, tx, entry, row, format); err != nil {
				return err
			}
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// exportRow writes one pattern, with its id and template as a comment.
func (a *app) exportRow(ctx context.Context, tx pgx.Tx, entry *feed.Entry, row postgres.PatternRow, format string) error {
	examples, err := postgres.Examples(ctx, tx, entry.Library.ID, row.ID, exportLines)
	if err != nil {
		return err
	}
	texts := make([]string, len(examples))
	for i, e := range examples {
		texts[i] = e.Line
	}
	p := pattern.Pattern{ID: row.ID, Template: row.Template, Slots: row.Slots}
	lines := export.Lines(entry.Index, row.ID, texts)
	e, _ := export.As(format, p, lines)
	v := exportView{ID: p.ID, Format: format, Template: p.Template, Text: e.Text, Groups: e.Names, Matched: e.Matched, Examples: len(lines)}
	if a.json() {
		enc := json.NewEncoder(a.out)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	_, err = io.WriteString(a.out, fmt.Sprintf("# %s %s\n%s\n", v.ID, clip(v.Template, 200), v.Text))
	return err
}
