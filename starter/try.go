package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

const (
	// maxTried and maxTriedBytes bound what is mined in memory.
	maxTried      = 200_000
	maxTriedBytes = 64 << 20
)

// triedView is a pattern of lines mined by themselves.
type triedView struct {
	Template string         `json:"template"`
	Slots    []pattern.Slot `json:"slots"`
	Lines    int            `json:"lines"`
	Example  string         `json:"example"`
	Known    pattern.ID     `json:"known,omitempty"` // the library's pattern that most of the lines have
	As       int            `json:"as,omitempty"`    // how many of them
	Nearest  *nearest       `json:"nearest,omitempty"`
}

// triedReport is what --output json prints.
type triedReport struct {
	Lines    int         `json:"lines"`
	Patterns []triedView `json:"patterns"`
}

func (a *app) tryCommand() *cobra.Command {
	var (
		library  string
		noHeader bool
	)
	c := &cobra.Command{
		Use:   "try [FILE]",
		Short: "Lines in, patterns out: mine a few lines by themselves, stored nowhere",
		Long: "Mine lines from FILE or stdin by themselves, in this process and stored nowhere. With --library it also says which pattern of\n" +
			"that library each would be, or which is nearest and where it differs.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s takes at most one FILE, got %d", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			name := "-"
			if len(args) == 1 {
				name = args[0]
			}
			messages, err := a.tryable(name, noHeader)
			if err != nil {
				return readFailure(name, err)
			}
			var ix *template.Index
			if library != "" {
				entry, err := a.index(c.Context(), library)
				if err != nil {
					return err
				}
				ix = entry.Index
			}
			return a.printTried(messages, template.Try(ix, messages))
		},
	}
	c.Flags().StringVarP(&library, "library", "l", "", "compare with the patterns of this library")
	c.Flags().BoolVar(&noHeader, "no-header", false, "each line is a bare message without time, level and component")
	return c
}

var errTooMuch = errors.New("more than 200,000 lines or 64 MiB: mine it with tartan patterns mine")

// tryable reads the messages of a file or stdin.
func (a *app) tryable(name string, noHeader bool) (messages [][]byte, err error) {
	plain, done, err := a.openPlain(name)
	if err != nil {
		return nil, err
	}
	defer done()
	r, parser, bytes := lines.NewReader(plain, maxLine), header.NewParser(time.Now().UTC()), 0
	for {
		text, ok := r.Next()
		if !ok {
			return messages, r.Err()
		}
		if bytes += len(text); len(messages) == maxTried || bytes > maxTriedBytes {
			return nil, errTooMuch
		}
		if !noHeader {
			text = parser.Parse(text).Message
		}
		messages = append(messages, append([]byte(nil), text...))
	}
}

func (a *app) printTried(messages [][]byte, found []template.Tried) error {
	out := triedReport{Lines: len(messages), Patterns: []triedView{}}
	for _, p := range found {
		v := triedView{Template: p.Template, Slots: p.Slots, Lines: len(p.Messages), Example: string(messages[p.Messages[0]]), Known: p.Known, As: p.As}
		if n := p.Nearest; n != nil {
			v.Nearest = &nearest{n.Pattern, n.Template, n.Want, n.Got}
		}
		out.Patterns = append(out.Patterns, v)
	}
	if a.json() {
		return a.printJSON(out)
	}
	table := [][]string{{"LINES", "KNOWN AS", "TEMPLATE"}}
	for _, p := range out.Patterns {
		known := "-"
		switch {
		case p.Known != "":
			known = string(p.Known)
		case p.Nearest != nil:
			known = fmt.Sprintf("new; %s has %q for %q", p.Nearest.PatternID, clip(p.Nearest.Want, 20), clip(p.Nearest.Got, 20))
		}
		table = append(table, []string{count(int64(p.Lines)), known, clip(p.Template, max(width(a.out, 160)-40, 30))})
	}
	return a.table(table)
}
