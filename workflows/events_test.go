package workflows_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// someEvents makes n JSON events of three kinds and says how many there are of each, by a field that only it has.
func someEvents(rnd *rand.Rand, n int) (events []json.RawMessage, want map[string]int64) {
	at, want := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC), map[string]int64{}
	for range n {
		at = at.Add(time.Duration(rnd.IntN(2000)) * time.Millisecond)
		e := map[string]any{"time": at.Format(time.RFC3339), "level": "info", "user": map[string]any{"id": rnd.IntN(9000), "name": fmt.Sprintf("name%c%c", 'a'+rnd.IntN(26), 'a'+rnd.IntN(26))}}
		switch rnd.IntN(3) {
		case 0:
			e["msg"], e["http"] = "request served", map[string]any{"status": 200 + rnd.IntN(300), "path": fmt.Sprintf("/orders/%d", rnd.IntN(99))}
			want["http.status"]++
		case 1:
			e["msg"], e["items"] = "order placed", []any{}
			for range rnd.IntN(4) {
				e["items"] = append(e["items"].([]any), map[string]any{"sku": fmt.Sprintf("sku %d", rnd.IntN(99)), "n": rnd.IntN(9)})
			}
			if len(e["items"].([]any)) == 0 {
				e["items"] = []any{map[string]any{"sku": "none", "n": 0}}
			}
			want["items.sku"]++
		default:
			e["msg"], e["ok"], e["why"] = "login", rnd.IntN(2) == 0, []any{nil, "wrong password", "two words", "locked"}[rnd.IntN(4)]
			want["why"]++
		}
		body, _ := json.Marshal(e)
		events = append(events, body)
	}
	return events, want
}

// byField counts the lines of a library's patterns by those of the fields that are slots of them.
func (w *world) byField(library string, fields map[string]int64) map[string]int64 {
	w.t.Helper()
	out := map[string]int64{}
	w.counts(library)
	w.as(func(tx pgx.Tx) error {
		lib, err := postgres.LibraryByName(w.t.Context(), tx, w.caller.WorkspaceID, library)
		require.NoError(w.t, err)
		require.Equal(w.t, activities.KindRecord, lib.Kind)
		rows, _, err := postgres.Patterns(w.t.Context(), tx, postgres.ListPatterns{Library: lib.ID, Limit: 200})
		require.NoError(w.t, err)
		for _, row := range rows {
			for _, s := range row.Slots {
				if _, ok := fields[s.Name]; ok {
					out[s.Name] += row.Lines
				}
			}
		}
		return nil
	})
	return out
}

func TestEventsInAnyForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	events, want := someEvents(rnd, 500)
	lines := append(bytes.Join(toBytes(events), []byte("\n")), '\n')
	array, err := json.Marshal(events)
	require.NoError(t, err)
	pretty, err := json.MarshalIndent(events, "", "  ")
	require.NoError(t, err)
	patterns := int64(0)
	for name, body := range map[string][]byte{"lines": lines, "array": array, "pretty": pretty, "zipped": gzipped(t, lines), "zipped_array": gzipped(t, array)} {
		in := w.input(name, body, 1000+rnd.Int64N(20_000))
		in.Kind = activities.KindRecord
		got := w.mine(w.agents(), in)
		require.EqualValues(t, 500, got.Lines, name)
		require.Zero(t, got.Untimed, name)
		require.Zero(t, got.Continued, name)
		require.Equal(t, want, w.byField(name, want), "%s, seed %d", name, seed)
		if patterns == 0 {
			patterns = got.Patterns
		}
		require.Equal(t, patterns, got.Patterns, name)
	}
	require.LessOrEqual(t, patterns, int64(4), "two of why, which is null or a string")
}

func toBytes(events []json.RawMessage) (out [][]byte) {
	for _, e := range events {
		out = append(out, e)
	}
	return out
}

func TestMalformedEventsAreSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := []byte("{\"msg\":\"fine\",\"a\":1}\n{\"msg\":\"cut off\nnot JSON at all (really)\n\n{\"msg\":\"fine\",\"a\":2}\n[1,\nNaN\n")
	in := w.input("events", body, 20)
	in.Kind = activities.KindRecord
	got := w.mine(w.agents(), in)
	require.EqualValues(t, 7, got.Lines)
	require.Equal(t, map[string]int64{"malformed": 4, "a": 2}, w.byField("events", map[string]int64{"malformed": 0, "a": 0}))
}

func TestKindOfALibrary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	events := []byte("{\"msg\":\"fine\",\"a\":1}\n")
	mine := func(library, kind, body string) (*workflows.ProcessPatternsResult, *run) {
		in := workflows.ProcessPatternsInput{Caller: w.caller, Library: library, Kind: kind, Source: workflows.SourceRef{Name: "x", Inline: []byte(body)}}
		r := w.run(w.agents(), id(in)+library+kind+body)
		r.ExecuteWorkflow(workflows.ProcessPatterns, in)
		if r.GetWorkflowError() != nil {
			return nil, r
		}
		return r.result(), r
	}
	mine("events", activities.KindRecord, string(events))
	again, _ := mine("events", "", "{\"a\":2,\"msg\":\"fine\"}\n")
	require.EqualValues(t, 1, again.Patterns, "the kind is that of the library")
	_, r := mine("events", activities.KindLines, "a line\n")
	requireFailure(t, r, activities.WrongLibrary, "is of kind record")
	_, r = mine("events", "nonsense", "a line\n")
	requireFailure(t, r, activities.WrongLibrary, "mine lines or record")
	mine("plain", "", "a line\n")
	_, r = mine("plain", activities.KindRecord, string(events))
	requireFailure(t, r, activities.WrongLibrary, "is of kind lines: mine what is of kind record into another library")
}
