package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/provider"
	"github.com/tartan-ai/tartan/internal/routing"
)

func TestErrorsCrossTheBoundaryWithTheirType(t *testing.T) {
	for _, c := range []struct {
		err   error
		kind  string
		final bool
	}{
		{bucket.ErrNotFound, SourceMissing, true},
		{bucket.ErrDenied, Denied, true},
		{postgres.ErrDenied, Denied, true},
		{postgres.ErrNotFound, WrongLibrary, true},
		{&pgconn.PgError{Code: "42501"}, Denied, true},
		{&pgconn.PgError{Code: "23514"}, Refused, true},
		{&pgconn.PgError{Code: "22P02"}, Refused, true},
		{&pgconn.PgError{Code: "42P01"}, Refused, true},
		{&pgconn.PgError{Code: "55P03"}, Unavailable, false}, // lock not available
		{&pgconn.PgError{Code: "57P01"}, Unavailable, false}, // admin shutdown
		{&pgconn.PgError{Code: "40P01"}, Unavailable, false}, // deadlock
		{&provider.Error{Status: 401, Class: routing.Auth}, EmbedderRefused, true},
		{provider.ErrAnswer, EmbedderRefused, true},
		{&provider.Error{Status: 429, Class: routing.Throttled}, Unavailable, false},
		{errors.New("connection reset"), Unavailable, false},
		{context.DeadlineExceeded, Unavailable, false},
	} {
		var app *temporal.ApplicationError
		require.ErrorAs(t, typed("do it", fmt.Errorf("inside: %w", c.err)), &app, "%v", c.err)
		require.Equal(t, c.kind, app.Type(), "%v", c.err)
		require.Equal(t, c.final, app.NonRetryable(), "%v", c.err)
		require.True(t, strings.HasPrefix(app.Message(), "do it: inside: "), app.Message())
	}
	require.NoError(t, typed("do it", nil))
	require.ErrorIs(t, typed("do it", context.Canceled), context.Canceled)
	once := final(WrongLibrary, nil, "use another")
	require.Equal(t, once, typed("do it", once))
	require.ErrorContains(t, once, "use another")
}

func TestSummarise(t *testing.T) {
	done, sum := summarise(nil)
	require.Empty(t, done)
	require.Zero(t, sum)
	done, sum = summarise([]postgres.Chunk{
		{Seq: 0, Lines: 1, Bytes: 10}, {Seq: 1, Lines: 2, Untimed: 1}, {Seq: 4, NewPatterns: 3}, {Seq: 6, OtherLines: 5}, {Seq: 7},
	})
	require.Equal(t, []Span{{0, 2}, {4, 5}, {6, 8}}, done)
	require.Equal(t, Totals{Chunks: 5, Lines: 3, Bytes: 10, NewPatterns: 3, OtherLines: 5, Untimed: 1}, sum)
}

func TestNames(t *testing.T) {
	for _, good := range []string{"web", "a", "Web.log-2_x", strings.Repeat("x", 100)} {
		require.NoError(t, checkLibraryName(good))
	}
	for _, bad := range []string{"", " web", "a/b", "a\x00", "-x", "ü", strings.Repeat("x", 101)} {
		require.ErrorContains(t, checkLibraryName(bad), "letters, digits", "%q", bad)
	}
	require.Equal(t, "/var/log/sys\uFFFDlog\uFFFD", printable("/var/log/sys\x00log\xff"))
	long := printable("ü" + strings.Repeat("é", maxSourceName))
	require.True(t, utf8.ValidString(long))
	require.True(t, strings.HasSuffix(long, "éé"))
	require.LessOrEqual(t, len(long), maxSourceName+4)
}
