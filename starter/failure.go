package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"go.temporal.io/api/serviceerror"

	"github.com/tartan-ai/tartan/internal/postgres"
)

// The exit codes, which scripts may rely on.
const (
	codeOK          = 0
	codeFailure     = 1
	codeUsage       = 2
	codeNotFound    = 3
	codeDenied      = 4
	codeUnavailable = 5
)

// failure is an error a person can act on: what was tried, why it did not work, and the command to run next.
type failure struct {
	code int
	what string
	why  error
	next string
}

func (f *failure) Error() string {
	if f.why == nil {
		return f.what
	}
	return f.what + ": " + f.why.Error()
}

func (f *failure) Unwrap() error { return f.why }

// text is the failure as it is printed to a person.
func (f *failure) text(color bool) string {
	var b strings.Builder
	b.WriteString(paint(color, red, "tartan: "))
	b.WriteString(f.Error())
	b.WriteByte('\n')
	if f.next != "" {
		fmt.Fprintf(&b, "  next: %s\n", f.next)
	}
	return b.String()
}

// classify finds the exit code and the next command of an error. Errors from before the command began are about usage.
func classify(err error, started bool) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	f = &failure{code: codeFailure, what: err.Error()}
	var (
		dial        *net.OpError
		connect     *pgconn.ConnectError
		gone        *serviceerror.NotFound
		denied      *serviceerror.PermissionDenied
		unavailable *serviceerror.Unavailable
	)
	switch {
	case !started:
		f.code, f.next = codeUsage, "tartan --help"
	case errors.Is(err, postgres.ErrNotFound), errors.As(err, &gone), errors.Is(err, fs.ErrNotExist):
		f.code = codeNotFound
	case errors.Is(err, postgres.ErrDenied), errors.As(err, &denied), errors.Is(err, fs.ErrPermission):
		f.code = codeDenied
	case errors.As(err, &connect), errors.As(err, &dial), errors.As(err, &unavailable), errors.Is(err, context.DeadlineExceeded):
		f.code, f.next = codeUnavailable, "tartan doctor"
	}
	return f
}

// usage is a failure of how the command was called.
func usage(format string, args ...any) error {
	return &failure{code: codeUsage, what: fmt.Sprintf(format, args...), next: "tartan --help"}
}

// notFound says what was not found; other errors pass.
func notFound(err error, what, next string) error {
	if !errors.Is(err, postgres.ErrNotFound) {
		return err
	}
	return &failure{code: codeNotFound, what: what + " was not found", next: next}
}
