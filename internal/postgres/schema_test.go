package postgres_test

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
	"github.com/tartan-ai/tartan/migrations"
)

// numbered returns the names of all migrations by their version, and the versions in order.
func numbered(t *testing.T) (names map[int]string, versions []int) {
	t.Helper()
	files, err := fs.Glob(migrations.Files, "*.sql")
	require.NoError(t, err)
	names = map[int]string{}
	for _, name := range files {
		version, err := strconv.Atoi(name[:5])
		require.NoError(t, err)
		names[version], versions = name, append(versions, version)
	}
	return names, versions
}

// upTo returns the migrations up to a version.
func upTo(t *testing.T, last int) fstest.MapFS {
	t.Helper()
	names, _ := numbered(t)
	some := fstest.MapFS{}
	for version, name := range names {
		if version > last {
			continue
		}
		body, err := migrations.Files.ReadFile(name)
		require.NoError(t, err)
		some[name] = &fstest.MapFile{Data: body}
	}
	return some
}

// rows are inserted into the tables of each migration.
var rows = map[int][]string{
	1: {
		`insert into tartan.workspaces (id, slug, name) values ('00000000-0000-0000-0000-00000000000a', 'a', 'A')`,
		`insert into tartan.members values ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-0000000000a1', 'admin')`,
	},
	2: {
		`insert into tartan.libraries (id, workspace_id, name) values ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-00000000000a', 'app')`,
		`insert into tartan.sources (id, workspace_id, library_id, sha256, name) values ('00000000-0000-0000-0000-0000000000c1',
			'00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-0000000000b1', repeat('0', 64), 'x')`,
		`insert into tartan.chunks (workspace_id, source_id, seq, start_byte, end_byte, lines, bytes)
			values ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-0000000000c1', 0, 0, 9, 2, 9)`,
	},
	3: {
		`insert into tartan.patterns (workspace_id, library_id, id, template, slots, revision, created_at)
			select workspace_id, id, 'p0000000000000001', 'x', '[]', 1, now() from tartan.libraries`,
		`insert into tartan.pattern_versions (workspace_id, library_id, pattern_id, version, template, slots, revision, created_at)
			select workspace_id, id, 'p0000000000000001', 1, 'x', '[]', 1, now() from tartan.libraries`,
		`insert into tartan.pattern_aliases select workspace_id, id, 'p0000000000000002', 'p0000000000000001', 1, now() from tartan.libraries`,
		`insert into tartan.shapes (workspace_id, library_id, id, text, pattern_id, revision) select workspace_id, id, 7, 'x', 'p0000000000000001', 1 from tartan.libraries`,
		`insert into tartan.pattern_counts select workspace_id, id, 7, now(), 2 from tartan.libraries`,
		`insert into tartan.examples select workspace_id, id, 7, 'x', now() from tartan.libraries`,
	},
	4: {`insert into tartan.runs (workspace_id, workflow_id, kind, state) values ('00000000-0000-0000-0000-00000000000a', 'process/x', 'ProcessPatterns', 'running')`},
	8: {
		`insert into tartan.library_edits (workspace_id, library_id, number, workflow_id, seq, action, payload, author, revision, created_at)
			select workspace_id, id, 1, 'edit/x', 0, 'ignore', '{}', workspace_id, 1, now() from tartan.libraries`,
		`insert into tartan.pattern_notes (workspace_id, library_id, pattern_id, ignored) select workspace_id, id, 'p0000000000000001', true from tartan.libraries`,
	},
	9: {`insert into tartan.slot_values select workspace_id, id, 7, 3600, '2026-11-23 12:00Z', 2, '\x0100' from tartan.libraries`},
	11: {
		`insert into tartan.series_models (workspace_id, library_id, version, sha256, source_key, model_key, model_bytes, features_version, method, length,
			classes, examples, trained_on, accuracy, log_loss, workflow_id)
			select workspace_id, id, 1, repeat('0', 64), 'k', 'm', 9, 1, 'nearest', 10, 1, 2, 2, 1, 0, 'train/x' from tartan.libraries`,
		`insert into tartan.series_classes select workspace_id, id, 1, 'up', 'p0000000000000001', 2 from tartan.libraries`,
	},
	5:  {`insert into tartan.outbox (workspace_id, topic, key) values ('00000000-0000-0000-0000-00000000000a', 'run', 'process/x')`},
	12: {`insert into tartan.text_clusters select workspace_id, id, 'p0000000000000001', 'test', '\x0000803f', 1, 0.5, '{x}', 1 from tartan.libraries`},
	14: {
		`insert into tartan.knowledge_spaces (id, workspace_id, name, created_by) select '00000000-0000-0000-0000-0000000000e1', id, 'ops', id from tartan.workspaces`,
		`insert into tartan.knowledge_space_members select workspace_id, id, workspace_id, 'reader' from tartan.knowledge_spaces`,
		`insert into tartan.knowledge_entries select '00000000-0000-0000-0000-0000000000e2', workspace_id, id, 'disk', now() from tartan.knowledge_spaces`,
		`insert into tartan.knowledge_bodies (workspace_id, space_id, hash, type, title, text)
			select workspace_id, id, encode(sha256('{}'), 'hex'), 'note', 'Disk', '{}' from tartan.knowledge_spaces`,
		`insert into tartan.knowledge_changes (id, workspace_id, space_id, state, author) select '00000000-0000-0000-0000-0000000000e3', workspace_id, id, 'approved', id
			from tartan.knowledge_spaces`,
		`insert into tartan.knowledge_proposals (workspace_id, space_id, change_id, seq, slug, op, base, hash)
			select c.workspace_id, c.space_id, c.id, 0, 'disk', 'put', 0, b.hash from tartan.knowledge_changes c, tartan.knowledge_bodies b`,
		`insert into tartan.knowledge_revisions (workspace_id, space_id, entry_id, number, hash, parents, author, reason, workflow_id, change_id, seq, space_revision, recorded_at)
			select c.workspace_id, c.space_id, '00000000-0000-0000-0000-0000000000e2', 1, b.hash, '{}', c.author, '', '', c.id, 0, 1, now()
			from tartan.knowledge_changes c, tartan.knowledge_bodies b`,
		`insert into tartan.knowledge_heads select workspace_id, space_id, entry_id, number, hash, recorded_at from tartan.knowledge_revisions`,
		`insert into tartan.knowledge_links select workspace_id, space_id, entry_id, 0, 'see', 'https://example.com' from tartan.knowledge_heads`,
		`insert into tartan.knowledge_facts select workspace_id, space_id, entry_id, 0, 'disk', 'size', '', '9', true, tstzrange(null, null) from tartan.knowledge_heads`,
		`insert into tartan.knowledge_checks (workspace_id, space_id, change_id, seq, round, check_id, version, severity, path, evidence, fix)
			select workspace_id, space_id, id, 0, 1, 'size', 1, 'warn', '', '', '' from tartan.knowledge_changes`,
		`insert into tartan.knowledge_conflicts (workspace_id, space_id, change_id, seq, n, onto, path, base, ours, theirs)
			select workspace_id, space_id, id, 0, 0, 1, 'title', '', '', '' from tartan.knowledge_changes`,
		`insert into tartan.knowledge_reviews select workspace_id, space_id, id, 1, '00000000-0000-0000-0000-0000000000f1', 'approve', '' from tartan.knowledge_changes`,
		`insert into tartan.knowledge_tags (workspace_id, space_id, name, author, space_revision) select workspace_id, id, 'v1', id, 1 from tartan.knowledge_spaces`,
		`insert into tartan.knowledge_tag_entries select workspace_id, space_id, 'v1', entry_id, number from tartan.knowledge_heads`,
		`insert into tartan.knowledge_served (workspace_id, space_id, text_hash, entry_id, number) select workspace_id, space_id, hash, entry_id, number from tartan.knowledge_heads`,
		`insert into tartan.knowledge_excisions select workspace_id, id, repeat('0', 64), 'retention', '', id, id, '', now() from tartan.knowledge_spaces`,
		`insert into tartan.knowledge_reports (workspace_id, space_id, workflow_id, run_id, kind, report) select workspace_id, id, 'x', 'y', 'import', '{}' from tartan.knowledge_spaces`,
	},
	15: {
		`insert into tartan.knowledge_searchable select workspace_id, space_id, hash, 1, 'en', 1, 1 from tartan.knowledge_bodies`,
		`do $$ begin if to_regclass('tartan.knowledge_postings') is not null then
			insert into tartan.knowledge_postings select workspace_id, space_id, 'disk', hash, 1 from tartan.knowledge_searchable; end if; end $$`,
	},
	18: {`insert into tartan.knowledge_vectors select workspace_id, space_id, hash, 'model:x', '\x00000000' from tartan.knowledge_bodies`},
	19: {`insert into tartan.knowledge_attachments select workspace_id, id, 'a.png', now(), repeat('0', 64), 1, id, '' from tartan.knowledge_spaces`},
	20: {`insert into tartan.target_migrations (workspace_id, id, workflow_id, target, plan, plan_key, sha256, state, author)
		select id, id, 'migrate/x', 'shop', 'status', 'k', repeat('0', 64), 'running', id from tartan.workspaces`},
	24: {
		`insert into tartan.models (workspace_id, id, provider, name, capabilities) select id, 'a/b', 'a', 'b', 1 from tartan.workspaces`,
		`insert into tartan.model_decisions (workspace_id, id, features, decision) select id, '00000000-0000-0000-0000-0000000000d1', '', '{}' from tartan.workspaces`,
		`insert into tartan.model_outcomes (workspace_id, decision_id, model, source, quality) select workspace_id, id, 'a/b', 'test', 1 from tartan.model_decisions`,
		`insert into tartan.model_learned (workspace_id, xid, id, outcomes, state) select id, '7', 1, 1, '' from tartan.workspaces`,
	},
	25: {
		`insert into tartan.agents (workspace_id, id, name, version, task_queue, manifest, owner_id)
			select id, '00000000-0000-0000-0000-0000000000f5', 'vibration', '1.0.0', 'agent.vibration', '{}', id from tartan.workspaces`,
		`insert into tartan.agent_credentials (workspace_id, agent_id, prefix, hmac, workflow_id, expires_at)
			select workspace_id, id, repeat('0', 16), sha256(''), 'register-agent/x', now() from tartan.agents`,
	},
	23: {
		`insert into tartan.budgets (workspace_id, scope, limit_micros) select id, 'workspace', 9 from tartan.workspaces`,
		`insert into tartan.model_calls (workspace_id, user_id, key, model, state, worst_micros, expires_at) select id, id, 'k', 'a/b', 'sent', 9, now() from tartan.workspaces`,
		`insert into tartan.model_results (workspace_id, key, model, cost_micros, answer) select id, 'k', 'a/b', 9, '{}' from tartan.workspaces`,
		`insert into tartan.model_cache (workspace_id, key, scope, model, answer, expires_at) select id, repeat('0', 64), repeat('0', 64), 'a/b', '{}', now() from tartan.workspaces`,
	},
	27: {
		`insert into tartan.observations (workspace_id, library, body, batch_id, state) select id, 'app', 'x', id, 'matched' from tartan.workspaces`,
		`insert into tartan.observation_batches (workspace_id, library, first_id, last_id, observations) select id, 'app', 1, 1, 1 from tartan.workspaces`,
		`insert into tartan.observation_matches (workspace_id, observation_id, library_id, library, verdict, confidence, observed_at, workflow_id)
			select o.workspace_id, o.id, l.id, l.name, 'unknown', 0, now(), 'x' from tartan.observations o, tartan.libraries l`,
		`insert into tartan.observation_quarantine (workspace_id, observation_id, library, code, reason, workflow_id) select workspace_id, id, library, 'x', 'y', 'z' from tartan.observations`,
	},
	10: {`insert into tartan.sequence_reports (workspace_id, library_id, workflow_id, revision, sources, lines, events, report)
		select workspace_id, id, 'sequences/x', 1, 1, 2, 2, '{}' from tartan.libraries`},
}

