package tools

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// queryCanceled is Postgres's code for a statement that ran into its time limit.
const queryCanceled = "57014"

// Kind says whose turn it is after an error.
type Kind string

// The kinds of errors that clients see.
const (
	Invalid     Kind = "invalid"     // change the arguments
	NotFound    Kind = "not_found"   // name something that exists
	Denied      Kind = "denied"      // ask for a role
	Unavailable Kind = "unavailable" // try again later
)

// Error is an error that is meant for the client: what is wrong, and what to do next. Anything else is an internal error, of
// which clients see only a reference.
type Error struct {
	Kind    Kind
	Message string
	Next    string // "" where the message says it all
}

func (e *Error) Error() string {
	if e.Next == "" {
		return e.Message
	}
	return e.Message + ". " + e.Next
}

func invalid(format string, args ...any) *Error {
	return &Error{Kind: Invalid, Message: fmt.Sprintf(format, args...)}
}

func notFound(next, format string, args ...any) *Error {
	return &Error{Kind: NotFound, Message: fmt.Sprintf(format, args...), Next: next}
}

func unavailable(next, format string, args ...any) *Error {
	return &Error{Kind: Unavailable, Message: fmt.Sprintf(format, args...), Next: next}
}

func denied(c Call, t *Tool) *Error {
	role := string(c.Role)
	if role == "" {
		role = "no role"
	}
	return &Error{
		Kind: Denied, Message: fmt.Sprintf("%s needs the role %s in workspace %s; you have %s", t.Name, t.Role, c.Workspace, role),
		Next: "Ask an admin of the workspace",
	}
}

func known(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// Explain turns err into one that clients may see, or returns nil where only the log may have the detail.
func Explain(err error) *Error {
	var e *Error
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled):
		return unavailable("", "the call was cancelled")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &pg) && pg.Code == queryCanceled:
		return unavailable("Try again, or ask for less", "this took too long")
	case postgres.Unavailable(err):
		return unavailable("Try again in a moment", "the database is not reachable")
	case errors.Is(err, postgres.ErrNotFound):
		return notFound("List what there is first", "not found")
	case errors.Is(err, postgres.ErrDenied):
		return &Error{Kind: Denied, Message: "the database refused this for your role", Next: "Ask an admin of the workspace for the role " + string(access.Editor)}
	}
	return nil
}
