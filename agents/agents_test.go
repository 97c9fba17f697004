package agents_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/agents"
)

func TestProjects(t *testing.T) {
	for _, k := range agents.Kinds {
		files, err := agents.Project("turbine-7", k.Name)
		require.NoError(t, err)
		require.Contains(t, string(files["src/turbine_7/activities.py"]), `@activity.defn(name="turbine-7.`+k.Activity+`")`)
		require.Contains(t, string(files["src/turbine_7/agent.toml"]), `name = "turbine-7"`)
		require.Contains(t, files, "vendor/tartan-agent/src/tartan_agent/__init__.py")
		require.Contains(t, files, ".gitignore")
		for name, text := range files {
			require.NotContains(t, string(text), "{{", name)
			require.NotContains(t, string(text), "<no value>", name)
		}
	}
	for _, name := range []string{"", "a", "Vibration", "7up", "pattern", "a_b", "ends-", "../up", "a/b"} {
		_, err := agents.Project(name, "features")
		require.ErrorContains(t, err, "agent \"", name)
	}
	_, err := agents.Project("vibration", "music")
	require.ErrorContains(t, err, "known are features, pattern, knowledge and router")
}

// The contracts as Go sends and reads them.
type (
	caller struct {
		UserID      string `json:"user_id"`
		WorkspaceID string `json:"workspace_id"`
	}
	window struct {
		Name   string    `json:"name"`
		RateHz float64   `json:"rate_hz"`
		Values []float64 `json:"values"`
	}
	featuresInput struct {
		Caller  caller   `json:"caller"`
		Windows []window `json:"windows"`
	}
	featuresResult struct {
		Version string      `json:"version"`
		Names   []string    `json:"names"`
		Rows    [][]float64 `json:"rows"`
	}
)

// TestFixturesOfFeatures reads the fixture that the tests of a rendered project read too.
func TestFixturesOfFeatures(t *testing.T) {
	text, err := agents.Fixture("features")
	require.NoError(t, err)
	var fixture struct {
		Input  featuresInput  `json:"input"`
		Output featuresResult `json:"output"`
	}
	require.NoError(t, json.Unmarshal(text, &fixture))
	again, err := json.Marshal(fixture)
	require.NoError(t, err)
	require.JSONEq(t, string(text), string(again), "Go loses or adds something")
	require.Len(t, fixture.Output.Rows[0], len(fixture.Output.Names))
}
