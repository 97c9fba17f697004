package server

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
	"github.com/stretchr/testify/require"
)

// FuzzMessage gives the router and what is behind it any message: nothing panics, and a request is answered by valid JSON. The server
// has no database, so a call ends when it would use one.
func FuzzMessage(f *testing.F) {
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"recognize","arguments":{"lines":["a"]}}}`,
		`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"health","arguments":null,` + meta + `}}`,
		`{"jsonrpc":"2.0","id":1.5,"method":"resources/read","params":{"uri":"tartan://patterns/a/b",` + meta + `}}`,
		`{"jsonrpc":"2.0","id":{},"method":"resources/subscribe","params":{"uri":"tartan://workflows/%2e/x"}}`,
		`{"jsonrpc":"2.0","id":null,"method":"tools/list"}`, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`,
		`{"id":1,"result":{}}`, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":[]}`, `[]`, `{}`, `"`, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":7}}`,
		`{"jsonrpc":"2.0","id":2,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["x"]},` + meta + `}}`,
	} {
		f.Add([]byte(seed))
	}
	s, err := New(Config{Fixtures: &Fixtures{Mount: func(*mcpserver.MCPServer) {}, Serves: func(string) bool { return false }}})
	require.NoError(f, err)
	s.now = time.Now
	f.Cleanup(s.Close)
	session := &pipe{server: s, notes: make(chan mcp.JSONRPCNotification, 256)}
	f.Fuzz(func(t *testing.T, body []byte) {
		ctx := s.mcp.WithContext(withIdentity(t.Context(), nobody), session)
		v := s.route(ctx, body, true)
		defer v.cancel()
		if v.done {
			if len(v.reply) > 0 && !json.Valid(v.reply) {
				t.Fatalf("%q: %q", body, v.reply)
			}
			return
		}
		var m struct{ Method string }
		if json.Unmarshal(v.body, &m) == nil && m.Method == "subscriptions/listen" {
			v.cancel() // it would wait for its end
		}
		response := s.mcp.HandleMessage(v.ctx, v.body)
		if response == nil {
			return
		}
		text, err := json.Marshal(response)
		if text = v.splice.restore(text); err != nil || !json.Valid(text) {
			t.Fatalf("%q: %v", body, err)
		}
	})
}
