package supabase

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
)

// authServer serves a key set that the test changes and takes away.
type authServer struct {
	*httptest.Server
	hits atomic.Int64
	down atomic.Bool
	body atomic.Pointer[[]byte]
}

func newAuthServer(t *testing.T, keys ...*access.Key) *authServer {
	t.Helper()
	s := &authServer{}
	s.publish(t, keys...)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hits.Add(1)
		if s.down.Load() || r.URL.Path != "/auth/v1/.well-known/jwks.json" {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		_, _ = w.Write(*s.body.Load())
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *authServer) publish(t *testing.T, keys ...*access.Key) {
	t.Helper()
	text, err := access.JWKS(keys...)
	require.NoError(t, err)
	s.body.Store(&text)
}

// clock is a time that the test moves.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) forward(d time.Duration) { c.at.Add(int64(d)) }

func follow(s *authServer) (*JWKS, *clock) {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC).UnixNano())
	j := NewJWKS(KeySetURL(s.URL+"/"), nil)
	j.now = c.now
	return j, c
}

func key(t *testing.T) *access.Key {
	t.Helper()
	k, err := access.NewKey()
	require.NoError(t, err)
	return k
}

func TestKeysAreCachedAndRotated(t *testing.T) {
	t.Parallel()
	first, second := key(t), key(t)
	s := newAuthServer(t, first)
	j, clock := follow(s)
	for range 50 {
		_, ok := j.Key(first.ID())
		require.True(t, ok)
	}
	require.EqualValues(t, 1, s.hits.Load())

	s.publish(t, second)
	_, ok := j.Key(second.ID())
	require.False(t, ok, "a reload within ten seconds of the last is refused")
	clock.forward(11 * time.Second)
	_, ok = j.Key(second.ID())
	require.True(t, ok)
	_, ok = j.Key(first.ID())
	require.False(t, ok, "a withdrawn key is gone")
}

func TestUnknownKeysReloadSeldom(t *testing.T) {
	t.Parallel()
	s := newAuthServer(t, key(t))
	j, clock := follow(s)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { j.Key("guess") })
	}
	wg.Wait()
	require.EqualValues(t, 1, s.hits.Load())
	clock.forward(9 * time.Second)
	j.Key("guess")
	require.EqualValues(t, 1, s.hits.Load())
	clock.forward(2 * time.Second)
	j.Key("guess")
	require.EqualValues(t, 2, s.hits.Load())
}

func TestOutageKeepsKeysForADay(t *testing.T) {
	t.Parallel()
	k := key(t)
	s := newAuthServer(t, k)
	j, clock := follow(s)
	require.NoError(t, j.Ready(t.Context()))
	s.down.Store(true)
	clock.forward(23 * time.Hour)
	_, ok := j.Key(k.ID())
	require.True(t, ok)
	clock.forward(2 * time.Hour)
	require.Eventually(t, func() bool { _, ok := j.Key(k.ID()); return !ok }, 5*time.Second, 10*time.Millisecond)
	require.ErrorIs(t, j.Ready(t.Context()), ErrNoKeys)
	s.down.Store(false)
	clock.forward(time.Minute)
	_, ok = j.Key(k.ID())
	require.True(t, ok)
}

func TestStaleSetIsRefreshedBehindTheAnswer(t *testing.T) {
	t.Parallel()
	k := key(t)
	s := newAuthServer(t, k)
	j, clock := follow(s)
	j.Key(k.ID())
	clock.forward(601 * time.Second)
	_, ok := j.Key(k.ID())
	require.True(t, ok)
	require.Eventually(t, func() bool { return s.hits.Load() == 2 }, 5*time.Second, time.Millisecond)
}

func TestNeverReachedFailsClosed(t *testing.T) {
	t.Parallel()
	s := newAuthServer(t, key(t))
	s.down.Store(true)
	j, _ := follow(s)
	_, ok := j.Key("any")
	require.False(t, ok)
	require.ErrorIs(t, j.Ready(t.Context()), ErrNoKeys)
}

func TestKeysFromFile(t *testing.T) {
	t.Parallel()
	k := key(t)
	text, err := access.JWKS(k)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "jwks.json")
	j := NewJWKS(path, nil)
	require.ErrorIs(t, j.Ready(t.Context()), ErrNoKeys)
	require.NoError(t, os.WriteFile(path, text, 0o600))
	require.Eventually(t, func() bool { _, ok := j.Key(k.ID()); return ok }, 5*time.Second, 50*time.Millisecond)
}
