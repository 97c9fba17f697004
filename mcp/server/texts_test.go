package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	temporalclient "go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/local"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/telemetry"
	"github.com/tartan-ai/tartan/mcp/server"
	"github.com/tartan-ai/tartan/workers"
)

type similarList struct {
	Revision int64
	Patterns []struct {
		ID, Name, Template, To string
		Score                  float64
		Merge                  bool
		Differs                []struct {
			Token       int
			Here, There string
		}
	}
}

func TestSimilarPatterns(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	k.learn(
		t, caller, "default", time.Now(), sample[3], sample[5],
		"session 12 opened for the backup service", "session 13 closed for the backup service", "the file system has no space left", "payment 77 was declined by the bank",
	)
	c := k.client(t, caller, true)
	var got similarList
	c.into(t, &got, "similar_patterns", `{"text":"the disk has run out of room","limit":3}`)
	require.Len(t, got.Patterns, 3)
	require.Contains(t, []string{"the file system has no space left", "disk <*> is full", "disk sda1 is full"}, got.Patterns[0].Template)

	id := func(template string) string { return string(pattern.Fingerprint(template)) }
	opened, closed := "session <*> opened for the backup service", "session <*> closed for the backup service"
	text := c.into(t, &got, "similar_patterns", `{"id":"`+id(opened)+`"}`)
	require.Contains(t, text, "(may be one pattern)")
	first := got.Patterns[0]
	require.Equal(t, id(closed), first.ID)
	require.True(t, first.Merge)
	require.Equal(t, "closed", first.Differs[0].Here)
	require.Equal(t, "opened", first.Differs[0].There)
	require.Equal(t, 2, first.Differs[0].Token)
	for _, p := range got.Patterns {
		require.NotEqual(t, id(opened), p.ID, "not itself")
	}

	c.into(t, &got, "similar_patterns", `{}`)
	require.Len(t, got.Patterns, 1, "one pair may be one pattern, once")
	require.ElementsMatch(t, []string{id(opened), id(closed)}, []string{got.Patterns[0].ID, got.Patterns[0].To})

	// What is learnt later is found, and what was merged away is not.
	k.learn(t, caller, "default", time.Now(), "the invoice shows a wrong amount of money")
	c.into(t, &got, "similar_patterns", `{"text":"a wrong sum on the bill","limit":1}`)
	require.Equal(t, "the invoice shows a wrong amount of money", got.Patterns[0].Template)
	k.merge(t, caller, pattern.ID(id(opened)), pattern.ID(id(closed)))
	c.into(t, &got, "similar_patterns", `{}`)
	require.Empty(t, got.Patterns)
	c.into(t, &got, "similar_patterns", `{"id":"`+id(opened)+`"}`)
	for _, p := range got.Patterns {
		require.NotEqual(t, id(closed), p.ID, "a former id stands for its heir, which is not near itself")
	}

	for args, want := range map[string]string{
		`{"id":"p0000000000000000"}`: "not found", `{"id":"p1","text":"x"}`: "either id or text", `{"library":"none"}`: `no library "none"`,
	} {
		r := c.tool(t, "similar_patterns", args)
		require.True(t, r.IsError)
		require.Contains(t, r.Content[0].Text, want)
	}
	stranger := k.client(t, k.db.Workspace(t, "two"), true)
	require.True(t, stranger.tool(t, "similar_patterns", `{"text":"disk"}`).IsError, "another workspace has no such library")
}

// merge retires a pattern in favour of another, as learning does.
func (k *stack) merge(t testing.TB, caller access.Caller, from, into pattern.ID) {
	t.Helper()
	require.NoError(t, postgres.InWorkspace(t.Context(), k.db.Pool, caller, func(tx pgx.Tx) error {
		found, err := postgres.LibraryByName(t.Context(), tx, caller.WorkspaceID, "default")
		if err != nil {
			return err
		}
		lib, err := postgres.LockLibrary(t.Context(), tx, found.ID)
		if err != nil {
			return err
		}
		shapes, err := postgres.ShapesSince(t.Context(), tx, lib.ID, 0)
		if err != nil {
			return err
		}
		ch := template.Change{Retired: []template.Alias{{Old: from, New: into}}}
		for _, s := range shapes {
			if s.Pattern == from {
				ch.Moved = append(ch.Moved, template.Move{Shape: s.ID, Pattern: into})
			}
		}
		_, err = postgres.SaveChange(t.Context(), tx, lib, ch, "test", time.Now())
		return err
	}))
}

