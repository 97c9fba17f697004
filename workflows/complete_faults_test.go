package workflows_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/completion"
	"github.com/tartan-ai/tartan/internal/gateway"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/provider"
	"github.com/tartan-ai/tartan/internal/provider/faulty"
	"github.com/tartan-ai/tartan/internal/routing"
	"github.com/tartan-ai/tartan/internal/testdb"
	"github.com/tartan-ai/tartan/workflows"
)

// The prices of the models, dearer from one to the next, so that the cheapest is tried first.
const priceA, priceB, priceLong = 100, 200, 400 // dollars per million tokens

// shop is a provider that fails as told, and the parts that ask it.
type shop struct {
	db     *testdb.DB
	caller access.Caller
	fake   *faulty.Server
	engine *completion.Engine
	key    *access.Key
	url    string // of the gateway
	late   atomic.Int64
}

func newShop(t testing.TB, db *testdb.DB) *shop {
	t.Helper()
	s := &shop{db: db, caller: db.Workspace(t, "w-"+strings.ReplaceAll(uuid.NewString(), "-", "")), fake: faulty.New()}
	t.Cleanup(s.fake.Close)
	config, err := provider.ParseConfig(fmt.Sprintf(`
		[[provider]]
		name = "p"
		dialect = "openai"
		base_url = %q
		key = "env:KEY"
		timeouts = { header = "400ms", first_token = "500ms", idle = "400ms", total = "5s" }
		[[model]]
		provider = "p"
		name = "a"
		capabilities = ["chat", "json"]
		context_tokens = 8000
		max_output = 100
		input_usd_per_mtok = %d
		output_usd_per_mtok = %d
		[[model]]
		provider = "p"
		name = "b"
		capabilities = ["chat", "json"]
		context_tokens = 4000
		max_output = 100
		input_usd_per_mtok = %d
		output_usd_per_mtok = %d
		[[model]]
		provider = "p"
		name = "long"
		capabilities = ["chat", "json"]
		context_tokens = 200000
		max_output = 100
		input_usd_per_mtok = %d
		output_usd_per_mtok = %d`, s.fake.URL, priceA, priceA, priceB, priceB, priceLong, priceLong))
	require.NoError(t, err)
	registry, err := provider.NewRegistry(config, func(string) (string, error) { return "sk-secret-0123456789abcdef", nil })
	require.NoError(t, err)
	s.engine = &completion.Engine{Pool: db.Pool, Registry: registry, Now: func() time.Time { return time.Now().Add(time.Duration(s.late.Load())) }}
	s.key, err = access.NewKey()
	require.NoError(t, err)
	g, err := gateway.New(gateway.Config{
		Pool: db.Pool, Engine: s.engine, Models: registry.Models, Keys: s.key.Public(), Expect: access.Expect{Issuer: "test", Audience: "gateway"},
	})
	require.NoError(t, err)
	server := httptest.NewServer(g.Handler())
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *shop) budget(t testing.TB, limit routing.Money) {
	t.Helper()
	require.NoError(t, postgres.InWorkspace(t.Context(), s.db.Pool, s.caller, func(tx pgx.Tx) error {
		return postgres.SetBudget(t.Context(), tx, s.caller.WorkspaceID, postgres.Budget{Scope: "workspace", Period: "total", Limit: limit})
	}))
}

// spent is what the budget and the ledger say, which must agree.
func (s *shop) spent(t testing.TB) routing.Money {
	t.Helper()
	s.engine.Wait()
	var sum int64
	require.NoError(t, s.db.Pool.QueryRow(t.Context(), "select coalesce(sum(cost_micros), 0) from tartan.model_calls where workspace_id = $1", s.caller.WorkspaceID).Scan(&sum))
	require.NoError(t, postgres.InWorkspace(t.Context(), s.db.Pool, s.caller, func(tx pgx.Tx) error {
		all, err := postgres.Budgets(t.Context(), tx, s.caller.WorkspaceID)
		for _, b := range all {
			require.EqualValues(t, sum, b.Spent)
			require.Zero(t, b.Reserved, "nothing is held when nothing is under way")
			require.LessOrEqual(t, b.Spent, b.Limit)
		}
		return err
	}))
	return routing.Money(sum)
}

