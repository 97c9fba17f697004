package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/tartan-ai/tartan/internal/pattern/embed"
	"github.com/tartan-ai/tartan/internal/provider"
)

// embedder is what makes vectors of texts: the configured endpoint, or the built-in table.
func (a *app) embedder() (embed.Embedder, error) {
	if a.cfg.EmbedURL == "" {
		return embed.NewStatic(), nil
	}
	e, err := provider.NewEmbeddings(provider.EmbeddingsConfig{URL: a.cfg.EmbedURL, Model: a.cfg.EmbedModel, Key: a.embedKey})
	if err != nil {
		return nil, &failure{code: codeUsage, what: "settings", why: err, next: "set TARTAN_EMBED_URL and TARTAN_EMBED_MODEL, or neither"}
	}
	return e, nil
}

// configured is the embedder that somebody configured, nil where it is the built-in one.
func (a *app) configured(e embed.Embedder) embed.Embedder {
	if a.cfg.EmbedURL == "" {
		return nil
	}
	return e
}

// embedKey looks the key up where TARTAN_EMBED_KEY says, at each use, so that a new one needs no restart where it is in a file.
func (a *app) embedKey() (string, error) { return a.secret("TARTAN_EMBED_KEY", a.cfg.EmbedKey) }

// secret reads what a setting refers to as env:NAME or file:PATH; "" where it refers to nothing.
func (a *app) secret(setting, ref string) (string, error) {
	switch {
	case ref == "":
		return "", nil
	case strings.HasPrefix(ref, "env:"):
		name := strings.TrimPrefix(ref, "env:")
		if key := strings.TrimSpace(a.env.get(name)); key != "" {
			return key, nil
		}
		return "", fmt.Errorf("%s names the variable %s, which is not set", setting, name)
	}
	body, err := os.ReadFile(strings.TrimPrefix(ref, "file:"))
	if err != nil {
		return "", fmt.Errorf("%s: %w", setting, err)
	}
	return strings.TrimSpace(string(body)), nil
}
