package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestGatewayLearnsFromCalls sends a client of the OpenAI dialect through the gateway of a real stack, as the login role that
// production has: the call is answered, paid for, and learned from.
func TestGatewayLearnsFromCalls(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a stack, which takes seconds")
	}
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, event := range []string{
			`{"model":"small","choices":[{"index":0,"delta":{"content":"The disk is full."}}]}`,
			`{"model":"small","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
			`{"model":"small","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}`,
			`[DONE]`,
		} {
			fmt.Fprintf(w, "data: %s\n\n", event)
		}
	}))
	t.Cleanup(provider.Close)
	s := newStack(t)
	models := filepath.Join(t.TempDir(), "models.toml")
	require.NoError(t, os.WriteFile(models, fmt.Appendf(nil, `
[[provider]]
name = "near"
dialect = "openai"
base_url = "%s/v1"
[[model]]
provider = "near"
name = "small"
capabilities = ["chat"]
context_tokens = 8000
max_output = 1000
input_usd_per_mtok = 1
output_usd_per_mtok = 2
`, provider.URL), 0o600))

	said := &logged{}
	gateway := exec.Command(bin, "gateway", "--data-dir", s.dir, "--models", models, "--address", "127.0.0.1:0")
	gateway.Env, gateway.Stderr = cleanEnv(), said
	require.NoError(t, gateway.Start())
	t.Cleanup(func() {
		_ = gateway.Process.Signal(syscall.SIGINT)
		require.NoError(t, gateway.Wait(), "%s", said)
	})
	var address string
	require.Eventually(t, func() bool {
		_, rest, found := strings.Cut(said.String(), `"gateway listening","address":"`)
		address, _, _ = strings.Cut(rest, `"`)
		return found
	}, 30*time.Second, 20*time.Millisecond, "%s", said)

	token := strings.TrimSpace(string(s.run(t, "token")))
	ask := func(stream string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/v1/chat/completions",
			strings.NewReader(`{"model":"auto","stream":`+stream+`,"messages":[{"role":"user","content":"What is wrong?"}],"max_tokens":100}`))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode, string(body)
	}
	for _, stream := range []string{"false", "true"} {
		status, body := ask(stream)
		require.Equal(t, http.StatusOK, status, body)
		require.Contains(t, body, "The disk is full.")
	}
	require.Eventually(t, func() bool {
		out, err := s.try("models", "stats", "-o", "json")
		return err == nil && strings.Contains(string(out), `"near/small"`)
	}, 20*time.Second, 200*time.Millisecond, "%s", said)
	require.Contains(t, string(s.run(t, "models", "list", "-o", "json")), `"near/small"`, "route_model knows what the gateway was configured with")

	s.run(t, "models", "budget", "set", "0.000001", "--period", "day")
	require.Contains(t, string(s.run(t, "models", "budget", "list")), "workspace")
	for _, stream := range []string{"false", "true"} {
		status, body := ask(stream)
		require.Equal(t, http.StatusPaymentRequired, status, body)
		require.Contains(t, body, "budget_exceeded")
	}
	s.run(t, "models", "budget", "remove", "--period", "day")
	status, body := ask("false")
	require.Equal(t, http.StatusOK, status, body)
}
