package postgres

import (
	"context"
	"errors"

	"go.uber.org/zap"
)

var errUnfinished = errors.New("unfinished")

// Migrate brings the schema at url up to the newest version and returns the names of the files it applied, in order.
// On a database that is not Supabase's it first adds the roles and functions that Supabase has. The url must be of a
// role that bypasses row level security (a superuser, or Supabase's postgres), on a direct or session connection.
// Applied files whose content has changed since are logged by name.
func Migrate(ctx context.Context, url string, log *zap.Logger) (applied []string, err error) {
	return nil, errUnfinished
}

// MigrateDown takes the schema at url down to toVersion; 0 removes all of Tartan's tables.
func MigrateDown(ctx context.Context, url string, toVersion int64) error { return errUnfinished }

// Schema returns the version the database has, the one this binary wants, and the names of applied files whose
// content is not what this binary carries.
func Schema(ctx context.Context, url string) (have, want int64, drift []string, err error) {
	return 0, 0, nil, errUnfinished
}
