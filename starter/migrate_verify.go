package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/postgres/target"
)

// verified is what a look at the database itself says of its last migration.
type verified struct {
	Migration   string                 `json:"migration"`
	Plan        string                 `json:"plan"`
	State       string                 `json:"state"`
	Assertions  int                    `json:"assertions"` // of the plan, that were asked again
	Fault       string                 `json:"fault,omitempty"`
	Differences []migration.Difference `json:"differences,omitempty"` // of one rolled back, from what the database was before
}

func (a *app) migrateVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify TARGET",
		Short: "Look into the database whether it is as its last migration left it",
		Long: "Look into the database whether it is as its last migration left it: one that was rolled back must have the catalogue of before, and\n" +
			"the assertions of one that completed must hold. The target has to be known here, as it is to the worker. Exit code 1: it is not so.",
		Args: exactly(1, "a target"),
		RunE: func(c *cobra.Command, args []string) error {
			out, err := a.verify(c, args[0])
			if err != nil {
				return err
			}
			if a.json() {
				err = a.printJSON(out)
			} else {
				rows := [][]string{{"migration", out.Migration}, {"plan", out.Plan}, {"state", out.State}, {"assertions", fmt.Sprint(out.Assertions)}}
				for _, d := range out.Differences {
					rows = append(rows, []string{"differs", fmt.Sprintf("%s: %s, was %s", d.Path, dash(clip(d.After, 60)), dash(clip(d.Before, 60)))})
				}
				err = a.table(rows)
			}
			if err == nil && (out.Fault != "" || len(out.Differences) > 0) {
				err = &failure{code: codeFailure, what: fmt.Sprintf("target %s is not as migration %s left it (%s, %d differences)", args[0], out.Plan, dash(out.Fault), len(out.Differences))}
			}
			return err
		},
	}
}

func (a *app) verify(c *cobra.Command, name string) (out verified, err error) {
	ctx := c.Context()
	last, err := a.pastMigration(ctx, name)
	if err != nil {
		return out, err
	}
	out = verified{Migration: last.ID.String(), Plan: last.Plan, State: last.State}
	url, err := a.targetURL(name)
	if err != nil {
		return out, err
	}
	t, err := target.Open(ctx, url)
	if err != nil {
		return out, err
	}
	if last.State == postgres.MigrationRolledBack {
		out.Differences, err = t.Compare(ctx, last.ID)
		return out, err
	}
	objects, err := a.objects(ctx)
	if err != nil {
		return out, err
	}
	body, err := objects.ReadAll(ctx, last.PlanKey, 16<<20)
	if err != nil {
		return out, err
	}
	var p, asked migration.Plan
	if err := json.Unmarshal(body, &p); err != nil {
		return out, fmt.Errorf("read plan %s: %w", last.Plan, err)
	}
	for i, s := range p.Steps {
		if s.Kind.Contract() && last.State != postgres.MigrationCompleted || i >= last.StepsDone && last.State != postgres.MigrationCompleted {
			break // not applied yet
		}
		for _, v := range s.Verify {
			asked.Settings.Checks = append(asked.Settings.Checks, migration.NamedSQL{Name: s.Name, SQL: v})
		}
	}
	out.Assertions = len(asked.Settings.Checks)
	if err := t.Check(ctx, &asked); err != nil {
		out.Fault = err.Error()
	}
	return out, nil
}
