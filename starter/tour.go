package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// tourLibrary is where the tour puts the patterns of the machine's own logs: where an MCP client looks first.
const tourLibrary = defaultLibrary

// tourShown is how many patterns the tour prints.
const tourShown = 15

func (a *app) tourCommand() *cobra.Command {
	var (
		o    upOptions
		exit bool
	)
	c := &cobra.Command{
		Use:   "tour",
		Short: "Show the main job: start the stack, mine this machine's own logs, recognise new lines over MCP",
		Long: "Show the main job on real input: start the local stack, mine the logs of this machine and of the stack itself, print\n" +
			"the patterns, ask over MCP what new lines are, and stay up until Ctrl-C.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			limitMemory(upMemory)
			if !a.stack.Alive() {
				s, err := a.launch(c.Context(), o)
				if err != nil {
					return err
				}
				defer func() {
					a.say("stopping")
					if e := s.stop(context.WithoutCancel(c.Context())); err == nil {
						err = e
					}
				}()
			}
			if err := a.tour(c.Context()); err != nil || exit {
				return err
			}
			a.say("The stack stays up. Ctrl-C stops it.")
			<-c.Context().Done()
			return nil
		},
	}
	o.flags(c)
	c.Flags().BoolVar(&exit, "exit", false, "stop at the end instead of staying up")
	return c
}

func (a *app) tour(ctx context.Context) error {
	if err := a.tourMine(ctx); err != nil {
		return err
	}
	rows, examples, err := a.tourPatterns(ctx)
	if err != nil {
		return err
	}
	token, err := a.issueToken(a.cfg.JWTAudience, 30*24*time.Hour)
	if err != nil {
		return err
	}
	if err := a.tourRecognize(ctx, token, newLines(rows, examples)); err != nil {
		return err
	}
	a.printSnippet(token)
	return nil
}

// tourMine mines what is new in the machine's logs, each log in a durable workflow of its own.
func (a *app) tourMine(ctx context.Context) error {
	marks, err := readMarks(a.cfg.DataDir)
	if err != nil {
		return err
	}
	parts := newParts(ctx, a.cfg.DataDir, marks)
	if len(parts) == 0 && len(marks) == 0 {
		return &failure{code: codeNotFound, what: "no log of this machine can be read by this user", next: "tartan patterns mine FILE"}
	}
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return err
	}
	begun, lines := time.Now(), int64(0)
	var runs []started
	for _, p := range parts {
		s, err := a.submit(ctx, temporal, caller, linesInto(tourLibrary, observing{}), p.name, bytes.NewReader(p.text))
		if err != nil {
			return err
		}
		runs = append(runs, s)
	}
	done := maps.Clone(marks)
	for i, s := range runs {
		r, err := a.follow(ctx, temporal, caller, s)
		if err != nil {
			return err
		}
		lines += r.Lines
		done[parts[i].name] = parts[i].done
		a.say("mined %s: %s lines, %s new patterns", s.file, count(r.Lines), count(r.NewPatterns))
	}
	if len(runs) > 0 {
		a.say("%s lines of %d logs in %.1f s", count(lines), len(runs), time.Since(begun).Seconds())
	} else {
		a.say("nothing is new in the logs since the last tour")
	}
	return writeMarks(a.cfg.DataDir, done)
}

