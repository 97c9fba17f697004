package postgres_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/testdb"
)

func TestSchemaDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	var doc bytes.Buffer
	require.NoError(t, postgres.Document(t.Context(), db.Pool, &doc))
	committed, err := os.ReadFile("../../docs/schema.md")
	require.NoError(t, err)
	require.Equal(t, string(committed), doc.String(), "out of date: go run ./internal/postgres/schemadoc")
}
