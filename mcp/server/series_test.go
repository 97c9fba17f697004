package server_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/series"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/server"
)

// ramp is a window that rises, or falls, with noise; the start of a list when rendered.
func ramp(random *rand.Rand, slope float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = slope*float64(i) + .5*random.NormFloat64()
	}
	return out
}

// teach stores a recogniser of rising and falling windows, as TrainSeries does.
func (k *stack) teach(t testing.TB, store *bucket.Bucket, caller access.Caller, library, digest string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	var examples []series.Example
	for i := range 40 {
		if i%2 == 0 {
			examples = append(examples, series.Example{Class: "rise", Values: ramp(random, .3, 40)})
		} else {
			examples = append(examples, series.Example{Class: "fall", Values: ramp(random, -.3, 40)})
		}
	}
	r, err := series.Train(t.Context(), examples, series.Options{})
	require.NoError(t, err)
	o, err := store.PutBytes(t.Context(), r.Encode())
	require.NoError(t, err)
	require.NoError(t, postgres.InWorkspace(t.Context(), k.db.Pool, caller, func(tx pgx.Tx) error {
		lib, err := postgres.EnsureLibrary(t.Context(), tx, caller.WorkspaceID, library, "series")
		require.NoError(t, err)
		_, _, err = postgres.SaveSeriesModel(t.Context(), tx, lib, postgres.SeriesModel{
			SHA256: strings.Repeat(digest, 64), SourceKey: "objects/x", ModelKey: o.Key, ModelBytes: o.Size, FeaturesVersion: series.FeaturesVersion,
			Method: string(r.Method()), Length: r.Length(), Classes: 2, Examples: 40, TrainedOn: 40, Accuracy: 1, WorkflowID: "train/x",
		}, nil)
		return err
	}))
}

type recognizedSeries struct {
	Version int
	Windows []struct {
		Pattern, Why, Error string
		Name                string
		ID                  pattern.ID
		Confidence, P       float64
		Nearest             []struct{ Pattern string }
		Knowledge           []struct{ Entry, Relation string }
	}
}

