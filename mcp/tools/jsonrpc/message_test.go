package jsonrpc_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/mcp/tools/jsonrpc"
)

const modern = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"recognize","arguments":{"lines":["a\"}","b"]},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}}}`

func TestParse(t *testing.T) {
	t.Parallel()
	m, err := jsonrpc.Parse([]byte(modern))
	require.NoError(t, err)
	require.Equal(t, "tools/call", m.Method)
	require.Equal(t, "7", string(m.ID))
	require.Equal(t, "recognize", m.Name)
	require.JSONEq(t, `{"lines":["a\"}","b"]}`, string(m.Arguments))
	require.True(t, m.Modern())
	require.True(t, m.IsRequest())
	require.True(t, m.Declares("elicitation"))
	require.False(t, m.Declares("sampling"))
	slim := string(m.WithoutArguments())
	require.True(t, json.Valid([]byte(slim)))
	require.Equal(t, strings.Replace(modern, `{"lines":["a\"}","b"]}`, "{}", 1), slim)
}

func TestParseRefusesWhatCanBeReadInTwoWays(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"method":"ping","method":"tools/call"}`,
		`{"method":"ping","Method":"tools/call"}`,
		`{"method":"ping","\u006dethod":"tools/call"}`,
		`{"method":"tools/call","params":{"name":"a","Name":"b"}}`,
		`{"method":"tools/call","params":{"name":"a"},"paramſ":{"name":"b"}}`,
		`{"method":"x","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"1","io.modelcontextprotocol/protocolVersion":"2"}}}`,
		`{"method":1}`, `[{"method":"ping"}]`,
	} {
		_, err := jsonrpc.Parse([]byte(text))
		require.ErrorIs(t, err, jsonrpc.ErrInvalid, text)
	}
}

func TestParseRefusesBrokenText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", "1", `"a"`, "{", `{"a"`, `{"a":`, `{"a":}`, `{"a":1`, `{"a":1,}`, `{"a":1}x`, `{a:1}`, `{"a":"` + "\n" + `"}`, `{"a":[1,]}`,
		`{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
	} {
		_, err := jsonrpc.Parse([]byte(text))
		require.ErrorIs(t, err, jsonrpc.ErrSyntax, text)
	}
}

func TestAppendString(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "plain", "a\"b\\c\n\t\r\x00\x1f\x7f", "é€𝄞", "bad\xffutf\xc3", "<script>&"} {
		got := jsonrpc.AppendString(nil, s)
		var back string
		require.NoError(t, json.Unmarshal(got, &back), s)
		require.Equal(t, strings.ToValidUTF8(strings.ReplaceAll(s, "\xff", "\uFFFD"), "\uFFFD"), back)
		require.Equal(t, got, jsonrpc.AppendString(nil, []byte(s)))
	}
}

// FuzzParse holds Parse against encoding/json: what Parse accepts as a request must mean the same to the other reader.
func FuzzParse(f *testing.F) {
	f.Add([]byte(modern))
	f.Add([]byte(`{"jsonrpc":"2.0","id":"a","method":"resources/read","params":{"uri":"tartan://x"}}`))
	f.Add([]byte(`{"params":[1,2,{"a":null}],"method":"x\u0041"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := jsonrpc.Parse(body)
		if err != nil || !json.Valid(body) {
			return
		}
		var other struct {
			Method string          `json:"method"`
			Params json.RawMessage `json:"params"`
		}
		if json.Unmarshal(body, &other) != nil {
			return
		}
		if other.Method != strings.ToValidUTF8(m.Method, "\uFFFD") && !strings.Contains(other.Method, "\uFFFD") {
			t.Fatalf("method %q, encoding/json says %q", m.Method, other.Method)
		}
		var params struct {
			Name string `json:"name"`
		}
		if json.Unmarshal(other.Params, &params) == nil && params.Name != m.Name && !strings.Contains(params.Name, "\uFFFD") {
			t.Fatalf("name %q, encoding/json says %q", m.Name, params.Name)
		}
		if !json.Valid(m.WithoutArguments()) {
			t.Fatalf("without arguments: %q", m.WithoutArguments())
		}
	})
}

func BenchmarkParse(b *testing.B) {
	line := `"Nov 23 14:00:00 host sshd[123]: Failed password for root from 10.0.0.1 port 22 ssh2",`
	body := []byte(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"recognize","arguments":{"lines":[` + strings.Repeat(line, 99) + `"x"]}}}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jsonrpc.Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}
