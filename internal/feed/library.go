package feed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// Entry is an immutable view of a library at a revision. Patterns and names are those of the revision; the numbers of
// lines in Library are as old as the last time shapes were loaded.
type Entry struct {
	Library  postgres.Library
	Revision int64
	Index    *template.Index
	Names    func(pattern.ID) string        // the name a person gave, or ""
	Notes    func(pattern.ID) postgres.Note // all that people say of a pattern

	notes map[pattern.ID]postgres.Note
}

// held is the place of one library. The entry may be read at any time; all else belongs to who holds the gate.
//
//	Learn     -- database row lock --> gate ......... Committed or Forget
//	refresh   -- loading --> connection --> gate
//
// Whoever waits for the gate has its connection already, and nobody who holds the gate waits for a connection or for
// the row lock of another: so there is no circle.
type held struct {
	id      uuid.UUID
	loading chan struct{} // one refresh at a time, so that many readers of a new library take one connection
	gate    chan struct{}
	entry   atomic.Pointer[Entry]
	want    atomic.Int64 // a revision known to exist
	size    atomic.Int64 // shapes in memory
	used    atomic.Int64

	// learning is whether Learn holds the gate. Committed, Forget and a learner that gives up on both take it over by
	// setting it to false.
	learning atomic.Bool

	lib      *template.Library // nil when it must be loaded anew
	row      postgres.Library  // as of revision
	revision int64             // of lib, without what is being learned
	changed  bool              // by what is being learned
	edited   bool              // by a person
	renamed  bool              // ... so that notes may have changed or moved
}

func newHeld(id uuid.UUID) *held {
	return &held{id: id, loading: make(chan struct{}, 1), gate: make(chan struct{}, 1)}
}

func (h *held) unlock()       { <-h.gate }
func (h *held) tryLock() bool { return try(h.gate) }

func try(gate chan struct{}) bool {
	select {
	case gate <- struct{}{}:
		return true
	default:
		return false
	}
}

