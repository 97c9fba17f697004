package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/local"
)

// database connects to the stack's database, where all of it is seen.
func (s *stack) database(ctx context.Context) (*pgx.Conn, error) {
	st, err := local.ReadState(s.dir)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, st.DatabaseURL)
	if err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, "set role service_role")
	return conn, err
}

// contestRevision is a revision as it is stored, with what was proposed.
type contestRevision struct {
	slug, change, author string
	number, base, onto   int
	hash, ours           string // of what it says, and of what was proposed
	parents              []int
	recorded             time.Time
	headNumber           int
	headHash             string
}

// contestHistory is the whole space.
type contestHistory struct {
	revisions []contestRevision
	bodies    map[string]knowledge.Document
	changes   int
	merges    int
}

// history reads the space by plain queries.
func (c *contest) history(t *testing.T) *contestHistory {
	t.Helper()
	h := &contestHistory{bodies: map[string]knowledge.Document{}}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var conn *pgx.Conn
	c.eventually(t, time.Minute, func() (err error) {
		conn, err = c.database(ctx)
		return err
	})
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `select e.slug, r.change_id::text, r.author::text, r.number, p.base, coalesce(p.merged_onto, 0), r.hash, p.hash, r.parents, r.recorded_at, d.number, d.hash
		from tartan.knowledge_revisions r join tartan.knowledge_entries e on e.id = r.entry_id join tartan.knowledge_heads d on d.entry_id = e.id
		join tartan.knowledge_proposals p on p.change_id = r.change_id and p.seq = r.seq order by e.slug, r.number`)
	require.NoError(t, err)
	h.revisions, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r contestRevision, err error) {
		err = row.Scan(&r.slug, &r.change, &r.author, &r.number, &r.base, &r.onto, &r.hash, &r.ours, &r.parents, &r.recorded, &r.headNumber, &r.headHash)
		return r, err
	})
	require.NoError(t, err)
	rows, err = conn.Query(ctx, `select hash, text from tartan.knowledge_bodies`)
	require.NoError(t, err)
	for rows.Next() {
		var hash, text string
		require.NoError(t, rows.Scan(&hash, &text))
		d, err := knowledge.Parse([]byte(text))
		require.NoError(t, err)
		h.bodies[hash] = d
	}
	require.NoError(t, rows.Err())
	require.NoError(t, conn.QueryRow(ctx, `select count(*) from tartan.knowledge_changes`).Scan(&h.changes))
	return h
}

// verify replays the history and compares it with what the writers were told.
func (h *contestHistory) verify(t *testing.T, c *contest) {
	t.Helper()
	require.Len(t, c.all, *proposalsFlag/writerCount*writerCount)
	require.Equal(t, len(c.all)+1, h.changes, "a proposal that was sent again is one change set")
	told := map[string]proposed{}
	for _, p := range c.all {
		if p.state == "published" {
			told[p.change] = p
		}
	}
	require.Len(t, h.revisions, len(told)+entryCount, "every accepted change is one revision, and nothing else is")

	numbered := map[string]contestRevision{}
	says := map[string]map[string]string{} // entry -> heading of a writer -> what the paragraph has to say
	title := map[string]string{}
	last := map[string]contestRevision{}
	for _, r := range h.revisions {
		at := fmt.Sprintf("%s@%d", r.slug, r.number)
		numbered[at] = r
		doc := h.bodies[r.hash]
		if r.number == 1 {
			says[r.slug], title[r.slug] = map[string]string{}, doc.Title
			for w := range writerCount {
				says[r.slug][heading(w)] = "nothing yet"
			}
		} else {
			before := last[r.slug]
			require.Equal(t, before.number+1, r.number, at)
			require.True(t, before.recorded.Before(r.recorded), at)
			require.Contains(t, r.parents, before.number, at)
			p, ok := told[r.change]
			require.True(t, ok, "%s is from change set %s, which nobody was told of", at, r.change)
			require.Equal(t, []any{"contest/" + r.slug, r.number}, []any{p.entry, p.revision}, at)
			delete(told, r.change)
			var writer int
			_, err := fmt.Sscanf(p.key, "%d-", &writer)
			require.NoError(t, err)
			says[r.slug][heading(writer)] = p.token
			if p.title != "" {
				title[r.slug] = p.title
			}
		}
		for head, token := range says[r.slug] {
			require.Contains(t, doc.Body, head+token+"\n", "%s has lost an update", at)
		}
		require.Equal(t, title[r.slug], doc.Title, "%s has lost a title", at)
		last[r.slug] = r
	}
	require.Empty(t, told, "accepted, and not in the history")
	require.Len(t, last, entryCount)
	for _, r := range last {
		require.Equal(t, []any{r.headNumber, r.headHash}, []any{r.number, r.hash}, "the head of %s", r.slug)
	}
	h.asGit(t, numbered)
}

// asGit merges again with git what was merged.
func (h *contestHistory) asGit(t *testing.T, numbered map[string]contestRevision) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Log("git is not installed: nothing to compare merges with")
		return
	}
	dir := t.TempDir()
	for _, r := range h.revisions {
		if r.onto == 0 {
			require.Equal(t, r.ours, r.hash, "%s@%d was not merged and says something else than what was proposed", r.slug, r.number)
			continue
		}
		require.Equal(t, r.number-1, r.onto, "%s@%d is merged with its predecessor", r.slug, r.number)
		require.Less(t, r.base, r.onto)
		texts := map[string]string{
			"ours": h.bodies[r.ours].Body, "base": h.bodies[numbered[fmt.Sprintf("%s@%d", r.slug, r.base)].hash].Body,
			"theirs": h.bodies[numbered[fmt.Sprintf("%s@%d", r.slug, r.onto)].hash].Body,
		}
		for name, text := range texts {
			require.NotEmpty(t, text)
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
		cmd := exec.Command("git", "merge-file", "-p", "ours", "base", "theirs")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
		var merged strings.Builder
		cmd.Stdout = &merged
		require.NoError(t, cmd.Run(), "git finds a conflict in %s@%d", r.slug, r.number)
		require.Equal(t, merged.String(), h.bodies[r.hash].Body, "%s@%d", r.slug, r.number)
		h.merges++
	}
	require.NotZero(t, h.merges, "writers at once merge now and then")
}
