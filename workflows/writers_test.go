package workflows_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// history is a whole space, read without any function that knows of moments.
type history struct {
	slug                 string
	number               int
	hash                 string
	recorded             time.Time
	validFrom, validTo   *time.Time
	parents              []int
	author               uuid.UUID
	headNumber, revision int64
	headHash             string
}

func (b *base) history() (out []history) {
	b.t.Helper()
	rows, err := b.db.Pool.Query(context.Background(), `select e.slug, r.number, coalesce(r.hash, ''), r.recorded_at, r.valid_from, r.valid_to, r.parents, r.author,
			h.number, r.space_revision, coalesce(h.hash, '')
		from tartan.knowledge_revisions r join tartan.knowledge_entries e on e.id = r.entry_id join tartan.knowledge_heads h on h.entry_id = e.id
		where r.space_id = $1 order by e.slug, r.number`, b.space.ID)
	require.NoError(b.t, err)
	out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (h history, err error) {
		err = row.Scan(&h.slug, &h.number, &h.hash, &h.recorded, &h.validFrom, &h.validTo, &h.parents, &h.author, &h.headNumber, &h.revision, &h.headHash)
		return h, err
	})
	require.NoError(b.t, err)
	return out
}

// replays checks that the heads are what the history ends with, and that the times go on with the numbers.
func (b *base) replays() {
	b.t.Helper()
	last := map[string]history{}
	for _, h := range b.history() {
		if before, ok := last[h.slug]; ok {
			require.Equal(b.t, before.number+1, h.number)
			require.True(b.t, before.recorded.Before(h.recorded))
			require.Less(b.t, before.revision, h.revision)
			require.Contains(b.t, h.parents, before.number)
		} else {
			require.Equal(b.t, 1, h.number)
		}
		last[h.slug] = h
	}
	for _, h := range last {
		require.EqualValues(b.t, h.headNumber, h.number)
		require.Equal(b.t, h.headHash, h.hash)
	}
}