// outcome is what a caller sees.
type outcome struct {
	text  string
	model string
	class string // of a failure
	input int
	cut   bool // a part came, and then an error
}

func question() provider.Request {
	return provider.Request{Model: completion.Auto, MaxTokens: 100, Messages: []provider.Message{{Role: "user", Content: provider.Content{Text: "What is wrong?"}}}}
}

func (s *shop) call() *completion.Call {
	return &completion.Call{Caller: s.caller, Key: uuid.NewString(), Request: question()}
}

// paths are the ways to a model.
var paths = map[string]func(t testing.TB, s *shop, c *completion.Call) outcome{
	"fast": func(t testing.TB, s *shop, c *completion.Call) outcome {
		got, err := s.engine.Do(t.Context(), c, nil)
		var failed *completion.Error
		var over *postgres.OverBudgetError
		switch {
		case errors.As(err, &failed):
			return outcome{class: string(failed.Class)}
		case errors.As(err, &over):
			return outcome{class: "budget_exceeded"}
		}
		require.NoError(t, err)
		return outcome{text: got.Text, model: got.Model, input: got.Usage.Input}
	},
	"workflow": func(t testing.TB, s *shop, c *completion.Call) outcome {
		var suite testsuite.WorkflowTestSuite
		env := suite.NewTestWorkflowEnvironment()
		env.SetTestTimeout(time.Minute)
		env.RegisterActivity(&activities.Models{Engine: s.engine})
		env.SetStartWorkflowOptions(startOptions(workflows.CompleteID(c.Caller.WorkspaceID, c.Key)))
		env.ExecuteWorkflow(workflows.Complete, workflows.CompleteInput{Call: *c})
		require.True(t, env.IsWorkflowCompleted())
		var app *temporal.ApplicationError
		if errors.As(env.GetWorkflowError(), &app) {
			var attempts []routing.Attempt
			switch {
			case app.Type() == activities.BudgetExceeded:
				return outcome{class: "budget_exceeded"}
			case app.HasDetails() && app.Details(&attempts) == nil && len(attempts) > 0:
				return outcome{class: string(attempts[len(attempts)-1].Class)}
			}
			return outcome{class: app.Type()}
		}
		require.NoError(t, env.GetWorkflowError())
		var got workflows.CompleteResult
		require.NoError(t, env.GetWorkflowResult(&got))
		return outcome{text: got.Text, model: got.Model, input: got.Usage.Input}
	},
	"gateway": func(t testing.TB, s *shop, c *completion.Call) outcome {
		resp := s.post(t, c, false)
		defer resp.Body.Close() //nolint:errcheck // a test
		var got struct {
			Model   string
			Choices []struct {
				Message struct{ Content string }
				Finish  string `json:"finish_reason"`
			}
			Usage struct {
				Input int `json:"prompt_tokens"`
			}
			Error struct{ Code string }
		}
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&got))
		if resp.StatusCode != http.StatusOK {
			require.NotEmpty(t, got.Error.Code)
			return outcome{class: got.Error.Code}
		}
		require.Equal(t, "stop", got.Choices[0].Finish)
		return outcome{text: got.Choices[0].Message.Content, model: got.Model, input: got.Usage.Input}
	},
	"stream": func(t testing.TB, s *shop, c *completion.Call) outcome {
		resp := s.post(t, c, true)
		defer resp.Body.Close() //nolint:errcheck // a test
		if resp.StatusCode != http.StatusOK {
			var got struct{ Error struct{ Code string } }
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&got))
			return outcome{class: got.Error.Code}
		}
		return readStream(t, resp.Body)
	},
}