// content returns the number of rows of each table, versions and checksums apart.
func content(t *testing.T, conn *pgx.Conn) map[string]int {
	t.Helper()
	got, err := conn.Query(t.Context(), `select tablename from pg_tables where schemaname = 'tartan' and tablename not like 'schema\_%'`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(got, pgx.RowTo[string])
	require.NoError(t, err)
	out := map[string]int{}
	for _, name := range names {
		var n int
		require.NoError(t, conn.QueryRow(t.Context(), "select count(*) from tartan."+name).Scan(&n))
		out[name] = n
	}
	return out
}

// From each version with data in every table, the schema goes up to the newest and down again without losing a row,
// and down to nothing.
func TestMigrateUpAndDownWithData(t *testing.T) {
	t.Parallel()
	_, versions := numbered(t)
	for i, version := range versions {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			ctx, db, log := t.Context(), testdb.Empty(t), zap.NewNop()
			applied, err := postgres.MigrateFiles(ctx, db.URL, upTo(t, version), log)
			require.NoError(t, err)
			require.Len(t, applied, i+1)
			conn, err := pgx.Connect(ctx, db.URL)
			require.NoError(t, err)
			defer conn.Close(context.Background())
			for v := 1; v <= version; v++ {
				for _, sql := range rows[v] {
					_, err := conn.Exec(ctx, sql)
					require.NoError(t, err, sql)
				}
			}
			before := content(t, conn)
			for table, n := range before {
				require.NotZero(t, n, "no row in %s: add one to this test", table)
			}
			_, err = postgres.Migrate(ctx, db.URL, log)
			require.NoError(t, err)
			for table, n := range before {
				if table != "knowledge_postings" { // it became a column
					require.Equal(t, n, content(t, conn)[table], table)
				}
			}
			require.NoError(t, postgres.MigrateDown(ctx, db.URL, int64(version)))
			require.Equal(t, before, content(t, conn))
			have, _, drift, err := postgres.Schema(ctx, db.URL)
			require.NoError(t, err)
			require.EqualValues(t, version, have)
			require.Empty(t, drift)
			_, err = postgres.Migrate(ctx, db.URL, log)
			require.NoError(t, err)
			require.NoError(t, postgres.MigrateDown(ctx, db.URL, 0))
			require.Empty(t, content(t, conn))
			var left []string
			require.NoError(t, conn.QueryRow(ctx, `select array_agg(proname::text) from pg_proc where pronamespace = 'tartan'::regnamespace`).Scan(&left))
			require.Empty(t, left, "functions left behind")
		})
	}
}

