package completion

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/gowebpki/jcs"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/pattern/embed"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/provider"
)

// Caching says whether an answer may be given again. The zero Caching gives one again to the same request at temperature 0.
type Caching struct {
	Off   bool `json:"off,omitempty"`
	Exact bool `json:"exact,omitempty"` // also where the temperature is not 0
	// Similar, above 0, also answers by a request whose last message is at least this similar, as a cosine, and all else the same.
	Similar float64       `json:"similar,omitempty"`
	Live    time.Duration `json:"live,omitempty"` // 0 is a day
}

func (c *Call) caches() bool {
	cold := c.Request.Temperature != nil && *c.Request.Temperature == 0
	return !c.Cache.Off && (cold || c.Cache.Exact || c.Cache.Similar > 0)
}

// cacheKeys are the digests of the canonical request, and of it without its last message. Task and bounds of the choice are
// part of both: another task may want another model.
func (c *Call) cacheKeys() (key, scope string, err error) {
	digest := func(r provider.Request) (string, error) {
		body, err := json.Marshal(map[string]any{"request": r, "task": c.Task, "agent": c.Agent, "dial": c.Dial})
		if err != nil {
			return "", err
		}
		canonical, err := jcs.Transform(body)
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(canonical)
		return hex.EncodeToString(sum[:]), nil
	}
	if key, err = digest(c.Request); err != nil {
		return "", "", err
	}
	short := c.Request
	short.Messages = short.Messages[:len(short.Messages)-1]
	scope, err = digest(short)
	return key, scope, err
}

// lastVector is of the last message, where requests may be answered by similar ones.
func (c *Call) lastVector(ctx context.Context) []float32 {
	last := c.Request.Messages[len(c.Request.Messages)-1]
	if c.Cache.Similar <= 0 || last.Content.Parts != nil || last.Content.Text == "" {
		return nil
	}
	vectors, err := embed.NewStatic().Embed(ctx, []string{last.Content.Text})
	if err != nil {
		return nil
	}
	return vectors[0]
}

// Cached finds an answer that may be given again, nil where there is none. A cache that does not work is as one that has nothing.
func (e *Engine) Cached(ctx context.Context, c *Call, each func(provider.Delta) error) (*Result, error) {
	if !c.caches() {
		return nil, nil
	}
	key, scope, err := c.cacheKeys()
	if err != nil {
		return nil, nil
	}
	kind := "exact"
	hit, err := postgres.CachedAnswer(ctx, e.Pool, c.Caller.WorkspaceID, key)
	if vector := c.lastVector(ctx); errors.Is(err, postgres.ErrNotFound) && vector != nil {
		kind = "similar"
		var all []postgres.Cached
		all, err = postgres.SimilarAnswers(ctx, e.Pool, c.Caller.WorkspaceID, scope)
		best, at := c.Cache.Similar, -1
		for i, other := range all {
			if s := dot(vector, other.Vector); s >= best {
				best, at = s, i
			}
		}
		if at < 0 {
			return nil, nil
		}
		hit = all[at]
	}
	if err != nil {
		if !errors.Is(err, postgres.ErrNotFound) {
			e.log().Warn("cache not read", zap.Error(err))
		}
		return nil, nil
	}
	out := &Result{Model: hit.Model, Cached: kind}
	if json.Unmarshal(hit.Answer, &out.Answer) != nil {
		return nil, nil
	}
	out.Latency, out.FirstToken = 0, 0
	if each != nil {
		if err := each(whole(&out.Answer)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// whole is an answer as one piece.
func whole(a *provider.Answer) provider.Delta {
	d := provider.Delta{Text: a.Text}
	for i, t := range a.Tools {
		d.Tools = append(d.Tools, provider.ToolFragment{Index: i, ID: t.ID, Name: t.Name, Arguments: t.Arguments})
	}
	return d
}

// keep puts an answer into the cache.
func (e *Engine) keep(ctx context.Context, c *Call, got *Result) {
	if !c.caches() || got.Finish == provider.FinishLength {
		return
	}
	key, scope, err := c.cacheKeys()
	if err != nil {
		return
	}
	answer, err := json.Marshal(got.Answer)
	if err != nil {
		return
	}
	live := c.Cache.Live
	if live <= 0 {
		live = 24 * time.Hour
	}
	err = postgres.SaveCached(context.WithoutCancel(ctx), e.Pool, c.Caller.WorkspaceID, postgres.Cached{
		Key: key, Scope: scope, Model: got.Model, Vector: c.lastVector(ctx), Answer: answer, Live: live,
	})
	if err != nil {
		e.log().Warn("answer not cached", zap.Error(err), zap.String("model", got.Model))
	}
}

func dot(a, b []float32) (sum float64) {
	if len(a) != len(b) {
		return 0
	}
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
