package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/embed"
	"github.com/tartan-ai/tartan/internal/provider"
)

const key = "sk-secret-0123456789abcdef"

// endpoint speaks the protocol over HTTP, answering as answer says.
func endpoint(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, input []string)) *provider.Embeddings {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Model, EncodingFormat string
			Input                 []string
		}
		if r.URL.Path != "/v1/embeddings" || r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&in) != nil || in.Model != "small" {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		answer(w, r, in.Input)
	}))
	t.Cleanup(s.Close)
	e, err := provider.NewEmbeddings(provider.EmbeddingsConfig{
		URL: s.URL + "/v1/", Model: "small", Key: func() (string, error) { return key, nil }, Timeout: 5 * time.Second,
	})
	require.NoError(t, err)
	return e
}

func TestEmbed(t *testing.T) {
	t.Parallel()
	e := endpoint(t, func(w http.ResponseWriter, r *http.Request, input []string) {
		if r.Header.Get("Authorization") != "Bearer "+key {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		type row struct {
			Index     int       `json:"index"`
			Embedding []float32 `json:"embedding"`
		}
		var rows []row
		for i := len(input) - 1; i >= 0; i-- { // in another order
			rows = append(rows, row{i, []float32{float32(3 * len(input[i])), float32(4 * len(input[i])), 0}})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": rows})
	})
	var _ embed.Embedder = e
	require.Zero(t, e.Dim())
	got, err := e.Embed(t.Context(), []string{"a", "", "ccc"})
	require.NoError(t, err)
	require.Equal(t, [][]float32{{0.6, 0.8, 0}, {0.6, 0.8, 0}, {0.6, 0.8, 0}}, got)
	require.Equal(t, 3, e.Dim())
	require.Equal(t, "model:small", e.Name())
	got, err = e.Embed(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	e := endpoint(t, func(w http.ResponseWriter, _ *http.Request, input []string) {
		switch input[0] {
		case "key":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":{"message":"Incorrect API key provided: ` + key + `, also known as sk-sec****cdef. Find yours."}}`))
		case "busy":
			w.WriteHeader(http.StatusTooManyRequests)
		case "away":
			http.Redirect(w, &http.Request{}, "http://elsewhere.invalid/", http.StatusFound)
		case "slow":
			time.Sleep(200 * time.Millisecond)
		case "few":
			_, _ = w.Write([]byte(`{"data":[]}`))
		case "twice":
			_, _ = w.Write([]byte(`{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}`))
		case "none":
			_, _ = w.Write([]byte(`{"data":[{"index":0,"embedding":[]}]}`))
		case "page":
			_, _ = w.Write([]byte(`<html>`))
		}
	})
	ask := func(texts ...string) error {
		_, err := e.Embed(t.Context(), texts)
		require.Error(t, err, texts)
		require.NotContains(t, err.Error(), key)
		require.NotContains(t, err.Error(), "cdef")
		return err
	}
	var refused *provider.Error
	require.ErrorAs(t, ask("key"), &refused)
	require.Equal(t, http.StatusUnauthorized, refused.Status)
	require.False(t, refused.Temporary())
	require.Equal(t, "ask small for 1 embeddings: the endpoint answered 401: Incorrect API key provided: (key) also known as (key) Find yours.", ask("key").Error())
	require.ErrorAs(t, ask("busy"), &refused)
	require.True(t, refused.Temporary())
	require.ErrorAs(t, ask("away"), &refused)
	require.Equal(t, http.StatusFound, refused.Status, "not followed")
	require.ErrorIs(t, ask("few"), provider.ErrAnswer)
	require.ErrorIs(t, ask("twice", "b"), provider.ErrAnswer)
	require.ErrorIs(t, ask("none"), provider.ErrAnswer)
	require.ErrorIs(t, ask("page"), provider.ErrAnswer)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := e.Embed(ctx, []string{"slow"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestKeyIsLookedUpEachTime(t *testing.T) {
	t.Parallel()
	e, err := provider.NewEmbeddings(provider.EmbeddingsConfig{URL: "http://127.0.0.1:1", Model: "m", Key: func() (string, error) { return "", errors.New("no such file") }})
	require.NoError(t, err)
	_, err = e.Embed(t.Context(), []string{"a"})
	require.ErrorContains(t, err, "look up the key: no such file")
}

func TestConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []provider.EmbeddingsConfig{
		{Model: "m"},
		{URL: "api.example.com", Model: "m"},
		{URL: "ftp://a/b", Model: "m"},
		{URL: "https://u:p@host/v1", Model: "m"},
		{URL: "https://host/v1?key=1", Model: "m"},
		{URL: "https://host/v1"},
	} {
		_, err := provider.NewEmbeddings(c)
		require.Error(t, err, c.URL)
		require.NotContains(t, err.Error(), "u:p")
	}
}

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{`{"data":[{"index":0,"embedding":[1,2]}]}`, `{"data":null}`, `[]`, `{"data":[{"index":-1}]}`, `{"data":[{"index":0,"embedding":[1e39]}]}`} {
		f.Add([]byte(seed))
	}
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	f.Cleanup(s.Close)
	f.Fuzz(func(t *testing.T, answer []byte) {
		body = answer
		e, err := provider.NewEmbeddings(provider.EmbeddingsConfig{URL: s.URL, Model: "m"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Embed(t.Context(), []string{"a"})
		if (err == nil) != (len(got) == 1 && len(got[0]) == e.Dim() && e.Dim() > 0) {
			t.Fatalf("%q: %v %v", answer, got, err)
		}
	})
}
