// Package migrations carries the schema of Tartan as SQL files: numbered ones that go up and down in order, and the
// parts of Supabase that a plain Postgres lacks. It runs nothing.
package migrations

import "embed"

// Files are the numbered migrations, at the root.
//
//go:embed *.sql
var Files embed.FS

// Compat makes a plain Postgres look like Supabase where the schema relies on it.
//
//go:embed compat/supabase.sql
var Compat string
