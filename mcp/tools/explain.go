package tools

import (
	"encoding/json"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

const (
	// maxExplained bounds the lines that are explained, and maxTokens the tokens of each.
	maxExplained = 5
	maxTokens    = 64
)

// explainedLine says why a line is what it is.
type explainedLine struct {
	Known    bool             `json:"known"`
	Pattern  pattern.ID       `json:"pattern,omitempty"` // its own, or the nearest
	Template string           `json:"template,omitempty"`
	Why      string           `json:"why"`
	Tokens   []explainedToken `json:"tokens"`
	Missing  []string         `json:"missing,omitempty"` // of the nearest template
	Next     *nearPattern     `json:"next,omitempty"`    // the nearest other pattern and where it differs
}

type explainedToken struct {
	Text string `json:"text"`
	Role string `json:"role"` // constant, value, differs or extra
	Slot string `json:"slot,omitempty"`
	Type string `json:"type,omitempty"` // what the value looks like
	Want string `json:"want,omitempty"` // where it differs
}

func explainLine(entry *feed.Entry, message []byte) explainedLine {
	e := entry.Index.Explain(message)
	out := explainedLine{Known: e.Known, Pattern: e.Of.ID, Template: cut(e.Of.Template, maxExample), Why: e.Why, Tokens: []explainedToken{}}
	for _, t := range e.Tokens[:min(len(e.Tokens), maxTokens)] {
		token := explainedToken{Text: cut(string(message[t.Start:t.End]), maxValue), Role: t.Role, Type: string(t.Type), Want: cut(t.Want, maxValue)}
		if t.Slot >= 0 && t.Slot < len(e.Of.Slots) {
			token.Slot = e.Of.Slots[t.Slot].Name
		}
		out.Tokens = append(out.Tokens, token)
	}
	for _, m := range e.Missing[:min(len(e.Missing), maxTokens)] {
		out.Missing = append(out.Missing, cut(m, maxValue))
	}
	if e.Next != nil {
		out.Next = near(*e.Next)
	}
	return out
}

func near(n template.Near) *nearPattern {
	return &nearPattern{
		ID: n.Pattern, Template: cut(n.Template, maxExample), Token: n.Token, Want: cut(n.Want, maxValue), Got: cut(n.Got, maxValue),
	}
}

func (r *recognition) encodeExplained(b []byte, entry *feed.Entry) []byte {
	b = append(b, `,"explained":[`...)
	for i := range r.lines[:min(len(r.lines), maxExplained)] {
		if i > 0 {
			b = append(b, ',')
		}
		text, err := json.Marshal(explainLine(entry, r.lines[i].message))
		if err != nil {
			text = []byte("{}") // strings and numbers only: it cannot be
		}
		b = append(b, text...)
	}
	return append(b, ']')
}
