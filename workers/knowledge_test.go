package workers_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// sizeVar sets how much the tests of the knowledge base do: entries to import, and proposals.
const sizeVar = "TARTAN_TEST_KNOWLEDGE_SIZE"

func knowledgeSize(otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(sizeVar)); err == nil {
		return n
	}
	return otherwise
}

// Workers are killed while entries are imported: each is published once.
func TestImportIsKilled(t *testing.T) {
	s := newStack(t)
	space, n := s.space("open", 0), knowledgeSize(1500)
	in := workflows.ImportKnowledgeInput{Caller: s.caller, Space: space.Name, Source: s.notes(space.Name, n)}
	victim := s.worker()
	began := time.Now()
	id, _, _, err := workflows.StartImport(context.Background(), s.client, in)
	require.NoError(t, err)
	revisions := func() (n int) {
		require.NoError(t, s.db.Pool.QueryRow(context.Background(), `select count(*) from tartan.knowledge_revisions`).Scan(&n))
		return n
	}
	staged := func() (n int) {
		require.NoError(t, s.db.Pool.QueryRow(context.Background(), `select count(*) from tartan.knowledge_proposals`).Scan(&n))
		return n
	}
	for _, reached := range []func() bool{func() bool { return staged() > n/3 }, func() bool { return revisions() > 0 }, func() bool { return revisions() > n/2 }} {
		eventually(t, "the import goes on", reached)
		victim.kill()
		victim = s.worker()
	}
	var status workflows.Status
	eventually(t, "the import ends", func() bool {
		status, err = workflows.Describe(context.Background(), s.client, id)
		return err == nil && status.Finished()
	})
	took := time.Since(began)
	require.NotNil(t, status.Imported, "%+v", status)
	require.Equal(t, n, status.Imported.Published, "%+v", status.Imported)
	require.Equal(t, n, revisions())
	var entries int
	require.NoError(t, s.db.Pool.QueryRow(context.Background(), `select count(*) from tartan.knowledge_heads where hash is not null`).Scan(&entries))
	require.Equal(t, n, entries)
	t.Logf("%d entries in %v, %.0f/s with three kills; the last worker took %.1f s of CPU and %.0f MB at most", n, took, float64(n)/took.Seconds(), victim.cpu(), victim.peak())
}

// Sixteen writers change four entries while workers are killed: every accepted change is one revision, the heads are where the
// history ends, and nothing that was not accepted is there.
func TestWritersAreKilled(t *testing.T) {
	s := newStack(t)
	space, n := s.space("open", 0), knowledgeSize(200)
	const writers, entries = 16, 4
	a, b := s.worker(), s.worker()
	var base string
	for w := range writers {
		base += fmt.Sprintf("## Writer %d\n\nnothing %d\n\nend of %x\n\n", w, w, w*7919)
	}
	for e := range entries {
		id, _ := s.propose(space, fmt.Sprintf("e%d", e), fmt.Sprintf("# Entry %x\n\n", (e+1)*104729)+base, 0)
		s.ended(id, workflows.ChangePublished)
	}
	var mu sync.Mutex
	accepted := map[uuid.UUID]string{}
	parked := 0
	var wg sync.WaitGroup
	began := time.Now()
	for w := range writers {
		wg.Go(func() {
			for round := range n / writers {
				slug, token := fmt.Sprintf("e%d", (w+round)%entries), fmt.Sprintf("token %d-%d", w, round)
				id, change, err := s.rewrite(space, slug, w, token)
				if err != nil {
					t.Error(err)
					return
				}
				status, _, failed, err := workflows.WaitForChange(context.Background(), s.client, id, 2*time.Minute)
				if err != nil || failed != nil {
					t.Errorf("%s: %v %v", token, err, failed)
					return
				}
				mu.Lock()
				if status.State == workflows.ChangePublished {
					accepted[change] = token
				} else {
					parked++
				}
				mu.Unlock()
			}
		})
	}
	stop := make(chan struct{})
	killed := make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				killed <- n
				return
			case <-time.After(8 * time.Second):
				a.kill()
				a, b = b, s.worker()
				n++
			}
		}
	}()
	wg.Wait()
	took := time.Since(began)
	close(stop)
	t.Logf("%d accepted, %d parked with conflicts, %d kills, %v", len(accepted), parked, <-killed, took)
	rows, _ := s.db.Pool.Query(context.Background(), `select r.change_id, r.number, e.slug, b.text, h.number, h.hash = r.hash from tartan.knowledge_revisions r
		join tartan.knowledge_entries e on e.id = r.entry_id join tartan.knowledge_heads h on h.entry_id = r.entry_id
		join tartan.knowledge_bodies b on b.hash = r.hash order by e.slug, r.number`)
	numbers, heads, same := map[string]int{}, map[string]int{}, map[string]bool{}
	seen := map[uuid.UUID]bool{}
	var change uuid.UUID
	var number, head int
	var slug, text string
	var current bool
	_, err := pgx.ForEachRow(rows, []any{&change, &number, &slug, &text, &head, &current}, func() error {
		require.Equal(t, numbers[slug]+1, number)
		numbers[slug], heads[slug], same[slug] = number, head, current
		if token, ok := accepted[change]; ok {
			require.False(t, seen[change], "twice")
			seen[change] = true
			require.Contains(t, text, token+`\n`)
		} else {
			require.Equal(t, 1, number, "a revision of nobody")
		}
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, rows.Err())
	require.Equal(t, numbers, heads)
	require.Equal(t, map[string]bool{"e0": true, "e1": true, "e2": true, "e3": true}, same)
	require.Len(t, seen, len(accepted), "accepted and not in the history")
}

