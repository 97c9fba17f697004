// Package provider holds the wire clients of model providers. Texts go out to an endpoint that somebody configured, and
// vectors come back. It knows no workflow and no database, and a key only while a request is made.
package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// DefaultTimeout bounds one request for embeddings.
const DefaultTimeout = 30 * time.Second

// maxAnswer bounds what is read of an answer: 2,048 vectors of 4,096 components in decimal fit.
const maxAnswer = 256 << 20

// ErrAnswer says that an endpoint answered with something that is not what was asked for.
var ErrAnswer = errors.New("unexpected answer")

// Error is what an endpoint said when it refused.
type Error struct {
	Status  int    // HTTP status
	Message string // in the endpoint's words, without the key
}

func (e *Error) Error() string {
	return fmt.Sprintf("the endpoint answered %d: %s", e.Status, e.Message)
}

// Temporary reports whether the same request may work later.
func (e *Error) Temporary() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Status >= 500
}

// EmbeddingsConfig says where vectors come from.
type EmbeddingsConfig struct {
	URL     string                 // of the API, such as https://api.openai.com/v1
	Model   string                 // as the endpoint calls it
	Key     func() (string, error) // looked up for each request; nil or "" sends none
	Timeout time.Duration          // of a request; 0 is DefaultTimeout
	Client  *http.Client           // nil is one of its own
}

// Embeddings asks an OpenAI-compatible endpoint for vectors. It is an embed.Embedder and safe for concurrent use.
type Embeddings struct {
	config   EmbeddingsConfig
	endpoint string
	dim      atomic.Int64
}

// NewEmbeddings checks the configuration; it connects to nothing.
func NewEmbeddings(c EmbeddingsConfig) (*Embeddings, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("the URL of the embeddings endpoint must start with http:// or https:// and name a host")
	}
	if u.User != nil || u.RawQuery != "" {
		return nil, errors.New("the URL of the embeddings endpoint must hold no user, password or query: give the key by reference")
	}
	if c.Model == "" {
		return nil, errors.New("the embeddings endpoint needs the name of a model")
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Client == nil {
		// A redirect could carry the key and the texts to another host.
		c.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &Embeddings{config: c, endpoint: u.JoinPath("embeddings").String()}, nil
}

// Name names the model, whose vectors are comparable wherever it runs.
func (e *Embeddings) Name() string { return "model:" + e.config.Model }

// Dim returns the number of components, 0 until vectors have come.
func (e *Embeddings) Dim() int { return int(e.dim.Load()) }

// Embed returns a vector of unit length a text; a blank text has the vector of a space. The error wraps an *Error where the
// endpoint refused, and ErrAnswer where its answer makes no sense.
func (e *Embeddings) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.config.Timeout)
	defer cancel()
	out, err := e.ask(ctx, texts)
	if err != nil {
		return nil, fmt.Errorf("ask %s for %d embeddings: %w", e.config.Model, len(texts), err)
	}
	return out, nil
}

func (e *Embeddings) ask(ctx context.Context, texts []string) ([][]float32, error) {
	input := make([]string, len(texts))
	for i, t := range texts {
		if input[i] = t; strings.TrimSpace(t) == "" {
			input[i] = " " // endpoints refuse an empty string, and all others with it
		}
	}
	body, err := json.Marshal(map[string]any{"model": e.config.Model, "input": input, "encoding_format": "float"})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	key := ""
	if e.config.Key != nil {
		if key, err = e.config.Key(); err != nil {
			return nil, fmt.Errorf("look up the key: %w", err)
		}
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := e.config.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end or given up
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, &Error{resp.StatusCode, redacted(message(answer), key)}
	case err != nil:
		return nil, err
	}
	return e.vectors(answer, len(texts))
}

// vectors reads an answer for n texts.
func (e *Embeddings) vectors(answer []byte, n int) ([][]float32, error) {
	var got struct {
		Data []struct {
			Index     int       `json:"index"`
			Embedding []float32 `json:"embedding"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if len(got.Data) != n {
		return nil, fmt.Errorf("%w: %d vectors for %d texts", ErrAnswer, len(got.Data), n)
	}
	out := make([][]float32, n)
	for _, d := range got.Data {
		if d.Index < 0 || d.Index >= n || out[d.Index] != nil {
			return nil, fmt.Errorf("%w: index %d for %d texts", ErrAnswer, d.Index, n)
		}
		if len(d.Embedding) == 0 || !e.fits(len(d.Embedding)) {
			return nil, fmt.Errorf("%w: a vector of %d components, and of %d before", ErrAnswer, len(d.Embedding), e.Dim())
		}
		out[d.Index] = unit(d.Embedding)
	}
	return out, nil
}

// fits reports whether vectors have this many components, which the first one settles.
func (e *Embeddings) fits(dim int) bool {
	return e.dim.CompareAndSwap(0, int64(dim)) || e.dim.Load() == int64(dim)
}

func unit(v []float32) []float32 {
	var sum float64
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	if sum == 0 {
		return v
	}
	scale := 1 / math.Sqrt(sum)
	for i, f := range v {
		v[i] = float32(float64(f) * scale)
	}
	return v
}

// message is what an endpoint says in the body of a refusal, in one short line.
func message(body []byte) string {
	var said struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	text := string(body)
	if json.Unmarshal(body, &said) == nil && said.Error.Message != "" {
		text = said.Error.Message
	}
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "..."
	}
	if text == "" {
		text = "nothing more"
	}
	return text
}

// redacted hides the key, and parts of it that an endpoint may quote.
func redacted(text, key string) string {
	if len(key) < 8 {
		return text
	}
	words := strings.Fields(text)
	for i, w := range words {
		bare := strings.Trim(w, `.,:;"'()`)
		if strings.Contains(w, key) || len(bare) >= 6 && (strings.HasPrefix(bare, key[:6]) || strings.HasSuffix(bare, key[len(key)-4:]) && strings.Contains(bare, "*")) {
			words[i] = "(key)"
		}
	}
	return strings.Join(words, " ")
}
