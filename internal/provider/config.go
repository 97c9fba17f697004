package provider

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/tartan-ai/tartan/internal/routing"
)

// The dialects of providers.
const (
	DialectOpenAI    = "openai"
	DialectAnthropic = "anthropic"
	DialectGoogle    = "google"
	DialectStatic    = "static"
)

// Config lists providers and models, as the file of TARTAN_MODELS does. The static provider needs no entry.
type Config struct {
	Providers []ProviderConfig `toml:"provider"`
	Models    []ModelConfig    `toml:"model"`
}

// ProviderConfig is one endpoint.
type ProviderConfig struct {
	Name           string         `toml:"name"`
	Dialect        string         `toml:"dialect"`
	BaseURL        string         `toml:"base_url"`         // needed for openai; the others have one of their own
	Key            string         `toml:"key"`              // env:NAME or file:PATH
	KeyHeader      string         `toml:"key_header"`       // of openai; "" is Authorization
	MaxTokensField string         `toml:"max_tokens_field"` // of openai: max_tokens or max_completion_tokens
	RPM            int            `toml:"rpm"`              // requests a minute; 0 is no limit
	TPM            int            `toml:"tpm"`              // tokens a minute; 0 is no limit
	Timeouts       TimeoutsConfig `toml:"timeouts"`
}

// TimeoutsConfig are the deadlines of a provider, as 20s or 5m.
type TimeoutsConfig struct {
	Header     time.Duration `toml:"header"`
	FirstToken time.Duration `toml:"first_token"`
	Idle       time.Duration `toml:"idle"`
	Total      time.Duration `toml:"total"`
}

// ModelConfig is one model of a provider.
type ModelConfig struct {
	Provider      string   `toml:"provider"`
	Name          string   `toml:"name"`
	Capabilities  []string `toml:"capabilities"`
	ContextTokens int      `toml:"context_tokens"`
	MaxOutput     int      `toml:"max_output"`
	InputPerMTok  float64  `toml:"input_usd_per_mtok"`
	OutputPerMTok float64  `toml:"output_usd_per_mtok"`
	CachedPerMTok float64  `toml:"cached_usd_per_mtok"`
}

var configName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// ParseConfig reads the file of TARTAN_MODELS, in TOML. The error names every fault.
func ParseConfig(text string) (Config, error) {
	var c Config
	meta, err := toml.Decode(text, &c)
	if err != nil {
		return Config{}, fmt.Errorf("read the models: %w", err)
	}
	var faults []error
	for _, k := range meta.Undecoded() {
		faults = append(faults, fmt.Errorf("unknown key %s", k))
	}
	faults = append(faults, c.check()...)
	if err := errors.Join(faults...); err != nil {
		return Config{}, fmt.Errorf("read the models: %w", err)
	}
	return c, nil
}

func (c *Config) check() (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	known := map[string]bool{StaticName: true}
	for i, p := range c.Providers {
		at := fmt.Sprintf("provider %d (%s)", i+1, p.Name)
		if !configName.MatchString(p.Name) {
			fault("%s: name: want lower-case letters, digits, dots, dashes and underscores", at)
		}
		if known[p.Name] {
			fault("%s: the name is taken", at)
		}
		known[p.Name] = true
		if !slices.Contains([]string{DialectOpenAI, DialectAnthropic, DialectGoogle}, p.Dialect) {
			fault("%s: dialect: want openai, anthropic or google, got %q", at, p.Dialect)
		}
		if p.Dialect == DialectOpenAI && p.BaseURL == "" {
			fault("%s: base_url: the dialect openai needs one", at)
		}
		if p.Key != "" && !strings.HasPrefix(p.Key, "env:") && !strings.HasPrefix(p.Key, "file:") {
			fault("%s: key: want env:NAME or file:PATH; the key itself does not belong here", at)
		}
		if p.Dialect != DialectOpenAI && (p.KeyHeader != "" || p.MaxTokensField != "") {
			fault("%s: key_header and max_tokens_field are of the dialect openai", at)
		}
		if !slices.Contains([]string{"", "max_tokens", "max_completion_tokens"}, p.MaxTokensField) {
			fault("%s: max_tokens_field: want max_tokens or max_completion_tokens, got %q", at, p.MaxTokensField)
		}
		if p.RPM < 0 || p.TPM < 0 || p.Timeouts.Header < 0 || p.Timeouts.FirstToken < 0 || p.Timeouts.Idle < 0 || p.Timeouts.Total < 0 {
			fault("%s: limits and timeouts must not be negative", at)
		}
	}
	seen := map[string]bool{}
	for i, m := range c.Models {
		at := fmt.Sprintf("model %d (%s/%s)", i+1, m.Provider, m.Name)
		switch {
		case m.Name == "":
			fault("%s: name: want the name that the provider gives it", at)
		case !known[m.Provider]:
			fault("%s: provider: there is no such provider", at)
		case m.Provider == StaticName:
			fault("%s: the static provider has its one model already", at)
		}
		if seen[m.Provider+"/"+m.Name] {
			fault("%s: listed twice", at)
		}
		seen[m.Provider+"/"+m.Name] = true
		caps, err := routing.ParseCapabilities(m.Capabilities)
		if err != nil || caps == 0 {
			fault("%s: capabilities: want some of chat, tools, json, vision, embed", at)
		}
		if caps.Has(routing.Chat) && m.MaxOutput <= 0 {
			fault("%s: max_output: a model that chats needs one, because budgets reserve for it", at)
		}
		if m.ContextTokens < 0 || m.InputPerMTok < 0 || m.OutputPerMTok < 0 || m.CachedPerMTok < 0 {
			fault("%s: sizes and prices must not be negative", at)
		}
		if max(m.InputPerMTok, m.OutputPerMTok, m.CachedPerMTok) > 1e6 {
			fault("%s: prices are in dollars per million tokens", at)
		}
	}
	return faults
}

