package activities

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/edit"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// Edits are the activities of agent.pattern that change patterns as people say.
type Edits struct {
	Pool      *pgxpool.Pool
	Libraries *feed.Libraries
}

// MaxEdits bounds a batch.
const MaxEdits = 100

// EditInput asks for edits of the patterns of a library, all or none.
type EditInput struct {
	Caller  access.Caller `json:"caller"`
	Library string        `json:"library"`
	Edits   []edit.Edit   `json:"edits"`
	Reason  string        `json:"reason,omitempty"`
	Base    int64         `json:"base,omitempty"` // the revision that the edits were decided on; 0 is any
}

// Edited is what the ledger holds of a batch.
type Edited struct {
	LibraryID uuid.UUID    `json:"library_id"`
	Revision  int64        `json:"revision"` // of the library, to wait for
	Edits     []EditedItem `json:"edits"`
	Already   bool         `json:"already,omitempty"` // the batch had been made before
}

// EditedItem is one edit that was made.
type EditedItem struct {
	Number   int64           `json:"number"`
	Action   string          `json:"action"`
	Patterns []EditedPattern `json:"patterns"` // what it made or was about, as they are now; at most maxEdited
}

// EditedPattern is a pattern after an edit.
type EditedPattern struct {
	ID       pattern.ID `json:"id"`
	Template string     `json:"template"`
	Lines    int64      `json:"lines"`
	// CountedSince is since when its lines are told apart by a value that shapes mask; zero for patterns that need none.
	CountedSince time.Time `json:"counted_since,omitzero"`
}

// maxEdited bounds the patterns in a result, which Temporal keeps.
const maxEdited = 64

// EditPatterns makes edits in one transaction. Edits of a workflow that are in the ledger were made before: nothing is
// changed, and the ledger tells the result. So it does not matter how often it is called, or whether an answer was lost.
func (p *Edits) EditPatterns(ctx context.Context, in EditInput) (*Edited, error) {
	var alive progress
	defer alive.beating(ctx)()
	if err := in.check(); err != nil {
		return nil, err
	}
	out, changed := &Edited{}, false
	err := postgres.InWorkspace(ctx, p.Pool, in.Caller, func(tx pgx.Tx) error {
		lib, err := in.lock(ctx, tx)
		if err != nil {
			return err
		}
		ledger, err := postgres.Edits(ctx, tx, lib.ID)
		if err != nil {
			return err
		}
		out.LibraryID = lib.ID
		made := ledger.Of(activity.GetInfo(ctx).WorkflowExecution.ID)
		after := ledger
		if out.Already = len(made) > 0; !out.Already {
			if in.Base > 0 && in.Base != lib.Revision {
				return final(StaleRevision, nil, fmt.Sprintf("the library is at revision %d, not %d: look at it again and decide anew", lib.Revision, in.Base))
			}
			made, err = p.make(ctx, tx, lib, ledger, in)
			after, changed = slices.Concat(ledger, made), err == nil
		}
		if err == nil {
			err = out.tell(ctx, tx, made, after)
		}
		return err
	})
	switch {
	case changed && err != nil:
		p.Libraries.Forget(out.LibraryID)
	case changed:
		p.Libraries.Committed(out.LibraryID, out.Revision)
	}
	if err != nil {
		return nil, typed("edit library "+in.Library, err)
	}
	activity.GetLogger(ctx).Debug("patterns edited", "library_id", out.LibraryID, "edits", len(out.Edits))
	return out, nil
}

func (in EditInput) check() error {
	if err := checkLibraryName(in.Library); err != nil {
		return err
	}
	if n := len(in.Edits); n == 0 || n > MaxEdits {
		return final(EditRefused, nil, fmt.Sprintf("give 1 to %d edits at a time", MaxEdits))
	}
	if len(in.Reason) > edit.MaxDescription {
		return final(EditRefused, nil, fmt.Sprintf("the reason is longer than %d bytes", edit.MaxDescription))
	}
	return nil
}

// lock finds and locks the library. One's own patterns may be the first in it.
func (in EditInput) lock(ctx context.Context, tx pgx.Tx) (lib postgres.Library, err error) {
	if slices.ContainsFunc(in.Edits, func(e edit.Edit) bool { return e.Action != edit.Define }) {
		lib, err = postgres.LibraryByName(ctx, tx, in.Caller.WorkspaceID, in.Library)
	} else {
		lib, err = postgres.EnsureLibrary(ctx, tx, in.Caller.WorkspaceID, in.Library, KindLines)
	}
	if err != nil {
		return lib, err
	}
	return postgres.LockLibrary(ctx, tx, lib.ID)
}

