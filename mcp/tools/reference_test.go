package tools

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const reference = "../../docs/tools.md"

// TestReference holds docs/tools.md to the tools.
func TestReference(t *testing.T) {
	text := renderReference()
	if *update {
		require.NoError(t, os.WriteFile(reference, []byte(text), 0o644))
	}
	got, err := os.ReadFile(reference)
	require.NoError(t, err)
	require.Equal(t, text, string(got), "run: go generate ./mcp/tools")
}

func renderReference() string {
	var b strings.Builder
	b.WriteString("# Tools\n\nGenerated from `mcp/tools` by `go generate ./mcp/tools`. How to connect, tokens and limits: [mcp.md](mcp.md).\n\n")
	b.WriteString("| tool | needs | does |\n|---|---|---|\n")
	all := new(Suite).Tools()
	for _, t := range all {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", t.Name, t.Name, t.Role, t.Description)
	}
	for i := range all {
		renderTool(&b, &all[i])
	}
	b.WriteString("\n## Prompts\n\n| prompt | takes | gives |\n|---|---|---|\n")
	for _, p := range new(Suite).Prompts() {
		var takes []string
		for _, a := range p.Arguments() {
			takes = append(takes, "`"+a.Name+"`: "+a.Description)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.Name, strings.Join(takes, "; "), p.Description)
	}
	b.WriteString("\n## Resources\n\n| address | what |\n|---|---|\n")
	for _, r := range Templates() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", r.URI, r.Description)
	}
	b.WriteString("\n## What the server tells a client\n\n```text\n" + Instructions + "\n```\n")
	return b.String()
}

func renderTool(b *strings.Builder, t *Tool) {
	fmt.Fprintf(b, "\n## %s\n\n%s Needs the role %s. ", t.Name, t.Description, t.Role)
	switch {
	case t.ReadOnly:
		b.WriteString("It changes nothing.\n")
	case !t.Idempotent:
		undo := "edit_pattern"
		if t.Name == "propose_change" || strings.HasSuffix(t.Name, "_knowledge") {
			undo = "restore_knowledge"
		}
		b.WriteString("It is undone with `" + undo + "`; doing it twice with the same key is doing it once.\n")
	case t.Destructive:
		b.WriteString("It may undo something; doing it twice is doing it once.\n")
	default:
		b.WriteString("It adds; doing it twice is doing it once.\n")
	}
	if len(t.args.fields) == 0 {
		b.WriteString("\nIt takes no arguments.\n")
		return
	}
	b.WriteString("\n| argument | type | default | |\n|---|---|---|---|\n")
	for _, f := range t.args.fields {
		kind, fallback := typeName(f), f.fallback
		if f.required {
			fallback = "required"
		}
		if fallback != "" {
			fallback = "`" + fallback + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.name, kind, strings.ReplaceAll(fallback, "`required`", "required"), strings.Trim(f.doc+". "+f.note, ". "))
	}
}

func typeName(f field) string {
	switch f.parser.(type) {
	case *wordList:
		return "array of strings, or text with commas"
	case *optionalText:
		return "text"
	case *optionalBool:
		return "true or false"
	}
	switch {
	case len(f.enum) > 0:
		return strings.Join(f.enum, ", ")
	case f.parser != nil && strings.Contains(f.parser.schema(), "number"):
		return "array of numbers, or of such arrays"
	case f.parser != nil && strings.Contains(f.parser.schema(), "array"):
		return "array of strings, or text"
	case f.parser != nil:
		return "time or age"
	case f.kind.String() == "int":
		return fmt.Sprintf("%d to %d", f.low, f.high)
	case f.kind.String() == "bool":
		return "true or false"
	}
	return "text"
}
