package provider

import (
	"context"

	"github.com/tartan-ai/tartan/internal/pattern/embed"
)

// StaticName names the provider that is always there, and its model.
const (
	StaticName  = "static"
	StaticModel = "static"
)

// Static is the built-in table of vectors as a provider: it embeds, costs nothing and needs no network.
type Static struct{}

// Stream refuses: a table does not talk.
func (Static) Stream(context.Context, *Request, func(Delta) error) (*Answer, error) {
	return nil, &Error{Class: "bad_request", Message: "the static provider embeds and does not chat", cause: ErrUnsupported}
}

// Embed looks texts up.
func (Static) Embed(ctx context.Context, _ string, texts []string) ([][]float32, Usage, error) {
	vectors, err := embed.NewStatic().Embed(ctx, texts)
	return vectors, Usage{Known: true}, err
}

// Models names the one table.
func (Static) Models(context.Context) ([]string, error) { return []string{StaticModel}, nil }
