package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/tartan-ai/tartan/internal/migration"
)

// cloner makes a clone of the target's database on its server, and drops it.
type cloner struct {
	t         *Target
	tell      func(string)
	lock      *pgx.Conn // to the database; holds the advisory lock
	name      string
	prefix    string
	leftovers []string
	made      bool
}

// open keeps other rehearsals of the database away and drops what earlier ones left.
func (c *cloner) open(ctx context.Context, mig uuid.UUID) (err error) {
	if c.lock, err = c.t.connect(ctx); err != nil {
		return err
	}
	var oid uint32
	var may, mine bool
	err = c.lock.QueryRow(ctx, `select d.oid, r.rolcreatedb or r.rolsuper, pg_try_advisory_lock($1) from pg_database d, pg_roles r
where d.datname = current_database() and r.rolname = current_user`, int64(rehearsalLock)).Scan(&oid, &may, &mine)
	switch {
	case err != nil:
	case !mine:
		err = fmt.Errorf("%w: another dry run of this database is under way", ErrBusy)
	case !may:
		err = errors.New("a dry run needs a clone of the database, and the role may not create databases: grant it createdb, or run the plan against a copy of yours under another target name")
	}
	if err == nil {
		c.prefix = fmt.Sprintf("tartan_plan_%d_", oid)
		c.name = c.prefix + strings.ReplaceAll(mig.String(), "-", "")
		err = c.sweep(ctx)
	}
	if err != nil {
		_ = c.lock.Close(context.WithoutCancel(ctx))
	}
	return err
}

// sweep drops clones of this database, whose makers are gone as their lock is.
func (c *cloner) sweep(ctx context.Context) error {
	rows, err := c.lock.Query(ctx, "select datname::text from pg_database where starts_with(datname::text, $1) order by 1", c.prefix)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := c.lock.Exec(ctx, "drop database if exists "+pgx.Identifier{name}.Sanitize()+" with (force)"); err != nil {
			return fmt.Errorf("drop the clone %s of an earlier run: %w", name, err)
		}
		c.leftovers = append(c.leftovers, name)
	}
	return nil
}

func (c *cloner) close(ctx context.Context) error {
	defer c.lock.Close(ctx)
	if !c.made {
		return nil
	}
	_, err := c.lock.Exec(ctx, "drop database if exists "+pgx.Identifier{c.name}.Sanitize()+" with (force)")
	if err != nil {
		return fmt.Errorf("drop the clone %s: %w", c.name, err)
	}
	return nil
}

// clone copies the database as a template where nobody else is connected to it, and otherwise rebuilds it from its catalogue and copies
// the rows of one snapshot.
func (c *cloner) clone(ctx context.Context) (how string, err error) {
	c.made = true
	if done, err := c.asTemplate(ctx); err != nil {
		return "", err
	} else if done {
		return "template copy", nil
	}
	c.tell("others are connected to the database, so its tables are copied one by one")
	if _, err := c.lock.Exec(ctx, "create database "+pgx.Identifier{c.name}.Sanitize()+" template template0"); err != nil {
		return "", fmt.Errorf("make the clone: %w", err)
	}
	if err := c.rebuild(ctx); err != nil {
		return "", fmt.Errorf("rebuild the database as a clone: %w", err)
	}
	return "rebuilt from the catalogue, rows of one snapshot", nil
}

// asTemplate needs a session elsewhere, as the database may have none. The lock is let go of for a moment: whoever takes it then finds no clone
// of ours, or cannot drop it as it is being made.
func (c *cloner) asTemplate(ctx context.Context) (done bool, err error) {
	cfg := c.t.cfg.Copy()
	source := cfg.Database
	if source == "" {
		source = cfg.User
	}
	var conn *pgx.Conn
	for _, name := range []string{"postgres", "template1"} {
		if name == source {
			continue
		}
		cfg.Database = name
		if conn, err = pgx.ConnectConfig(ctx, cfg); err == nil {
			break
		}
	}
	if conn == nil {
		return false, nil
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := c.lock.Close(ctx); err != nil {
		return false, err
	}
	var made error
	for attempt := range 5 {
		_, made = conn.Exec(ctx, "create database "+pgx.Identifier{c.name}.Sanitize()+" template "+pgx.Identifier{source}.Sanitize())
		var pg *pgconn.PgError
		if !errors.As(made, &pg) || pg.Code != "55006" { // sessions that just ended are still going
			break
		}
		if sleep(ctx, time.Duration(attempt+1)*30*time.Millisecond) != nil {
			break
		}
	}
	if c.lock, err = c.t.connect(ctx); err != nil {
		return false, err
	}
	var mine bool
	if err := c.lock.QueryRow(ctx, "select pg_try_advisory_lock($1)", int64(rehearsalLock)).Scan(&mine); err != nil {
		return false, err
	}
	if !mine {
		return false, fmt.Errorf("%w: another dry run of this database began", ErrBusy)
	}
	return made == nil, nil
}

// rebuild makes the structure from the catalogue, the rows by COPY between both, and last what rows would only slow down.
func (c *cloner) rebuild(ctx context.Context) error {
	clone := &Target{cfg: c.t.cfg.Copy(), secret: c.t.secret, version: c.t.version}
	clone.cfg.Database = c.name
	to, err := clone.connect(ctx)
	if err != nil {
		return err
	}
	defer to.Close(context.WithoutCancel(ctx))
	from, err := c.t.connect(ctx)
	if err != nil {
		return err
	}
	defer from.Close(context.WithoutCancel(ctx))
	if _, err := from.Exec(ctx, "begin isolation level repeatable read read only; set idle_in_transaction_session_timeout = 0"); err != nil {
		return err
	}
	want, err := readCatalogue(ctx, from)
	if err != nil {
		return err
	}
	have, err := readCatalogue(ctx, to)
	if err != nil {
		return err
	}
	pre, post, err := migration.Restore(migration.Changed(want, have))
	if err != nil {
		return err
	}
	if err := runAll(ctx, to, pre); err != nil {
		return err
	}
	for _, o := range want.Objects {
		if o.Kind != migration.ObjectTable || o.Facts["partition key"] != "" || o.Facts["foreign"] != "" {
			continue
		}
		c.tell(fmt.Sprintf("copies %s.%s into the clone", o.Schema, o.Name))
		if err := pipe(ctx, from, to, relation{Schema: o.Schema, Name: o.Name}); err != nil {
			return err
		}
	}
	if err := runAll(ctx, to, post); err != nil {
		return err
	}
	_, err = to.Exec(ctx, "analyze")
	return err
}

func runAll(ctx context.Context, conn *pgx.Conn, statements []string) error {
	if _, err := conn.Exec(ctx, "set search_path = ''; set check_function_bodies = off"); err != nil {
		return err
	}
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// pipe copies the rows of a table as text, which any two servers agree on.
func pipe(ctx context.Context, from, to *pgx.Conn, r relation) error {
	list, err := columns(ctx, from, r)
	if err != nil || len(list) == 0 {
		return err
	}
	named := strings.Join(names(list, ""), ", ")
	in, out := io.Pipe()
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		_, err := from.PgConn().CopyTo(gctx, out, "copy (select "+named+" from only "+r.sql()+") to stdout")
		_ = out.CloseWithError(err)
		return err
	})
	group.Go(func() error {
		_, err := to.PgConn().CopyFrom(gctx, in, "copy "+r.sql()+" ("+named+") from stdin")
		_ = in.CloseWithError(err)
		return err
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("copy %s.%s: %w", r.Schema, r.Name, err)
	}
	return nil
}