// make applies the edits one after the other, each to the library that those before it made.
func (p *Edits) make(ctx context.Context, tx pgx.Tx, lib postgres.Library, ledger edit.Ledger, in EditInput) (made edit.Ledger, err error) {
	if lib.Kind != KindLines && lib.Kind != KindRecord {
		return say(ctx, tx, lib, ledger, in)
	}
	at := time.Now().UTC().Truncate(time.Microsecond) // as the database keeps it
	err = p.Libraries.Edit(ctx, tx, lib, func(l *template.Library) (touched bool, err error) {
		for seq, e := range in.Edits {
			if err := resolve(ctx, tx, lib.ID, &e); err != nil {
				return touched, err
			}
			entry, change, err := edit.Apply(l, ledger, e)
			if err != nil {
				return touched, inBatch(err, seq, len(in.Edits))
			}
			touched = true
			in.sign(ctx, &entry, seq, at)
			ledger = append(ledger, entry)
			revision, err := postgres.SaveEdit(ctx, tx, lib, ledger, change)
			if err != nil {
				return touched, err
			}
			entry.Revision = revision
			made = append(made, entry)
		}
		return touched, nil
	})
	return made, err
}

// say makes edits of a library of texts or series, whose patterns have no templates.
func say(ctx context.Context, tx pgx.Tx, lib postgres.Library, ledger edit.Ledger, in EditInput) (made edit.Ledger, err error) {
	at := time.Now().UTC().Truncate(time.Microsecond)
	of := edit.Library{Kind: lib.Kind}
	if of.Versions, err = postgres.SeriesVersions(ctx, tx, lib.ID); err != nil {
		return nil, err
	}
	for seq, e := range in.Edits {
		if err := resolve(ctx, tx, lib.ID, &e); err != nil {
			return nil, err
		}
		rows, err := postgres.PatternsByID(ctx, tx, lib.ID, e.Patterns)
		if err != nil {
			return nil, err
		}
		of.Has = func(id pattern.ID) bool { return rows[id].State == postgres.StateActive }
		entry, err := edit.Say(of, ledger, e)
		if err != nil {
			return nil, inBatch(err, seq, len(in.Edits))
		}
		in.sign(ctx, &entry, seq, at)
		ledger = append(ledger, entry)
		if entry.Revision, err = postgres.SaveEdit(ctx, tx, lib, ledger, template.Change{}); err != nil {
			return nil, err
		}
		made = append(made, entry)
	}
	return made, nil
}

// sign says who made an entry, why and when.
func (in EditInput) sign(ctx context.Context, e *edit.Entry, seq int, at time.Time) {
	e.Author, e.Reason, e.WorkflowID, e.Seq, e.At = in.Caller.UserID, in.Reason, activity.GetInfo(ctx).WorkflowExecution.ID, seq, at
}

func inBatch(err error, seq, of int) error {
	if of > 1 {
		return fmt.Errorf("edit %d of %d: %w", seq+1, of, err)
	}
	return err
}

var patternForm = regexp.MustCompile(`^p[0-9a-f]{16}$`)

// resolve makes the ids in an edit those of today, and forgets doubles.
func resolve(ctx context.Context, tx pgx.Tx, library uuid.UUID, e *edit.Edit) error {
	ids := slices.Clone(e.Patterns)
	into := e.Action == edit.Merge && patternForm.MatchString(e.Template)
	if into {
		ids = append(ids, pattern.ID(e.Template))
	}
	if len(ids) == 0 {
		return nil
	}
	found, err := postgres.PatternsByID(ctx, tx, library, ids)
	if err != nil {
		return err
	}
	for i, id := range ids {
		if row, ok := found[id]; ok {
			ids[i] = row.ID
		}
	}
	if into {
		e.Template = string(ids[len(ids)-1])
		ids = ids[:len(ids)-1]
	}
	e.Patterns = nil
	for _, id := range ids {
		if !slices.Contains(e.Patterns, id) {
			e.Patterns = append(e.Patterns, id)
		}
	}
	return nil
}

// tell adds the edits that were made, with their patterns as they are now. ledger is that of the library with them.
func (out *Edited) tell(ctx context.Context, tx pgx.Tx, made, ledger edit.Ledger) error {
	left := maxEdited
	for _, e := range made {
		item := EditedItem{Number: e.Number, Action: e.Edit.Action, Patterns: []EditedPattern{}}
		ids := slices.Clone(e.Subjects)
		if len(e.Rules) > 0 {
			ids = nil
			for _, r := range e.Rules {
				ids = append(ids, r.Target.ID)
			}
		}
		rows, err := postgres.PatternsByID(ctx, tx, out.LibraryID, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			row, ok := rows[id]
			if !ok || row.State != postgres.StateActive || left == 0 || slices.ContainsFunc(item.Patterns, func(p EditedPattern) bool { return p.ID == row.ID }) {
				continue
			}
			left--
			item.Patterns = append(item.Patterns, EditedPattern{ID: row.ID, Template: clip(row.Template, 400), Lines: row.Lines, CountedSince: ledger.CountedSince(row.ID)})
		}
		out.Edits, out.Revision = append(out.Edits, item), e.Revision
	}
	return nil
}

// clip cuts a text to about n bytes, at the end of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "..."
}

// editFault is the type and advice of an error of editing, if it is one.
func editFault(err error) (kind, advice string) {
	switch {
	case errors.Is(err, edit.ErrNeeded):
		return EditNeeded, "list_edits or tartan patterns history shows them"
	case errors.Is(err, edit.ErrRefused), errors.Is(err, template.ErrRule):
		return EditRefused, "nothing was changed"
	}
	return "", ""
}
