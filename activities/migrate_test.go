package activities

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/tartan-ai/tartan/internal/postgres/target"
)

func TestFaultsOfMigrations(t *testing.T) {
	for _, c := range []struct {
		err   error
		kind  string
		final bool
		says  string
	}{
		{fmt.Errorf("make the ledger: %w", &pgconn.PgError{Code: "42501", Message: "permission denied for database shop"}), MigrationRefused, true, "grant create on database"},
		{&target.StepError{Step: "add", Err: &pgconn.PgError{Code: "42701"}}, MigrationRefused, true, "correct the plan"},
		{&target.StepError{Step: "add", Err: &pgconn.PgError{Code: "57P01"}}, Unavailable, false, ""},
		{&pgconn.PgError{Code: "53300"}, Unavailable, false, ""},
		{target.ErrIrreversible, MigrationRefused, true, "a down section"},
	} {
		var app *temporal.ApplicationError
		require.True(t, errors.As(migrationFault("apply", c.err), &app), "%v", c.err)
		require.Equal(t, c.kind, app.Type(), "%v", c.err)
		require.Equal(t, c.final, app.NonRetryable(), "%v", c.err)
		require.Contains(t, app.Message(), c.says)
	}
}
