package naming

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
)

func TestNames(t *testing.T) {
	for text, want := range map[string]Note{
		"sshd[<*>]: Failed password for <*> from <*> port <*> ssh2": {Name: "sshd-failed-password-port-ssh", Component: "sshd"},
		"ERROR com.example.Pool: connection to <*> timed out":       {Name: "pool-connection-timed-out", Severity: "error", Component: "Pool"},
		"[warn] disk <*> is <*> full":                               {Name: "disk-full", Severity: "warning"},
		"payment <*> was declined by the bank":                      {Name: "payment-declined-bank"},
		"kernel panic on <*>":                                       {Name: "kernel", Severity: "fatal"},
		"user=<*> status=<*>":                                       {Name: "user-status"},
		"<*>":                                                       {},
		"<*> <*>":                                                   {},
		"it is on":                                                  {Name: "it-is-on"},
	} {
		got := Of(pattern.New(text, nil))
		require.NotEmpty(t, got.Description)
		got.Description = ""
		require.Equal(t, want, got, text)
	}
	n := Of(pattern.New("ERROR db: lost <*>", []pattern.Slot{{Name: "host", Type: pattern.Host}}))
	require.Equal(t, "db reports (error): lost; what varies: host.", n.Description)
	require.LessOrEqual(t, len(Of(pattern.New(strings.Repeat("extraordinarily long ", 50)+strings.Repeat("x", 200), nil)).Name), maxName)
}

func TestANameMustBeSaidByTheExamples(t *testing.T) {
	p := pattern.New("disk <*> is full", nil)
	examples := []string{"disk sda is full", "disk sdb is full"}
	require.NoError(t, Fits("disk-full", p, examples))
	require.NoError(t, Fits("disk-space-full", p, examples))
	require.ErrorContains(t, Fits("database-corruption-attack", p, examples), "0 of its 3 words")
	for _, bad := range []string{"", "Disk-Full", "disk full", "disk--full", strings.Repeat("a", 61)} {
		require.Error(t, Fits(bad, p, examples), bad)
	}
}
