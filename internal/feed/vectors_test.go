package feed_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/search"
	"github.com/tartan-ai/tartan/internal/provider"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// TestConfiguredEmbedder searches with the vectors of an endpoint: they are kept in the database and paid for once, what the endpoint
// does not give is said, and an index that began without them gets them.
func TestConfiguredEmbedder(t *testing.T) {
	t.Parallel()
	var texts atomic.Int64 // that the endpoint was asked for, queries and trials left out
	var away atomic.Bool
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Input []string }
		if away.Load() || json.NewDecoder(r.Body).Decode(&in) != nil {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		data := []map[string]any{}
		for i, text := range in.Input { // the first component is cats, the second dogs
			v := []float32{.1, .1, .1}
			if strings.Contains(text, "feline") || strings.Contains(text, "purring") {
				v[0] = 1
			}
			if strings.Contains(text, "canine") {
				v[1] = 1
			}
			if strings.Contains(text, "\n") {
				texts.Add(1)
			}
			data = append(data, map[string]any{"index": i, "embedding": v})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
	}))
	defer endpoint.Close()
	ctx, db, folder := t.Context(), testdb.New(t), t.TempDir()
	admin := db.Workspace(t, "one")
	space := db.Space(t, admin, "ops")
	put := func(slug, text string) int64 {
		return db.Publish(t, admin, space, slug, &knowledge.Document{Schema: "note", Title: slug, Body: text})
	}
	another := func() *process {
		e, err := provider.NewEmbeddings(provider.EmbeddingsConfig{URL: endpoint.URL, Model: "small"})
		require.NoError(t, err)
		return start(t, db, feed.Options{Embedder: e, Snapshots: folder, Reconcile: 50 * time.Millisecond, Patience: time.Minute})
	}
	find := func(p *process, after int64) (best, note string) {
		s, err := p.libraries.Searched(ctx, admin.WorkspaceID)
		require.NoError(t, err)
		require.NoError(t, s.WaitFor(ctx, space.ID, after))
		hits, note, err := s.Find(ctx, []uuid.UUID{space.ID}, search.Request{Query: search.PlainQuery("purring animal"), K: 10})
		require.NoError(t, err)
		require.Len(t, hits, 2)
		return hits[0].Slug, note
	}
	// "animal" is in both, and the shorter one is the better hit by words.
	put("dog", "A canine animal.")
	at := put("cat", "A feline animal, as it is held in houses and yards.")
	away.Store(true)
	first := another()
	best, note := find(first, at)
	require.Equal(t, "dog", best)
	require.Contains(t, note, "built-in")
	away.Store(false)
	found := func(p *process, at int64) {
		t.Helper()
		require.Eventually(t, func() bool {
			best, note := find(p, at)
			return best == "cat" && note == ""
		}, 20*time.Second, 10*time.Millisecond)
	}
	found(first, at)
	require.EqualValues(t, 2, texts.Load())
	found(another(), at)
	at = put("dog", "A canine animal!")
	found(first, at)
	require.Eventually(t, func() bool { return texts.Load() >= 3 }, 20*time.Second, 10*time.Millisecond)
	require.LessOrEqual(t, texts.Load(), int64(4), "two processes may ask at the same time, and neither asks twice")
	away.Store(true)
	best, note = find(first, at)
	require.Equal(t, "dog", best)
	require.Contains(t, note, "by words alone")
	require.LessOrEqual(t, texts.Load(), int64(4))
}