func (s *shop) post(t testing.TB, c *completion.Call, stream bool) *http.Response {
	t.Helper()
	body := map[string]any{"model": c.Request.Model, "messages": c.Request.Messages, "max_tokens": c.Request.MaxTokens}
	if stream {
		body["stream"], body["stream_options"] = true, map[string]bool{"include_usage": true}
	}
	if c.Request.Temperature != nil {
		body["temperature"] = *c.Request.Temperature
	}
	text, err := json.Marshal(body)
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/chat/completions", bytes.NewReader(text))
	require.NoError(t, err)
	token, err := access.Issue(s.key, access.Claims{Subject: c.Caller.UserID, Issuer: "test", Audience: []string{"gateway"}, ClientID: "test", Expires: time.Now().Add(time.Hour)}, time.Now())
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set(gateway.DialHeader, "0")
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	return resp
}

func readStream(t testing.TB, body io.Reader) (out outcome) {
	t.Helper()
	done, finished := false, false
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			done = true
			continue
		}
		var got struct {
			Model   string
			Choices []struct {
				Delta  struct{ Content string }
				Finish string `json:"finish_reason"`
			}
			Usage struct {
				Input int `json:"prompt_tokens"`
			}
			Error *struct{ Code string }
		}
		require.NoError(t, json.Unmarshal([]byte(data), &got), data)
		if got.Error != nil {
			out.class, out.cut = got.Error.Code, true
			continue
		}
		out.model = got.Model
		for _, c := range got.Choices {
			out.text += c.Delta.Content
			finished = finished || c.Finish != ""
		}
		out.input = max(out.input, got.Usage.Input)
	}
	require.NoError(t, lines.Err())
	require.Equal(t, !out.cut, done && finished, "only an answer that ended ends with [DONE]")
	return out
}

// fault is one way in which a provider fails, and what a caller must see.
type fault struct {
	name  string
	play  func(s *shop)
	model string // that answers; "" is none
	class string // where none does
	asked map[string]int
	cut   bool // on the stream path a part has been passed on, so that the caller sees an error
	check func(t *testing.T, s *shop, path string)
}

func persistent(s *shop, act faulty.Act) { s.fake.Always("a", act) }

var overloaded = faulty.Refuse(503, "server_error", "overloaded", nil)

