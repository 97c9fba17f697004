package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/edit"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// Edits returns all edits of the library by number.
func Edits(ctx context.Context, q Querier, libraryID uuid.UUID) (edit.Ledger, error) {
	rows, _ := q.Query(ctx, `
		select number, payload, subjects, rules, created, noted, coalesce(undoes, 0), author, reason, workflow_id, seq, revision, created_at
		from tartan.library_edits where library_id = $1 order by number`, libraryID)
	ledger, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e edit.Entry, err error) {
		var subjects, created []string
		var payload, rules []byte
		if err = row.Scan(&e.Number, &payload, &subjects, &rules, &created, &e.Noted, &e.Undoes, &e.Author, &e.Reason, &e.WorkflowID, &e.Seq, &e.Revision, &e.At); err != nil {
			return e, err
		}
		e.Subjects, e.Created, e.At = idsOf(subjects), idsOf(created), e.At.UTC()
		if err = json.Unmarshal(payload, &e.Edit); err == nil {
			err = json.Unmarshal(rules, &e.Rules)
		}
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read edits of library %s: %w", libraryID, known(err))
	}
	return ledger, nil
}

// Rules returns the rules of the edits that hold.
func Rules(ctx context.Context, q Querier, libraryID uuid.UUID) ([]template.Rule, error) {
	ledger, err := Edits(ctx, q, libraryID)
	return ledger.Rules(), err
}

// CountedSince is edit.Ledger.CountedSince of a pattern of the library.
func CountedSince(ctx context.Context, q Querier, libraryID uuid.UUID, p PatternRow) (time.Time, error) {
	if p.Origin == pattern.Mined {
		return time.Time{}, nil
	}
	ledger, err := Edits(ctx, q, libraryID)
	return ledger.CountedSince(p.ID), err
}

func idsOf(texts []string) []pattern.ID {
	var out []pattern.ID
	for _, t := range texts {
		out = append(out, pattern.ID(t))
	}
	return out
}

// SaveEdit stores an edit with what it changed: the entry, notes, shapes, patterns and their versions, aliases, and the
// outbox event of the library at the revision, which it returns. ledger is that of the library with the entry at its end.
// Several edits in one transaction make one revision. The library must be locked by LockLibrary in the same transaction.
func SaveEdit(ctx context.Context, tx pgx.Tx, lib Library, ledger edit.Ledger, ch template.Change) (revision int64, err error) {
	e := ledger[len(ledger)-1]
	c, err := plan(lib, ch, e.WorkflowID, e.At)
	if err == nil {
		c.edited = true
		err = c.look(ctx, tx)
	}
	if err == nil {
		err = saveEntry(ctx, tx, lib, e, c.revision)
	}
	if err == nil {
		err = c.notes(ctx, tx, ledger, e)
	}
	if err == nil {
		err = c.save(ctx, tx)
	}
	if err == nil && lib.Kind == "series" {
		var versions int
		if versions, err = SeriesVersions(ctx, tx, lib.ID); err == nil {
			err = answerWith(ctx, tx, lib, c.revision, ledger.InUse(versions))
		}
	}
	if err == nil && len(e.Rules)+int(e.Undoes) > 0 {
		_, err = tx.Exec(ctx, `update tartan.libraries set rules_revision = $2 where id = $1`, lib.ID, c.revision)
	}
	if err == nil {
		err = AppendOutbox(ctx, tx, lib.WorkspaceID, TopicLibrary, lib.ID.String(), LibraryChange{Revision: c.revision})
	}
	if err != nil {
		return 0, fmt.Errorf("save edit %d of library %s: %w", e.Number, lib.Name, known(err))
	}
	return c.revision, nil
}

