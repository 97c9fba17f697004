package provider

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tartan-ai/tartan/internal/routing"
)

// NativeConfig says where an endpoint of a dialect of its own is.
type NativeConfig struct {
	URL       string                 // "" is the provider's own
	Key       func() (string, error) // looked up for each request
	Deadlines Deadlines
	Client    *http.Client // nil is one of its own
}

// native is what the adapters of official SDKs share: limits, the key, and the header of a refusal, which the SDKs hide.
type native struct {
	config NativeConfig
	client *http.Client
}

func newNative(c NativeConfig) native {
	c.Deadlines = c.Deadlines.filled()
	client := c.Client
	if client == nil {
		client = newHTTPClient()
	}
	seen := *client
	seen.Transport = headers{next: cmp.Or[http.RoundTripper](client.Transport, http.DefaultTransport)}
	return native{config: c, client: &seen}
}

type headerKey struct{}

// headers hands the header of each answer to the call that asked, and tells it that the endpoint has answered.
type headers struct{ next http.RoundTripper }

func (h headers) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.next.RoundTrip(r)
	if got, ok := r.Context().Value(headerKey{}).(func(http.Header)); ok && err == nil {
		got(resp.Header)
	}
	return resp, err
}

// call is one request through an SDK.
type call struct {
	*collector
	native
	ctx    context.Context
	outer  context.Context
	limits *deadline
	header http.Header
	key    string
	r      *Request
}

func (n native) begin(outer context.Context, r *Request, each func(Delta) error) (*call, error) {
	c := &call{collector: &collector{started: time.Now(), each: each}, native: n, outer: outer, r: r}
	if r != nil {
		c.answer.Model = r.Model
	}
	var err error
	if n.config.Key != nil {
		if c.key, err = n.config.Key(); err != nil {
			return nil, &Error{Class: routing.Auth, Message: "look up the key: " + err.Error(), cause: err}
		}
	}
	ctx, d := watch(outer, n.config.Deadlines.Total)
	d.limit(min(n.config.Deadlines.Header, n.config.Deadlines.FirstToken), "header")
	c.limits = d
	c.ctx = context.WithValue(ctx, headerKey{}, func(h http.Header) {
		c.header = h
		d.limit(n.config.Deadlines.FirstToken-time.Since(c.started), "first token")
	})
	return c, nil
}

// piece passes on what came, and gives the next one its time.
func (c *call) piece(d Delta) error {
	err := c.add(d)
	if c.pieces > 0 {
		c.limits.limit(c.config.Deadlines.Idle, "next piece")
	}
	return err
}

// fail gives an error of the SDK or of a receiver its class; status and body are of a refusal.
func (c *call) fail(err error, status int, body []byte) error {
	var caller errCaller
	switch {
	case errors.As(err, &caller):
		return c.failed(&Error{Class: routing.Cancelled, Message: "the receiver of the answer gave it up: " + caller.Error(), cause: caller.error}, c.r)
	case status != 0:
		return c.failed(refusal(status, c.header, body, c.key, time.Now()), c.r)
	case errors.Is(err, ErrAnswer):
		return c.failed(&Error{Class: routing.Transient, Message: line(err.Error()), cause: err}, c.r)
	case c.ctx.Err() != nil:
		err = c.ctx.Err()
	}
	e := c.limits.known(c.outer, err, c.config.Deadlines.Total)
	e.Message = redacted(e.Message, c.key)
	return c.failed(e, c.r)
}

func (c *call) done() (*Answer, error) {
	a, err := c.finish(c.r)
	if err != nil {
		return nil, c.failed(c.limits.known(c.outer, err, 0), c.r)
	}
	return a, nil
}

// dataURL takes a picture apart that comes within its URL.
func dataURL(url string) (media string, data []byte, ok bool) {
	head, body, found := strings.Cut(strings.TrimPrefix(url, "data:"), ";base64,")
	if !found || !strings.HasPrefix(url, "data:") {
		return "", nil, false
	}
	data, err := base64.StdEncoding.DecodeString(body)
	return head, data, err == nil
}

// toolChoice reads the choice of the OpenAI dialect: a mode, or the name of a function.
func (r *Request) toolChoice() (mode, name string, err error) {
	if len(r.ToolChoice) == 0 {
		return "", "", nil
	}
	if json.Unmarshal(r.ToolChoice, &mode) == nil {
		switch mode {
		case "auto", "none", "required":
			return mode, "", nil
		}
		return "", "", errors.New("tool_choice: want auto, none, required or a function")
	}
	var f struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if err := json.Unmarshal(r.ToolChoice, &f); err != nil || f.Function.Name == "" {
		return "", "", errors.New("tool_choice: want auto, none, required or a function")
	}
	return "function", f.Function.Name, nil
}

func badRequest(err error) error {
	return &Error{Class: routing.BadRequest, Message: err.Error(), cause: err}
}
