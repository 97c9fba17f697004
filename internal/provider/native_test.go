package provider_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/provider"
	"github.com/tartan-ai/tartan/internal/routing"
)

// nativeAnswers are a whole answer and a cut one, in the words of each provider.
var nativeAnswers = map[string]struct{ whole, cut string }{
	"anthropic": {
		whole: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"model\":\"claude\",\"usage\":{\"input_tokens\":20,\"output_tokens\":1}}}\n\n" +
			"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n" +
			"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"yes\"}}\n\n" +
			"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n" +
			"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":10}}\n\n" +
			"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		cut: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"usage\":{\"input_tokens\":20}}}\n\n" +
			"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"ye\"}}\n\n",
	},
	"google": {
		whole: "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"ye\"}],\"role\":\"model\"}}]}\n\n" +
			"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"s\"}],\"role\":\"model\"},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":20,\"candidatesTokenCount\":10}}\n\n",
		cut: "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"ye\"}],\"role\":\"model\"}}]}\n\n",
	},
}

func native(t *testing.T, dialect string, answer http.HandlerFunc) (provider.Provider, *atomic.Int64) {
	t.Helper()
	asked := &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	c := provider.NativeConfig{URL: s.URL + "/", Key: func() (string, error) { return key, nil }, Deadlines: provider.Deadlines{
		Header: 300 * time.Millisecond, FirstToken: 400 * time.Millisecond, Idle: 300 * time.Millisecond, Total: 3 * time.Second,
	}}
	if dialect == "anthropic" {
		p, err := provider.NewAnthropic(c)
		require.NoError(t, err)
		return p, asked
	}
	p, err := provider.NewGoogle(c)
	require.NoError(t, err)
	return p, asked
}

func TestNativeAdapters(t *testing.T) {
	t.Parallel()
	ask := &provider.Request{Model: "m", MaxTokens: 50, Messages: []provider.Message{{Role: "user", Content: provider.Content{Text: "well?"}}}}
	for dialect, text := range nativeAnswers {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			stream := func(text string) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream")
					fmt.Fprint(w, text)
				}
			}
			p, _ := native(t, dialect, stream(text.whole))
			var came strings.Builder
			got, err := p.Stream(context.Background(), ask, func(d provider.Delta) error {
				came.WriteString(d.Text)
				return nil
			})
			require.NoError(t, err)
			require.Equal(t, "yes", got.Text)
			require.Equal(t, "yes", came.String())
			require.Equal(t, provider.FinishStop, got.Finish)
			require.Equal(t, provider.Usage{Input: 20, Output: 10, Known: true}, got.Usage)

			fails := func(answer http.HandlerFunc, class routing.Class) *provider.Error {
				p, asked := native(t, dialect, answer)
				_, err := p.Stream(context.Background(), ask, nil)
				var e *provider.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, class, e.Class, "%v", err)
				require.EqualValues(t, 1, asked.Load(), "the SDK tries again by itself")
				require.NotContains(t, err.Error(), key)
				return e
			}
			refuse := func(status int, body string) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", "7")
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(status)
					fmt.Fprint(w, body)
				}
			}
			require.True(t, fails(stream(text.cut), routing.Transient).Delivered)
			slow := fails(refuse(429, `{"error":{"type":"rate_limit_error","message":"slow down","code":429,"status":"RESOURCE_EXHAUSTED"}}`), routing.Throttled)
			require.Equal(t, 7*time.Second, slow.RetryAfter)
			fails(refuse(503, `{"error":{"message":"oops","code":503}}`), routing.Transient)
			fails(refuse(401, `{"error":{"message":"bad key `+key+`","code":401}}`), routing.Auth)
			fails(refuse(400, `{"error":{"message":"prompt is too long: 300000 tokens","code":400}}`), routing.ContextLength)
			fails(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the caller leaves
				<-r.Context().Done()
			}, routing.Silent)
		})
	}
}

func TestConfigIsStrict(t *testing.T) {
	t.Parallel()
	_, err := provider.ParseConfig("[[provider]]\nname='P'\ndialect='foo'\nkey='sk-1234567890'\nretries=3\n[[model]]\nprovider='none'\nname='x'\n")
	for _, want := range []string{"provider.retries", "dialect", "key: want env:NAME or file:PATH", "no such provider", "capabilities", "name: want lower-case"} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "sk-1234567890")
}