func saveEntry(ctx context.Context, tx pgx.Tx, lib Library, e edit.Entry, revision int64) error {
	payload, err := json.Marshal(e.Edit)
	if err != nil {
		return err
	}
	rules := []byte("[]")
	if len(e.Rules) > 0 {
		if rules, err = json.Marshal(e.Rules); err != nil {
			return err
		}
	}
	var undoes *int64
	if e.Undoes > 0 {
		undoes = &e.Undoes
	}
	_, err = tx.Exec(ctx, `insert into tartan.library_edits (workspace_id, library_id, number, workflow_id, seq, action, payload, rules, subjects, created,
			noted, undoes, author, reason, revision, created_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		lib.WorkspaceID, lib.ID, e.Number, e.WorkflowID, e.Seq, e.Edit.Action, payload, rules, patternIDs(e.Subjects), patternIDs(e.Created),
		string(e.Noted), undoes, e.Author, stored(e.Reason), revision, e.At)
	return err
}

// notes stores the notes that the entry may have changed. Patterns show them when the change is saved.
func (c *change) notes(ctx context.Context, tx pgx.Tx, ledger edit.Ledger, e edit.Entry) error {
	for _, id := range ledger.Noted(e) {
		n := ledger.NoteOf(id)
		if n.Empty() {
			if _, err := tx.Exec(ctx, `delete from tartan.pattern_notes where library_id = $1 and pattern_id = $2`, c.lib.ID, id); err != nil {
				return err
			}
			continue
		}
		c.said = append(c.said, saidOf{id, n})
	}
	return nil
}

// saidOf is a note to store, once its pattern is.
type saidOf struct {
	id   pattern.ID
	note edit.Note
}

func (c *change) say(b *pgx.Batch) {
	for _, s := range c.said {
		var tags []byte
		if s.note.Tags != nil {
			tags, _ = json.Marshal(*s.note.Tags) // strings cannot fail
			if *s.note.Tags == nil {
				tags = []byte("[]")
			}
		}
		b.Queue(`insert into tartan.pattern_notes (workspace_id, library_id, pattern_id, name, description, tags, owner, severity, ignored)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			on conflict (library_id, pattern_id) do update set name = excluded.name, description = excluded.description, tags = excluded.tags,
				owner = excluded.owner, severity = excluded.severity, ignored = excluded.ignored`,
			c.lib.WorkspaceID, c.lib.ID, string(s.id), s.note.Name, s.note.Description, tags, s.note.Owner, s.note.Severity, s.note.Ignored)
	}
}

// ListEdits says which edits to list.
type ListEdits struct {
	Library uuid.UUID
	Pattern pattern.ID // only edits about this pattern or one of its aliases; "" is all
	Before  int64      // only edits with lower numbers; 0 is all
	Limit   int        // 1 to 1,000; 0 is 50
}

// EditRow is an edit as it stands now.
type EditRow struct {
	edit.Entry
	Undone   bool
	Undoable bool
}

// ListedEdits returns edits, the latest first, and the number to go on before, 0 on the last page.
func ListedEdits(ctx context.Context, q Querier, l ListEdits) (rows []EditRow, next int64, err error) {
	ledger, err := Edits(ctx, q, l.Library)
	if err != nil {
		return nil, 0, err
	}
	about := func(edit.Entry) bool { return true }
	if l.Pattern != "" {
		p, err := PatternByID(ctx, q, l.Library, l.Pattern)
		if err != nil {
			return nil, 0, err
		}
		ids := map[pattern.ID]bool{p.ID: true, l.Pattern: true}
		for _, id := range p.Aliases {
			ids[id] = true
		}
		about = func(e edit.Entry) bool { return e.About(ids) }
	}
	live := ledger.Live()
	for i := len(ledger) - 1; i >= 0; i-- {
		e := ledger[i]
		if l.Before > 0 && e.Number >= l.Before || !about(e) {
			continue
		}
		if len(rows) == pageSize(l.Limit) {
			return rows, rows[len(rows)-1].Number, nil
		}
		rows = append(rows, EditRow{Entry: e, Undone: !live[e.Number], Undoable: ledger.Undoable(e.Number) == nil})
	}
	return rows, 0, nil
}
