// Package provider holds the wire clients of model providers. Requests go out to endpoints that somebody configured, and
// answers, streams and vectors come back; how a call failed is told as a routing.Class. It tries once and never again:
// retries belong to the ladder of routing. It knows no workflow and no database, and a key only while a request is made.
package provider

import (
	"context"
	"errors"
	"time"
)

// Provider is one endpoint. It is safe for concurrent use.
type Provider interface {
	// Stream sends a request and passes on what comes, in order; an error of each ends the call. The answer is complete:
	// one that the endpoint did not end itself is an *Error, which says what it has used so far.
	Stream(ctx context.Context, r *Request, each func(Delta) error) (*Answer, error)
	// Embed returns a vector of unit length a text.
	Embed(ctx context.Context, model string, texts []string) ([][]float32, Usage, error)
	// Models lists what the endpoint offers.
	Models(ctx context.Context) ([]string, error)
}

// ErrUnsupported says that a provider cannot do this at all.
var ErrUnsupported = errors.New("the provider cannot do this")

// Deadlines bound a call. 0 is the default of each.
type Deadlines struct {
	Header     time.Duration // until the endpoint answers at all; 20 s
	FirstToken time.Duration // from the start to the first piece of the answer; 30 s
	Idle       time.Duration // between two pieces; 20 s
	Total      time.Duration // of the call; 10 min
}

func (d Deadlines) filled() Deadlines {
	for _, f := range []struct {
		at *time.Duration
		to time.Duration
	}{{&d.Header, 20 * time.Second}, {&d.FirstToken, 30 * time.Second}, {&d.Idle, 20 * time.Second}, {&d.Total, 10 * time.Minute}} {
		if *f.at <= 0 {
			*f.at = f.to
		}
	}
	return d
}

// Delta is a piece of an answer as it comes.
type Delta struct {
	Text  string         `json:"text,omitempty"`
	Tools []ToolFragment `json:"tools,omitempty"`
}

// ToolFragment is a piece of a tool call: the id and the name come once, the arguments in pieces.
type ToolFragment struct {
	Index     int    `json:"index"`
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments,omitempty"`
}

// ToolCall is what a model wants called, with arguments as JSON text.
type ToolCall struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// Usage counts tokens. Cached are part of Input.
type Usage struct {
	Input  int `json:"input"`
	Output int `json:"output"`
	Cached int `json:"cached,omitempty"`
	// Known is false where the endpoint did not say: the counts are then upper bounds of what it can have used.
	Known bool `json:"known"`
}

// How an answer ended, in the words of the OpenAI dialect.
const (
	FinishStop   = "stop"
	FinishLength = "length"
	FinishTools  = "tool_calls"
	FinishFilter = "content_filter"
)

// Answer is a complete answer.
type Answer struct {
	ID         string        `json:"id,omitempty"`
	Model      string        `json:"model"` // as the endpoint names the one that answered
	Text       string        `json:"text"`
	Tools      []ToolCall    `json:"tools,omitempty"`
	Finish     string        `json:"finish"`
	Usage      Usage         `json:"usage"`
	FirstToken time.Duration `json:"first_token"`
	Latency    time.Duration `json:"latency"`
}
