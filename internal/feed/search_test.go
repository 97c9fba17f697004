package feed_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/search"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// The index of a process that starts goes on from the snapshot of the one before it, and one that is damaged or of another
// database is not used. A caller finds what she waited for.
func TestIndexOverRestarts(t *testing.T) {
	t.Parallel()
	ctx, db, folder := t.Context(), testdb.New(t), t.TempDir()
	admin := db.Workspace(t, "one")
	space := db.Space(t, admin, "ops")
	put := func(slug, text string) int64 {
		return db.Publish(t, admin, space, slug, &knowledge.Document{Schema: "note", Title: slug, Body: text})
	}
	find := func(p *process, query string, after int64) (out []string) {
		t.Helper()
		s, err := p.libraries.Searched(ctx, admin.WorkspaceID)
		require.NoError(t, err)
		require.NoError(t, s.WaitFor(ctx, space.ID, after))
		hits, note, err := s.Find(ctx, []uuid.UUID{space.ID}, search.Request{Query: search.PlainQuery(query), K: 10})
		require.NoError(t, err)
		require.Empty(t, note)
		for _, h := range hits {
			out = append(out, fmt.Sprintf("%s/%s@%d", h.Space, h.Slug, h.Revision))
		}
		none, _, err := s.Find(ctx, nil, search.Request{Query: search.PlainQuery(query), K: 10})
		require.NoError(t, err)
		require.Empty(t, none, "who may read nothing finds nothing")
		return out
	}
	put("a", "zebra")
	put("b", "giraffe")
	first := start(t, db, feed.Options{Snapshots: folder})
	require.Equal(t, []string{"ops/a@1"}, find(first, "zebra", put("c", "lion")))
	path := filepath.Join(folder, admin.WorkspaceID.String()+".index")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077, "it holds words of the texts")
	at := put("a", "okapi")
	second := start(t, db, feed.Options{Snapshots: folder})
	require.Empty(t, find(second, "zebra", at))
	require.Equal(t, []string{"ops/a@2"}, find(second, "okapi", at))
	require.Equal(t, []string{"ops/a@2"}, find(first, "okapi", at))

	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	s, err := first.libraries.Searched(ctx, admin.WorkspaceID)
	require.NoError(t, err)
	require.ErrorIs(t, s.WaitFor(soon, space.ID, at+1), context.DeadlineExceeded)

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, damaged := range map[string][]byte{"cut": text[:len(text)/2], "empty": nil, "a bit": append(append([]byte{}, text[:len(text)-9]...), append([]byte{text[len(text)-9] ^ 1}, text[len(text)-8:]...)...)} {
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		require.Equal(t, []string{"ops/a@2"}, find(start(t, db, feed.Options{Snapshots: folder}), "okapi", at), name)
	}

	// A revision of the same number with another history: the database was replaced.
	require.NoError(t, os.WriteFile(path, text, 0o600))
	_, err = db.Pool.Exec(ctx, "alter table tartan.knowledge_revisions disable trigger all; update tartan.knowledge_revisions set change_id = gen_random_uuid() where space_revision = 3")
	require.NoError(t, err)
	require.Equal(t, []string{"ops/b@1"}, find(start(t, db, feed.Options{Snapshots: folder}), "giraffe", at))
}
