package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/config"
)

// clusterAndCompare groups texts, recognises others with the clusters, and finds what is like a pattern.
func clusterAndCompare(t *testing.T, s shell, id string) {
	t.Helper()
	var mined struct{ Results []mineResult }
	s.ok(&mined, "the printer has no paper\nprinter is out of paper\nI forgot my password\n", "patterns", "cluster", "-")
	require.Equal(t, "completed", mined.Results[0].State)
	require.EqualValues(t, 3, mined.Results[0].Lines)
	require.EqualValues(t, 2, mined.Results[0].Patterns)

	var answers []answer
	for line := range strings.Lines(s.ok(nil, "no paper in the printer\nthe weather is nice in Lisbon\n", "recognize", "--library", "texts", "--output", "json")) {
		var ans answer
		require.NoError(t, json.Unmarshal([]byte(line), &ans))
		answers = append(answers, ans)
	}
	require.Len(t, answers, 2)
	require.True(t, answers[0].Known)
	require.Contains(t, answers[0].Template, "paper")
	require.Greater(t, answers[0].Confidence, 0.6)
	require.False(t, answers[1].Known)
	require.NotNil(t, answers[1].Nearest)

	var near similarView
	s.ok(&near, "", "patterns", "similar", "forgotten passwords", "--library", "texts")
	require.Equal(t, "I forgot my password", near.Patterns[0].Template)
	s.ok(&near, "", "patterns", "similar", id)
	require.Contains(t, s.ok(nil, "", "patterns", "similar", id), "SCORE")
	s.ok(&near, "", "patterns", "similar")
	_, errs, code := s.run("", "patterns", "similar", "p0123456789abcdef")
	require.NotZero(t, code)
	require.Contains(t, errs, "not found")
	_, errs, code = s.run("", "patterns", "cluster", "-", "--threshold", "7")
	require.Equal(t, codeUsage, code)
	require.Contains(t, errs, "above 0 and at most 1")
}

func TestEmbedder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(" from-file\n"), 0o600))
	a := &app{env: environment{lookup: func(name string) (string, bool) {
		value, ok := map[string]string{"MY_KEY": "from-env"}[name]
		return value, ok
	}}}
	built, err := a.embedder()
	require.NoError(t, err)
	require.Contains(t, built.Name(), "tartan-static-")

	a.cfg = config.Config{EmbedURL: "https://api.example.com/v1", EmbedModel: "small", EmbedKey: "env:MY_KEY"}
	e, err := a.embedder()
	require.NoError(t, err)
	require.Equal(t, "model:small", e.Name())
	for ref, want := range map[string]string{"": "", "env:MY_KEY": "from-env", "file:" + file: "from-file"} {
		a.cfg.EmbedKey = ref
		key, err := a.embedKey()
		require.NoError(t, err)
		require.Equal(t, want, key)
	}
	for _, ref := range []string{"env:OTHER", "file:" + file + ".none"} {
		a.cfg.EmbedKey = ref
		_, err := a.embedKey()
		require.ErrorContains(t, err, "TARTAN_EMBED_KEY")
	}
}
