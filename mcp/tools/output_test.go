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
	} {
		for _, detail := range []string{"lines", "summary"} {
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
			require.Equal(t, got.Lines, got.Known+got.Unknown)
			if detail == "lines" {
				require.Equal(t, got.Lines, len(got.Results)+got.Omitted)
			}
			require.LessOrEqual(t, len(text), DefaultTokens*bytesPerToken+maxExample+200)
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

// TestRecognitionIsReusedClean runs two calls through one pooled recognition: nothing of the first may show in the second.
func TestRecognitionIsReusedClean(t *testing.T) {
	entry := learned("disk full", "user alice logged in from 10.0.0.1")
	run := func(r *recognition, lines string) string {
		var list lineList
		require.NoError(t, list.parse(must(json.Marshal(lines))))
		in := recognizeArgs{Lines: list, Library: "lib", Detail: "lines", Tokens: DefaultTokens}
		r.run(entry, in)
		return string(r.encode("lib", entry, in))
	}
	r := recognitions.New().(*recognition)
	run(r, "user alice logged in from 10.0.0.1\nunknown thing")
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