func TestAChangedMigrationIsReportedByName(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	names, versions := numbered(t)
	newest, older := versions[len(versions)-1], versions[len(versions)-2]
	files := upTo(t, newest)
	files["00004_runs.sql"].Data = append(files["00004_runs.sql"].Data, "\n-- edited\n"...)
	core, logged := observer.New(zap.WarnLevel)
	_, err := postgres.MigrateFiles(ctx, db.URL, files, zap.New(core))
	require.NoError(t, err)
	require.Len(t, logged.FilterMessageSnippet("differs").AllUntimed(), 1)
	require.Equal(t, "00004_runs.sql", logged.AllUntimed()[0].ContextMap()["migration"])
	_, _, drift, err := postgres.SchemaFiles(ctx, db.URL, files)
	require.NoError(t, err)
	require.Equal(t, []string{"00004_runs.sql"}, drift)
	have, want, drift, err := postgres.SchemaFiles(ctx, db.URL, upTo(t, older)) // an older binary
	require.NoError(t, err)
	require.EqualValues(t, newest, have)
	require.EqualValues(t, older, want)
	require.Equal(t, []string{names[newest]}, drift)
	applied, err := postgres.MigrateFiles(ctx, db.URL, upTo(t, older), zap.NewNop())
	require.NoError(t, err)
	require.Empty(t, applied)
}

func TestSeveralProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	db := testdb.Empty(t)
	const n = 4
	type result struct {
		applied []string
		err     error
	}
	results := make(chan result, n)
	for range n {
		go func() {
			applied, err := postgres.Migrate(context.Background(), db.URL, zap.NewNop())
			results <- result{applied, err}
		}()
	}
	total := 0
	for range n {
		r := <-results
		require.NoError(t, r.err)
		total += len(r.applied)
	}
	_, versions := numbered(t)
	require.Equal(t, len(versions), total)
}

// Every file limits how long it waits for a lock and how long it runs.
func TestMigrationsHaveTimeouts(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(migrations.Files, "*.sql")
	require.NoError(t, err)
	for _, name := range names {
		body, err := migrations.Files.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, 2, strings.Count(string(body), "set local lock_timeout"), name)
		require.Equal(t, 2, strings.Count(string(body), "set local statement_timeout"), name)
	}
}

// What a Supabase database has is left alone.
func TestCompatLeavesSupabaseAlone(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.Empty(t)
	_, err := db.Pool.Exec(ctx, `create schema auth;
		create function auth.uid() returns uuid language sql stable as 'select null::uuid /* Supabase''s own */';
		create function auth.jwt() returns jsonb language sql stable as 'select ''{}''::jsonb'`)
	require.NoError(t, err)
	_, err = postgres.Migrate(ctx, db.URL, zap.NewNop())
	require.NoError(t, err)
	var own, published bool
	require.NoError(t, db.Pool.QueryRow(ctx, `select prosrc like '%Supabase%', exists (select from pg_publication) from pg_proc where oid = 'auth.uid'::regproc`).Scan(&own, &published))
	require.True(t, own)
	require.False(t, published)
	require.NoError(t, postgres.MigrateDown(ctx, db.URL, 0))
}