// Registry is the providers and models of a configuration. It is safe for concurrent use.
type Registry struct {
	models    []routing.Model
	providers map[string]Provider
	limits    map[string]*limit
}

// NewRegistry makes the clients of a configuration; it connects to nothing. key looks a reference up, at each use.
func NewRegistry(c Config, key func(ref string) (string, error)) (*Registry, error) {
	g := &Registry{providers: map[string]Provider{StaticName: Static{}}, limits: map[string]*limit{}}
	g.models = append(g.models, routing.Model{
		ID: StaticName + "/" + StaticModel, Provider: StaticName, Name: StaticModel, Capabilities: routing.Embed, ContextTokens: 1 << 20,
	})
	for _, p := range c.Providers {
		made, err := p.open(key)
		if err != nil {
			return nil, fmt.Errorf("provider %s: %w", p.Name, err)
		}
		g.providers[p.Name], g.limits[p.Name] = made, newLimit(p.RPM, p.TPM)
	}
	for _, m := range c.Models {
		caps, err := routing.ParseCapabilities(m.Capabilities)
		if err != nil {
			return nil, err
		}
		g.models = append(g.models, routing.Model{
			ID: m.Provider + "/" + m.Name, Provider: m.Provider, Name: m.Name, Capabilities: caps, ContextTokens: m.ContextTokens, MaxOutput: m.MaxOutput,
			Price: routing.Price{InputPerMTok: micros(m.InputPerMTok), OutputPerMTok: micros(m.OutputPerMTok), CachedPerMTok: micros(m.CachedPerMTok)},
		})
	}
	return g, nil
}

// micros reads a price that somebody wrote in dollars.
func micros(usd float64) routing.Money { return routing.Money(usd*1e6 + 0.5) }

func (p ProviderConfig) open(key func(ref string) (string, error)) (Provider, error) {
	look := func() (string, error) {
		if p.Key == "" {
			return "", nil
		}
		return key(p.Key)
	}
	d := Deadlines{Header: p.Timeouts.Header, FirstToken: p.Timeouts.FirstToken, Idle: p.Timeouts.Idle, Total: p.Timeouts.Total}
	switch p.Dialect {
	case DialectAnthropic:
		return NewAnthropic(NativeConfig{URL: p.BaseURL, Key: look, Deadlines: d})
	case DialectGoogle:
		return NewGoogle(NativeConfig{URL: p.BaseURL, Key: look, Deadlines: d})
	}
	return NewOpenAI(OpenAIConfig{URL: p.BaseURL, Key: look, KeyHeader: p.KeyHeader, MaxTokensField: p.MaxTokensField, Deadlines: d})
}

// Models lists the models in the order of the configuration, the static one first.
func (g *Registry) Models() []routing.Model { return slices.Clone(g.models) }

// Model finds a model by its id.
func (g *Registry) Model(id string) (routing.Model, bool) {
	i := slices.IndexFunc(g.models, func(m routing.Model) bool { return m.ID == id })
	if i < 0 {
		return routing.Model{}, false
	}
	return g.models[i], true
}

// Provider finds the provider of a model.
func (g *Registry) Provider(m routing.Model) (Provider, bool) {
	p, ok := g.providers[m.Provider]
	return p, ok
}

// Names lists the providers, in order.
func (g *Registry) Names() []string {
	names := make([]string, 0, len(g.providers))
	for n := range g.providers {
		names = append(names, n)
	}
	slices.SortFunc(names, cmp.Compare[string])
	return names
}

// RPM is how many requests a minute a provider takes; 0 is no limit.
func (g *Registry) RPM(provider string) int { return g.limits[provider].perMinute() }

// Admit takes a request and its tokens from the provider's limits, or says how long to wait.
func (g *Registry) Admit(provider string, tokens int, now time.Time) (wait time.Duration) {
	return g.limits[provider].admit(tokens, now)
}
