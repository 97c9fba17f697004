package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/local"
)

var proposalsFlag = flag.Int("proposals", 112, "proposals of the sixteen writers together; make writers has 5,000")

// writers change the paragraphs of their own in four entries.
const (
	writerCount = 16
	entryCount  = 4
)

// proposed is what a writer proposed, and what became of it.
type proposed struct {
	key, entry, token, title string // the title where it was changed too
	change, state            string
	base, revision           int
}

// contest is sixteen writers at two MCP servers of one stack.
type contest struct {
	*stack
	seed     uint64
	servers  [2]atomic.Value // addresses
	resent   atomic.Int64
	mu       sync.Mutex
	all      []proposed
	accepted atomic.Int64
}

// TestWritersThroughKills has sixteen writers propose changes of four entries over MCP to two servers while workers, servers, Postgres,
// one of its backends and Temporal are killed. A proposal without an answer is sent again under its key. Nothing accepted is
// lost, nothing is there twice, the heads are what a replay of the history says, and merges are those of git.
func TestWritersThroughKills(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1e9
	}
	t.Logf("seed %d: go test ./internal/e2e -run %s -seed %d -proposals %d", seed, t.Name(), seed, *proposalsFlag)
	c := &contest{stack: newStack(t), seed: seed}
	st, err := local.ReadState(c.dir)
	require.NoError(t, err)
	c.servers[0].Store(st.MCPURL)
	address := freeAddress(t)
	c.servers[1].Store("http://" + address + "/mcp")
	more := map[string]*child{
		"second mcp":    c.child(t, "second-mcp", "mcp", "--http="+address),
		"second worker": c.child(t, "second-worker", "worker"),
	}
	c.start(t)

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute+time.Duration(*proposalsFlag)*2*time.Second)
	defer cancel()
	done := make(chan struct{})
	killed := make(chan map[string]int)
	go func() { killed <- c.killing(ctx, done, more) }()
	began := time.Now()
	var wg sync.WaitGroup
	for w := range writerCount {
		wg.Go(func() {
			if err := c.write(ctx, w, (*proposalsFlag+writerCount-1)/writerCount); err != nil {
				t.Errorf("writer %d: %v", w, err)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	close(done)
	kills := <-killed
	if t.Failed() {
		return
	}
	h := c.history(t)
	h.verify(t, c)
	t.Logf("%d proposals in %.0f s, %d published, %d conflicts withdrawn, %d sent again; killed %v; %d merges, all as git merge-file; revisions %d; lost updates 0",
		len(c.all), took.Seconds(), c.accepted.Load(), len(c.all)-int(c.accepted.Load()), c.resent.Load(), kills, h.merges, len(h.revisions))
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// child is a process beside those of the stack, which is started again whenever it ends.
type child struct {
	mu  sync.Mutex
	cmd *exec.Cmd
	end bool
}

// child starts a command whose log lies with those of the stack, under the given name.
func (s *stack) child(t *testing.T, name string, args ...string) *child {
	t.Helper()
	c := &child{}
	log, err := os.Create(local.LogPath(s.dir, name))
	require.NoError(t, err)
	start := func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.end {
			return errors.New("the test is over")
		}
		c.cmd = exec.Command(bin, append(args, "--data-dir", s.dir)...)
		c.cmd.Env, c.cmd.Stderr = cleanEnv(), log
		return c.cmd.Start()
	}
	require.NoError(t, start())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			_ = c.cmd.Wait() // what ends it is the test
			time.Sleep(100 * time.Millisecond)
			if start() != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		c.mu.Lock()
		c.end = true
		c.mu.Unlock()
		c.kill()
		<-over
		_ = log.Close()
	})
	return c
}

func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.cmd.Process.Kill()
}