// tourPatterns prints the most frequent patterns and returns them with an example line each.
func (a *app) tourPatterns(ctx context.Context) (rows []postgres.PatternRow, examples []string, err error) {
	var histograms map[pattern.ID][]postgres.Bucket
	var total int64
	err = a.query(ctx, tourLibrary, func(tx pgx.Tx, _ access.Caller, lib postgres.Library) error {
		total = lib.Patterns
		if rows, _, err = postgres.Patterns(ctx, tx, postgres.ListPatterns{Library: lib.ID, Limit: tourShown}); err != nil {
			return err
		}
		for _, r := range rows {
			ex, err := postgres.Examples(ctx, tx, lib.ID, r.ID, 1)
			if err != nil {
				return err
			}
			text := ""
			if len(ex) > 0 {
				text = ex[0].Line
			}
			examples = append(examples, text)
		}
		histograms, err = histogramsOf(ctx, tx, lib.ID, rows, time.Time{}, time.Time{})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(a.out, "\nThe %d most frequent of %s patterns in this machine's logs:\n\n", len(rows), count(total))
	if err := a.printPatterns(tourLibrary, rows, histograms, ""); err != nil {
		return nil, nil, err
	}
	return rows, examples, nil
}

// newLines makes lines that were never logged: real ones with other digits, and one of no known pattern.
func newLines(rows []postgres.PatternRow, examples []string) []string {
	var out []string
	for i, r := range rows {
		if len(out) == 4 {
			break
		}
		if examples[i] == "" || !strings.Contains(r.Template, pattern.Wildcard) {
			continue
		}
		out = append(out, otherDigits(examples[i]))
	}
	return append(out, "loom 7 stopped: the weft of bolt 12 broke after 340 picks")
}

// otherDigits turns each digit into the next one, but for those of the time at the begin and those within words.
func otherDigits(line string) string {
	b := []byte(line)
	from := 0
	if len(b) > 0 && b[0] >= '0' && b[0] <= '9' {
		from = min(len(b), len("2006-01-02 15:04:05.000 "))
	}
	inWord := false
	for i := from; i < len(b); i++ {
		switch c := b[i]; {
		case c >= '0' && c <= '8' && !inWord:
			b[i]++
		case c >= '0' && c <= '9' || c == '.' || c == '-':
		default:
			inWord = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		}
	}
	return string(b)
}

// recognition is what the tool recognize answers, as far as the tour prints it.
type recognition struct {
	Patterns []struct {
		ID       string   `json:"id"`
		Template string   `json:"template"`
		Slots    []string `json:"slots"`
	} `json:"patterns"`
	Unknowns []struct {
		Nearest *struct {
			ID   string `json:"id"`
			Want string `json:"want"`
			Got  string `json:"got"`
		} `json:"nearest"`
	} `json:"unknowns"`
	Results []struct {
		Pattern *int     `json:"pattern"`
		Values  []string `json:"values"`
	} `json:"results"`
}

// tourRecognize asks the MCP server, as an agent would, what the lines are.
func (a *app) tourRecognize(ctx context.Context, token string, lines []string) error {
	c, err := dialMCP(ctx, a.cfg.MCPURL, token)
	if err != nil {
		return err
	}
	defer c.close()
	fmt.Fprint(a.out, "\nNew lines, recognised over MCP (tool recognize):\n")
	for _, l := range lines {
		var got recognition
		begun := time.Now()
		if err := c.call(ctx, "recognize", map[string]any{"library": tourLibrary, "lines": []string{l}}, &got); err != nil {
			return err
		}
		a.printRecognized(l, got, time.Since(begun))
	}
	return nil
}

func (a *app) printRecognized(line string, got recognition, took time.Duration) {
	room, color := max(width(a.out, 160)-30, 60), a.color(a.out)
	fmt.Fprintf(a.out, "\n  %s  (%s)\n", clip(line, room), took.Round(100*time.Microsecond))
	if len(got.Results) == 1 && got.Results[0].Pattern != nil && len(got.Patterns) > 0 {
		p := got.Patterns[0]
		fmt.Fprintf(a.out, "    %s  %s\n", paint(color, green, p.ID), clip(p.Template, room))
		var values []string
		for i, v := range got.Results[0].Values {
			if i < len(p.Slots) {
				values = append(values, p.Slots[i]+" = "+v)
			}
		}
		if len(values) > 0 {
			fmt.Fprintf(a.out, "    %s\n", clip(strings.Join(values, ", "), room))
		}
		return
	}
	fmt.Fprintf(a.out, "    %s", paint(color, yellow, "unknown"))
	if len(got.Unknowns) > 0 && got.Unknowns[0].Nearest != nil {
		n := got.Unknowns[0].Nearest
		fmt.Fprintf(a.out, "; nearest is %s, which has %q where this line has %q", n.ID, n.Want, n.Got)
	}
	fmt.Fprintln(a.out)
}

// printSnippet prints where to look and what to paste into an MCP client.
func (a *app) printSnippet(token string) {
	fmt.Fprintf(a.out, `
Temporal web UI  %s
MCP              %s

Paste into an MCP client (Claude, Cursor, VS Code), then ask "what is unusual since yesterday?":

{
  "mcpServers": {
    "tartan": {
      "type": "http",
      "url": %q,
      "headers": {"Authorization": "Bearer %s"}
    }
  }
}

More: tartan patterns list --library %s --data-dir %s
Stop: Ctrl-C, or tartan down --data-dir %s
`, a.stack.TemporalUIURL, a.cfg.MCPURL, a.cfg.MCPURL, token, tourLibrary, display(a.cfg.DataDir), display(a.cfg.DataDir))
}

// display is a folder as a person would type it from here.
func display(dir string) string {
	if here, err := filepath.Abs("."); err == nil {
		if rel, err := filepath.Rel(here, dir); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return dir
}