var faults = []fault{
	{
		name: "429 with Retry-After", play: func(s *shop) {
			s.fake.Script("a", faulty.Refuse(429, "rate_limit_exceeded", "slow down", faulty.RetryAfter(1)))
		},
		model: "p/a", asked: map[string]int{"a": 2, "b": 0}, check: func(t *testing.T, s *shop, path string) {
			if seen := s.fake.Seen("a"); path != "workflow" { // whose sleep is skipped by the test suite
				require.GreaterOrEqual(t, seen[1].At.Sub(seen[0].At), time.Second)
			}
		},
	},
	{name: "429 without Retry-After", play: func(s *shop) { s.fake.Script("a", faulty.Refuse(429, "rate_limit_exceeded", "slow down", nil)) }, model: "p/a", asked: map[string]int{"a": 2, "b": 0}},
	{name: "500 once", play: func(s *shop) { s.fake.Script("a", faulty.Refuse(500, "server_error", "oops", nil)) }, model: "p/a", asked: map[string]int{"a": 2, "b": 0}},
	{name: "503 persistent", play: func(s *shop) { persistent(s, overloaded) }, model: "p/b", asked: map[string]int{"a": 2, "b": 1}},
	{name: "reset", play: func(s *shop) { persistent(s, faulty.Reset) }, model: "p/b", asked: map[string]int{"a": 2, "b": 1}},
	{name: "silence", play: func(s *shop) { persistent(s, s.fake.Hang) }, model: "p/b", asked: map[string]int{"a": 1, "b": 1}},
	{name: "slow first token", play: func(s *shop) { persistent(s, s.fake.SlowFirstToken) }, model: "p/b", asked: map[string]int{"a": 1, "b": 1}},
	{name: "cut stream", play: func(s *shop) { s.fake.Script("a", faulty.Cut) }, model: "p/a", cut: true, asked: map[string]int{"a": 2, "b": 0}, check: aborted},
	{name: "stalled stream", play: func(s *shop) { persistent(s, s.fake.Stall) }, model: "p/b", cut: true, asked: map[string]int{"a": 1, "b": 1}, check: aborted},
	{name: "malformed chunk", play: func(s *shop) { s.fake.Script("a", faulty.Malformed) }, model: "p/a", cut: true, asked: map[string]int{"a": 2, "b": 0}, check: aborted},
	{name: "missing DONE", play: func(s *shop) { s.fake.Script("a", faulty.NoDone) }, model: "p/a", asked: map[string]int{"a": 1, "b": 0}},
	{name: "context length", play: func(s *shop) { persistent(s, faulty.Refuse(400, "context_length_exceeded", "too long", nil)) }, model: "p/long", asked: map[string]int{"a": 1, "b": 0, "long": 1}},
	{name: "content filter", play: func(s *shop) { persistent(s, faulty.Refuse(400, "content_filter", "no", nil)) }, class: "content_filter", asked: map[string]int{"a": 1, "b": 0, "long": 0}},
	{name: "fallback refuses", play: func(s *shop) {
		persistent(s, overloaded)
		s.fake.Always("b", faulty.Refuse(400, "invalid_request_error", "prefill is not supported", nil))
	}, model: "p/long", asked: map[string]int{"a": 2, "b": 1, "long": 1}},
	{name: "flapping primary", play: flap, model: "p/a", asked: map[string]int{"a": 4}, check: func(t *testing.T, s *shop, _ string) {
		require.Equal(t, routing.Closed, s.engine.Health()["p/a"].Breaker.State(s.engine.Clock()))
	}},
	{name: "accounting after failover", play: func(s *shop) { persistent(s, overloaded) }, model: "p/b", asked: map[string]int{"a": 2, "b": 1}, check: func(t *testing.T, s *shop, _ string) {
		require.Equal(t, routing.Money(priceB*(faulty.InputTokens+faulty.OutputTokens)), s.spent(t), "the price and the usage of the one that answered")
	}},
}

// flap has the primary fail until its breaker opens, shows that it is left alone, and lets the pause pass.
func flap(s *shop) {
	s.fake.Always("a", overloaded)
	ask := func() {
		if _, err := s.engine.Do(context.Background(), s.call(), nil); err != nil {
			panic(err)
		}
	}
	ask()
	ask()
	before := len(s.fake.Seen("a"))
	ask()
	if after := len(s.fake.Seen("a")); before != after || before != 3 {
		panic(fmt.Sprintf("an open breaker lets calls through: %d, then %d", before, after))
	}
	s.fake.Always("a", faulty.Good)
	s.late.Store(int64(time.Minute))
}

// aborted says that what the provider had sent of an answer is paid for.
func aborted(t *testing.T, s *shop, path string) {
	t.Helper()
	s.engine.Wait()
	var cost int64
	require.NoError(t, s.db.Pool.QueryRow(t.Context(), "select cost_micros from tartan.model_calls where workspace_id = $1 order by created_at limit 1", s.caller.WorkspaceID).Scan(&cost))
	require.Positive(t, cost)
}

