package tools

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/client"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
)

type healthArgs struct{}

type health struct {
	Version    string          `json:"version"`
	Workspace  string          `json:"workspace"`
	Role       access.Role     `json:"role"`
	Database   string          `json:"database"` // "ok", or what is wrong
	DatabaseMS float64         `json:"database_ms"`
	Temporal   string          `json:"temporal"`
	TemporalMS float64         `json:"temporal_ms"`
	Libraries  []libraryHealth `json:"libraries"`
}

type libraryHealth struct {
	Name     string `json:"name"`
	Revision int64  `json:"revision"`
	Patterns int64  `json:"patterns"`
	Lines    int64  `json:"lines"`
	Full     bool   `json:"full,omitempty"` // new kinds of lines are counted under no pattern
}

func (s *Suite) health() Tool {
	return define[healthArgs, health](Tool{
		Name: "health", Title: "Health", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "Who you are here, the libraries, and whether database and Temporal answer.",
	}, func(ctx context.Context, c Call, _ healthArgs) (health, string, error) {
		out := health{Version: s.Version, Workspace: c.Workspace, Role: c.Role, Libraries: []libraryHealth{}}
		out.Database, out.DatabaseMS = timed(ctx, func(ctx context.Context) error {
			return s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
				all, err := postgres.Libraries(ctx, tx, c.Caller.WorkspaceID)
				for _, l := range all[:min(len(all), 100)] {
					out.Libraries = append(out.Libraries, libraryHealth{l.Name, l.Revision, l.Patterns, l.Lines, l.Full})
				}
				return err
			})
		})
		out.Temporal, out.TemporalMS = timed(ctx, func(ctx context.Context) error {
			temporal, err := s.durable()
			if err == nil {
				_, err = temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
			}
			return err
		})
		return out, "database " + out.Database + ", temporal " + out.Temporal + ", workspace " + c.Workspace + " as " + string(c.Role), nil
	})
}

// timed says how fn went in a word and how long it took in milliseconds; it takes 5 s at most.
func timed(ctx context.Context, fn func(context.Context) error) (state string, ms float64) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	start := time.Now()
	err := fn(ctx)
	ms = round(float64(time.Since(start).Microseconds()) / 1000)
	if err == nil {
		return "ok", ms
	}
	if told := Explain(err); told != nil {
		return told.Error(), ms
	}
	return "unreachable", ms
}
