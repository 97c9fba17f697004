package testdb

import (
	"testing"
)

// DedicatedServer is a Postgres of a single test, which may kill it. It syncs to disk as in production.
type DedicatedServer struct {
	DB
}

// Server starts a Postgres of the test's own with one migrated database.
func Server(t testing.TB) *DedicatedServer { t.Fatal("unfinished"); return nil }

// Kill ends the server with SIGKILL.
func (s *DedicatedServer) Kill(t testing.TB) { t.Fatal("unfinished") }

// Restart starts the killed server again on the same port and returns when it accepts connections.
func (s *DedicatedServer) Restart(t testing.TB) { t.Fatal("unfinished") }