// moments compares random moments with a replay of the history.
func (b *base) moments(rnd *rand.Rand, n int) {
	b.t.Helper()
	all := b.history()
	first, last := all[0].recorded, all[0].recorded
	for _, h := range all {
		first, last = minTime(first, h.recorded), maxTime(last, h.recorded)
	}
	span := last.Sub(first) + 2*time.Second
	b.as(func(tx pgx.Tx) error {
		for range n {
			when := postgres.Moment{Recorded: first.Add(-time.Second + time.Duration(rnd.Int64N(int64(span)))).Truncate(time.Microsecond)}
			if rnd.IntN(2) == 0 {
				when.Recorded = all[rnd.IntN(len(all))].recorded // the very moment
			}
			if rnd.IntN(2) == 0 {
				when.Valid = someDay(rnd, 0)
			}
			want := map[string]string{}
			for _, h := range all {
				if !h.recorded.After(when.Recorded) && (when.Valid.IsZero() || (h.validFrom == nil || !when.Valid.Before(*h.validFrom)) && (h.validTo == nil || when.Valid.Before(*h.validTo))) {
					want[h.slug] = fmt.Sprint(h.number, " ", h.hash)
					if h.hash == "" {
						delete(want, h.slug)
					}
				}
			}
			page, _, err := postgres.Entries(context.Background(), tx, postgres.ListEntries{Space: b.space.ID, When: when, Limit: 1000})
			require.NoError(b.t, err)
			got := map[string]string{}
			for _, r := range page {
				got[r.Slug] = fmt.Sprint(r.Number, " ", r.Hash)
			}
			require.Equal(b.t, want, got, "%+v", when)
			slug := all[rnd.IntN(len(all))].slug
			r, err := postgres.EntryAt(context.Background(), tx, b.space.ID, slug, when)
			if w, ok := want[slug]; ok {
				require.NoError(b.t, err)
				require.Equal(b.t, w, fmt.Sprint(r.Number, " ", r.Hash))
			} else {
				require.ErrorIs(b.t, err, postgres.ErrNotFound)
			}
		}
		return nil
	})
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// someDay is a day of a hundred.
func someDay(rnd *rand.Rand, from int) time.Time {
	return time.Date(2026, 1, 1+from+rnd.IntN(100-from), 0, 0, 0, 0, time.UTC)
}

// Sixteen writers change their own paragraphs of four entries, on bases of different age, and now and then the title, which is
// everyone's. No accepted change is lost, and what is not accepted leaves no trace.
func TestWritersAtOnce(t *testing.T) {
	t.Parallel()
	const writers, entries, rounds = 16, 4, 13
	b := newWorld(t).base(postgres.Space{})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	text := rand.New(rand.NewPCG(seed, 99))
	var first []put
	for e := range entries {
		p := put{slug: fmt.Sprintf("entry-%d", e)}
		for w := range writers {
			p.body += fmt.Sprintf("## Writer %d\n\nnothing yet\n\n%s", w, words(text, 1))
		}
		first = append(first, p)
	}
	require.Equal(t, workflows.ChangePublished, b.publish(b.caller, first...).State)

	type accepted struct {
		slug, token string
		number      int
	}
	var mu sync.Mutex
	var all []accepted
	refused := 0
	var wg sync.WaitGroup
	for w := range writers {
		author := b.db.Member(t, b.caller.WorkspaceID, "editor")
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(w)))
			own := map[string]int{} // the last of one's own revisions: an older base would be without it
			for round := range rounds {
				slug := fmt.Sprintf("entry-%d", rnd.IntN(entries))
				token := fmt.Sprintf("token %d-%d", w, round)
				var p postgres.Proposal
				var body postgres.Body
				err := postgres.InWorkspace(context.Background(), b.db.Pool, author, func(tx pgx.Tx) error {
					heads, err := postgres.Heads(context.Background(), tx, b.space.ID, []string{slug})
					if err != nil {
						return err
					}
					n := max(own[slug], heads[slug].Number-rnd.IntN(4), 1)
					r, err := postgres.RevisionOf(context.Background(), tx, b.space.ID, slug, n)
					if err != nil {
						return err
					}
					canonical, err := postgres.BodyText(context.Background(), tx, b.space.ID, r.Hash)
					if err != nil {
						return err
					}
					d, err := knowledge.Parse([]byte(canonical))
					if err != nil {
						return err
					}
					heading := fmt.Sprintf("## Writer %d\n\n", w)
					head, rest, _ := strings.Cut(d.Body, heading)
					_, rest, _ = strings.Cut(rest, "\n")
					d.Body = head + heading + token + "\n" + rest
					if rnd.IntN(6) == 0 {
						d.Title = "Title of " + token
					}
					if body, err = postgres.BodyOf(d); err != nil {
						return err
					}
					p = postgres.Proposal{Slug: slug, Op: postgres.OpPut, Base: n, Hash: body.Hash}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
				id := uuid.New()
				err = postgres.InWorkspace(context.Background(), b.db.Pool, author, func(tx pgx.Tx) error {
					_, err := postgres.StageChange(context.Background(), tx, postgres.Change{ID: id, WorkspaceID: author.WorkspaceID, SpaceID: b.space.ID, Author: author.UserID}, []postgres.Proposal{p}, []postgres.Body{body})
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				env := b.env(id)
				env.ExecuteWorkflow(workflows.PublishChange, workflows.PublishChangeInput{Caller: author, ChangeID: id})
				var out workflows.PublishChangeResult
				if err := env.GetWorkflowError(); err != nil || env.GetWorkflowResult(&out) != nil {
					t.Errorf("writer %d round %d: %v", w, round, err)
					return
				}
				mu.Lock()
				if out.State == workflows.ChangePublished && out.Total == 1 {
					all = append(all, accepted{slug, token, out.Entries[0].Number})
					own[slug] = out.Entries[0].Number
				} else {
					refused++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d accepted, %d expired with conflicts", len(all), refused)
	require.Greater(t, len(all), writers*rounds/2)
	b.replays()
	revisions := b.history()
	require.Len(t, revisions, len(all)+entries, "every accepted change is one revision, and nothing else is")

	docs := map[string]string{} // body by slug and number
	for _, h := range revisions {
		var canonical string
		require.NoError(t, b.db.Pool.QueryRow(t.Context(), `select text from tartan.knowledge_bodies where hash = $1`, h.hash).Scan(&canonical))
		d, err := knowledge.Parse([]byte(canonical))
		require.NoError(t, err)
		docs[fmt.Sprint(h.slug, " ", h.number)] = d.Body
	}
	last := map[string]accepted{} // by entry and writer
	for _, a := range all {
		require.Contains(t, docs[fmt.Sprint(a.slug, " ", a.number)], a.token+"\n", "accepted and not in its revision")
		writer, _, _ := strings.Cut(a.token, "-")
		if k := a.slug + writer; last[k].number < a.number {
			last[k] = a
		}
	}
	for _, a := range last {
		require.Contains(t, b.text(a.slug, postgres.Moment{}), a.token+"\n", "lost")
	}
	b.moments(rand.New(rand.NewPCG(seed, 7)), 200)

	rnd := rand.New(rand.NewPCG(seed, 8))
	for range 5 { // any revision comes back with its hash
		h := revisions[rnd.IntN(len(revisions))]
		if h.hash == b.last(h.slug).Hash {
			continue
		}
		b.restore(workflows.RestoreKnowledgeInput{Slug: h.slug, Number: h.number})
		r := b.last(h.slug)
		require.Equal(t, h.hash, r.Hash)
		require.Equal(t, h.number, r.Reverts)
	}
}

func (b *base) last(slug string) (r postgres.Revision) {
	b.as(func(tx pgx.Tx) (err error) {
		r, err = postgres.RevisionOf(context.Background(), tx, b.space.ID, slug, 0)
		return err
	})
	return r
}

func (b *base) restore(in workflows.RestoreKnowledgeInput) *workflows.PublishChangeResult {
	b.t.Helper()
	in.Caller, in.ChangeID, in.Space, in.Reason = b.caller, uuid.New(), b.space.Name, "as it was"
	env := b.env(in.ChangeID)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.RestoreWorkflowID(b.caller.WorkspaceID, in.ChangeID), TaskQueue: workflows.TaskQueue})
	env.ExecuteWorkflow(workflows.RestoreKnowledge, in)
	return b.result(env)
}

// Entries come, change, go and come again, with validity on both clocks; each of 1,000 random moments is what a replay says, and
// a tag, a moment and a change set are brought back.
func TestMomentsAndRestores(t *testing.T) {
	t.Parallel()
	b := newWorld(t).base(postgres.Space{})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var tagged map[string]string
	var moment time.Time
	for step := range 60 {
		slug := fmt.Sprintf("e-%d", rnd.IntN(8))
		head := 0
		hash := ""
		b.as(func(tx pgx.Tx) error {
			heads, err := postgres.Heads(t.Context(), tx, b.space.ID, []string{slug})
			head, hash = heads[slug].Number, heads[slug].Hash
			return err
		})
		p := postgres.Proposal{Slug: slug, Op: postgres.OpPut, Base: head}
		var bodies []postgres.Body
		if hash != "" && rnd.IntN(4) == 0 {
			p.Op = postgres.OpDelete
		} else {
			body, err := postgres.BodyOf(put{slug: slug, body: words(rnd, 3)}.document())
			require.NoError(t, err)
			p.Hash, bodies = body.Hash, []postgres.Body{body}
			if rnd.IntN(2) == 0 {
				from := someDay(rnd, 0)
				p.ValidFrom = &from
			}
			if rnd.IntN(3) == 0 {
				to := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
				p.ValidTo = &to
			}
		}
		id := uuid.New()
		b.as(func(tx pgx.Tx) error {
			_, err := postgres.StageChange(t.Context(), tx, postgres.Change{ID: id, WorkspaceID: b.caller.WorkspaceID, SpaceID: b.space.ID, Author: b.caller.UserID}, []postgres.Proposal{p}, bodies)
			return err
		})
		out := b.run(b.env(id), id)
		require.Equal(t, workflows.ChangePublished, out.State, "%+v", out)
		if step == 20 {
			tagged = b.all()
			b.as(func(tx pgx.Tx) error {
				tag, err := postgres.CreateTag(t.Context(), tx, b.space, "v1", "", b.caller.UserID)
				require.Equal(t, len(tagged), tag.Entries)
				require.EqualValues(t, 21, tag.SpaceRevision)
				return err
			})
			moment = b.last(slug).RecordedAt
		}
	}
	b.replays()
	b.moments(rnd, 1000)
	before := b.all()
	out := b.restore(workflows.RestoreKnowledgeInput{Tag: "v1"})
	require.Equal(t, workflows.ChangePublished, out.State, "%+v", out)
	require.Equal(t, tagged, b.all())
	back := b.restore(workflows.RestoreKnowledgeInput{Change: out.ChangeID})
	require.Equal(t, workflows.ChangePublished, back.State, "%+v", back)
	require.Equal(t, before, b.all(), "a restore is taken back as any change set")
	b.restore(workflows.RestoreKnowledgeInput{At: moment})
	require.Equal(t, tagged, b.all())
	b.replays()
}
