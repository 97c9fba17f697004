package tools

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/export"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// exportLines is how many example lines an expression is fitted to.
const exportLines = 100

type exportArgs struct {
	ID      string `json:"id" required:"true" doc:"Pattern id"`
	Format  string `json:"format" enum:"regex|grok|otel" default:"regex" note:"otel is configuration of an OpenTelemetry collector"`
	Library string `json:"library" default:"default"`
}

type exported struct {
	ID       pattern.ID `json:"id"`
	Format   string     `json:"format"`
	Template string     `json:"template"`
	Text     string     `json:"text"`
	Groups   []string   `json:"groups,omitempty"` // of the slots, in order
	Slots    []string   `json:"slots"`
	Matched  int        `json:"matched"`  // example lines that it takes, value for value
	Examples int        `json:"examples"` // that were tried
}

func (s *Suite) exportPattern() Tool {
	return define[exportArgs, exported](Tool{
		Name: "export_pattern", Title: "Export a pattern", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "A pattern as regular expression, grok or OpenTelemetry collector configuration.",
	}, func(ctx context.Context, c Call, in exportArgs) (exported, string, error) {
		p, lines, err := s.patternWithLines(ctx, c, in.Library, pattern.ID(in.ID))
		if err != nil {
			return exported{}, "", err
		}
		out := exported{ID: p.ID, Format: in.Format, Template: cut(p.Template, 4000), Slots: []string{}, Examples: len(lines)}
		for _, slot := range p.Slots {
			out.Slots = append(out.Slots, slot.Name)
		}
		found, _ := export.As(in.Format, p, lines)
		out.Text, out.Groups, out.Matched = found.Text, found.Names, found.Matched
		return out, fmt.Sprintf("%s as %s, takes %d of %s\n%s", p.ID, in.Format, out.Matched, plural(len(lines), "example"), out.Text), nil
	})
}

// patternWithLines reads a pattern and the examples of its shapes.
func (s *Suite) patternWithLines(ctx context.Context, c Call, library string, id pattern.ID) (p pattern.Pattern, lines []export.Line, err error) {
	entry, err := s.entry(ctx, c, library, 0)
	if err != nil {
		return p, nil, err
	}
	err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		row, err := s.patternRow(ctx, tx, entry.Library.ID, library, id)
		if err != nil {
			return err
		}
		p = pattern.Pattern{ID: row.ID, Template: row.Template, Slots: row.Slots}
		examples, err := postgres.Examples(ctx, tx, entry.Library.ID, row.ID, exportLines)
		texts := make([]string, len(examples))
		for i, e := range examples {
			texts[i] = e.Line
		}
		lines = export.Lines(entry.Index, row.ID, texts)
		return err
	})
	return p, lines, err
}
