package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
)

// EditLibraryInput asks for edits of the patterns of a library. They are made together or not at all.
type EditLibraryInput = activities.EditInput

// EditLibraryResult says what the edits made.
type EditLibraryResult = activities.Edited

// EditedPattern is a pattern after an edit.
type EditedPattern = activities.EditedPattern

// editLibrary is the name of the workflow type.
const editLibrary = "EditLibrary"

// EditLibrary edits the patterns of a library as a person says, once, however often it is interrupted: the ledger of edits
// knows its Workflow ID.
func EditLibrary(ctx workflow.Context, in EditLibraryInput) (*EditLibraryResult, error) {
	var edits *activities.Edits
	var out EditLibraryResult
	err := workflow.ExecuteActivity(on(ctx, activities.QueuePattern, summaryOf(in), time.Minute), edits.EditPatterns, in).Get(ctx, &out)
	if err != nil {
		return nil, failure(err)
	}
	return &out, nil
}

// summaryOf says in a few words what is to be edited.
func summaryOf(in EditLibraryInput) string {
	switch len(in.Edits) {
	case 0:
		return "nothing in " + in.Library
	case 1:
		return in.Edits[0].Action + " in " + in.Library
	}
	return in.Edits[0].Action + " and more in " + in.Library
}