// killing kills something at seeded moments until the writers are done, and returns how often what was killed.
func (c *contest) killing(ctx context.Context, done <-chan struct{}, more map[string]*child) map[string]int {
	r := rand.New(rand.NewPCG(c.seed, 1000))
	kills := map[string]int{}
	targets := []string{"worker", "mcp", "postgres", "temporal", "backend", "second mcp", "second worker"}
	for {
		r.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
		for _, target := range targets {
			select {
			case <-done:
				return kills
			case <-time.After(time.Duration(1000+r.IntN(7000)) * time.Millisecond):
			}
			if p, ok := more[target]; ok {
				p.kill()
				kills[target]++
				continue
			}
			pid := 0
			if target == "backend" {
				pid = c.backend(ctx, r)
			} else if st, err := local.ReadState(c.dir); err == nil {
				pid = st.PIDs[target]
			}
			if pid > 0 && syscall.Kill(pid, syscall.SIGKILL) == nil {
				kills[target]++
			}
		}
	}
}

// backend is the process of a connection to the database; 0 where there is none to be found.
func (c *contest) backend(ctx context.Context, r *rand.Rand) int {
	within, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := c.database(within)
	if err != nil {
		return 0
	}
	defer conn.Close(within)
	rows, err := conn.Query(within, `select pid from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database() order by pid`)
	if err != nil {
		return 0
	}
	var pids []int
	for rows.Next() {
		var pid int
		if rows.Scan(&pid) == nil {
			pids = append(pids, pid)
		}
	}
	if rows.Err() != nil || len(pids) == 0 {
		return 0
	}
	return pids[r.IntN(len(pids))]
}

// start publishes the entries, each in words of its own: alike they would be refused as copies.
func (c *contest) start(t *testing.T) {
	t.Helper()
	r := rand.New(rand.NewPCG(c.seed, 2000))
	var changes []map[string]any
	for e := range entryCount {
		var b strings.Builder
		fmt.Fprintf(&b, "# Entry %d\n\n", e)
		for w := range writerCount {
			fmt.Fprintf(&b, "%snothing yet\n\n%s\n\n", heading(w), someWords(r, 25))
		}
		changes = append(changes, map[string]any{"entry": fmt.Sprintf("contest/e%d", e), "type": "note", "title": fmt.Sprintf("Entry %d", e), "body": b.String()})
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s := &session{contest: c}
	defer s.close()
	var out answerOf
	require.NoError(t, s.insist(ctx, "propose_change", map[string]any{"changes": changes, "create_space": true, "key": "start"}, &out))
	require.Equal(t, "published", out.State, "%+v", out)
}

func heading(w int) string { return fmt.Sprintf("## Writer %d\n\n", w) }

func someWords(r *rand.Rand, n int) string {
	words := make([]string, n)
	for i := range words {
		for range 2 + r.IntN(3) {
			words[i] += string("bdfgklmnprstvz"[r.IntN(14)]) + string("aeiou"[r.IntN(5)])
		}
	}
	return strings.Join(words, " ") + "."
}

// answerOf is what the tools answer of a change set.
type answerOf struct {
	Change  string `json:"change"`
	State   string `json:"state"`
	Why     string `json:"why"`
	Entries []struct {
		Revision int `json:"revision"`
	} `json:"entries"`
}

// settled reports whether a change set will not go on by itself.
func (a answerOf) settled() bool {
	switch a.State {
	case "published", "rejected", "expired", "withdrawn", "conflicted", "in_review":
		return true
	}
	return false
}

// write proposes n changes, one after the other.
func (c *contest) write(ctx context.Context, w, n int) error {
	r := rand.New(rand.NewPCG(c.seed, uint64(w)))
	s := &session{contest: c, server: w % 2}
	defer s.close()
	for round := range n {
		p := proposed{key: fmt.Sprintf("%d-%d", w, round), entry: fmt.Sprintf("contest/e%d", r.IntN(entryCount)), token: fmt.Sprintf("token %d-%d", w, round)}
		var e struct {
			Body     string `json:"body"`
			Revision int    `json:"revision"`
		}
		if err := s.insist(ctx, "get_knowledge", map[string]any{"entry": p.entry, "max_tokens": 20000}, &e); err != nil {
			return err
		}
		p.base = e.Revision
		before, rest, ok := strings.Cut(e.Body, heading(w))
		if !ok {
			return fmt.Errorf("%s@%d has lost the paragraph of writer %d", p.entry, e.Revision, w)
		}
		_, rest, _ = strings.Cut(rest, "\n")
		draft := map[string]any{"entry": p.entry, "base": e.Revision, "body": before + heading(w) + p.token + "\n" + rest}
		if r.IntN(6) == 0 { // everyone's
			p.title = "Title of " + p.token
			draft["title"] = p.title
		}
		var out answerOf
		if err := s.insist(ctx, "propose_change", map[string]any{"changes": []any{draft}, "reason": p.token, "key": p.key}, &out); err != nil {
			return err
		}
		for !out.settled() {
			time.Sleep(100 * time.Millisecond)
			var h struct {
				Change answerOf `json:"change"`
			}
			if err := s.insist(ctx, "knowledge_history", map[string]any{"change": out.Change}, &h); err != nil {
				return err
			}
			out = h.Change
		}
		p.change, p.state = out.Change, out.State
		switch out.State {
		case "published":
			c.accepted.Add(1)
			p.revision = out.Entries[0].Revision
		case "conflicted": // with the title of another
			if err := s.withdraw(ctx, out.Change); err != nil {
				return err
			}
		default:
			return fmt.Errorf("proposal %s is %s: %s", p.key, out.State, out.Why)
		}
		c.mu.Lock()
		c.all = append(c.all, p)
		c.mu.Unlock()
	}
	return nil
}

// session is a connection to one of the servers, or to the other when that does not answer.
type session struct {
	*contest
	server int
	client *client.Client
}

func (s *session) close() {
	if s.client != nil {
		_ = s.client.Close()
		s.client = nil
	}
}

// insist calls a tool until it answers: at the other server, as a client does whose server has gone.
func (s *session) insist(ctx context.Context, tool string, arguments map[string]any, out any) error {
	for again := false; ; again = true {
		if again {
			s.resent.Add(1)
		}
		err := s.once(ctx, tool, arguments, out)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no answer in time, the last: %w", err)
		}
		if strings.Contains(err.Error(), tool+": ") && !passing(err.Error()) {
			return err
		}
		s.close()
		s.server = 1 - s.server
		time.Sleep(50 * time.Millisecond)
	}
}

