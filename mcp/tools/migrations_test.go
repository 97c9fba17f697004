package tools

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/migration/lint"
	"github.com/tartan-ai/tartan/internal/postgres"
)

func planned(t *testing.T, s *Suite, role access.Role, sql string) (out Planned, err error) {
	t.Helper()
	args, err := json.Marshal(map[string]any{"files": []migration.File{{Name: "plan.sql", Text: sql}}})
	require.NoError(t, err)
	tool := s.planMigration()
	result, err := tool.Call(t.Context(), Call{Caller: access.Caller{WorkspaceID: uuid.New(), UserID: uuid.New()}, Role: role, Workspace: "w"}, args)
	if err == nil {
		require.NoError(t, json.Unmarshal(result.Structured, &out))
	}
	return out, err
}

func TestPlansAreKeptOnceTheyHaveNoErrors(t *testing.T) {
	objects, err := bucket.Open(t.Context(), "file://"+t.TempDir())
	require.NoError(t, err)
	s := &Suite{Bucket: objects, Linter: func(_ context.Context, files []migration.File) (Linted, error) {
		p, err := migration.Parse(files)
		if err != nil {
			return Linted{Fault: err.Error()}, nil
		}
		r, err := lint.Check(p, files, lint.Options{})
		return Linted{Plan: p, Report: r}, err
	}}
	const good = "-- tartan:plan p\n-- tartan:step a [index]\ncreate index concurrently i on s.t (a);"
	out, err := planned(t, s, access.Operator, good)
	require.NoError(t, err)
	require.Equal(t, []PlannedStep{{Name: "a", Kind: "index", Lock: "SHARE UPDATE EXCLUSIVE", Blocks: "changes of the schema, VACUUM"}}, out.Steps)
	body, err := objects.ReadAll(t.Context(), out.Plan, 1<<20)
	require.NoError(t, err)
	var kept migration.Plan
	require.NoError(t, json.Unmarshal(body, &kept))
	require.Equal(t, &migration.Index{Name: "i", Table: "s.t"}, kept.Steps[0].Index, "the engine needs no parser")

	out, err = planned(t, s, access.Operator, "-- tartan:plan p\n-- tartan:step a\ncreate index i on s.t (a);")
	require.NoError(t, err)
	require.Empty(t, out.Plan)
	require.Equal(t, "require-concurrent-index-creation", out.Findings[0].Rule)

	_, err = planned(t, s, access.Operator, "-- tartan:plan p\n-- tartan:stpe a\n")
	require.ErrorContains(t, err, `plan.sql:2: mark "stpe" is not known`)
	_, err = planned(t, s, access.Reviewer, good)
	require.ErrorContains(t, err, "needs the role operator")
}

func TestConfirmationIsOfOneMomentOfOneMigration(t *testing.T) {
	m := postgres.TargetMigration{ID: uuid.New(), State: "running", Phase: "apply", StepsDone: 2}
	token := confirmation(m)
	require.Equal(t, token, confirmation(m))
	later, other := m, m
	later.StepsDone, other.ID = 3, uuid.New()
	require.NotEqual(t, token, confirmation(later))
	require.NotEqual(t, token, confirmation(other))
}
