package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tartan-ai/tartan/internal/routing"
)

// DefaultTimeout bounds one request for embeddings.
const DefaultTimeout = 30 * time.Second

// Embed asks for vectors. The error is an *Error, and wraps ErrAnswer where the answer makes no sense.
func (o *OpenAI) Embed(ctx context.Context, model string, texts []string) ([][]float32, Usage, error) {
	if len(texts) == 0 {
		return nil, Usage{Known: true}, nil
	}
	input := make([]string, len(texts))
	for i, t := range texts {
		if input[i] = t; strings.TrimSpace(t) == "" {
			input[i] = " " // endpoints refuse an empty string, and all others with it
		}
	}
	body, err := json.Marshal(map[string]any{"model": model, "input": input, "encoding_format": "float"})
	if err != nil {
		return nil, Usage{}, err
	}
	var got embedded
	if err := o.fetch(ctx, http.MethodPost, "embeddings", body, &got); err != nil {
		return nil, Usage{}, fmt.Errorf("ask %s for %d embeddings: %w", model, len(texts), err)
	}
	vectors, err := got.vectors(len(texts))
	usage := Usage{Input: MostEmbedded(texts)}
	if got.Usage != nil {
		usage = Usage{Input: max(got.Usage.Input, 0), Known: true}
	}
	if err != nil {
		err = fmt.Errorf("ask %s for %d embeddings: %w", model, len(texts), &Error{Class: routing.Transient, Message: err.Error(), Usage: usage, cause: err})
	}
	return vectors, usage, err
}

// MostEmbedded is an upper bound of the tokens of texts.
func MostEmbedded(texts []string) int {
	n := requestTokens
	for _, t := range texts {
		n += len(t) + entryTokens
	}
	return n
}

// embedded is the answer of an endpoint.
type embedded struct {
	Data []struct {
		Index     int       `json:"index"`
		Embedding []float32 `json:"embedding"`
	} `json:"data"`
	Usage *wireUsage `json:"usage"`
}

// vectors reads an answer for n texts.
func (got *embedded) vectors(n int) ([][]float32, error) {
	if len(got.Data) != n {
		return nil, fmt.Errorf("%w: %d vectors for %d texts", ErrAnswer, len(got.Data), n)
	}
	out := make([][]float32, n)
	dim := 0
	for _, d := range got.Data {
		if d.Index < 0 || d.Index >= n || out[d.Index] != nil {
			return nil, fmt.Errorf("%w: index %d for %d texts", ErrAnswer, d.Index, n)
		}
		if dim == 0 {
			dim = len(d.Embedding)
		}
		if len(d.Embedding) == 0 || len(d.Embedding) != dim {
			return nil, fmt.Errorf("%w: a vector of %d components, and of %d before", ErrAnswer, len(d.Embedding), dim)
		}
		out[d.Index] = unit(d.Embedding)
	}
	return out, nil
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

// EmbeddingsConfig says where vectors come from.
type EmbeddingsConfig struct {
	URL     string                 // of the API, such as https://api.openai.com/v1
	Model   string                 // as the endpoint calls it
	Key     func() (string, error) // looked up for each request; nil or "" sends none
	Timeout time.Duration          // of a request; 0 is DefaultTimeout
}

// Embeddings is one model of an endpoint as an embed.Embedder, whose vectors all have one length. It is safe for concurrent use.
type Embeddings struct {
	from  *OpenAI
	model string
	dim   atomic.Int64
}

// NewEmbeddings checks the configuration; it connects to nothing.
func NewEmbeddings(c EmbeddingsConfig) (*Embeddings, error) {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	from, err := NewOpenAI(OpenAIConfig{URL: c.URL, Key: c.Key, Deadlines: Deadlines{Header: c.Timeout, FirstToken: c.Timeout, Total: c.Timeout}})
	if err != nil {
		return nil, err
	}
	if c.Model == "" {
		return nil, fmt.Errorf("the embeddings endpoint needs the name of a model")
	}
	return &Embeddings{from: from, model: c.Model}, nil
}

// Name names the model, whose vectors are comparable wherever it runs.
func (e *Embeddings) Name() string { return "model:" + e.model }

// Dim returns the number of components, 0 until vectors have come.
func (e *Embeddings) Dim() int { return int(e.dim.Load()) }

// Embed returns a vector of unit length a text; a blank text has the vector of a space. The error wraps an *Error where the
// endpoint refused, and ErrAnswer where its answer makes no sense.
func (e *Embeddings) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	vectors, _, err := e.from.Embed(ctx, e.model, texts)
	if err != nil || len(vectors) == 0 {
		return nil, err
	}
	if dim := int64(len(vectors[0])); !e.dim.CompareAndSwap(0, dim) && e.dim.Load() != dim {
		return nil, fmt.Errorf("ask %s for %d embeddings: %w: a vector of %d components, and of %d before", e.model, len(texts), ErrAnswer, dim, e.Dim())
	}
	return vectors, nil
}
