// Package kill subjects goose and golang-migrate to the faults that Tartan's own migrations are tested with: a migration of twelve
// steps whose process, backend or Postgres is killed at a random moment, and which is then gone on with or rolled back as their
// manuals say. TARTAN_KILL_RUNS is how many runs each gets, 10 unless set.
package kill
