package feed

import (
	"context"
	"errors"
	"fmt"
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
	Names    func(pattern.ID) string // the name a person gave, or ""

	names map[pattern.ID]string
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
	retired  bool              // ... which retired patterns, so that names may have moved
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

// load brings lib to the row's revision through tx. It starts anew where it must: after a fold, because narrow shapes
// leave, and where the result is not what the writer had.
func (l *Libraries) load(ctx context.Context, tx pgx.Tx, h *held, row postgres.Library) error {
	if h.lib != nil && h.revision > row.Revision {
		l.log.Warn("library is older than in memory; loading it anew", zap.Stringer("library_id", h.id),
			zap.Int64("revision", row.Revision), zap.Int64("in_memory", h.revision))
		h.lib = nil
	}
	if h.lib != nil {
		same, err := l.advance(ctx, tx, h, row)
		if err != nil || same {
			return err
		}
		l.log.Warn("library in memory differs from the database; loading it anew", zap.Stringer("library_id", h.id), zap.Int64("revision", row.Revision))
	}
	h.lib, h.revision = nil, 0
	lib := template.NewLibrary(template.Options{})
	stored, err := postgres.ShapesSince(ctx, tx, h.id, 0)
	if err != nil {
		return err
	}
	shapes, _ := unfolded(stored)
	lib.Learn(shapes)
	h.lib, h.row, h.revision = lib, row, row.Revision
	h.size.Store(int64(len(shapes)))
	l.tick.Add(1)
	if sum := lib.Checksum(); row.Revision > 0 && sum != row.Checksum {
		// Both were made by the same rule from the same shapes, so the rule differs: another version of Tartan.
		l.log.Error("library loads to another checksum than its writer stored", zap.Stringer("library_id", h.id),
			zap.Int64("revision", row.Revision), zap.Uint64("checksum", sum), zap.Uint64("stored", row.Checksum))
	}
	return nil
}

// advance learns what came after h.revision, and reports whether that gave the row's library.
func (l *Libraries) advance(ctx context.Context, tx pgx.Tx, h *held, row postgres.Library) (same bool, err error) {
	if h.revision == row.Revision {
		h.row = row
		return true, nil
	}
	stored, err := postgres.ShapesSince(ctx, tx, h.id, h.revision)
	if err != nil {
		return false, err
	}
	shapes, folded := unfolded(stored)
	if folded {
		return false, nil
	}
	h.lib.Learn(shapes)
	if h.lib.Checksum() != row.Checksum {
		return false, nil
	}
	h.row, h.revision = row, row.Revision
	n, _ := h.lib.Len()
	h.size.Store(int64(n))
	return true, nil
}

// unfolded returns the shapes that stand for themselves, and whether there were others.
func unfolded(stored []postgres.StoredShape) (shapes []template.Shape, folded bool) {
	shapes = make([]template.Shape, 0, len(stored))
	for _, s := range stored {
		if s.FoldedInto != nil {
			folded = true
			continue
		}
		shapes = append(shapes, template.Shape{ID: s.ID, Text: s.Text})
	}
	return shapes, folded
}

// publish lets readers see lib. The caller holds the gate.
func (h *held) publish(names map[pattern.ID]string) {
	row := h.row
	row.Revision = h.revision
	h.entry.Store(&Entry{
		Library: row, Revision: h.revision, Index: h.lib.Index(), names: names,
		Names: func(id pattern.ID) string { return names[id] },
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
	names, err := postgres.PatternNames(ctx, tx, h.id)
	if err != nil {
		return err
	}
	if err := l.load(ctx, tx, h, row); err != nil {
		return err
	}
	if h.want.Load() > h.revision {
		h.want.Store(h.revision) // told of by a database that has been restored since
	}
	h.publish(names)
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
	if err := l.load(ctx, tx, h, locked); err != nil {
		h.unlock()
		return ch, fmt.Errorf("learn: %w", err)
	}
	ch = h.lib.Learn(shapes)
	h.changed = len(ch.Added)+len(ch.Folded)+len(ch.Moved)+len(ch.Patterns)+len(ch.Retired) > 0
	h.retired = len(ch.Retired) > 0
	if h.changed {
		if err := postgres.SaveChecksum(ctx, tx, h.id, h.lib.Checksum()); err != nil {
			h.lib = nil
			h.unlock()
			return template.Change{}, fmt.Errorf("learn: %w", err)
		}
	}
	h.learning.Store(true)
	return ch, nil
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
		n, _ := h.lib.Len()
		h.size.Store(int64(n))
	}
	// Names are not learned but read. They are still good if nobody else changed the library since the entry was made
	// and no name moved from a retired pattern to its heir; else the feed, or whoever waits, reads them with the rest.
	e := h.entry.Load()
	if h.changed && e != nil && e.Revision == before && (!h.retired || len(e.names) == 0) {
		h.publish(e.names)
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
