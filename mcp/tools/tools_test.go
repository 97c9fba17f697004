package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/postgres"
)

// update rewrites the golden schemas: go test ./mcp/tools -update
var update = flag.Bool("update", false, "write testdata instead of checking it")

// definition is a tool as a client lists it.
func definition(t *Tool, output bool) []byte {
	d := map[string]any{
		"name": t.Name, "title": t.Title, "description": t.Description, "inputSchema": t.Input,
		"annotations": map[string]bool{"readOnlyHint": t.ReadOnly, "destructiveHint": t.Destructive, "idempotentHint": t.Idempotent, "openWorldHint": t.OpenWorld},
	}
	if output {
		d["outputSchema"] = t.Output
	}
	return must(json.Marshal(d))
}

// tokens approximates what a text costs a model: four bytes a token, as the common tokenizers do on English and JSON.
func tokens(text []byte) int { return (len(text) + 3) / 4 }

func TestSchemasAreGolden(t *testing.T) {
	for _, tool := range new(Suite).Tools() {
		var pretty bytes.Buffer
		require.NoError(t, json.Indent(&pretty, definition(&tool, true), "", "  "))
		pretty.WriteByte('\n')
		path := filepath.Join("testdata", tool.Name+".json")
		if *update {
			require.NoError(t, os.WriteFile(path, pretty.Bytes(), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err, "run: go test ./mcp/tools -update")
		require.Equal(t, string(want), pretty.String(), "the schema of %s has changed; clients depend on it", tool.Name)
	}
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.Len(t, files, len(new(Suite).Tools()), "a golden file without a tool")
}

// TestInventory holds every tool to the same rules. The size counts what clients put before the model: name, title, description,
// arguments and annotations, 150 tokens a tool. The schema of the answer is for programs; it is bounded apart.
func TestInventory(t *testing.T) {
	names := map[string]bool{}
	whole := 0
	for _, tool := range new(Suite).Tools() {
		require.Regexp(t, regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`), tool.Name)
		require.False(t, names[tool.Name], tool.Name)
		names[tool.Name] = true
		require.NotEmpty(t, tool.Title)
		require.True(t, strings.HasSuffix(tool.Description, "."), tool.Name)
		require.NotEmpty(t, tool.Role, tool.Name)
		require.False(t, tool.ReadOnly && tool.Destructive, tool.Name)
		require.LessOrEqual(t, tokens(definition(&tool, false)), 150, "%s: %s", tool.Name, definition(&tool, false))
		require.LessOrEqual(t, tokens(tool.Output), 300, "%s: %s", tool.Name, tool.Output)
		whole += tokens(definition(&tool, true))
		var schema struct {
			Type                 string
			AdditionalProperties *bool
			Properties           map[string]map[string]any
		}
		require.NoError(t, json.Unmarshal(tool.Input, &schema))
		require.Equal(t, "object", schema.Type)
		require.NotNil(t, schema.AdditionalProperties)
		require.False(t, *schema.AdditionalProperties, "%s takes unknown arguments", tool.Name)
		for name, property := range schema.Properties {
			require.Regexp(t, regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`), name)
			require.True(t, property["type"] != nil || property["enum"] != nil, "%s.%s", tool.Name, name)
		}
		require.NoError(t, json.Unmarshal(tool.Output, &schema))
		require.Equal(t, "object", schema.Type)
		t.Logf("%-16s %3d tokens, answer %3d", tool.Name, tokens(definition(&tool, false)), tokens(tool.Output))
	}
	t.Logf("all: %d tokens, instructions %d", whole, tokens([]byte(Instructions)))
	require.LessOrEqual(t, whole, 11_750)
	require.LessOrEqual(t, tokens([]byte(Instructions)), 285)
}

func TestRanges(t *testing.T) {
	for want, add := range map[string][]int{
		"1": {1}, "1-3": {1, 2, 3}, "1-3,7": {1, 2, 3, 7}, "2,4,6-7": {2, 4, 6, 7}, "": nil,
		"1,3,5,7,9,11,13,15,17,19,21,23,...": {1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27},
	} {
		var r ranges
		for _, n := range add {
			r.add(n)
		}
		require.Equal(t, want, r.String())
	}
}

func TestCut(t *testing.T) {
	require.Equal(t, "abc", cut("abc", 3))
	require.Equal(t, "ab...", cut("abc", 2))
	require.Equal(t, "é...", cut("éé", 3), "not inside a character")
	require.Equal(t, []byte("a..."), cut([]byte("abc"), 1))
}

func TestInstants(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-11-22T00:00:00Z": time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), "24h": now.Add(-24 * time.Hour), "-90m": now.Add(-90 * time.Minute),
		"7d": now.Add(-7 * 24 * time.Hour), "1.5h": now.Add(-90 * time.Minute),
	} {
		var i instant
		require.NoError(t, i.parse(must(json.Marshal(text))), text)
		require.True(t, want.Equal(i.from(now)), text)
	}
	for _, text := range []string{"", "yesterday", "d", "-", "99999999999h", "9999999d", "0000-01-01T00:00:00Z", "24"} {
		require.Error(t, new(instant).parse(must(json.Marshal(text))), text)
	}
	require.Error(t, new(instant).parse([]byte("12")))
}

func TestNearestName(t *testing.T) {
	names := []string{"lines", "library", "limit"}
	require.Equal(t, "lines", nearest("line", names))
	require.Equal(t, "library", nearest("Libary", names))
	require.Equal(t, "", nearest("frobnicate", names))
	require.Equal(t, "", nearest("", names))
}

// FuzzArguments gives every tool any arguments: they decode, or the error is one for the client, in one short line.
func FuzzArguments(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"lines":["a","\u0000","\ud800"]}`, `{"lines":"a\nb\r\n"}`, `{"limit":1e9}`, `{"from":"24h"}`, `{"id":"\n"}`, `null`, `[]`, `{"lines":[[]]}`, `{"a":{"b":[{}]}}`,
	} {
		f.Add([]byte(seed))
	}
	all := new(Suite).Tools()
	call := Call{Role: "admin"}
	f.Fuzz(func(t *testing.T, args []byte) {
		for i := range all {
			// Without a database every call that gets past its arguments ends at the first use of it.
			_, err := all[i].Call(t.Context(), call, args)
			if err == nil {
				continue
			}
			told := Explain(err)
			if told == nil {
				t.Fatalf("%s %q: not for clients: %v", all[i].Name, args, err)
			}
			if len(told.Error()) > 1000 || strings.ContainsAny(told.Error(), "\n\x00") {
				t.Fatalf("%s %q: %q", all[i].Name, args, told.Error())
			}
		}
	})
}

func TestExplain(t *testing.T) {
	for want, err := range map[string]error{
		"the call was cancelled":                               fmt.Errorf("x: %w", context.Canceled),
		"this took too long. Try again, or ask for less":       &pgconn.PgError{Code: "57014"},
		"not found. List what there is first":                  postgres.ErrNotFound,
		"the database is not reachable. Try again in a moment": &pgconn.PgError{Code: "57P01"},
	} {
		require.Equal(t, want, Explain(err).Error())
	}
	require.Nil(t, Explain(errors.New(`relation "secret" does not exist`)))
}
