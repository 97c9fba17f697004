package tools

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

func compile(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("schema.json", doc))
	schema, err := c.Compile("schema.json")
	require.NoError(t, err)
	return schema
}

func TestSchemasAreValid(t *testing.T) {
	for _, tool := range new(Suite).Tools() {
		compile(t, tool.Input)
		compile(t, tool.Output)
	}
}

// learned is an entry that knows the lines.
func learned(lines ...string) *feed.Entry {
	tally := template.NewTally(template.TallyOptions{})
	for _, line := range lines {
		tally.Add([]byte(line), []byte(line), 1)
	}
	var shapes []template.Shape
	for _, c := range tally.Counted() {
		shapes = append(shapes, c.Shape)
	}
	library := template.NewLibrary(template.Options{})
	library.Learn(shapes)
	return &feed.Entry{
		Revision: 7, Index: library.Index(), Names: func(id pattern.ID) string { return "named " + string(id[:3]) },
		Notes: func(pattern.ID) postgres.Note {
			return postgres.Note{Severity: "error", Owner: "team \"a\"", Ignored: true}
		},
	}
}

// TestHandWrittenAnswer holds the hand-written encoding of recognize to the struct that describes it and to the schema.
func TestHandWrittenAnswer(t *testing.T) {
	entry := learned("user alice logged in from 10.0.0.1", "user bob logged in from 10.0.0.2", "disk full")
	schema := compile(t, new(Suite).recognizeTool(t).Output)
	for name, lines := range map[string][]string{
		"known": {"user alice logged in from 10.0.0.1", "disk full"}, "odd": {"", "\xff\xfe", "a\"b\\c\x01", "é€𝄞", strings.Repeat("x", 5000)},
		"unknown": {"never seen", "disk full", "nor this one 12", "nor this one 13"}, "many": strings.Split(strings.Repeat("disk full\nqwe\n", 400), "\n"),
		"traces": {"disk full", "\tat a.b.C.d(C.java:1)", "\tat a.b.C.d(C.java:2)", "2026-11-23T08:00:00Z never seen", "java.io.IOException: no", "disk full"},
	} {
		for _, detail := range []string{"lines", "summary", "explain"} {
			var list lineList
			require.NoError(t, list.parse(must(json.Marshal(lines))))
			r := recognitions.New().(*recognition)
			in := recognizeArgs{Lines: list, Library: "lib", Header: true, Detail: detail, Tokens: DefaultTokens}
			r.run(entry, in)
			text := r.encode("lib", entry, in)
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
			require.NoError(t, err, "%s: %s", name, text)
			require.NoError(t, schema.Validate(doc), "%s: %s", name, text)
			strict := json.NewDecoder(bytes.NewReader(text))
			strict.DisallowUnknownFields()
			var got recognized
			require.NoError(t, strict.Decode(&got))
			require.Equal(t, len(lines), got.Lines)
			require.Equal(t, got.Lines, got.Known+got.Unknown+r.folded)
			if detail != "summary" {
				require.Equal(t, got.Lines, len(got.Results)+got.Omitted)
			}
			require.LessOrEqual(t, len(text), DefaultTokens*bytesPerToken+maxExample+200+map[string]int{"explain": 4000}[detail])
			sum := 0
			for _, p := range got.Patterns {
				sum += p.Lines
				require.NotEmpty(t, p.At)
			}
			require.Equal(t, got.Known, sum)
			require.NotEmpty(t, r.text())
		}
	}
}

func (s *Suite) recognizeTool(t *testing.T) *Tool {
	t.Helper()
	for _, tool := range s.Tools() {
		if tool.Name == "recognize" {
			return &tool
		}
	}
	require.Fail(t, "no recognize")
	return nil
}

// asked is what recognize answers to lines.
func asked(t *testing.T, entry *feed.Entry, in recognizeArgs, lines ...string) (got recognized, text string) {
	t.Helper()
	require.NoError(t, in.Lines.parse(must(json.Marshal(lines))))
	in.Library, in.Detail, in.Tokens = "lib", "lines", DefaultTokens
	r := recognitions.New().(*recognition)
	r.run(entry, in)
	require.NoError(t, json.Unmarshal(r.encode("lib", entry, in), &got))
	return got, r.text()
}

