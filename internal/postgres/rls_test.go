package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

// tables returns the tables that belong to workspaces.
func tables(t *testing.T, db *testdb.DB) []string {
	t.Helper()
	got, err := db.Pool.Query(t.Context(), `select tablename from pg_tables where schemaname = 'tartan' and tablename not like 'schema\_%' order by 1`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(got, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

func workspaceColumn(table string) string {
	if table == "workspaces" {
		return "id"
	}
	return "workspace_id"
}

func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// in runs one statement in a transaction that is always rolled back.
func in(t *testing.T, db *testdb.DB, caller access.Caller, sql string, args ...any) (rows int64, err error) {
	t.Helper()
	undo := errors.New("undo")
	err = postgres.InWorkspace(t.Context(), db.Pool, caller, func(tx pgx.Tx) error {
		tag, err := tx.Exec(t.Context(), sql, args...)
		if rows = tag.RowsAffected(); err == nil {
			err = undo
		}
		return err
	})
	if errors.Is(err, undo) {
		err = nil
	}
	return rows, err
}

// For every table: the members of a workspace see their rows and none of another workspace, and can neither change,
// delete nor add any there, whatever their role.
func TestWorkspacesAreApart(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	ours, theirs := db.Workspace(t, "ours"), db.Workspace(t, "theirs")
	fill(t, db, ours)
	fill(t, db, theirs)
	// A member of both sees the other workspace's rows only when acting in it.
	both := access.Caller{UserID: ours.UserID, WorkspaceID: theirs.WorkspaceID}
	require.NoError(t, postgres.AsService(t.Context(), db.Pool, func(tx pgx.Tx) error {
		return postgres.SaveMember(t.Context(), tx, theirs.WorkspaceID, ours.UserID, access.Viewer)
	}))
	stranger := access.Caller{UserID: uuid.New(), WorkspaceID: ours.WorkspaceID}
	for _, table := range tables(t, db) {
		t.Run(table, func(t *testing.T) {
			column := workspaceColumn(table)
			count := func(caller access.Caller, workspace uuid.UUID) (n int) {
				err := postgres.InWorkspace(t.Context(), db.Pool, caller, func(tx pgx.Tx) error {
					return tx.QueryRow(t.Context(), fmt.Sprintf("select count(*) from tartan.%s where %s = $1", table, column), workspace).Scan(&n)
				})
				require.NoError(t, err)
				return n
			}
			require.NotZero(t, count(ours, ours.WorkspaceID), "fill makes no row")
			require.NotZero(t, count(theirs, theirs.WorkspaceID), "fill makes no row")
			require.NotZero(t, count(both, theirs.WorkspaceID))
			require.Zero(t, count(both, ours.WorkspaceID), "acting in the other workspace")
			require.Zero(t, count(ours, theirs.WorkspaceID))
			require.Zero(t, count(stranger, ours.WorkspaceID))

			n, err := in(t, db, ours, fmt.Sprintf("update tartan.%s set %s = %s where %s = $1", table, column, column, column), theirs.WorkspaceID)
			require.True(t, n == 0 && err == nil || code(err) == "42501", "update: %d rows, %v", n, err)
			n, err = in(t, db, ours, fmt.Sprintf("delete from tartan.%s where %s = $1", table, column), theirs.WorkspaceID)
			require.True(t, n == 0 && err == nil || code(err) == "42501", "delete: %d rows, %v", n, err)
			for _, caller := range []access.Caller{ours, stranger} {
				_, err = in(t, db, caller, insertLike(table), row(t, db, table, theirs.WorkspaceID))
				require.Equal(t, "42501", code(err), "insert: %v", err)
				require.ErrorIs(t, err, postgres.ErrDenied)
			}
			// A row may not be handed over to the other workspace either.
			_, err = in(t, db, ours, fmt.Sprintf("update tartan.%s set %s = $1", table, column), theirs.WorkspaceID)
			require.Error(t, err)
			tx, err := db.Pool.Begin(t.Context())
			require.NoError(t, err)
			defer func() { _ = tx.Rollback(context.Background()) }()
			_, err = tx.Exec(t.Context(), "set local role anon; select * from tartan."+table)
			require.Equal(t, "42501", code(err), "anon")
		})
	}
}

// insertLike inserts a row given as JSON. Whoever may not insert is refused before any other constraint is looked at.
func insertLike(table string) string {
	return fmt.Sprintf("insert into tartan.%s overriding system value select * from jsonb_populate_record(null::tartan.%s, $1)", table, table)
}

func row(t *testing.T, db *testdb.DB, table string, workspace uuid.UUID) (body []byte) {
	t.Helper()
	sql := fmt.Sprintf("select to_jsonb(x) from tartan.%s x where %s = $1 limit 1", table, workspaceColumn(table))
	require.NoError(t, db.Pool.QueryRow(t.Context(), sql, workspace).Scan(&body))
	return body
}

// What each role may write, table by table; every member may read all of them.
func TestRolesMayWrite(t *testing.T) {
	t.Parallel()
	const nobody = access.Role("nobody")
	type may struct{ insert, update, del access.Role } // the least role that may
	matrix := map[string]may{
		"workspaces":        {nobody, nobody, nobody}, // but for the name
		"members":           {access.Admin, access.Admin, access.Admin},
		"libraries":         {access.Editor, access.Editor, access.Admin},
		"sources":           {access.Editor, access.Editor, nobody},
		"chunks":            {access.Editor, nobody, nobody}, // but for two numbers
		"shapes":            {access.Editor, access.Editor, nobody},
		"patterns":          {access.Editor, access.Editor, nobody},
		"pattern_versions":  {access.Editor, nobody, nobody},
		"pattern_aliases":   {access.Editor, access.Editor, access.Editor},
		"series_models":     {access.Editor, nobody, nobody},
		"series_classes":    {access.Editor, nobody, nobody},
		"library_edits":     {access.Editor, nobody, nobody},
		"pattern_notes":     {access.Editor, access.Editor, access.Editor},
		"pattern_counts":    {access.Editor, access.Editor, access.Editor},
		"examples":          {access.Editor, access.Editor, access.Editor},
		"slot_values":       {access.Editor, access.Editor, access.Editor},
		"runs":              {access.Editor, access.Editor, nobody},
		"sequence_reports":  {access.Editor, access.Editor, nobody},
		"outbox":            {access.Editor, nobody, nobody},
		"text_clusters":     {access.Editor, access.Editor, nobody},
		"agents":            {access.Admin, access.Admin, nobody},
		"agent_credentials": {access.Admin, access.Admin, nobody},

		"budgets":       {nobody, nobody, access.Admin}, // but for the limit, of admins
		"model_calls":   {nobody, nobody, nobody},       // the ledger is written by Tartan alone
		"model_results": {nobody, nobody, nobody},
		"model_cache":   {nobody, nobody, nobody},

		"observations":           {nobody, nobody, access.Admin}, // but what was observed, by editors
		"observation_batches":    {nobody, nobody, nobody},
		"observation_matches":    {nobody, nobody, nobody},
		"observation_quarantine": {nobody, nobody, nobody},

		"target_migrations": {access.Operator, access.Operator, nobody},

		"knowledge_spaces":        {access.Editor, access.Admin, nobody},
		"knowledge_space_members": {access.Reviewer, access.Reviewer, access.Reviewer},
		"knowledge_clocks":        {nobody, access.Editor, nobody}, // comes with its space
		"knowledge_entries":       {access.Editor, nobody, nobody},
		"knowledge_bodies":        {access.Editor, nobody, nobody}, // but those that nothing needs
		"knowledge_changes":       {access.Editor, access.Editor, nobody},
		"knowledge_proposals":     {access.Editor, access.Editor, nobody}, // but those of change sets under way
		"knowledge_revisions":     {access.Editor, nobody, nobody},
		"knowledge_heads":         {access.Editor, access.Editor, nobody},
		"knowledge_links":         {access.Editor, nobody, access.Editor},
		"knowledge_facts":         {access.Editor, nobody, access.Editor},
		"knowledge_checks":        {access.Editor, nobody, nobody},
		"knowledge_conflicts":     {access.Editor, access.Editor, nobody},
		"knowledge_reviews":       {access.Reviewer, nobody, nobody},
		"knowledge_tags":          {access.Editor, nobody, nobody},
		"knowledge_tag_entries":   {access.Editor, nobody, nobody},
		"knowledge_attachments":   {access.Editor, nobody, nobody},
		"knowledge_served":        {access.Viewer, access.Viewer, access.Editor},
		"knowledge_excisions":     {access.Reviewer, nobody, nobody},
		"knowledge_reports":       {access.Editor, access.Editor, nobody},
		"knowledge_searchable":    {access.Editor, nobody, access.Editor},
		"knowledge_vectors":       {nobody, nobody, nobody},

		"models":          {access.Admin, access.Admin, nobody},
		"model_decisions": {access.Editor, nobody, nobody},
		"model_outcomes":  {access.Editor, nobody, nobody},
		"model_learned":   {nobody, nobody, nobody},
	}
	db := testdb.New(t)
	admin := db.Workspace(t, "one")
	fill(t, db, admin)
	for _, table := range tables(t, db) {
		require.Contains(t, matrix, table)
	}
	for _, role := range []access.Role{access.Viewer, access.Editor, access.Reviewer, access.Operator, access.Admin} {
		caller := db.Member(t, admin.WorkspaceID, role)
		for table, m := range matrix {
			_, err := in(t, db, caller, insertLike(table), row(t, db, table, admin.WorkspaceID))
			require.Equal(t, !role.AtLeast(m.insert) || m.insert == nobody, code(err) == "42501", "%s inserts into %s: %v", role, table, err)
			column := workspaceColumn(table)
			n, err := in(t, db, caller, fmt.Sprintf("update tartan.%s set %s = %s", table, column, column))
			require.Equal(t, role.AtLeast(m.update) && m.update != nobody, n > 0 && err == nil, "%s updates %s: %d rows, %v", role, table, n, err)
			n, err = in(t, db, caller, "delete from tartan."+table)
			require.Equal(t, role.AtLeast(m.del) && m.del != nobody, n > 0 && err == nil, "%s deletes from %s: %d rows, %v", role, table, n, err)
			_, err = in(t, db, caller, "truncate tartan."+table+" cascade")
			require.Equal(t, "42501", code(err), "%s truncates %s", role, table)
		}
	}
}

func TestAViewerIsToldSo(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	admin := db.Workspace(t, "one")
	lib := fill(t, db, admin)
	viewer := db.Member(t, admin.WorkspaceID, access.Viewer)
	err := postgres.InWorkspace(ctx, db.Pool, viewer, func(tx pgx.Tx) error {
		_, err := postgres.LockLibrary(ctx, tx, lib.ID)
		return err
	})
	require.ErrorIs(t, err, postgres.ErrDenied)
	err = postgres.InWorkspace(ctx, db.Pool, viewer, func(tx pgx.Tx) error {
		found, err := postgres.EnsureLibrary(ctx, tx, viewer.WorkspaceID, lib.Name, "text")
		require.Equal(t, lib.ID, found.ID)
		require.NoError(t, err)
		_, err = postgres.EnsureLibrary(ctx, tx, viewer.WorkspaceID, "another", "text")
		return err
	})
	require.ErrorIs(t, err, postgres.ErrDenied)
	err = postgres.InWorkspace(ctx, db.Pool, access.Caller{UserID: uuid.New(), WorkspaceID: admin.WorkspaceID}, func(tx pgx.Tx) error {
		_, err := postgres.LockLibrary(ctx, tx, lib.ID)
		return err
	})
	require.ErrorIs(t, err, postgres.ErrNotFound)
	require.ErrorIs(t, postgres.InWorkspace(ctx, db.Pool, access.Caller{}, nil), postgres.ErrDenied)
}

// A published version cannot be changed by anybody, the database's owner included, and goes only with its library.
func TestPatternVersionsAreImmutable(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	admin := db.Workspace(t, "one")
	fill(t, db, admin)
	for _, sql := range []string{
		"update tartan.pattern_versions set template = 'other'", "delete from tartan.pattern_versions", "truncate tartan.pattern_versions",
	} {
		_, err := in(t, db, admin, sql)
		require.Equal(t, "42501", code(err), sql)
		err = postgres.AsService(ctx, db.Pool, func(tx pgx.Tx) error { _, err := tx.Exec(ctx, sql); return err })
		require.Equal(t, "42501", code(err), sql)
		_, err = db.Pool.Exec(ctx, sql)
		require.Equal(t, "23001", code(err), sql)
	}
	require.NoError(t, postgres.InWorkspace(ctx, db.Pool, admin, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "delete from tartan.libraries")
		return err
	}))
	var left int
	require.NoError(t, db.Pool.QueryRow(ctx, "select count(*) from tartan.pattern_versions").Scan(&left))
	require.Zero(t, left)
}

// A process that logs in as the application's role can act only as a caller or as the service, and what it sets does
// not outlive the transaction.
func TestAppRole(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	admin := db.Workspace(t, "one")
	fill(t, db, admin)
	url, err := postgres.EnsureAppRole(ctx, db.URL, "s3cret/with+signs ")
	require.NoError(t, err)
	pool, err := postgres.Open(ctx, url)
	require.NoError(t, err)
	defer pool.Close()
	seen := 0
	require.NoError(t, postgres.InWorkspace(ctx, pool, admin, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "select count(*) from tartan.patterns").Scan(&seen)
	}))
	require.NotZero(t, seen)
	require.NoError(t, postgres.AsService(ctx, pool, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "select count(*) from tartan.outbox").Scan(&seen)
	}))
	require.NotZero(t, seen)
	for range 3 {
		_, err = pool.Exec(ctx, "select * from tartan.patterns")
		require.Equal(t, "42501", code(err))
	}
	have, want, _, err := postgres.Schema(ctx, url)
	require.Equal(t, "42501", code(err), "only members of the roles read the version table: %d %d", have, want)
}
