package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tartan-ai/tartan/internal/local"
	"github.com/tartan-ai/tartan/internal/postgres"
)

func (a *app) migrateSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate-schema",
		Short: "Bring the database's schema up to date",
		Long:  "Bring the schema of the database at TARTAN_DATABASE_URL up to date. tartan up does this by itself.",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if a.cfg.DatabaseURL == "" {
				return noStack("the database", "TARTAN_DATABASE_URL")
			}
			applied, err := postgres.Migrate(c.Context(), a.cfg.DatabaseURL, a.log.Named("migrate"))
			if err != nil {
				return fmt.Errorf("bring the schema up to date: %w", err)
			}
			if a.json() {
				return a.printJSON(map[string]any{"applied": append([]string{}, applied...)})
			}
			for _, name := range applied {
				fmt.Fprintln(a.out, name)
			}
			a.say("%d migrations applied", len(applied))
			return nil
		},
	}
}

// prepareCommand starts each server once in a folder of its own, which downloads or builds what it needs, and stops it.
func (a *app) prepareCommand() *cobra.Command {
	var hideSystem bool
	c := &cobra.Command{
		Use:   "prepare",
		Short: "Download or build what the local stack needs, without starting it",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			folder, err := os.MkdirTemp("", "tartan-prepare-*")
			if err != nil {
				return err
			}
			defer os.RemoveAll(folder)
			if err := os.Chmod(folder, 0o755); err != nil { // Postgres runs as another user when this one is root
				return err
			}
			g, ctx := errgroup.WithContext(c.Context())
			g.Go(func() error { return a.tryPostgres(ctx, folder, hideSystem) })
			g.Go(func() error { return a.tryTemporal(ctx, folder) })
			return g.Wait()
		},
	}
	c.Flags().BoolVar(&hideSystem, "hide-system-postgres", false, "use downloaded Postgres binaries even where some are installed")
	return c
}

func (a *app) tryPostgres(ctx context.Context, folder string, hideSystem bool) error {
	pg, err := local.StartPostgres(ctx, local.PostgresOptions{
		DataDir: filepath.Join(folder, "postgres"), UnpackDir: filepath.Join(a.cfg.DataDir, "postgres-bin"), BinDir: a.cfg.PGBin,
		HideSystem: hideSystem, MavenURL: a.cfg.MavenURL, Progress: func(text string) { a.say("postgres: %s", text) },
	})
	if err != nil {
		return err
	}
	a.say("postgres %s works", pg.Version)
	return pg.Stop(context.WithoutCancel(ctx))
}

func (a *app) tryTemporal(ctx context.Context, folder string) error {
	t, err := local.StartTemporal(ctx, local.TemporalOptions{
		DataDir: filepath.Join(folder, "temporal"), Bin: a.cfg.TemporalBin, Progress: func(text string) { a.say("temporal: %s", text) },
	})
	if err != nil {
		return err
	}
	a.say("temporal %s works", t.Version)
	return t.Stop(context.WithoutCancel(ctx))
}
