package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/mcp/tools"
)

var update = flag.Bool("update", false, "write generated files")

const cliDocs = "../docs/cli.md"

// outputs are what commands print with --output json.
var outputs = []struct {
	command string
	value   any
	lines   bool // one object a line
}{
	{command: "patterns mine", value: struct {
		Library string       `json:"library"`
		Results []mineResult `json:"results"`
	}{}},
	{command: "patterns mine --offline", value: offlineResult{}},
	{command: "patterns list", value: struct {
		Library  string        `json:"library"`
		Patterns []patternView `json:"patterns"`
		Next     string        `json:"next,omitempty"`
	}{}},
	{command: "patterns show", value: patternView{}},
	{command: "patterns values", value: valuesView{}},
	{command: "patterns compare", value: comparisonView{}},
	{command: "patterns sequences", value: sequencesView{}},
	{command: "patterns try", value: triedReport{}},
	{command: "patterns draw", value: drawnView{}},
	{command: "patterns define, describe, merge, split, pin, unpin, ignore, unignore and undo", value: editView{}},
	{command: "patterns history", value: historyView{}},
	{command: "patterns export", value: exportView{}, lines: true},
	{command: "recognize", value: answer{}, lines: true},
	{command: "knowledge search", value: tools.Found{}},
	{command: "knowledge get", value: tools.Entry{}},
	{command: "knowledge propose, edit, link, review, amend, resolve and restore", value: tools.Change{}},
	{command: "knowledge validate", value: tools.Verdict{}},
	{command: "knowledge history, diff and blame", value: tools.History{}},
	{command: "knowledge import", value: importView{}},
	{command: "knowledge import --dry-run", value: dryImportView{}},
	{command: "knowledge export", value: exportedView{}},
	{command: "knowledge export --git", value: gitView{}},
	{command: "knowledge tag", value: tagsView{}},
	{command: "knowledge excise", value: excisionView{}},
	{command: "knowledge status", value: knowledgeStatusView{}},
	{command: "workflows list", value: struct {
		Workflows []runView `json:"workflows"`
		Next      string    `json:"next,omitempty"`
	}{}},
	{command: "workflows show", value: runView{}},
	{command: "status", value: stackView{}},
	{command: "doctor", value: []finding{}},
	{command: "version", value: versionReport{}},
}

func TestCommandDocs(t *testing.T) {
	a := &app{flags: map[string]*string{}, streams: streams{out: &bytes.Buffer{}, err: &bytes.Buffer{}}}
	root := a.root()
	root.InitDefaultHelpCmd()
	var b strings.Builder
	b.WriteString(`# Command line

Generated from the commands themselves by ` + "`make generate`" + `.

Data goes to stdout, progress and messages to stderr. With ` + "`--output json`" + ` the fields below are stable: fields may be added, none is
renamed or removed. Colour is used on a terminal only, and not where ` + "`NO_COLOR`" + ` is set. Times are UTC.

| exit code | meaning |
|---|---|
| 0 | it worked |
| 1 | it failed |
| 2 | it was called wrongly |
| 3 | what was named was not found |
| 4 | you may not |
| 5 | a server cannot be reached |

`)
	describe(&b, root)
	b.WriteString("## JSON\n")
	for _, o := range outputs {
		fmt.Fprintf(&b, "\n### tartan %s\n\n", o.command)
		if o.lines {
			b.WriteString("One object a line:\n\n")
		}
		b.WriteString("```\n" + shapeOf(reflect.TypeOf(o.value), "") + "\n```\n")
	}
	if *update {
		require.NoError(t, os.WriteFile(cliDocs, []byte(b.String()), 0o644))
	}
	got, err := os.ReadFile(cliDocs)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(got), "run: make generate")
}

func describe(b *strings.Builder, c *cobra.Command) {
	if c.Hidden || c.Name() == "help" {
		return
	}
	fmt.Fprintf(b, "## %s\n\n", c.CommandPath())
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintf(b, "%s\n\n```\n%s\n```\n\n", text, c.UseLine())
	flags := c.NonInheritedFlags()
	if flags.HasAvailableFlags() {
		b.WriteString("| flag | default | |\n|---|---|---|\n")
		flags.VisitAll(func(f *pflag.Flag) {
			if f.Hidden || f.Name == "help" {
				return
			}
			name := "--" + f.Name
			if f.Shorthand != "" {
				name = "-" + f.Shorthand + ", " + name
			}
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, f.DefValue, f.Usage)
		})
		b.WriteByte('\n')
	}
	for _, sub := range c.Commands() {
		describe(b, sub)
	}
}

// shapeOf writes a type as the JSON it becomes.
func shapeOf(t reflect.Type, indent string) string {
	switch t.Kind() {
	case reflect.Pointer:
		return shapeOf(t.Elem(), indent)
	case reflect.Slice:
		return "[" + shapeOf(t.Elem(), indent) + "]"
	case reflect.Map:
		return "{name: " + shapeOf(t.Elem(), indent) + "}"
	case reflect.Struct:
		if t.String() == "time.Time" {
			return "time"
		}
		return "{\n" + fieldsOf(t, indent+"  ") + indent + "}"
	case reflect.Int, reflect.Int64:
		return "integer"
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "boolean"
	default:
		return "string"
	}
}

func fieldsOf(t reflect.Type, indent string) string {
	var b strings.Builder
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			e := f.Type
			if e.Kind() == reflect.Pointer {
				e = e.Elem()
			}
			for _, l := range strings.SplitAfter(fieldsOf(e, indent), "\n") {
				if !strings.Contains(b.String(), l) { // an outer field of the same name is what is written
					b.WriteString(l)
				}
			}
			continue
		}
		if strings.Contains(options, "omit") {
			name += "?"
		}
		fmt.Fprintf(&b, "%s%s: %s\n", indent, name, shapeOf(f.Type, indent))
	}
	return b.String()
}
