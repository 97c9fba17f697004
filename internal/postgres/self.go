package postgres

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/tartan-ai/tartan/internal/migration"
)

// SelfPlan returns the upgrade of the schema at url to the newest of the files as a plan of the migration engine: a step for each file that is
// not applied, which also enters it, or takes it out, where goose and the check of checksums look. It has no steps where there is nothing to
// do. The error of a database without Tartan's schema says to make it with Migrate first: the engine upgrades what is there.
func SelfPlan(ctx context.Context, url string, files fs.FS) (*migration.Plan, error) {
	m, err := openMigrator(ctx, url, files)
	if err != nil {
		return nil, fmt.Errorf("plan the upgrade: %w", err)
	}
	defer m.close()
	have, err := m.have(ctx)
	if err != nil {
		return nil, fmt.Errorf("plan the upgrade: %w", err)
	}
	if have == 0 {
		return nil, fmt.Errorf("plan the upgrade: the database has no schema of Tartan: make it first")
	}
	plan := &migration.Plan{Name: "tartan-self", Format: migration.FormatGoose}
	var texts []migration.File
	var pending []migrationFile
	for _, f := range m.files {
		if f.version <= have {
			continue
		}
		text, err := fs.ReadFile(files, f.name)
		if err != nil {
			return nil, fmt.Errorf("plan the upgrade: %w", err)
		}
		texts, pending = append(texts, migration.File{Name: f.name, Text: string(text)}), append(pending, f)
	}
	if len(texts) == 0 {
		return plan, nil
	}
	if plan, err = migration.Parse(texts); err != nil {
		return nil, fmt.Errorf("plan the upgrade: %w", err)
	}
	plan.Name = fmt.Sprintf("tartan-self-%d-to-%d", have, pending[len(pending)-1].version)
	for i, f := range pending {
		s := &plan.Steps[i]
		s.Name = f.name
		s.Up = append(s.Up,
			statement(f, "insert into %s (version_id, is_applied) values (%d, true)", versionTable, f.version),
			statement(f, "insert into tartan.schema_checksums (version, name, sha256) values (%d, '%s', '%s') on conflict (version) do nothing", f.version, f.name, f.sha256))
		s.Down = append(s.Down,
			statement(f, "delete from %s where version_id = %d", versionTable, f.version),
			statement(f, "delete from tartan.schema_checksums where version = %d", f.version))
	}
	return plan, nil
}

func statement(f migrationFile, format string, args ...any) migration.Statement {
	return migration.Statement{SQL: fmt.Sprintf(format, args...), File: f.name}
}