func TestSeriesOverMCP(t *testing.T) {
	t.Parallel()
	store, err := bucket.Open(t.Context(), "file://"+filepath.Join(t.TempDir(), "bucket"))
	require.NoError(t, err)
	k := newStack(t, func(c *server.Config) { c.Bucket = store })
	one, two := k.db.Workspace(t, "one"), k.db.Workspace(t, "two")
	k.teach(t, store, one, "series", "1")
	c := k.client(t, one, true)
	random := rand.New(rand.NewPCG(2, 2))
	noise := make([]float64, 40)
	for i := range noise {
		noise[i] = 5 * math.Sin(float64(i*i))
	}
	windows := must(json.Marshal([][]float64{ramp(random, .3, 40), ramp(random, -.3, 40), noise}))
	var got recognizedSeries
	text := c.into(t, &got, "recognize_series", `{"values":`+string(windows)+`}`)
	require.Equal(t, 1, got.Version)
	require.Len(t, got.Windows, 3)
	require.Equal(t, "rise", got.Windows[0].Pattern)
	require.Equal(t, pattern.Fingerprint("rise"), got.Windows[0].ID)
	require.Greater(t, got.Windows[0].Confidence, .8)
	require.Contains(t, got.Windows[0].Why, "distance")
	require.Equal(t, "fall", got.Windows[1].Pattern)
	require.Empty(t, got.Windows[2].Pattern)
	require.Less(t, got.Windows[2].P, series.Level)
	require.Contains(t, text, "3 windows: 2 known, 1 unknown")
	require.Empty(t, got.Windows[0].Knowledge)
	ops := k.db.Space(t, one, "ops")
	k.db.Publish(t, one, ops, "rising", &knowledge.Document{
		Schema: "runbook", Title: "Rising load", Body: "Add a node.", Links: []knowledge.Link{{Relation: "explains", Target: "pattern:series/" + string(pattern.Fingerprint("rise"))}},
	})
	require.Eventually(t, func() bool {
		got = recognizedSeries{}
		c.into(t, &got, "recognize_series", `{"values":`+string(windows)+`}`)
		return len(got.Windows[0].Knowledge) == 1 && got.Windows[0].Knowledge[0].Entry == "ops/rising" && got.Windows[1].Knowledge == nil
	}, 10*time.Second, 10*time.Millisecond)

	got = recognizedSeries{}
	c.into(t, &got, "recognize_series", `{"values":[null,1,2,3,null,5,6.5,7,8,9,10,11,12]}`)
	require.Equal(t, "rise", got.Windows[0].Nearest[0].Pattern)
	got = recognizedSeries{}
	c.into(t, &got, "recognize_series", `{"values":[[null,null],[1,2,3]]}`)
	require.Contains(t, got.Windows[0].Error, "no values")
	require.Empty(t, got.Windows[1].Error)

	// Another workspace finds nothing, also after the recogniser is in memory.
	r := k.client(t, two, true).tool(t, "recognize_series", `{"values":[1,2,3]}`)
	require.True(t, r.IsError)
	require.Contains(t, r.Content[0].Text, "no library")
	k.learn(t, one, "logs", time.Now(), sample...)
	for args, want := range map[string]string{
		`{"values":[1,2],"library":"logs"}`: "not of series",
		`{"values":["a"]}`:                  "must be a list of numbers",
		`{"values":[1,[2]]}`:                "must be a list of numbers",
		`{"values":{}}`:                     "must be a list of numbers",
		`{}`:                                "needs the argument",
	} {
		r := c.tool(t, "recognize_series", args)
		require.True(t, r.IsError, args)
		require.Contains(t, r.Content[0].Text, want)
	}
	r = c.tool(t, "train_series", `{"examples":["a,1,2","b,2,1"]}`)
	require.True(t, r.IsError)
	require.Contains(t, r.Content[0].Text, "not connected to Temporal")
}

func TestFindMotifsOverMCP(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	c := k.client(t, k.db.Workspace(t, "one"), true)
	random := rand.New(rand.NewPCG(3, 3))
	var b strings.Builder
	for i := range 600 {
		v := random.NormFloat64()
		for _, at := range []int{100, 400} {
			if i >= at && i < at+50 {
				v += 9 * math.Sin(float64((i-at)*(i-at))/90)
			}
		}
		if i >= 500 {
			v += 12
		}
		fmt.Fprintf(&b, ",%.3f", v)
	}
	values := "[" + b.String()[1:] + "]"
	var got struct {
		Window int
		Motifs []struct {
			Starts   []int
			Likeness float64
		}
		Discords []struct{ Start int }
		Changes  []struct {
			At     int
			Median []float64
		}
	}
	text := c.into(t, &got, "find_motifs", `{"values":`+values+`,"window":50,"top":2}`)
	require.Equal(t, 50, got.Window)
	require.Len(t, got.Motifs[0].Starts, 2)
	require.InDelta(t, 100, got.Motifs[0].Starts[0], 15)
	require.Equal(t, 300, got.Motifs[0].Starts[1]-got.Motifs[0].Starts[0])
	require.Len(t, got.Discords, 2)
	require.NotEmpty(t, got.Changes)
	require.InDelta(t, 500, got.Changes[len(got.Changes)-1].At, 3)
	require.Contains(t, text, "motif at")
	c.into(t, &got, "find_motifs", `{"values":`+values+`}`)
	require.Positive(t, got.Window)
	for args, want := range map[string]string{
		`{"values":[1,2,3]}`:                                   "want 8 to",
		`{"values":[[1],[2]]}`:                                 "must be one list",
		`{"values":` + values + `,"window":400}`:               "window",
		`{"values":` + values + `,"window":"x"}`:               "window",
		`{"values":[null,null,null,null,null,null,null,null]}`: "missing",
	} {
		r := c.tool(t, "find_motifs", args)
		require.True(t, r.IsError, args)
		require.Contains(t, r.Content[0].Text, want)
	}
}

