package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

const (
	// maxTried and maxTriedBytes bound what is mined within a call.
	maxTried      = 5000
	maxTriedBytes = 1 << 20
)

type tryArgs struct {
	Lines   lineList `json:"lines" required:"true" note:"At most 5,000 and 1 MiB; mine more with mine_patterns"`
	Library string   `json:"library" default:"default" note:"That the patterns are compared with; it may not exist yet"`
	Header  bool     `json:"header" default:"true" note:"Strip time, level and component at the beginning of each line"`
	Limit   int      `json:"limit" min:"1" max:"200" default:"25"`
}

type tried struct {
	Lines    int            `json:"lines"`
	Total    int            `json:"total"` // patterns
	Patterns []triedPattern `json:"patterns"`
}

type triedPattern struct {
	Template string     `json:"template"`
	Slots    []string   `json:"slots"`
	Lines    int        `json:"lines"`
	At       string     `json:"at"` // line numbers from 1
	Example  string     `json:"example"`
	Known    pattern.ID `json:"known,omitempty"` // the library's pattern that most of the lines have
	As       int        `json:"as,omitempty"`    // how many of them
	Nearest  pattern.ID `json:"nearest,omitempty"`
	Differs  string     `json:"differs,omitempty"` // from the nearest
}

func (s *Suite) tryPatterns() Tool {
	return define[tryArgs, tried](Tool{
		Name: "try_patterns", Title: "Try patterns", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "Mine the patterns of lines by themselves, stored nowhere, and say which the library knows.",
	}, func(ctx context.Context, c Call, in tryArgs) (tried, string, error) {
		messages, err := in.messages()
		if err != nil {
			return tried{}, "", err
		}
		var ix *template.Index
		entry, err := s.entry(ctx, c, in.Library, 0)
		var told *Error
		switch {
		case err == nil:
			ix = entry.Index
		case !errors.As(err, &told) || told.Kind != NotFound:
			return tried{}, "", err
		}
		found := template.Try(ix, messages)
		out := tried{Lines: len(messages), Total: len(found), Patterns: []triedPattern{}}
		for _, p := range found[:min(len(found), in.Limit)] {
			out.Patterns = append(out.Patterns, triedOf(p, messages))
		}
		return out, out.text(), nil
	})
}

// messages are the lines without their headers, within the bounds.
func (in *tryArgs) messages() ([][]byte, error) {
	if len(in.Lines) == 0 {
		return nil, invalid("no lines given")
	}
	bytes, parser := 0, header.NewParser(time.Now().UTC())
	out := make([][]byte, len(in.Lines))
	for i, line := range in.Lines {
		if bytes += len(line); i >= maxTried || bytes > maxTriedBytes {
			return nil, invalid("more than %d lines or %d bytes: send fewer, or mine them with mine_patterns", maxTried, maxTriedBytes)
		}
		if out[i] = line; in.Header {
			out[i] = own(line, parser.Parse(line).Message)
		}
	}
	return out, nil
}

func triedOf(p template.Tried, messages [][]byte) triedPattern {
	out := triedPattern{
		Template: cut(p.Template, maxExample), Slots: []string{}, Lines: len(p.Messages), Example: cut(string(messages[p.Messages[0]]), maxValue), Known: p.Known, As: p.As,
	}
	for _, slot := range p.Slots {
		out.Slots = append(out.Slots, slot.Name)
	}
	var at ranges
	for _, i := range p.Messages {
		at.add(i + 1)
	}
	out.At = at.String()
	if n := p.Nearest; n != nil {
		out.Nearest, out.Differs = n.Pattern, fmt.Sprintf("%q where it has %q", cut(n.Got, 80), cut(n.Want, 80))
	}
	return out
}

func (t tried) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s in %s", plural(t.Lines, "line"), plural(t.Total, "pattern"))
	for i, p := range t.Patterns {
		if i == 10 {
			b.WriteString("\n...")
			break
		}
		known := "new"
		if p.Known != "" {
			known = string(p.Known)
		}
		fmt.Fprintf(&b, "\n%6d  %s  (%s)", p.Lines, cut(p.Template, 100), known)
	}
	return b.String()
}