func wait(ctx context.Context, gate chan struct{}) error {
	select {
	case gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// load brings lib to the row's revision through tx. It starts anew where advancing does not give the library that the
// writer had. Where even that gives another one, repair is what has to be changed in the database to make it so: the
// rule by which shapes make patterns has changed since, with the version of Tartan.
func (l *Libraries) load(ctx context.Context, tx pgx.Tx, h *held, row postgres.Library) (repair *template.Change, err error) {
	if h.lib != nil && h.revision > row.Revision {
		l.log.Warn("library is older than in memory; loading it anew", zap.Stringer("library_id", h.id),
			zap.Int64("revision", row.Revision), zap.Int64("in_memory", h.revision))
		h.lib = nil
	}
	if h.lib != nil {
		same, err := l.advance(ctx, tx, h, row)
		if err != nil || same {
			return nil, err
		}
		l.log.Debug("library in memory advanced to another one than the writer's; loading it anew", zap.Stringer("library_id", h.id), zap.Int64("revision", row.Revision))
	}
	h.lib = nil
	lib, err := empty(ctx, tx, row)
	if err != nil {
		return nil, err
	}
	lib.Load(postgres.EachShape(ctx, tx, h.id, 0, &err))
	if err != nil {
		return nil, err
	}
	if row.Revision > 0 && lib.Checksum() != row.Checksum {
		if lib, repair, err = relearn(ctx, tx, row); err != nil {
			return nil, err
		}
	}
	h.lib, h.row, h.revision = lib, row, row.Revision
	h.measure()
	l.tick.Add(1)
	if h.size.Load() >= manyShapes {
		debug.FreeOSMemory() // what loading took
	}
	return repair, nil
}

// manyShapes take so much memory to load that it is worth while to give it back at once.
const manyShapes = 20_000

// empty is the library of a row without its shapes.
func empty(ctx context.Context, tx pgx.Tx, row postgres.Library) (*template.Library, error) {
	lib := template.NewLibrary(template.Options{})
	if row.RulesRevision > 0 {
		rules, err := postgres.Rules(ctx, tx, row.ID)
		if err != nil {
			return nil, err
		}
		lib.SetRules(rules)
	}
	return lib, nil
}

// relearn loads a library that another version of Tartan made, and tells what is different now.
func relearn(ctx context.Context, tx pgx.Tx, row postgres.Library) (*template.Library, *template.Change, error) {
	lib, err := empty(ctx, tx, row)
	if err != nil {
		return nil, nil, err
	}
	stored, err := postgres.ShapesSince(ctx, tx, row.ID, 0)
	if err != nil {
		return nil, nil, err
	}
	stored = unfolded(stored)
	ch := lib.Learn(shapes(stored))
	ch.Patterns = lib.Patterns()
	return lib, difference(stored, ch), nil
}

// advance learns what came after h.revision, and reports whether that gave the row's library. A wide shape folds the
// narrow ones that it stands for here as it did for the writer.
func (l *Libraries) advance(ctx context.Context, tx pgx.Tx, h *held, row postgres.Library) (same bool, err error) {
	if h.revision == row.Revision {
		h.row = row
		return true, nil
	}
	if row.RulesRevision > h.revision {
		rules, err := postgres.Rules(ctx, tx, h.id)
		if err != nil {
			return false, err
		}
		h.lib.SetRules(rules)
	}
	var unread error
	h.lib.Load(postgres.EachShape(ctx, tx, h.id, h.revision, &unread))
	if unread != nil {
		h.lib = nil // it has learnt some of them
		return false, unread
	}
	if h.lib.Checksum() != row.Checksum {
		return false, nil
	}
	h.row, h.revision = row, row.Revision
	h.measure()
	return true, nil
}

func (h *held) measure() {
	n, _ := h.lib.Len()
	h.size.Store(int64(n))
}

// unfolded returns the shapes that stand for themselves.
func unfolded(stored []postgres.StoredShape) []postgres.StoredShape {
	return slices.DeleteFunc(stored, func(s postgres.StoredShape) bool { return s.FoldedInto != nil })
}

func shapes(stored []postgres.StoredShape) []template.Shape {
	out := make([]template.Shape, len(stored))
	for i, s := range stored {
		out[i] = template.Shape{ID: s.ID, Text: s.Text}
	}
	return out
}

// difference is the change from what is stored to what learning it from nothing gave.
func difference(stored []postgres.StoredShape, learned template.Change) *template.Change {
	d := &template.Change{Assigned: learned.Assigned, Patterns: learned.Patterns, Full: learned.Full}
	known, alive, heir := map[template.ShapeID]bool{}, map[pattern.ID]bool{}, map[pattern.ID]pattern.ID{}
	for _, p := range learned.Patterns {
		alive[p.ID] = true
	}
	for i, s := range stored {
		now := learned.Assigned[i]
		known[s.ID] = true
		switch {
		case now.Shape == template.Other:
			continue // it does not fit today's bound; its lines stay where they are
		case now.Shape != s.ID:
			d.Folded = append(d.Folded, template.Fold{From: s.ID, To: now.Shape})
		case now.Pattern != s.Pattern:
			d.Moved = append(d.Moved, template.Move{Shape: s.ID, Pattern: now.Pattern})
		}
		if next, ok := heir[s.Pattern]; !alive[s.Pattern] && (!ok || now.Pattern < next) {
			heir[s.Pattern] = now.Pattern
		}
	}
	for _, s := range learned.Added {
		if !known[s.ID] {
			d.Added = append(d.Added, s)
		}
	}
	for _, old := range slices.Sorted(maps.Keys(heir)) {
		d.Retired = append(d.Retired, template.Alias{Old: old, New: heir[old]})
	}
	return d
}

// publish lets readers see lib. The caller holds the gate.
func (h *held) publish(notes map[pattern.ID]postgres.Note) {
	row := h.row
	row.Revision = h.revision
	h.entry.Store(&Entry{
		Library: row, Revision: h.revision, Index: h.lib.Index(), notes: notes,
		Names: func(id pattern.ID) string { return notes[id].Name },
		Notes: func(id pattern.ID) postgres.Note { return notes[id] },
	})
}

// refresh loads what the database has, unless an entry of at least the revision is there by the time it is this
// caller's turn.
func (l *Libraries) refresh(ctx context.Context, h *held, revision int64) error {
	if err := wait(ctx, h.loading); err != nil {
		return err
	}
	defer func() { <-h.loading }()
	if e := h.entry.Load(); e != nil && e.Revision >= revision && revision >= h.want.Load() {
		return nil
	}
	err := postgres.ReadAsService(ctx, l.pool, func(tx pgx.Tx) error {
		if err := wait(ctx, h.gate); err != nil {
			return err
		}
		defer h.unlock()
		return l.reload(ctx, tx, h)
	})
	if errors.Is(err, postgres.ErrNotFound) {
		l.drop(h)
	}
	if err != nil {
		return fmt.Errorf("load library %s: %w", h.id, err)
	}
	l.evict(h)
	return nil
}

// reload brings lib and entry to what tx sees. The caller holds the gate.
func (l *Libraries) reload(ctx context.Context, tx pgx.Tx, h *held) error {
	row, err := postgres.LibraryByID(ctx, tx, h.id)
	if err != nil {
		return err
	}
	notes, err := postgres.PatternNotes(ctx, tx, h.id)
	if err != nil {
		return err
	}
	repair, err := l.load(ctx, tx, h, row)
	if err != nil {
		return err
	}
	if repair != nil {
		l.log.Warn("library was made by another version of Tartan; it is brought up to date when lines are next mined into it",
			zap.Stringer("library_id", h.id), zap.Int64("revision", row.Revision))
	}
	if h.want.Load() > h.revision {
		h.want.Store(h.revision) // told of by a database that has been restored since
	}
	h.publish(notes)
	return nil
}

// learnerPatience is how long a learner waits for the one before it to say Committed or Forget. The row lock proves
// that its transaction is over, so the word is due at once, unless its process forgot.
const learnerPatience = time.Second

// Learn brings the library to the locked revision through tx, learns the shapes and stores the checksum. The result
// is not served until Committed is called; Forget drops it. One of the two must follow a Learn that succeeded, after
// the transaction has ended.
func (l *Libraries) Learn(ctx context.Context, tx pgx.Tx, locked postgres.Library, shapes []template.Shape) (ch template.Change, err error) {
	h := l.take(locked.ID)
	if err := h.lockToLearn(ctx); err != nil {
		return ch, fmt.Errorf("learn: %w", err)
	}
	ch, err = l.learn(ctx, tx, h, locked, shapes)
	if err != nil {
		h.unlock()
		return ch, fmt.Errorf("learn: %w", err)
	}
	h.learning.Store(true)
	return ch, nil
}

// Edit brings the library to the locked revision through tx, has fn change it and stores the checksum. fn must store what
// it changes, and returns whether it changed anything, also with an error. As with Learn, Committed or Forget must follow an
// Edit that succeeded.
func (l *Libraries) Edit(ctx context.Context, tx pgx.Tx, locked postgres.Library, fn func(*template.Library) (touched bool, err error)) error {
	h := l.take(locked.ID)
	if err := h.lockToLearn(ctx); err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	touched, err := l.repaired(ctx, tx, h, locked)
	if err == nil {
		var more bool
		if more, err = fn(h.lib); err == nil {
			err = postgres.SaveChecksum(ctx, tx, h.id, h.lib.Checksum())
		}
		if err != nil && (touched || more) {
			h.lib = nil
		}
	}
	if err != nil {
		h.unlock()
		return err
	}
	h.changed, h.edited = true, true
	h.learning.Store(true)
	return nil
}

// repaired is load, and stores what has to be changed in the database.
func (l *Libraries) repaired(ctx context.Context, tx pgx.Tx, h *held, locked postgres.Library) (changed bool, err error) {
	repair, err := l.load(ctx, tx, h, locked)
	if err != nil || repair == nil {
		return false, err
	}
	// At the revision after this one, like all that this transaction changes.
	if _, err = postgres.SaveChange(ctx, tx, locked, *repair, "", time.Now()); err != nil {
		h.lib = nil
		return false, err
	}
	l.log.Info("library brought up to date with this version of Tartan", zap.Stringer("library_id", h.id),
		zap.Int("shapes_moved", len(repair.Moved)), zap.Int("patterns_retired", len(repair.Retired)))
	return true, nil
}

func (l *Libraries) learn(ctx context.Context, tx pgx.Tx, h *held, locked postgres.Library, shapes []template.Shape) (ch template.Change, err error) {
	repaired, err := l.repaired(ctx, tx, h, locked)
	if err != nil {
		return ch, err
	}
	ch = h.lib.Learn(shapes)
	h.edited = false
	h.renamed = len(ch.Retired) > 0 || repaired
	h.changed = repaired || len(ch.Added)+len(ch.Folded)+len(ch.Moved)+len(ch.Patterns)+len(ch.Retired) > 0
	if h.changed {
		if err = postgres.SaveChecksum(ctx, tx, h.id, h.lib.Checksum()); err != nil {
			h.lib = nil
		}
	}
	return ch, err
}

func (h *held) lockToLearn(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, learnerPatience)
	defer cancel()
	if wait(patience, h.gate) == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if h.learning.CompareAndSwap(true, false) {
		h.lib = nil // whether it was committed is unknown
		return nil
	}
	return wait(ctx, h.gate) // a refresh; it ends
}

// Learned is the index of a library with what is being learned, for who learns: between a Learn that succeeded and Committed or Forget. It is nil
// where the library was dropped meanwhile.
func (l *Libraries) Learned(libraryID uuid.UUID) *template.Index {
	h := (*l.held.Load())[libraryID]
	if h == nil || !h.learning.Load() || h.lib == nil {
		return nil
	}
	return h.lib.Index()
}

// Committed publishes what was learned: the transaction has committed at the revision.
func (l *Libraries) Committed(libraryID uuid.UUID, revision int64) {
	h := (*l.held.Load())[libraryID]
	if h == nil {
		return
	}
	raise(&h.want, revision)
	if !h.learning.CompareAndSwap(true, false) {
		return
	}
	defer h.unlock()
	if h.changed && revision != h.revision+1 {
		h.lib = nil // not the transaction that was learned in
		return
	}
	before := h.revision
	if h.changed {
		h.revision = revision
		h.measure()
	}
	// Notes are not learned but read. They are still good if nobody else changed the library since the entry was made
	// and none was edited or moved from a retired pattern to its heir; else the feed, or whoever waits, reads them with the rest.
	e := h.entry.Load()
	if h.changed && e != nil && e.Revision == before && !h.edited && (!h.renamed || len(e.notes) == 0) {
		h.publish(e.notes)
	}
}

// Forget drops what was learned: the transaction was rolled back, or nobody knows. Without a Learn it does nothing.
func (l *Libraries) Forget(libraryID uuid.UUID) {
	h := (*l.held.Load())[libraryID]
	if h == nil || !h.learning.CompareAndSwap(true, false) {
		return
	}
	if h.changed {
		h.lib = nil
	}
	h.unlock()
}

func raise(v *atomic.Int64, to int64) {
	for {
		old := v.Load()
		if old >= to || v.CompareAndSwap(old, to) {
			return
		}
	}
}
