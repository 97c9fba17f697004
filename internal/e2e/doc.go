// Package e2e holds the end-to-end tests: the built tartan command, its real Postgres and Temporal, and a client that
// sees only what a user sees. What comes in is a folder for a stack, what goes out is the test's verdict.
package e2e
