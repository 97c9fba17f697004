package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/tartan-ai/tartan/internal/routing"
)

// The most that is read of an answer: 2,048 vectors of 4,096 components in decimal fit, and a refusal is short.
const (
	maxAnswer  = 256 << 20
	maxRefusal = 64 << 10
)

// OpenAIConfig says where an endpoint of the OpenAI dialect is: OpenAI, Azure, Ollama, vLLM, llama.cpp, LM Studio, OpenRouter,
// Groq, Mistral, or Gemini's own.
type OpenAIConfig struct {
	URL       string                 // of the API, such as https://api.openai.com/v1
	Key       func() (string, error) // looked up for each request; nil or "" sends none
	KeyHeader string                 // "" is Authorization: Bearer; Azure wants api-key
	// MaxTokensField is what the endpoint calls the limit of an answer; "" is max_tokens, OpenAI's own wants max_completion_tokens.
	MaxTokensField string
	Deadlines      Deadlines
	Client         *http.Client // nil is one of its own
}

// OpenAI speaks the OpenAI dialect.
type OpenAI struct {
	config OpenAIConfig
	base   *url.URL
}

// NewOpenAI checks the configuration; it connects to nothing.
func NewOpenAI(c OpenAIConfig) (*OpenAI, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("the URL of an endpoint must start with http:// or https:// and name a host")
	}
	if u.User != nil || u.RawQuery != "" {
		return nil, errors.New("the URL of an endpoint must hold no user, password or query: give the key by reference")
	}
	c.Deadlines = c.Deadlines.filled()
	if c.Client == nil {
		c.Client = newHTTPClient()
	}
	if c.MaxTokensField == "" {
		c.MaxTokensField = "max_tokens"
	}
	return &OpenAI{config: c, base: u}, nil
}

// newHTTPClient follows no redirect, which could carry the key and the texts to another host.
func newHTTPClient() *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second, MaxIdleConnsPerHost: 256, IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true,
			WriteBufferSize: 4 << 10, ReadBufferSize: 4 << 10, MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

// deadline ends a context when the current limit passes, and remembers which one it was.
type deadline struct {
	timer *time.Timer
	which atomic.Pointer[string]
	stop  context.CancelFunc
}

func watch(ctx context.Context, total time.Duration) (context.Context, *deadline) {
	ctx, stop := context.WithTimeout(ctx, total)
	return ctx, &deadline{stop: stop}
}

// limit gives the next thing this long to happen.
func (d *deadline) limit(after time.Duration, what string) {
	if after = max(after, time.Millisecond); d.timer == nil {
		d.which.Store(&what)
		d.timer = time.AfterFunc(after, d.stop)
		return
	}
	if *d.which.Load() != what {
		d.which.Store(&what)
	}
	d.timer.Reset(after)
}

func (d *deadline) end() {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.stop()
}

// failed gives a failure of the connection its class. Whoever called went away, a limit passed, or the network failed.
func (d *deadline) failed(outer context.Context, err error, total time.Duration) *Error {
	switch {
	case outer.Err() != nil:
		return &Error{Class: routing.Cancelled, Message: "the call was given up: " + outer.Err().Error(), cause: outer.Err()}
	case errors.Is(err, context.Canceled):
		return &Error{Class: routing.Silent, Message: "the endpoint sent no " + *d.which.Load() + " in time", cause: context.DeadlineExceeded}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Class: routing.Silent, Message: fmt.Sprintf("the call took longer than %s", total), cause: context.DeadlineExceeded}
	}
	return &Error{Class: routing.Transient, Message: line(plainNetwork(err)), cause: err}
}

// plainNetwork drops the URL of the endpoint from an error of net/http.
func plainNetwork(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		return "the endpoint: " + u.Err.Error()
	}
	return "the endpoint: " + err.Error()
}

// open sends a request and returns its answer once the header is there and says 200. The body is the caller's to close.
func (o *OpenAI) open(ctx context.Context, method, path string, body []byte) (resp *http.Response, key string, err error) {
	var in io.Reader
	if body != nil {
		in = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, o.base.JoinPath(path).String(), in)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	if o.config.Key != nil {
		if key, err = o.config.Key(); err != nil {
			return nil, "", &Error{Class: routing.Auth, Message: "look up the key: " + err.Error(), cause: err}
		}
	}
	switch {
	case key == "":
	case o.config.KeyHeader != "":
		req.Header.Set(o.config.KeyHeader, key)
	default:
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if resp, err = o.config.Client.Do(req); err != nil {
		return nil, key, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, key, nil
	}
	defer resp.Body.Close() //nolint:errcheck // a refusal
	said, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	return nil, key, refusal(resp.StatusCode, resp.Header, said, key, time.Now())
}

// fetch asks for a whole JSON answer.
func (o *OpenAI) fetch(outer context.Context, method, path string, body []byte, out any) error {
	total := o.config.Deadlines.Total
	ctx, d := watch(outer, total)
	defer d.end()
	d.limit(min(total, max(o.config.Deadlines.Header, o.config.Deadlines.FirstToken)), "answer")
	resp, _, err := o.open(ctx, method, path, body)
	if err != nil {
		return d.known(outer, err, total)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end or given up
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return d.known(outer, err, total)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return &Error{Class: routing.Transient, Status: resp.StatusCode, Message: "the endpoint's answer is not the JSON that was asked for", cause: fmt.Errorf("%w: %w", ErrAnswer, err)}
	}
	return nil
}

// known returns an *Error for whatever open and reading return.
func (d *deadline) known(outer context.Context, err error, total time.Duration) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return d.failed(outer, err, total)
}

// Models lists what the endpoint offers.
func (o *OpenAI) Models(ctx context.Context) ([]string, error) {
	var got struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := o.fetch(ctx, http.MethodGet, "models", nil, &got); err != nil {
		return nil, fmt.Errorf("list models: %w", err)
	}
	names := make([]string, len(got.Data))
	for i, m := range got.Data {
		names[i] = m.ID
	}
	return names, nil
}

// body writes the request as this endpoint wants it.
func (o *OpenAI) body(r *Request) ([]byte, error) {
	type options struct {
		Usage bool `json:"include_usage"`
	}
	out := struct {
		*Request
		MaxTokens     int     `json:"max_tokens,omitempty"` // hides the request's
		MaxCompletion int     `json:"max_completion_tokens,omitempty"`
		Stream        bool    `json:"stream"`
		Options       options `json:"stream_options"`
	}{Request: r, Stream: true, Options: options{true}}
	if o.config.MaxTokensField == "max_completion_tokens" {
		out.MaxCompletion = r.MaxTokens
	} else {
		out.MaxTokens = r.MaxTokens
	}
	return json.Marshal(out)
}
