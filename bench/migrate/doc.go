// Package migrate measures migrations of a database beside the tools that people use for them, in one run on one server.
// TARTAN_BENCH_ROWS says how many rows there are; 100,000 unless it is set.
package migrate
