package target

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/migration"
)

//go:embed catalogue.sql
var catalogueSQL string

// querier is what a connection and a transaction share.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Catalogue reads the structure of the schemas named, or of all but the system's and Tartan's own. What belongs to an
// extension is left out.
func (t *Target) Catalogue(ctx context.Context, schemas ...string) (c migration.Catalogue, err error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return c, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return readCatalogue(ctx, conn, schemas...)
}

// readCatalogue leaves the search path as it found it. It is empty meanwhile, so that every name in a definition has its
// schema whatever the role's own path is.
func readCatalogue(ctx context.Context, q querier, schemas ...string) (c migration.Catalogue, err error) {
	var path string
	if err := q.QueryRow(ctx, "select current_setting('search_path')").Scan(&path); err != nil {
		return c, err
	}
	if err := setPath(ctx, q, ""); err != nil {
		return c, err
	}
	if schemas == nil {
		schemas = []string{}
	}
	rows, err := q.Query(ctx, catalogueSQL, schemas)
	if err != nil {
		return c, fmt.Errorf("read the catalogue: %w", err)
	}
	objects, err := pgx.CollectRows(rows, scanObject)
	if err != nil {
		return c, fmt.Errorf("read the catalogue: %w", err)
	}
	return migration.NewCatalogue(objects), setPath(ctx, q, path)
}

func setPath(ctx context.Context, q querier, path string) error {
	var ignored string
	return q.QueryRow(ctx, "select set_config('search_path', $1, false)", path).Scan(&ignored)
}

func scanObject(row pgx.CollectableRow) (o migration.Object, err error) {
	var facts []byte
	if err := row.Scan(&o.Kind, &o.Schema, &o.Table, &o.Name, &o.ID, &facts); err != nil {
		return o, err
	}
	var values map[string]*string
	if err := json.Unmarshal(facts, &values); err != nil {
		return o, err
	}
	o.Facts = make(map[string]string, len(values))
	for name, v := range values {
		if v != nil && *v != "" {
			o.Facts[name] = *v
		}
	}
	return o, nil
}