func TestSchemaIsProtectedAndExplained(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testdb.New(t)
	faults := func(sql string) []string {
		got, err := db.Pool.Query(ctx, sql)
		require.NoError(t, err)
		names, err := pgx.CollectRows(got, pgx.RowTo[string])
		require.NoError(t, err)
		return names
	}
	const tables = `from pg_class c where c.relnamespace = 'tartan'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')`
	require.NotEmpty(t, faults(`select relname `+tables))
	require.Empty(t, faults(`select relname `+tables+` and not (relrowsecurity and relforcerowsecurity)`), "without row level security")
	require.Empty(t, faults(`select relname `+tables+` and not exists (select from pg_policy p where p.polrelid = c.oid and p.polcmd = 'r')`), "without a policy for reading")
	require.Empty(t, faults(`select relname || ' ' || polname `+strings.Replace(tables, "pg_class c", "pg_class c join pg_policy p on p.polrelid = c.oid", 1)+` and polcmd = '*'`), "one policy per command")
	require.Empty(t, faults(`select relname || ' ' || polname `+strings.Replace(tables, "pg_class c", "pg_class c join pg_policy p on p.polrelid = c.oid", 1)+` and polroles <> array['authenticated'::regrole::oid]`), "policies to authenticated only")
	require.Empty(t, faults(`select relname || ' ' || polname `+strings.Replace(tables, "pg_class c", "pg_class c join pg_policy p on p.polrelid = c.oid", 1)+`
		and relname not like 'schema\_%' and coalesce(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) !~ '\( SELECT tartan\.my_(workspaces|spaces)\('`), "membership looked up once per statement")
	require.Empty(t, faults(`select relname `+tables+` and relname not like 'schema\_%' and relname <> 'workspaces'
		and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'workspace_id' and a.attnotnull)`), "without workspace_id")
	require.Empty(t, faults(`select relname `+tables+` and obj_description(c.oid, 'pg_class') is null`), "without a comment")
	require.Empty(t, faults(`select relname || '.' || attname `+strings.Replace(tables, "pg_class c", "pg_class c join pg_attribute a on a.attrelid = c.oid", 1)+`
		and a.attnum > 0 and not a.attisdropped and col_description(c.oid, a.attnum) is null`), "columns without a comment")
	require.Empty(t, faults(`select conname::text from pg_constraint where connamespace = 'tartan'::regnamespace and confrelid in
		(select oid from pg_class where relnamespace in (select oid from pg_namespace where nspname in ('auth', 'storage')))`), "foreign keys into Supabase's schemas")
	require.Empty(t, faults(`select proname::text from pg_proc where pronamespace = 'tartan'::regnamespace and prosecdef and not coalesce(proconfig @> array['search_path=""'], false)`), "security definer without a search path")
}