func TestStackTracesAreOneWithTheirLine(t *testing.T) {
	t.Parallel()
	entry := learned("cannot save order 1", "cannot save order 1 exception=java.io.IOException cause=a.b.Oops")
	lines := []string{
		"2026-11-23T08:00:00Z ERROR cannot save order 7", "java.io.IOException: disk full", "\tat a.b.C.d(C.java:1)", "Caused by: a.b.Oops", "\t... 1 more",
		"2026-11-23T08:00:00Z ERROR cannot save order 8", "2026-11-23T08:00:00Z ERROR cannot save order 9", "ValueError: no",
	}
	got, text := asked(t, entry, recognizeArgs{Header: true}, lines...)
	require.Equal(t, []int{8, 2, 1}, []int{got.Lines, got.Known, got.Unknown})
	require.Contains(t, text, "5 go on with the one before")
	byTemplate := map[string]string{}
	for _, p := range got.Patterns {
		byTemplate[p.Template] = p.At
	}
	require.Equal(t, map[string]string{"cannot save order <*>": "6", "cannot save order <*> exception=java.io.IOException cause=a.b.Oops": "1"}, byTemplate)
	require.Equal(t, "7", got.Unknowns[0].At)
	require.Equal(t, "cannot save order 9 exception=ValueError", got.Unknowns[0].Example)
	require.Len(t, got.Results, len(lines))
	require.Equal(t, []string{"7"}, got.Results[0].Values)
	for i, first := range map[int]int{1: 1, 2: 1, 3: 1, 4: 1, 7: 7} {
		require.Equal(t, lineResult{Continues: first}, got.Results[i])
	}

	got, _ = asked(t, entry, recognizeArgs{Header: false}, "cannot save order 7", "\tat a.b.C.d(C.java:1)")
	require.Equal(t, got.Lines, got.Known+got.Unknown, "bare messages are one each")
}

func TestEventsAreRecognizedByTheirFields(t *testing.T) {
	t.Parallel()
	entry := learned(`msg="order placed" order.id=1 user.name="ada"`, `msg="order placed" order.id=1 user.name="bob"`, `malformed=" x"`)
	entry.Library.Kind = workflows.KindRecord
	got, _ := asked(t, entry, recognizeArgs{Header: true},
		`{"time":"2026-11-23T08:00:00Z","user":{"name":"kim"},"order":{"id":7},"msg":"order placed"}`, `{"msg":"order placed"`, `{"msg":"refund"}`)
	require.Equal(t, []int{2, 1}, []int{got.Known, got.Unknown})
	require.Equal(t, []string{"7", "kim"}, got.Results[0].Values)
	require.Equal(t, []string{"order.id", "user.name"}, got.Patterns[0].Slots)
	require.Equal(t, `msg="refund"`, got.Unknowns[0].Example)
}

// TestRecognitionIsReusedClean runs two calls through one pooled recognition: nothing of the first may show in the second.
func TestRecognitionIsReusedClean(t *testing.T) {
	entry := learned("disk full", "user alice logged in from 10.0.0.1")
	run := func(r *recognition, lines string) string {
		var list lineList
		require.NoError(t, list.parse(must(json.Marshal(lines))))
		in := recognizeArgs{Lines: list, Library: "lib", Header: true, Detail: "lines", Tokens: DefaultTokens}
		r.run(entry, in)
		return string(r.encode("lib", entry, in))
	}
	r := recognitions.New().(*recognition)
	run(r, "user alice logged in from 10.0.0.1\nunknown thing\n\tat a.b.C.d(C.java:1)")
	r.release()
	require.Equal(t, run(recognitions.New().(*recognition), "disk full"), run(r, "disk full"))
	require.False(t, reflect.ValueOf(r.index).IsNil())
}

func BenchmarkRecognize100(b *testing.B) {
	line := "user alice logged in from 10.0.0.1"
	entry := learned(line)
	args := []byte(`{"lines":[` + strings.Repeat(`"2026-11-23T08:00:00Z INFO `+line+`",`, 99) + `"` + line + `"]}`)
	tool := argumentsOf[recognizeArgs]("recognize")
	b.ReportAllocs()
	for b.Loop() {
		var in recognizeArgs
		if err := tool.decode(args, &in); err != nil {
			b.Fatal(err)
		}
		r := recognitions.Get().(*recognition)
		r.run(entry, in)
		r.encode("lib", entry, in)
		r.release()
	}
}
