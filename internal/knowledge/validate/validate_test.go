package validate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

var now = time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)

func validator(t testing.TB, p Policy) *Validator {
	t.Helper()
	v, err := New(p)
	require.NoError(t, err)
	return v
}

// note is a proposal that no check has anything to say about.
func note(body string) Proposal {
	return Proposal{
		Space: "ops", Slug: "db/restore", Op: Put, Author: "ada", Role: Writer,
		Document: knowledge.Document{Schema: "note", Title: "Restore from a backup", Body: body},
	}
}

func ids(results []Result) []string {
	out := []string{}
	for _, r := range results {
		out = append(out, r.ID+" "+string(r.Severity))
	}
	return out
}

func TestAPlainNoteHasNoResults(t *testing.T) {
	t.Parallel()
	got := validator(t, Policy{}).Validate(note("Stop the service, restore the newest backup, start the service."), World{Now: now})
	require.Empty(t, got)
	require.Equal(t, Severity(""), Verdict(got))
}
