package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/postgres/target"
	"github.com/tartan-ai/tartan/internal/postgres/upgrade"
	"github.com/tartan-ai/tartan/migrations"
)

func (a *app) migrateSelf() *cobra.Command {
	var rollback, sure bool
	var to int64
	c := &cobra.Command{
		Use:   "self",
		Short: "Upgrade Tartan's own schema by the same engine, or roll an upgrade back",
		Long: "Upgrade Tartan's own schema in the database at TARTAN_DATABASE_URL to that of this release, step by step with a ledger and an archive.\n" +
			"Where there is none it is made. A step that is refused undoes the upgrade; one that was interrupted goes on when the command is run\n" +
			"again. With --rollback the last upgrade is undone exactly, within 30 days: do so with the release that made it, and stop its workers\n" +
			"first. What was written since into tables that the upgrade made goes.",
		Example: "  tartan migrate self\n  tartan migrate self --rollback --yes\n  tartan migrate self --rollback --to 20 --yes",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if a.cfg.DatabaseURL == "" {
				return noStack("the database", "TARTAN_DATABASE_URL")
			}
			given := c.Flags().Changed("to")
			if given && to < 1 {
				return usage("--to %d: want the number of a version from 1 on, as tartan migrate self --output json tells it", to)
			}
			s := upgrade.Schema{
				URL: a.cfg.DatabaseURL, Files: migrations.Files, Log: a.log.Named("migrate"),
				Tell: func(what string) { a.say("%s", what) },
			}
			if !rollback {
				r, err := s.Up(c.Context(), to)
				return a.printUpgrade(r, err)
			}
			if !given {
				to = -1
			}
			return a.undoUpgrade(c.Context(), s, to, sure)
		},
	}
	c.Flags().BoolVar(&rollback, "rollback", false, "undo the last upgrade, or those down to --to")
	c.Flags().Int64Var(&to, "to", 0, "the version of the schema to go to (default: the newest, or the one before the last upgrade)")
	c.Flags().BoolVarP(&sure, "yes", "y", false, "with --rollback: undo it without asking")
	return c
}

func (a *app) undoUpgrade(ctx context.Context, s upgrade.Schema, to int64, sure bool) error {
	ways, err := s.Ways(ctx, to)
	if errors.Is(err, upgrade.ErrNoWay) {
		return &failure{code: codeNotFound, what: "roll back the schema", why: err, next: "restore a backup, or go to a version that the upgrades lead back to"}
	}
	if err != nil {
		return err
	}
	if !sure {
		for _, w := range ways {
			a.say("the upgrade from version %d to %d would be undone, and what was written since into tables that it made goes", w.From, w.To)
		}
		last := ways[len(ways)-1]
		return &failure{code: codeUsage, what: "nothing is undone yet", next: fmt.Sprintf("tartan migrate self%s --rollback --to %d --yes", a.here(), last.From)}
	}
	r, err := s.Back(ctx, ways)
	return a.printUpgrade(r, err)
}

// printUpgrade shows what was done, also where it ended in an error.
func (a *app) printUpgrade(r upgrade.Result, err error) error {
	var printed error
	if err == nil || len(r.Applied)+len(r.Undone) > 0 {
		printed = a.showUpgrade(r)
	}
	switch {
	case errors.Is(err, upgrade.ErrInterrupted):
		return &failure{code: codeFailure, what: "migrate Tartan's schema", why: err, next: "run the same again to go on, or: tartan migrate self --rollback" + a.here()}
	case errors.Is(err, upgrade.ErrUndone):
		return &failure{code: codeFailure, what: "upgrade Tartan's schema", why: err, next: "mend what is named, and run it again"}
	case errors.Is(err, upgrade.ErrVersion):
		return &failure{code: codeUsage, what: "migrate Tartan's schema", why: err, next: "use a release of tartan that has this version"}
	case errors.Is(err, target.ErrChanged):
		return &failure{code: codeFailure, what: "migrate Tartan's schema", why: err, next: "use the release of tartan that began the upgrade"}
	case errors.Is(err, target.ErrBusy):
		return &failure{code: codeFailure, what: "migrate Tartan's schema", why: err, next: "wait for it, or roll it back"}
	case err != nil:
		return fmt.Errorf("migrate Tartan's schema: %w", err)
	}
	return printed
}

func (a *app) showUpgrade(r upgrade.Result) error {
	if a.json() {
		return a.printJSON(r)
	}
	for _, name := range r.Applied {
		fmt.Fprintln(a.out, "applied", name)
	}
	for _, name := range r.Undone {
		fmt.Fprintln(a.out, "undone ", name)
	}
	for _, d := range r.Differences {
		fmt.Fprintf(a.out, "differs %s: %s, was %s\n", d.Path, dash(clip(d.After, 60)), dash(clip(d.Before, 60)))
	}
	switch {
	case len(r.Applied)+len(r.Undone) == 0:
		a.say("nothing to do: the schema has version %d", r.To)
	case r.ArchiveUntil != nil:
		a.say("version %d; it can be rolled back until %s", r.To, shown(*r.ArchiveUntil))
	default:
		a.say("version %d", r.To)
	}
	return nil
}