// newDurable is newStack with a Temporal server and a worker.
func newDurable(t *testing.T, change ...func(*stack, *workers.Config)) *stack {
	t.Helper()
	folder := t.TempDir()
	temporal, err := local.StartTemporal(context.Background(), local.TemporalOptions{
		DataDir: filepath.Join(folder, "temporal"), Bin: os.Getenv("TARTAN_TEMPORAL_BIN"), Headless: true, Progress: func(line string) { t.Log(line) },
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = temporal.Stop(context.Background()) })
	dialled, err := temporalclient.Dial(temporalclient.Options{HostPort: temporal.Address, Logger: telemetry.Temporal(zap.NewNop())})
	require.NoError(t, err)
	t.Cleanup(dialled.Close)
	store, err := bucket.Open(t.Context(), "file://"+filepath.Join(folder, "bucket"))
	require.NoError(t, err)
	k := newStack(t, func(c *server.Config) { c.Temporal, c.Bucket = dialled, store })
	ctx, cancel := context.WithCancel(context.Background())
	worked := make(chan error, 1)
	config := workers.Config{Client: dialled, Pool: k.db.Pool, Bucket: store, Libraries: feed.NewLibraries(k.db.Pool, zap.NewNop()), Log: zap.NewNop()}
	for _, fn := range change {
		fn(k, &config)
	}
	go func() { worked <- workers.Run(ctx, config) }()
	t.Cleanup(func() { cancel(); <-worked })
	return k
}

func TestTextLibraries(t *testing.T) {
	k := newDurable(t)
	admin := k.db.Workspace(t, "one")
	c := k.client(t, admin, true)
	texts := []string{
		"I forgot my password and cannot log in", "forgot password, can't log in", "My invoice shows the wrong amount", "wrong amount on invoice",
	}
	var started struct {
		WorkflowID string `json:"workflow_id"`
		Existed    bool
	}
	c.into(t, &started, "cluster_texts", `{"lines":`+string(must(json.Marshal(texts)))+`}`)
	require.False(t, started.Existed)
	var status struct{ State string }
	c.into(t, &status, "get_workflow", `{"id":"`+started.WorkflowID+`","wait_seconds":20}`)
	require.Equal(t, "completed", status.State)
	var r recognized
	text := c.into(t, &r, "recognize", `{"library":"texts","lines":["Cannot log in, I forgot the password","the weather is nice in Lisbon","wrong amount on my invoice"]}`)
	require.Contains(t, text, "3 lines: 2 known")
	require.Equal(t, 2, r.Known)
	require.Contains(t, texts[:2], r.Patterns[*r.Results[0].Pattern].Template)
	require.Contains(t, texts[2:], r.Patterns[*r.Results[2].Pattern].Template)
	require.Equal(t, 0, *r.Results[1].Unknown)
	require.NotNil(t, r.Unknowns[0].Nearest)
	var list struct{ Total int64 }
	c.into(t, &list, "list_patterns", `{"library":"texts"}`)
	require.EqualValues(t, 2, list.Total)
	var near similarList
	c.into(t, &near, "similar_patterns", `{"library":"texts","text":"password reset","limit":1}`)
	require.Contains(t, texts[:2], near.Patterns[0].Template)

	// What is said of a cluster is shown, and taken back.
	var e edited
	id := r.Patterns[*r.Results[0].Pattern].ID
	c.into(t, &e, "describe_pattern", `{"library":"texts","pattern":"`+id+`","name":"locked out","severity":"warning","tags":["login"],"owner":"desk"}`)
	require.Equal(t, "completed", e.State)
	c.into(t, &r, "recognize", `{"library":"texts","lines":["Cannot log in, I forgot the password"]}`)
	require.Equal(t, "locked out", r.Patterns[0].Name)
	require.Contains(t, string(c.tool(t, "list_patterns", `{"library":"texts"}`).Structured), "locked out")
	c.into(t, &e, "edit_pattern", fmt.Sprintf(`{"library":"texts","action":"undo","edit":%d}`, e.Number))
	require.NotContains(t, string(c.tool(t, "list_patterns", `{"library":"texts"}`).Structured), "locked out")
	refused := c.tool(t, "edit_pattern", `{"library":"texts","action":"pin","patterns":["`+id+`"]}`)
	require.True(t, refused.IsError)
	require.Contains(t, refused.Content[0].Text, "not changed by pin")

	// An entry that explains the cluster comes along.
	k.db.Publish(t, admin, k.db.Space(t, admin, "ops"), "login", &knowledge.Document{
		Schema: "runbook", Title: "Locked out", Body: "Send a link.", Links: []knowledge.Link{{Relation: "explains", Target: "pattern:texts/" + id}},
	})
	require.Eventually(t, func() bool {
		told := string(c.tool(t, "recognize", `{"library":"texts","lines":["Cannot log in, I forgot the password"]}`).Structured)
		return strings.Contains(told, `"entry":"ops/login"`)
	}, 20*time.Second, 10*time.Millisecond)

	// More texts: what is in memory is left for what the database has.
	c.into(t, &started, "cluster_texts", `{"lines":"the printer has no paper\nprinter is out of paper"}`)
	c.into(t, &status, "get_workflow", `{"id":"`+started.WorkflowID+`","wait_seconds":20}`)
	require.Equal(t, "completed", status.State)
	c.into(t, &r, "recognize", `{"library":"texts","lines":["no paper in the printer"]}`)
	require.Equal(t, 1, r.Known)
}
