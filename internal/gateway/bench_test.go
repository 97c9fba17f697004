package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/completion"
	"github.com/tartan-ai/tartan/internal/gateway"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/provider"
	"github.com/tartan-ai/tartan/internal/provider/faulty"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// The variables by which a test binary starts itself as a gateway of its own, which can be weighed, and how long a soak lasts.
const (
	databaseVar = "TARTAN_TEST_GATEWAY_DATABASE"
	providerVar = "TARTAN_TEST_GATEWAY_PROVIDER"
	userVar     = "TARTAN_TEST_GATEWAY_USER"
	soakVar     = "TARTAN_TEST_GATEWAY_SOAK"
)

func TestMain(m *testing.M) {
	if os.Getenv(databaseVar) != "" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve is what `tartan gateway` does; it prints its address and a token.
func serve() error {
	debug.SetMemoryLimit(64 << 20)
	debug.SetGCPercent(50)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	pool, err := postgres.Open(ctx, os.Getenv(databaseVar))
	if err != nil {
		return err
	}
	defer pool.Close()
	config, err := provider.ParseConfig(fmt.Sprintf("[[provider]]\nname='p'\ndialect='openai'\nbase_url='%s'\n"+
		"[[model]]\nprovider='p'\nname='a'\ncapabilities=['chat']\nmax_output=200\ninput_usd_per_mtok=1\noutput_usd_per_mtok=1\n", os.Getenv(providerVar)))
	if err != nil {
		return err
	}
	registry, err := provider.NewRegistry(config, nil)
	if err != nil {
		return err
	}
	key, err := access.NewKey()
	if err != nil {
		return err
	}
	token, err := access.Issue(key, access.Claims{
		Subject: uuid.MustParse(os.Getenv(userVar)), Issuer: "test", Audience: []string{"gateway"}, ClientID: "test", Expires: time.Now().Add(time.Hour),
	}, time.Now())
	if err != nil {
		return err
	}
	g, err := gateway.New(gateway.Config{
		Pool: pool, Engine: &completion.Engine{Pool: pool, Registry: registry}, Models: registry.Models, Keys: key.Public(), Expect: access.Expect{Issuer: "test", Audience: "gateway"},
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String() + " " + token)
	return g.Serve(ctx, l)
}

// process is a gateway in a process of its own, in front of a provider that works.
type process struct {
	url, token, direct string
	pid                int
}

func start(t testing.TB, pieces int) *process {
	t.Helper()
	db := testdb.New(t)
	caller := db.Workspace(t, "acme")
	fake := faulty.New()
	t.Cleanup(fake.Close)
	fake.Always("a", faulty.Answer(strings.TrimSpace(strings.Repeat("word ", pieces)), 20, pieces))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), databaseVar+"="+db.URL, providerVar+"="+fake.URL, userVar+"="+caller.UserID.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	url, token, _ := strings.Cut(strings.TrimSpace(line), " ")
	return &process{url: url + "/v1/chat/completions", token: token, direct: fake.URL + "/chat/completions", pid: cmd.Process.Pid}
}

// rss is the resident memory of the process, in MB.
func (p *process) rss(t testing.TB) (mb int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		t.Skip("no /proc here")
	}
	for _, line := range strings.Split(string(text), "\n") {
		if n, err := fmt.Sscanf(line, "VmRSS: %d kB", &mb); n == 1 && err == nil {
			return mb / 1024
		}
	}
	return 0
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}

func (p *process) ask(url, model string, stream bool) ([]byte, error) {
	body := fmt.Sprintf(`{"model":%q,"stream":%t,"max_tokens":150,"messages":[{"role":"user","content":"What is wrong?"}]}`, model, stream)
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %s", resp.StatusCode, text)
	}
	return text, err
}

// BenchmarkOverhead asks the provider and the gateway in front of it by turns, one call after another.
func BenchmarkOverhead(b *testing.B) {
	p := start(b, 1)
	var direct, through []time.Duration
	once := func(url, model string) time.Duration {
		began := time.Now()
		_, err := p.ask(url, model, false)
		require.NoError(b, err)
		return time.Since(began)
	}
	for range 100 {
		once(p.direct, "a")
		once(p.url, "auto")
	}
	for b.Loop() {
		direct, through = append(direct, once(p.direct, "a")), append(through, once(p.url, "auto"))
	}
	slices.Sort(direct)
	slices.Sort(through)
	us := func(all []time.Duration, q int) float64 { return float64(all[len(all)*q/100].Microseconds()) }
	b.ReportMetric(us(direct, 50), "direct-p50-µs")
	b.ReportMetric(us(through, 50), "through-p50-µs")
	b.ReportMetric(us(through, 50)-us(direct, 50), "overhead-p50-µs")
	b.ReportMetric(us(through, 99), "through-p99-µs")
}

// Each of 2,000 streams of 101 pieces arrives whole, and the gateway stays small. It goes on so for ten minutes, says each minute how
// large the gateway is, and fails where that is 100 MB, with
//
//	TARTAN_TEST_GATEWAY_SOAK=10m go test ./internal/gateway -run StreamsArrive -v -timeout 20m
func TestStreamsArriveWhole(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Postgres and a gateway")
	}
	soak := time.Duration(0)
	if text := os.Getenv(soakVar); text != "" {
		var err error
		soak, err = time.ParseDuration(text)
		require.NoError(t, err, soakVar)
		if deadline, ok := t.Deadline(); ok {
			require.Greater(t, time.Until(deadline), soak+2*time.Minute, "%s=%s needs a longer -timeout", soakVar, soak)
		}
	}
	p := start(t, 101)
	round := func(streams int64) {
		var wg sync.WaitGroup
		var next atomic.Int64
		for range 64 {
			wg.Go(func() {
				for next.Add(1) <= streams {
					got, err := p.ask(p.url, "auto", true)
					if err != nil {
						t.Error(err)
						return
					}
					if n := strings.Count(string(got), `"content":"word`); n != 101 || !strings.HasSuffix(string(got), "data: [DONE]\n\n") {
						t.Errorf("%d of 101 pieces", n)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	began := time.Now()
	round(2000)
	t.Logf("2000 streams in %s, then %d MB", time.Since(began).Round(time.Millisecond), p.rss(t))
	if !racing {
		require.Less(t, p.rss(t), 100)
	}
	minute, first := 0, p.rss(t)
	for began = time.Now(); time.Since(began) < soak; {
		round(250)
		if done := int(time.Since(began).Minutes()); done > minute {
			minute = done
			t.Logf("after %d min: %d MB", minute, p.rss(t))
		}
		require.Less(t, p.rss(t), 100)
	}
	if soak > 0 {
		t.Logf("%s of streams: %d MB before, %d MB after", soak, first, p.rss(t))
	}
}
