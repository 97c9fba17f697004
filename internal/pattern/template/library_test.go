package template_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/template"
)

func tally(messages ...string) *template.Tally {
	t := template.NewTally(template.TallyOptions{})
	for i, m := range messages {
		t.Add([]byte(m), []byte(m), int64(i)*1e9)
	}
	return t
}

func shapesOf(t *template.Tally) []template.Shape {
	var out []template.Shape
	for _, c := range t.Counted() {
		out = append(out, c.Shape)
	}
	return out
}

func TestLinesOfOneStatementShareAPattern(t *testing.T) {
	t.Parallel()
	var in []string
	for i := range 100 {
		in = append(in, fmt.Sprintf("connection from 10.0.0.%d closed after %d ms", i, i*7))
	}
	tl := tally(in...)
	require.Equal(t, int64(100), tl.Lines())
	b, err := tl.MarshalBinary()
	require.NoError(t, err)
	counted, err := template.ReadTally(b)
	require.NoError(t, err)
	require.Len(t, counted, 1)
	require.Equal(t, int64(100), counted[0].Lines)

	lib := template.NewLibrary(template.Options{})
	ch := lib.Learn(shapesOf(tl))
	require.Len(t, ch.Patterns, 1)
	require.Equal(t, "connection from <*> closed after <*> ms", ch.Patterns[0].Template)

	var m template.Match
	msg := []byte("connection from 10.0.0.7 closed after 12 ms")
	require.True(t, lib.Index().Recognise(msg, &m))
	require.Equal(t, ch.Patterns[0].ID, m.Pattern)
	require.Len(t, m.Values, 2)
	require.Equal(t, "10.0.0.7", string(msg[m.Values[0].Start:m.Values[0].End]))
}