// Sixteen ways in which providers fail, on each of the four ways to a model.
func TestSixteenFaultsOnEveryPath(t *testing.T) {
	t.Parallel()
	require.Len(t, faults, 16)
	db := testdb.New(t)
	for _, f := range faults {
		for path, ask := range paths {
			t.Run(f.name+"/"+path, func(t *testing.T) {
				t.Parallel()
				s := newShop(t, db)
				s.budget(t, 1_000_000)
				f.play(s)
				before := len(s.fake.Seen("a"))
				got := ask(t, s, s.call())
				asked := f.asked
				switch {
				case f.cut && path == "stream":
					require.True(t, got.cut, "%+v", got)
					require.NotEmpty(t, got.text)
					require.NotEqual(t, faulty.Text, got.text)
					asked = map[string]int{"a": 1, "b": 0}
				case f.model == "":
					require.Equal(t, f.class, got.class, "%+v", got)
				default:
					require.Equal(t, outcome{text: faulty.Text, model: f.model, input: faulty.InputTokens}, got)
				}
				for model, n := range asked {
					require.Len(t, s.fake.Seen(model), n, model)
				}
				require.GreaterOrEqual(t, len(s.fake.Seen("a")), before)
				s.spent(t)
				if f.check != nil {
					f.check(t, s, path)
				}
			})
		}
	}
}

// A budget that is used up refuses every way round it: no provider hears of the call.
func TestNoWayRoundABudget(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	zero := 0.0
	for path, ask := range paths {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, db)
			// Enough for the worst case of one call of a: nothing is left for a second one, nor for a retry or a fallback.
			c := s.call()
			a, _ := s.engine.Registry.Model("p/a")
			worst, _ := completion.Worst(&c.Request, a)
			s.budget(t, worst)
			s.fake.Always("a", faulty.Answer("x", c.Request.MostInput(), 100))
			require.Empty(t, ask(t, s, c).class)
			require.Equal(t, worst, s.spent(t))
			for name, change := range map[string]func(*completion.Call){
				"again": func(*completion.Call) {},
				"cache": func(c *completion.Call) {
					c.Request.Temperature, c.Request.Messages[0].Content.Text = &zero, "Something else?"
				},
				"by name":    func(c *completion.Call) { c.Request.Model = "p/b" },
				"one token":  func(c *completion.Call) { c.Request.MaxTokens = 1 },
				"other task": func(c *completion.Call) { c.Task, c.Agent = "x", "y" },
			} {
				c := s.call()
				change(c)
				require.Equal(t, "budget_exceeded", ask(t, s, c).class, name)
			}
			require.Len(t, s.fake.Seen(""), 1)
			// A retry and a fallback are checked anew.
			s.budget(t, 2*worst)
			s.fake.Always("a", faulty.Cut)
			got := ask(t, s, s.call())
			require.NotEmpty(t, got.class)
			require.LessOrEqual(t, s.spent(t), 2*worst)
			require.Empty(t, s.fake.Seen("b"), "the dearer fallback does not fit")
		})
	}
}

// What is in the cache of one workspace is not in that of another, and costs nothing.
func TestCacheIsOfAWorkspace(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	s := newShop(t, db)
	s.budget(t, 1_000_000)
	zero := 0.0
	ask := func(caller access.Caller, text string, similar float64) *completion.Result {
		c := s.call()
		c.Caller, c.Request.Temperature, c.Request.Messages[0].Content.Text, c.Cache.Similar = caller, &zero, text, similar
		got, err := s.engine.Do(t.Context(), c, nil)
		require.NoError(t, err)
		require.Equal(t, faulty.Text, got.Text)
		return got
	}
	require.Empty(t, ask(s.caller, "What is wrong with the disk of the database server?", 0.8).Cached)
	paid := s.spent(t)
	require.Equal(t, "exact", ask(s.caller, "What is wrong with the disk of the database server?", 0).Cached)
	require.Equal(t, "similar", ask(s.caller, "What is wrong with the disk of the database servers?", 0.8).Cached)
	require.Equal(t, paid, s.spent(t))
	require.Len(t, s.fake.Seen(""), 1)
	require.Empty(t, ask(s.caller, "Write a poem about spring", 0.8).Cached)
	require.Empty(t, ask(db.Workspace(t, "others"), "What is wrong with the disk of the database server?", 0.8).Cached)
}

func startOptions(id string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{ID: id, TaskQueue: workflows.TaskQueue}
}