// passing reports whether a tool says that something it needs is away.
func passing(text string) bool {
	for _, sign := range []string{"unavailable", "cannot be reached", "not answer", "no worker", "try again", "Try again", "Call again"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

func (s *session) once(ctx context.Context, tool string, arguments map[string]any, out any) error {
	within, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if s.client == nil {
		token, err := s.bearer()
		if err != nil {
			return err
		}
		c, err := client.NewStreamableHttpClient(s.servers[s.server].Load().(string), transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer " + token}))
		if err != nil {
			return err
		}
		s.client = c
		if err := initialize(within, c); err != nil {
			s.close()
			return err
		}
	}
	return call(within, s.client, tool, arguments, out)
}

func (c *contest) bearer() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == "" {
		out, err := c.try("token", "--ttl", "5h")
		if err != nil {
			return "", err
		}
		c.token = strings.TrimSpace(string(out))
	}
	return c.token, nil
}

// withdraw takes a change set back. Sent again it may find that it is back already; and where a worker was killed after the database
// had heard of the conflict and before the workflow did, that is still on its way.
func (s *session) withdraw(ctx context.Context, change string) error {
	for {
		var out answerOf
		err := s.insist(ctx, "review_change", map[string]any{"change": change, "action": "withdraw"}, &out)
		switch {
		case err == nil || strings.Contains(err.Error(), "is withdrawn"):
			return nil
		case !strings.Contains(err.Error(), "is validating"):
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}
