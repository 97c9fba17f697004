package server_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/server"
	"github.com/tartan-ai/tartan/mcp/tools"
)

// TestSearchBeforeTheIndex searches while the index is being loaded: the database ranks, and the answer says so. Nobody learns more of
// it than of the index.
func TestSearchBeforeTheIndex(t *testing.T) {
	t.Parallel()
	k := newStack(t, func(c *server.Config) {
		c.Libraries = feed.NewLibrariesWith(c.Pool, zap.NewNop(), feed.Options{Patience: 1})
	})
	for n, query := range []string{"restart the collector", `"the collector"`} {
		admin := k.db.Workspace(t, fmt.Sprintf("one%d", n))
		open, closed := k.db.Space(t, admin, "ops"), k.db.Space(t, admin, "hr", func(s *postgres.Space) { s.Restricted = true })
		for i := range 5 {
			k.db.Publish(t, admin, open, fmt.Sprintf("e%d", i), doc(fmt.Sprintf("Entry %d", i), "Restart the collector, then wait. "+fmt.Sprint(i)))
		}
		k.db.Publish(t, admin, closed, "secret", doc("Secret", "Restart the collector yourself."))
		viewer := k.db.Member(t, admin.WorkspaceID, access.Viewer)
		args := fmt.Sprintf(`{"query":%q}`, query)
		c := k.client(t, viewer, true)
		if n == 1 {
			refused(t, c, "search_knowledge", args, "still being loaded")
			continue
		}
		var found tools.Found
		c.into(t, &found, "search_knowledge", args)
		require.Contains(t, found.Ranking, "from the database")
		require.Len(t, found.Results, 5)
		for _, r := range found.Results {
			require.Contains(t, r.Snippet, "**collector**")
		}
		first := found
		require.Eventually(t, func() bool {
			found = tools.Found{}
			c.into(t, &found, "search_knowledge", args)
			return found.Ranking == ""
		}, 10*time.Second, time.Millisecond)
		require.Len(t, found.Results, len(first.Results))
	}
}
