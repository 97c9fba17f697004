package server_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/routing"
)

func TestModelsAreChosenAndLearnedAbout(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	c := k.client(t, caller, true)
	r := c.tool(t, "route_model", `{"prompt":"hello"}`)
	require.True(t, r.IsError, "no model is registered")

	models := []routing.Model{
		{ID: "a/small", Provider: "a", Name: "small", Capabilities: routing.Chat, ContextTokens: 4000, Price: routing.Price{InputPerMTok: 1_000_000, OutputPerMTok: 1_000_000}},
		{ID: "b/large", Provider: "b", Name: "large", Capabilities: routing.Chat | routing.Tools, Price: routing.Price{InputPerMTok: 1_000_000, OutputPerMTok: 1_000_001}},
	}
	require.NoError(t, postgres.InWorkspace(t.Context(), k.db.Pool, caller, func(tx pgx.Tx) error {
		_, err := postgres.SaveModels(t.Context(), tx, caller.WorkspaceID, models)
		return err
	}))
	type routed struct {
		Decision, Model, Reason string
		Refused                 []struct{ Model, Reason string }
	}
	var got routed
	require.Eventually(t, func() bool { // the server hears of the models by the feed
		r := c.tool(t, "route_model", `{"prompt":"hello","needs":"tools"}`)
		return !r.IsError
	}, 10*time.Second, 20*time.Millisecond)
	text := c.into(t, &got, "route_model", `{"prompt":"hello","needs":"tools"}`)
	require.Equal(t, "b/large", got.Model)
	require.Equal(t, "cannot do tools", got.Refused[0].Reason)
	require.Contains(t, text, "a/small: cannot do tools")

	var told struct {
		Model string
		New   bool
	}
	for range 12 {
		c.into(t, &got, "route_model", `{"prompt":"sum this up","task":"summary","dial":100}`)
		c.into(t, &told, "report_outcome", `{"decision":"`+got.Decision+`","model":"a/small","quality":0,"latency_ms":900}`)
		require.True(t, told.New)
		c.into(t, &told, "report_outcome", `{"decision":"`+got.Decision+`","model":"b/large","quality":100}`)
	}
	c.into(t, &told, "report_outcome", `{"decision":"`+got.Decision+`","model":"b/large","quality":0}`)
	require.False(t, told.New, "a source counts once")
	require.Eventually(t, func() bool {
		c.into(t, &got, "route_model", `{"prompt":"sum this up","task":"summary","dial":100}`)
		return got.Model == "b/large"
	}, 10*time.Second, 20*time.Millisecond)

	var list struct {
		Models []struct {
			Model, State string
			Latency      int `json:"latency_ms"`
			Tasks        []struct {
				Task    string
				Judged  int
				Quality float64
			}
		}
	}
	c.into(t, &list, "list_models", `{}`)
	require.Len(t, list.Models, 2)
	require.Equal(t, "closed", list.Models[0].State)
	require.Equal(t, 12, list.Models[0].Tasks[0].Judged)
	require.EqualValues(t, 1, list.Models[1].Tasks[0].Quality)

	for _, args := range []string{
		`{"decision":"x","quality":1}`, `{"decision":"` + got.Decision + `"}`, `{"decision":"` + got.Decision + `","model":"c/other","quality":1}`,
		`{"decision":"00000000-0000-0000-0000-000000000001","quality":1}`, `{"decision":"` + got.Decision + `","failed":"sulking"}`,
	} {
		require.True(t, c.tool(t, "report_outcome", args).IsError, args)
	}
	require.True(t, c.tool(t, "route_model", `{"prompt":"x","needs":"taste"}`).IsError)
	viewer := k.client(t, k.db.Member(t, caller.WorkspaceID, access.Viewer), true)
	require.True(t, viewer.tool(t, "route_model", `{"prompt":"x"}`).IsError)
	require.False(t, viewer.tool(t, "list_models", `{}`).IsError)
}
