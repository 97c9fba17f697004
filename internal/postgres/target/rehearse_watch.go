package target

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/migration"
)

// sampled is how often the locks of a step are looked at that runs outside a transaction.
const sampled = 2 * time.Millisecond

// locksHeld are the locks on tables of the user that sessions hold, which the query goes on to choose.
const locksHeld = `select n.nspname || '.' || c.relname, l.mode from pg_locks l join pg_stat_activity a using (pid) join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
where l.granted and l.database = (select oid from pg_database where datname = current_database()) and c.relkind in ('r', 'p', 'm')
  and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'tartan_migrate', 'tartan_archive') and `

// watchLocks collects which locks the migration's session holds on tables of the user, until stop is called: those of a transaction as
// they are before it commits, and of what runs outside one as often as they are looked at.
func (t *Target) watchLocks(ctx context.Context, mig uuid.UUID, s *migration.RehearsedStep) (stop func()) {
	var mu sync.Mutex
	seen := map[migration.Lock]bool{}
	look := func(ctx context.Context, q querier, which string, args ...any) error {
		rows, err := q.Query(ctx, locksHeld+which, args...)
		if err != nil {
			return err
		}
		var l migration.Lock
		_, err = pgx.ForEachRow(rows, []any{&l.Table, &l.Mode}, func() error {
			mu.Lock()
			defer mu.Unlock()
			seen[migration.Lock{Table: l.Table, Mode: lockName(l.Mode)}] = true
			return nil
		})
		return err
	}
	t.held = func(ctx context.Context, tx pgx.Tx) error { return look(ctx, tx, "a.pid = pg_backend_pid()") }
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := t.connect(ctx)
		if err != nil {
			return
		}
		defer conn.Close(context.WithoutCancel(ctx))
		for sleep(ctx, sampled) == nil {
			if look(ctx, conn, "a.datname = current_database() and a.application_name = $1", "tartan migrate "+mig.String()) != nil {
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
		t.held = nil
		// Reading rows for the catalogue and the like disturbs nobody.
		for _, l := range slices.SortedFunc(maps.Keys(seen), func(a, b migration.Lock) int { return strings.Compare(a.Table+a.Mode, b.Table+b.Mode) }) {
			if l.Mode != "ACCESS SHARE" {
				s.Locks = append(s.Locks, l)
			}
		}
	}
}

// lockName writes AccessExclusiveLock as the documentation does: ACCESS EXCLUSIVE.
func lockName(mode string) string {
	var b strings.Builder
	for i, r := range strings.TrimSuffix(mode, "Lock") {
		if r >= 'A' && r <= 'Z' && i > 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// userTables reads two or three numbers of each table of the user.
func userTables(ctx context.Context, q querier, sql string) (map[string][3]int64, error) {
	rows, err := q.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	out := map[string][3]int64{}
	var name string
	var n [3]int64
	_, err = pgx.ForEachRow(rows, []any{&name, &n[0], &n[1], &n[2]}, func() error { out[name] = n; return nil })
	return out, err
}

// filenodes tells which tables were written anew.
func filenodes(ctx context.Context, q querier) (map[string][3]int64, error) {
	return userTables(ctx, q, `select n.nspname || '.' || c.relname, c.oid::bigint, c.relfilenode::bigint, pg_relation_size(c.oid) from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'tartan_migrate', 'tartan_archive')`)
}

// touchedRows reads the counts of changed rows, once the session of the step has handed them in.
func touchedRows(ctx context.Context, conn *pgx.Conn) (map[string][3]int64, error) {
	for range 100 {
		var busy bool
		err := conn.QueryRow(ctx, "select exists (select from pg_stat_activity where datname = current_database() and application_name like 'tartan migrate %' and pid <> pg_backend_pid())").Scan(&busy)
		if err != nil {
			return nil, err
		}
		if !busy {
			break
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return nil, err
		}
	}
	if version := conn.PgConn().ParameterStatus("server_version"); strings.HasPrefix(version, "13") || strings.HasPrefix(version, "14") {
		if err := sleep(ctx, 600*time.Millisecond); err != nil { // a collector of its own counts there, with a delay
			return nil, err
		}
	}
	if _, err := conn.Exec(ctx, "select pg_stat_clear_snapshot()"); err != nil {
		return nil, err
	}
	return userTables(ctx, conn, `select schemaname || '.' || relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables where schemaname not in ('tartan_migrate', 'tartan_archive')`)
}

// touched compares both, of tables that were there before as well as of new ones.
func touched(rowsBefore, rows, filesBefore, files map[string][3]int64) (out []migration.Touched) {
	for _, table := range slices.Sorted(maps.Keys(rows)) {
		was, now := rowsBefore[table], rows[table]
		t := migration.Touched{Table: table, Inserted: max(now[0]-was[0], 0), Updated: max(now[1]-was[1], 0), Deleted: max(now[2]-was[2], 0)}
		before, existed := filesBefore[table]
		after := files[table]
		t.Rewrites = existed && before[0] == after[0] && before[1] != after[1]
		if t != (migration.Touched{Table: table}) {
			out = append(out, t)
		}
	}
	return out
}