// trainOverMCP trains through the tools, on a stack with a worker, and recognises with what came of it.
func trainOverMCP(t *testing.T, c *client) {
	t.Helper()
	random := rand.New(rand.NewPCG(4, 4))
	var lines []string
	for i := range 24 {
		class, slope := "rise", .3
		if i%2 == 1 {
			class, slope = "fall", -.3
		}
		text := class
		for _, v := range ramp(random, slope, 30) {
			text += fmt.Sprintf(",%.3f", v)
		}
		lines = append(lines, text)
	}
	args := `{"examples":` + string(must(json.Marshal(lines))) + `}`
	var started, again mined
	c.into(t, &started, "train_series", args)
	require.False(t, started.Existed)
	var done struct {
		State, Error string
		Trained      struct {
			Version  int
			Accuracy float64
		}
	}
	text := c.into(t, &done, "get_workflow", `{"id":"`+started.WorkflowID+`","wait_seconds":20}`)
	require.Equal(t, "completed", done.State, done.Error)
	require.Equal(t, 1, done.Trained.Version)
	require.Contains(t, text, "version 1 of the recogniser")
	c.into(t, &again, "train_series", args)
	require.True(t, again.Existed)
	var got recognizedSeries
	c.into(t, &got, "recognize_series", `{"values":`+string(must(json.Marshal(ramp(random, -.3, 30))))+`}`)
	require.Equal(t, "fall", got.Windows[0].Pattern)

	// The classes are patterns: listed with their examples, named, and those of an earlier version again.
	var list struct {
		Patterns []struct {
			ID, Name, Template string
			Lines              int64
		}
	}
	c.into(t, &list, "list_patterns", `{"library":"series","sort":"name"}`)
	require.Len(t, list.Patterns, 2)
	require.Equal(t, []any{"fall", int64(12)}, []any{list.Patterns[0].Template, list.Patterns[0].Lines})
	var e edited
	c.into(t, &e, "describe_pattern", `{"library":"series","pattern":"`+list.Patterns[0].ID+`","name":"cooling down"}`)
	require.Equal(t, "completed", e.State)
	fall := `{"values":` + string(must(json.Marshal(ramp(random, -.3, 30)))) + `}`
	c.into(t, &got, "recognize_series", fall)
	require.Equal(t, "cooling down", got.Windows[0].Name)
	c.into(t, &started, "train_series", `{"examples":`+string(must(json.Marshal(lines[:20])))+`}`)
	c.into(t, &done, "get_workflow", `{"id":"`+started.WorkflowID+`","wait_seconds":20}`)
	require.Equal(t, 2, done.Trained.Version)
	version := func() (int, int64) {
		t.Helper()
		c.into(t, &got, "recognize_series", fall)
		c.into(t, &list, "list_patterns", `{"library":"series","sort":"name"}`)
		require.Equal(t, "cooling down", list.Patterns[0].Name)
		return got.Version, list.Patterns[0].Lines
	}
	answers := func(v int, examples int64) {
		t.Helper()
		now, lines := version()
		require.Equal(t, []any{v, examples}, []any{now, lines})
	}
	answers(2, 10)
	c.into(t, &e, "edit_pattern", `{"library":"series","action":"use","edit":1,"reason":"better"}`)
	answers(1, 12)
	c.into(t, &e, "edit_pattern", fmt.Sprintf(`{"library":"series","action":"undo","edit":%d}`, e.Number))
	answers(2, 10)
	require.Contains(t, string(c.tool(t, "list_edits", `{"library":"series"}`).Structured), `"detail":"version 1"`)
	r := c.tool(t, "edit_pattern", `{"library":"series","action":"use","edit":7}`)
	require.True(t, r.IsError)
	require.Contains(t, r.Content[0].Text, "versions 1 to 2")
}
