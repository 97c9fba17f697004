package postgres

import (
	"fmt"
	"io/fs"
	"slices"

	"github.com/tartan-ai/tartan/internal/migration"
)

// SelfPlan returns the upgrade of Tartan's own schema from a version to a later one as a plan of the migration engine: a step for each file
// between them, which also enters it, or takes it out, where goose and the check of checksums look. Made of the same files it is the same
// plan, so that an upgrade can be undone long after. The engine upgrades what is there: the first version is made by Migrate.
func SelfPlan(files fs.FS, from, to int64) (*migration.Plan, error) {
	all, err := readMigrations(files)
	if err != nil {
		return nil, fmt.Errorf("plan the upgrade: %w", err)
	}
	for _, v := range []int64{from, to} {
		if !slices.ContainsFunc(all, func(f migrationFile) bool { return f.version == v }) {
			return nil, fmt.Errorf("plan the upgrade: this tartan knows no version %d of the schema", v)
		}
	}
	if from >= to {
		return nil, fmt.Errorf("plan the upgrade: version %d is not before %d", from, to)
	}
	var texts []migration.File
	var pending []migrationFile
	for _, f := range all {
		if f.version <= from || f.version > to {
			continue
		}
		text, err := fs.ReadFile(files, f.name)
		if err != nil {
			return nil, fmt.Errorf("plan the upgrade: %w", err)
		}
		texts, pending = append(texts, migration.File{Name: f.name, Text: string(text)}), append(pending, f)
	}
	plan, err := migration.Parse(texts)
	if err != nil {
		return nil, fmt.Errorf("plan the upgrade: %w", err)
	}
	plan.Name = SelfName(from, to)
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

// SelfPrefix begins the name of every plan that SelfPlan makes.
const SelfPrefix = "tartan-self-"

// SelfName names the plan of an upgrade.
func SelfName(from, to int64) string { return fmt.Sprintf(SelfPrefix+"%d-to-%d", from, to) }

// SelfVersions reads the versions from the name of a plan; it reports whether the name is that of an upgrade.
func SelfVersions(name string) (from, to int64, ok bool) {
	_, err := fmt.Sscanf(name, SelfPrefix+"%d-to-%d", &from, &to)
	return from, to, err == nil && name == SelfName(from, to)
}

func statement(f migrationFile, format string, args ...any) migration.Statement {
	return migration.Statement{SQL: fmt.Sprintf(format, args...), File: f.name}
}
