package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/tartan-ai/tartan/activities"
)

// ErrTooMuch is returned for edits that do not fit into a payload.
var ErrTooMuch = fmt.Errorf("the edits take more than %d bytes: make them in several batches", maxEdit)

const maxEdit = 60 << 10

// EditID returns the Workflow ID of editing a library under an idempotency key: edits under the same key are made once.
func EditID(workspace uuid.UUID, library, key string) string {
	return "edit/" + workspace.String() + "/" + library + "/" + key
}

// StartEdit starts EditLibrary under a key, which may be "" for an edit of its own, or finds the one that has the key: existed is
// true when it goes on or is complete. One that failed is started again. The error is ErrTooMuch or ErrUnavailable where
// these say more.
func StartEdit(ctx context.Context, c client.Client, in EditLibraryInput, key string) (id string, existed bool, err error) {
	if body, err := json.Marshal(in); err != nil || len(body) > maxEdit {
		return "", false, fmt.Errorf("start an edit of %s: %w", in.Library, errors.Join(ErrTooMuch, err))
	}
	if key == "" {
		key = uuid.NewString()
	}
	id = EditID(in.Caller.WorkspaceID, in.Library, key)
	_, existed, err = begin(ctx, c, EditLibrary, in, client.StartWorkflowOptions{ID: id, StaticSummary: summaryOf(in)})
	return id, existed, err
}

// Denied reports whether the caller was not allowed to.
func (f *Failure) Denied() bool { return f.Type == activities.Denied }

// Decided reports whether the same edit would be refused again, and not only be late.
func (f *Failure) Decided() bool {
	return f.Type != activities.Unavailable && f.Type != activities.Refused
}

// EditResult waits for the result of an edit. It returns nil without an error where the edit goes on after the time given, and a
// Failure where it was refused. The error is ErrNotFound or ErrUnavailable where these say more.
func EditResult(ctx context.Context, c client.Client, workflowID string, patience time.Duration) (*EditLibraryResult, *Failure, error) {
	return resultOf[EditLibraryResult](ctx, c, workflowID, patience)
}
