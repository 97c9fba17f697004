package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Request is a chat request in the OpenAI dialect, without what would change its cost unseen. Unknown keys are refused.
type Request struct {
	Model       string          `json:"model"`
	Messages    []Message       `json:"messages"`
	Tools       []Tool          `json:"tools,omitempty"`
	ToolChoice  json.RawMessage `json:"tool_choice,omitempty"` // "auto", "none", "required" or {"type":"function","function":{"name":...}}
	Format      *Format         `json:"response_format,omitempty"`
	Temperature *float64        `json:"temperature,omitempty"`
	TopP        *float64        `json:"top_p,omitempty"`
	MaxTokens   int             `json:"max_tokens,omitempty"`
	Stop        Stops           `json:"stop,omitempty"`
	Seed        *int64          `json:"seed,omitempty"`

	// These pass through to endpoints of the OpenAI dialect and are not known to others.
	PresencePenalty  *float64        `json:"presence_penalty,omitempty"`
	FrequencyPenalty *float64        `json:"frequency_penalty,omitempty"`
	LogitBias        json.RawMessage `json:"logit_bias,omitempty"`
	ParallelTools    *bool           `json:"parallel_tool_calls,omitempty"`
	ReasoningEffort  string          `json:"reasoning_effort,omitempty"`
	User             string          `json:"user,omitempty"`
}

// Stops are strings that end an answer; one string is a list of one.
type Stops []string

// UnmarshalJSON reads a string or a list.
func (s *Stops) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*s = make(Stops, 1)
		return json.Unmarshal(b, &(*s)[0])
	}
	return json.Unmarshal(b, (*[]string)(s))
}

// Message is a turn of the conversation.
type Message struct {
	Role       string     `json:"role"` // system, developer, user, assistant or tool
	Content    Content    `json:"content"`
	Name       string     `json:"name,omitempty"`
	ToolCalls  []WireCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

// Content is text, or parts of text and images.
type Content struct {
	Text  string
	Parts []Part // nil where it is only text
}

// Part is a text or the URL of an image, which may be a data URL.
type Part struct {
	Type  string `json:"type"` // text or image_url
	Text  string `json:"text,omitempty"`
	Image *Image `json:"image_url,omitempty"`
}

// Image is a picture by its URL.
type Image struct {
	URL    string `json:"url"`
	Detail string `json:"detail,omitempty"`
}

// Plain is the text of the content, its parts joined.
func (c Content) Plain() string {
	if c.Parts == nil {
		return c.Text
	}
	var b strings.Builder
	for _, p := range c.Parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// MarshalJSON writes a string or a list of parts.
func (c Content) MarshalJSON() ([]byte, error) {
	if c.Parts != nil {
		return json.Marshal(c.Parts)
	}
	return json.Marshal(c.Text)
}

// UnmarshalJSON reads a string, null or a list of parts.
func (c *Content) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return strictly(b, &c.Parts)
	}
	return json.Unmarshal(b, &c.Text)
}

// WireCall is a tool call as it is written in a message.
type WireCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// Tool is a function that the model may ask for.
type Tool struct {
	Type     string `json:"type"` // function
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters,omitempty"` // JSON Schema
		Strict      *bool           `json:"strict,omitempty"`
	} `json:"function"`
}

// Format asks for JSON, of a schema where it has one.
type Format struct {
	Type   string      `json:"type"` // text, json_object or json_schema
	Schema *FormatSpec `json:"json_schema,omitempty"`
}

// FormatSpec is a named JSON Schema.
type FormatSpec struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema"`
	Strict      *bool           `json:"strict,omitempty"`
}

// Wants reports whether the answer must be JSON.
func (f *Format) Wants() bool { return f != nil && f.Type != "text" }

// Check says what is wrong with a request before it costs anything.
func (r *Request) Check() error {
	if len(r.Messages) == 0 {
		return errors.New("messages: want at least one")
	}
	for i, m := range r.Messages {
		switch m.Role {
		case "system", "developer", "user", "assistant":
		case "tool":
			if m.ToolCallID == "" {
				return fmt.Errorf("messages[%d]: a message of role tool needs tool_call_id", i)
			}
		default:
			return fmt.Errorf("messages[%d].role: want system, developer, user, assistant or tool, got %q", i, m.Role)
		}
		for j, p := range m.Content.Parts {
			if p.Type != "text" && (p.Type != "image_url" || p.Image == nil || p.Image.URL == "") {
				return fmt.Errorf("messages[%d].content[%d]: want a part of type text, or image_url with a url", i, j)
			}
		}
	}
	for i, t := range r.Tools {
		if t.Type != "function" || t.Function.Name == "" {
			return fmt.Errorf("tools[%d]: want type function with a name", i)
		}
	}
	if f := r.Format; f != nil {
		switch {
		case f.Type == "json_schema" && (f.Schema == nil || len(f.Schema.Schema) == 0):
			return errors.New("response_format: json_schema needs a schema")
		case f.Type != "json_schema" && f.Type != "json_object" && f.Type != "text":
			return fmt.Errorf("response_format.type: want text, json_object or json_schema, got %q", f.Type)
		}
	}
	if r.MaxTokens < 0 {
		return fmt.Errorf("max_tokens: want 1 or more, got %d", r.MaxTokens)
	}
	return nil
}

// The tokens that a template may add: to a request, to each message or tool, and for a picture of any size.
const (
	requestTokens = 64
	entryTokens   = 16
	imageTokens   = 4096
)

// MostInput is an upper bound of the input tokens: a token is at least a byte, so that budgets hold whatever tokenizer counts.
func (r *Request) MostInput() int {
	n := requestTokens
	for _, m := range r.Messages {
		n += entryTokens + len(m.Name) + len(m.ToolCallID) + len(m.Content.Text)
		for _, p := range m.Content.Parts {
			if n += len(p.Text); p.Image != nil {
				n += imageTokens
			}
		}
		for _, c := range m.ToolCalls {
			n += entryTokens + len(c.ID) + len(c.Function.Name) + len(c.Function.Arguments)
		}
	}
	for _, t := range r.Tools {
		n += entryTokens + len(t.Function.Name) + len(t.Function.Description) + len(t.Function.Parameters)
	}
	if r.Format != nil && r.Format.Schema != nil {
		n += entryTokens + len(r.Format.Schema.Name) + len(r.Format.Schema.Description) + len(r.Format.Schema.Schema)
	}
	return n
}

// Prompt is the text of all messages, which routing and the semantic cache look at.
func (r *Request) Prompt() string {
	var b strings.Builder
	for i, m := range r.Messages {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(m.Content.Plain())
	}
	return b.String()
}

// HasImages reports whether a message shows a picture.
func (r *Request) HasImages() bool {
	for _, m := range r.Messages {
		for _, p := range m.Content.Parts {
			if p.Image != nil {
				return true
			}
		}
	}
	return false
}

// strictly decodes and refuses keys that are not known.
func strictly(b []byte, out any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(out)
}
