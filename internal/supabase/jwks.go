// Package supabase talks to Supabase's own services. What comes in is an address; what goes out are keys that verify
// its tokens. It keeps no user data and decides nothing about access.
package supabase

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tartan-ai/tartan/internal/access"
)

const (
	// remoteTTL is how long Supabase lets its key set be cached (Cache-Control: max-age=600).
	remoteTTL = 600 * time.Second
	// fileTTL keeps a local key set fresh without a stat for every request.
	fileTTL = time.Second
	// retryAfter spaces the reloads that unknown key ids and outages cause.
	retryAfter = 10 * time.Second
	// maxStale is how long keys outlive an outage; after it the verifier fails closed.
	maxStale     = 24 * time.Hour
	fetchTimeout = 5 * time.Second
	maxKeySet    = 1 << 20
)

// ErrNoKeys says that no key set could be read yet, or none for so long that the old keys are no longer trusted.
var ErrNoKeys = errors.New("no token signing keys")

// JWKS is a key set kept in step with its source. It is safe for concurrent use.
type JWKS struct {
	source string
	client *http.Client
	ttl    time.Duration
	now    func() time.Time

	mu     sync.Mutex
	keys   access.KeySet
	loaded time.Time // last success
	tried  time.Time // last attempt
	err    error
	busy   chan struct{} // closed when the load under way ends; nil when none is
}

var _ access.Keys = (*JWKS)(nil)

// NewJWKS follows the key set at source: an http, https or file URL, or the path of a file. Nothing is read until the first use.
func NewJWKS(source string, client *http.Client) *JWKS {
	j := &JWKS{source: strings.TrimPrefix(source, "file://"), client: client, ttl: fileTTL, now: time.Now}
	if j.remote() {
		j.ttl = remoteTTL
	}
	if client == nil {
		j.client = &http.Client{Timeout: fetchTimeout}
	}
	return j
}

// AuthURL is the address of a project's Auth service, which is also the issuer of its tokens.
func AuthURL(project string) string { return strings.TrimRight(project, "/") + "/auth/v1" }

// KeySetURL is where a project publishes its key set.
func KeySetURL(project string) string { return AuthURL(project) + "/.well-known/jwks.json" }

func (j *JWKS) remote() bool {
	return strings.HasPrefix(j.source, "http://") || strings.HasPrefix(j.source, "https://")
}

// Key finds a signing key. A known key is answered from memory, refreshed in the background when the set is older than its
// lifetime; an unknown one waits for a reload, at most one in ten seconds.
func (j *JWKS) Key(kid string) (crypto.PublicKey, bool) {
	j.mu.Lock()
	key, ok := j.keys[kid]
	age := j.now().Sub(j.loaded)
	if ok && age <= maxStale {
		if age > j.ttl {
			j.start()
		}
		j.mu.Unlock()
		return key, true
	}
	wait := j.start()
	j.mu.Unlock()
	if wait == nil {
		return nil, false
	}
	<-wait
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.now().Sub(j.loaded) > maxStale {
		return nil, false
	}
	key, ok = j.keys[kid]
	return key, ok
}

// Ready reports whether tokens can be verified now, loading the set if it must; its error wraps ErrNoKeys.
func (j *JWKS) Ready(ctx context.Context) error {
	j.mu.Lock()
	if len(j.keys) > 0 && j.now().Sub(j.loaded) <= maxStale {
		j.mu.Unlock()
		return nil
	}
	wait := j.start()
	j.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.keys) > 0 && j.now().Sub(j.loaded) <= maxStale {
		return nil
	}
	if j.err != nil {
		return fmt.Errorf("%w: %w", ErrNoKeys, j.err)
	}
	return fmt.Errorf("%w in %s", ErrNoKeys, j.source)
}

// start begins a load unless one runs or one was tried too recently, and returns what to wait for. The caller holds mu.
func (j *JWKS) start() <-chan struct{} {
	if j.busy != nil {
		return j.busy
	}
	pause := min(retryAfter, j.ttl)
	if !j.tried.IsZero() && j.now().Sub(j.tried) < pause {
		return nil
	}
	j.tried = j.now()
	busy := make(chan struct{})
	j.busy = busy
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
		defer cancel()
		keys, err := j.load(ctx)
		j.mu.Lock()
		if j.err = err; err == nil {
			// A key that the source no longer names is gone at once; only an outage keeps old keys.
			j.keys, j.loaded = keys, j.now()
		}
		j.busy = nil
		j.mu.Unlock()
		close(busy)
	}()
	return busy
}

func (j *JWKS) load(ctx context.Context) (access.KeySet, error) {
	text, err := j.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read key set %s: %w", j.source, err)
	}
	return access.ParseJWKS(text)
}

func (j *JWKS) read(ctx context.Context) ([]byte, error) {
	if !j.remote() {
		return os.ReadFile(j.source)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.source, nil)
	if err != nil {
		return nil, err
	}
	resp, err := j.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err == nil && len(text) > maxKeySet {
		err = fmt.Errorf("longer than %d bytes", maxKeySet)
	}
	return text, err
}
