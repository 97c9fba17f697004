package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"go.temporal.io/sdk/temporal"

	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/provider"
)

// The types of the errors that cross the activity boundary, where Go's errors do not survive. All but Unavailable are
// final: a retry meets the same fault.
const (
	SourceMissing    = "SourceMissing"    // the object is not in the bucket
	SourceUnreadable = "SourceUnreadable" // it does not decompress, or is not what its digest says
	SourceTooLarge   = "SourceTooLarge"   // decompressed, it passes MaxPlainBytes
	WrongLibrary     = "WrongLibrary"     // no such library, no such name allowed, or one of another kind
	Denied           = "Denied"           // the caller may not
	TallyLost        = "TallyLost"        // the tally of a chunk is gone; extract it again
	EmbedderRefused  = "EmbedderRefused"  // the embeddings endpoint refuses the request, or makes no sense
	Refused          = "Refused"          // the database refuses the data: a fault of Tartan
	EditRefused      = "EditRefused"      // the edit cannot be made; the message says why
	EditNeeded       = "EditNeeded"       // later edits build on what would be undone
	StaleRevision    = "StaleRevision"    // the library has changed since the edit was decided on
	Untrainable      = "Untrainable"      // the training data cannot be learnt from; the message says why
	ModelLost        = "ModelLost"        // the recogniser that was trained is gone; train it again
	KnowledgeMissing = "KnowledgeMissing" // no such space, entry, revision or change set, or none that the caller may see
	KnowledgeRefused = "KnowledgeRefused" // the change set cannot be published; the message says why
	InputRefused     = "InputRefused"     // what an agent was given is not what its activity takes; the kit in agents/ says the same
	AgentRefused     = "AgentRefused"     // the manifest, the token or the agent is not accepted; the message says why
	MigrationRefused = "MigrationRefused" // the plan or its database does not allow it; the message says why
	MigrationBusy    = "MigrationBusy"    // another migration of the same database is under way
	MigrationLocked  = "MigrationLocked"  // others hold what a step has to lock; the message names them
	Unavailable      = "Unavailable"      // a service does not answer; retried
)

// final returns an error that is not retried; advice says what to do about it.
func final(kind string, cause error, advice string) error {
	message := advice
	if cause != nil {
		message = cause.Error() + ": " + advice
	}
	return temporal.NewNonRetryableApplicationError(message, kind, cause)
}

// typed gives the error of a room its Temporal type. What is typed already, and the end of the context, pass through.
func typed(doing string, err error) error {
	if err == nil {
		return nil
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) || errors.Is(err, context.Canceled) {
		return err
	}
	err = fmt.Errorf("%s: %w", doing, err)
	if kind, advice := editFault(err); kind != "" {
		return final(kind, err, advice)
	}
	var pg *pgconn.PgError
	var endpoint *provider.Error
	switch {
	case errors.As(err, &endpoint) && !endpoint.Temporary(), errors.Is(err, provider.ErrAnswer):
		return final(EmbedderRefused, err, "check TARTAN_EMBED_URL, TARTAN_EMBED_MODEL and TARTAN_EMBED_KEY of the worker")
	case errors.Is(err, bucket.ErrNotFound):
		return final(SourceMissing, err, "upload the source again and start the workflow anew")
	case errors.Is(err, bucket.ErrDenied):
		return final(Denied, err, "give the worker credentials that may read and write the bucket")
	case errors.Is(err, postgres.ErrDenied):
		return final(Denied, err, "ask an admin of the workspace for the role editor")
	case errors.Is(err, postgres.ErrNotFound):
		return final(WrongLibrary, err, "check the library with list_patterns, or mine into another one")
	case errors.As(err, &pg) && pg.Code == "42501": // insufficient_privilege, also a row level security policy
		return final(Denied, err, "ask an admin of the workspace for the role editor")
	case errors.As(err, &pg) && refused(pg.Code):
		return final(Refused, err, "run tartan doctor, and report this if the schema is current")
	}
	return temporal.NewApplicationErrorWithOptions(err.Error(), Unavailable, temporal.ApplicationErrorOptions{Cause: err})
}

// refused reports whether a SQLSTATE speaks of the data or the statement, not of the state of the server.
func refused(code string) bool {
	return strings.HasPrefix(code, "22") || strings.HasPrefix(code, "23") || strings.HasPrefix(code, "42")
}
