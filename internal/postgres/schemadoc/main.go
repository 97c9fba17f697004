// Command schemadoc writes docs/schema.md from a freshly migrated database. Run it at the root of the repository:
//
//	go run ./internal/postgres/schemadoc
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

func main() {
	if err := run(context.Background(), "docs/schema.md"); err != nil {
		fmt.Fprintln(os.Stderr, "schemadoc:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, path string) error {
	url, stop, err := testdb.Start(ctx)
	if err != nil {
		return err
	}
	defer stop()
	pool, err := postgres.Open(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	var doc bytes.Buffer
	if err := postgres.Document(ctx, pool, &doc); err != nil {
		return err
	}
	return os.WriteFile(path, doc.Bytes(), 0o644)
}
