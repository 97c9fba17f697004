package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func gathered(t *testing.T, text string) string {
	t.Helper()
	var answers []string
	for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
		got, err := io.ReadAll(Lines(r))
		require.NoError(t, err)
		answers = append(answers, string(got))
	}
	require.Equal(t, answers[0], answers[1])
	require.Equal(t, answers[0], answers[2])
	return answers[0]
}

func TestLines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[{\"a\":1},{\"a\":2}]": "{\"a\":1}\n{\"a\":2}\n",
		" \n[\n  {\n    \"a\": [1,\r\n 2] },\n  {\"b\":\"x,]}\\\"\"}\n]\n": "{    \"a\": [1, 2] }\n{\"b\":\"x,]}\\\"\"}\n",
		"{\n \"a\": 1\n}\n{\n \"a\": 2\n}\n":                               "{ \"a\": 1}\n{ \"a\": 2}\n",
		"[{\"a\":1}, 12, \"x\" ,null,{}]":                                  "{\"a\":1}\n12\n\"x\" \nnull\n{}\n",
		"[{\"a\":1}]\n[{\"a\":2}]\n":                                       "{\"a\":1}\n{\"a\":2}\n",
		"[{\"a\":\"broken},\n{\"a\":2}\n,{\"a\":3":                         "{\"a\":\"broken},\n{\"a\":2}\n{\"a\":3\n",
		"[{\"a\":1}}}},{\"a\":2}]":                                         "{\"a\":1}\n}\n}\n}\n{\"a\":2}\n",
		"{\"a\":1}\n{\"a\":2}\n":                                           "{\"a\":1}\n{\"a\":2}\n",
		"[main] not JSON\n[{":                                              "[main] not JSON\n[{",
		"":                                                                 "",
		"[]":                                                               "[]",
		"[ {":                                                              "{\n",
	} {
		require.Equal(t, want, gathered(t, text), "%q", text)
	}
	broken := errors.New("broken")
	_, err := io.ReadAll(Lines(iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	got, err := io.ReadAll(Lines(io.MultiReader(strings.NewReader("[{\"a\":1},"+strings.Repeat(" ", 8<<10)), iotest.ErrReader(broken))))
	require.ErrorIs(t, err, broken)
	require.Equal(t, "{\"a\":1}\n", string(got))
}

func TestRandomEventsInAnArray(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		var events []any
		for range 1 + rnd.IntN(8) {
			events = append(events, map[string]any{"e": randomValue(rnd, 3)})
		}
		body, err := json.Marshal(events)
		require.NoError(t, err)
		if rnd.IntN(2) == 0 {
			var b bytes.Buffer
			require.NoError(t, json.Indent(&b, body, "", "  "))
			body = b.Bytes()
		}
		lines := strings.Split(strings.TrimSuffix(gathered(t, string(body)), "\n"), "\n")
		require.Len(t, lines, len(events), "%s", body)
		for i, line := range lines {
			want, err := json.Marshal(events[i])
			require.NoError(t, err)
			require.JSONEq(t, string(want), line)
		}
	}
}

func FuzzLines(f *testing.F) {
	for _, s := range []string{"[{}]", "[{\"a\":1},{\"b\":\"x\\\"]\"}]", "{\n\"a\":[1]}\n", "[{\"a\":\"x\n{}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := gathered(t, text)
		if !Spread([]byte(text[:min(len(text), 4<<10)])) {
			require.Equal(t, text, got)
			return
		}
		var events []json.RawMessage
		if json.Unmarshal([]byte(text), &events) != nil {
			return
		}
		lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
		n := 0
		for _, e := range events {
			if e[0] != '[' { // an array in the array is taken apart as well
				n++
			}
		}
		require.GreaterOrEqual(t, len(lines), n)
	})
}
