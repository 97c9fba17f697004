package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/search"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// follow puts into the index what the revisions of a space say.
func follow(t *testing.T, tx pgx.Tx, x *search.Index, s postgres.Space, after int64) (last int64) {
	t.Helper()
	last = after
	for {
		revisions, err := postgres.RevisionsSince(t.Context(), tx, s.ID, last, 100)
		require.NoError(t, err)
		if len(revisions) == 0 {
			return last
		}
		for _, r := range revisions {
			last = r.SpaceRevision
			if r.Deleted() {
				x.Delete(s.Name, r.Slug, r.RecordedAt)
				continue
			}
			text, err := postgres.BodyText(t.Context(), tx, s.ID, r.Hash)
			require.NoError(t, err)
			d, err := knowledge.Parse([]byte(text))
			require.NoError(t, err)
			e := search.Of(d)
			e.Space, e.Slug, e.Revision, e.RecordedAt = s.Name, r.Slug, int64(r.Number), r.RecordedAt
			if r.ValidFrom != nil {
				e.ValidFrom = *r.ValidFrom
			}
			if r.ValidTo != nil {
				e.ValidTo = *r.ValidTo
			}
			require.NoError(t, x.Put(e))
		}
	}
}

// TestRankKnowledgeIsTheIndex compares the ranking in SQL with that of the index in memory: as it stands, of earlier moments, at
// other times of validity, and for a reader who may not see all spaces.
func TestRankKnowledgeIsTheIndex(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	db := testdb.New(t)
	owner := db.Workspace(t, "rank")
	words := strings.Fields("disk disks full restore backup running runs server network the of cable timeouts query index slow alert paging redis postgres")
	text := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString(words[min(int(r.ExpFloat64()*6), len(words)-1)] + " ")
		}
		return b.String()
	}
	x := search.New(search.Options{History: 1000})
	spaces := []postgres.Space{{Name: "ops"}, {Name: "hidden"}, {Name: "web"}}
	seen := make([]int64, len(spaces))
	valid := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	var moments []time.Time
	in := func(do func(tx pgx.Tx)) {
		require.NoError(t, postgres.InWorkspace(t.Context(), db.Pool, owner, func(tx pgx.Tx) error { do(tx); return nil }))
	}
	in(func(tx pgx.Tx) {
		for i := range spaces {
			s := &spaces[i]
			s.WorkspaceID, s.CreatedBy, s.SelfReview = owner.WorkspaceID, owner.UserID, true
			var err error
			*s, err = postgres.CreateSpace(t.Context(), tx, *s)
			require.NoError(t, err)
		}
	})
	head := map[string]int{}
	for range 60 {
		in(func(tx pgx.Tx) {
			i := r.IntN(len(spaces))
			s, used := spaces[i], map[string]bool{}
			var proposals []postgres.Proposal
			var bodies []postgres.Body
			for range 1 + r.IntN(4) {
				slug := fmt.Sprintf("e%d", r.IntN(12))
				at := s.Name + "/" + slug
				if used[slug] {
					continue
				}
				used[slug] = true
				if head[at] > 0 && r.IntN(6) == 0 {
					proposals = append(proposals, postgres.Proposal{Slug: slug, Op: postgres.OpDelete, Base: head[at]})
					head[at] = -head[at] - 1
					continue
				}
				b := note(t, text(r.IntN(4)), text(r.IntN(40)))
				p := postgres.Proposal{Slug: slug, Op: postgres.OpPut, Base: max(head[at], -head[at]), Hash: b.Hash}
				if r.IntN(3) == 0 {
					from := valid.AddDate(0, 0, r.IntN(20)-10)
					p.ValidFrom = &from
				}
				bodies, proposals = append(bodies, b), append(proposals, p)
				head[at] = max(head[at], -head[at]) + 1
			}
			if len(proposals) == 0 {
				return
			}
			_, err := publish(t, tx, s, owner.UserID, proposals, bodies, nil)
			require.NoError(t, err)
			seen[i] = follow(t, tx, x, s, seen[i])
		})
		in(func(tx pgx.Tx) {
			var now time.Time
			require.NoError(t, tx.QueryRow(t.Context(), `select max(recorded_at) from tartan.knowledge_revisions`).Scan(&now))
			moments = append(moments, now)
		})
	}
	some := 0
	in(func(tx pgx.Tx) {
		for range 60 {
			ask := search.Request{Query: search.PlainQuery(text(1 + r.IntN(6))), Spaces: []string{"ops", "web", "absent"}, K: 1 + r.IntN(15), LexicalOnly: true}
			switch r.IntN(4) {
			case 0:
				ask.AsOf = moments[r.IntN(len(moments))]
			case 1:
				ask.ValidAt = valid.AddDate(0, 0, r.IntN(24)-12)
			case 2:
				ask.AsOf, ask.ValidAt = moments[r.IntN(len(moments))], valid.AddDate(0, 0, r.IntN(24)-12)
			}
			want, err := x.Search(ask)
			require.NoError(t, err)
			got, err := postgres.RankKnowledge(t.Context(), tx, []uuid.UUID{spaces[0].ID, spaces[2].ID, uuid.New()}, ask)
			require.NoError(t, err)
			require.Equal(t, len(want), len(got), "%+v", ask)
			if len(want) > 0 {
				require.Equal(t, want, got, "%+v", ask)
				some++
			}
		}
	})
	require.Greater(t, some, 20)
	in(func(tx pgx.Tx) {
		q, err := search.ParseQuery(`"disk full"`)
		require.NoError(t, err)
		_, err = postgres.RankKnowledge(t.Context(), tx, []uuid.UUID{spaces[0].ID}, search.Request{Query: q, K: 1})
		require.ErrorIs(t, err, search.ErrFiltered)
	})

	// Entries from before are not ranked until they are cut into terms, in pieces.
	_, err := db.Pool.Exec(t.Context(), `update tartan.knowledge_searchable set analysis = 0 where space_id = $1`, spaces[0].ID)
	require.NoError(t, err)
	in(func(tx pgx.Tx) {
		ask, only := search.Request{Query: search.PlainQuery("disks full"), Spaces: []string{"ops"}, K: 10, LexicalOnly: true}, []uuid.UUID{spaces[0].ID}
		_, err := postgres.RankKnowledge(t.Context(), tx, only, ask)
		require.ErrorIs(t, err, postgres.ErrUncut)
		for n := 3; n == 3; {
			n, err = postgres.IndexKnowledge(t.Context(), tx, owner.WorkspaceID, spaces[0].ID, 3)
			require.NoError(t, err)
		}
		want, err := x.Search(ask)
		require.NoError(t, err)
		got, err := postgres.RankKnowledge(t.Context(), tx, only, ask)
		require.NoError(t, err)
		require.NotEmpty(t, want)
		require.Equal(t, want, got)
	})
}