// rewrite proposes an entry as it is with one's own paragraph changed.
func (s *stack) rewrite(space postgres.Space, slug string, writer int, token string) (id string, change uuid.UUID, err error) {
	change = uuid.New()
	err = postgres.InWorkspace(context.Background(), s.db.Pool, s.caller, func(tx pgx.Tx) error {
		r, err := postgres.EntryAt(context.Background(), tx, space.ID, slug, postgres.Moment{})
		if err != nil {
			return err
		}
		text, err := postgres.BodyText(context.Background(), tx, space.ID, r.Hash)
		if err != nil {
			return err
		}
		d, err := knowledge.Parse([]byte(text))
		if err != nil {
			return err
		}
		heading := fmt.Sprintf("## Writer %d\n\n", writer)
		head, rest, _ := strings.Cut(d.Body, heading)
		_, rest, _ = strings.Cut(rest, "\n")
		d.Body = head + heading + token + "\n" + rest
		body, err := postgres.BodyOf(d)
		if err != nil {
			return err
		}
		c := postgres.Change{ID: change, WorkspaceID: space.WorkspaceID, SpaceID: space.ID, Author: s.caller.UserID}
		_, err = postgres.StageChange(context.Background(), tx, c, []postgres.Proposal{{Slug: slug, Op: postgres.OpPut, Base: r.Number, Hash: body.Hash}}, []postgres.Body{body})
		return err
	})
	if err == nil {
		id, _, err = workflows.StartChange(context.Background(), s.client, workflows.PublishChangeInput{Caller: s.caller, ChangeID: change}, token)
	}
	return id, change, err
}

// BenchmarkImport measures how fast entries are imported through validation and publishing, each run into a space of its own.
func BenchmarkImport(b *testing.B) {
	s := newStack(b)
	worker, n := s.worker(), knowledgeSize(10_000)
	source := s.notes("open0", n)
	b.ResetTimer()
	cpu := worker.cpu()
	for i := range b.N {
		space := s.space(fmt.Sprintf("open%d", i), 0)
		id, _, _, err := workflows.StartImport(context.Background(), s.client, workflows.ImportKnowledgeInput{Caller: s.caller, Space: space.Name, Source: source})
		require.NoError(b, err)
		status, err := workflows.Wait(context.Background(), s.client, id, 50*time.Millisecond, nil)
		require.NoError(b, err)
		require.NotNil(b, status.Imported, "%+v", status)
		require.Equal(b, n, status.Imported.Published, "%+v", status.Imported)
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric((worker.cpu()-cpu)/float64(n*b.N)*1e6, "cpu-µs/entry")
	b.ReportMetric(worker.peak(), "peak-MB")
}
