// Package feed keeps pattern libraries in memory and up to date by following the outbox. What it serves is never older
// than what a caller has waited for. It holds no SQL and knows no transport.
package feed

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern/embed"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// Options bound what is held and say how often to look.
type Options struct {
	// MaxLibraries and MaxShapes bound the libraries in memory; the one in use is kept whatever its size.
	MaxLibraries int   // 0 is 64
	MaxShapes    int64 // over all libraries; 0 is 400,000
	// Poll is the longest time between two looks at the outbox, for when a NOTIFY went lost.
	Poll time.Duration // 0 is 250 ms
	// Reconcile is the time between two comparisons of everything held with the database.
	Reconcile time.Duration // 0 is 30 s
	// Snapshots is the folder in which indexes of the knowledge base are kept over restarts; "" keeps none.
	Snapshots string
	// Embedder makes the vectors of the knowledge base; nil is the built-in one.
	Embedder embed.Embedder
	// Grown is told how many bytes all indexes of the knowledge base hold, each time that one has been loaded or has grown much; nil tells nobody.
	Grown func(bytes int64)
	// Patience is how long a search waits for an index that is being loaded.
	Patience time.Duration // 0 is 500 ms
}

func (o Options) withDefaults() Options {
	if o.MaxLibraries <= 0 {
		o.MaxLibraries = 64
	}
	if o.MaxShapes <= 0 {
		o.MaxShapes = 400_000
	}
	if o.Poll <= 0 {
		o.Poll = 250 * time.Millisecond
	}
	if o.Reconcile <= 0 {
		o.Reconcile = 30 * time.Second
	}
	if o.Patience <= 0 {
		o.Patience = 500 * time.Millisecond
	}
	return o
}

// Libraries holds the libraries that were asked for, the least recently used ones dropped when there are too many.
// All methods are safe for concurrent use.
type Libraries struct {
	pool *pgxpool.Pool
	log  *zap.Logger
	o    Options

	held     atomic.Pointer[map[uuid.UUID]*held] // copied when it changes, so that finding an entry takes no lock
	tick     atomic.Int64                        // advances with every load: the clock of "least recently used"
	roles    rights[access.Caller, access.Role]
	spaces   rights[access.Caller, map[uuid.UUID]bool] // of the knowledge base that one may read
	links    links
	searches searches
	routers  routers
	agents   rights[string, access.Kept] // by the prefix of a token

	mu       sync.Mutex // guards changes of held, and what follows
	watchers map[int]func(postgres.Event)
	next     int
}

// NewLibraries returns an empty set that loads from the pool. Without Run it serves and learns, but is told of no
// change made elsewhere.
func NewLibraries(pool *pgxpool.Pool, log *zap.Logger) *Libraries {
	return NewLibrariesWith(pool, log, Options{})
}

// NewLibrariesWith is NewLibraries with other bounds.
func NewLibrariesWith(pool *pgxpool.Pool, log *zap.Logger, o Options) *Libraries {
	l := &Libraries{pool: pool, log: log.Named("feed"), o: o.withDefaults(), watchers: map[int]func(postgres.Event){}}
	l.held.Store(&map[uuid.UUID]*held{})
	return l
}

// Subscribe calls fn with every event, in order, after the libraries have taken it in. fn must return quickly, and
// must not call cancel.
func (l *Libraries) Subscribe(fn func(postgres.Event)) (cancel func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.next
	l.next++
	l.watchers[n] = fn
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.watchers, n)
	}
}

func (l *Libraries) tell(e postgres.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fn := range l.watchers {
		fn(e)
	}
}

// Entry returns the library as far as it is known, loading it on first use. It does not check who asks. While the
// database is away it goes on serving what is in memory. A library that does not exist is postgres.ErrNotFound.
func (l *Libraries) Entry(ctx context.Context, libraryID uuid.UUID) (*Entry, error) {
	if h := (*l.held.Load())[libraryID]; h != nil {
		if e := h.entry.Load(); e != nil {
			l.touch(h)
			return e, nil
		}
	}
	return l.WaitFor(ctx, libraryID, 0)
}

// WaitFor returns the library at the revision or later, so that a caller sees its own write. It asks the database
// itself and does not wait for the outbox; for a revision that is not committed yet it waits until ctx ends.
func (l *Libraries) WaitFor(ctx context.Context, libraryID uuid.UUID, revision int64) (*Entry, error) {
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		h := l.take(libraryID)
		if e := h.entry.Load(); e != nil && e.Revision >= revision {
			return e, nil
		}
		if err := l.refresh(ctx, h, revision); err != nil {
			return nil, err
		}
		if e := h.entry.Load(); e != nil && e.Revision >= revision {
			return e, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// The bounds of Warm: a few MB, in a fraction of a second.
const (
	warmShapes    = 20_000
	warmLibraries = 8
	warmPatience  = 5 * time.Second
)

// Warm loads the libraries that changed last, so that the first who asks for one of them does not wait for it, nor for a connection
// to the database. Large ones, and what fails, are left to who asks. It takes at most some seconds.
func (l *Libraries) Warm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, warmPatience)
	defer cancel()
	var recent []postgres.Library
	err := postgres.ReadAsService(ctx, l.pool, func(tx pgx.Tx) (err error) {
		recent, err = postgres.LibrariesChangedLast(ctx, tx, warmLibraries)
		return err
	})
	shapes := int64(0)
	for _, lib := range recent {
		if shapes+lib.Shapes > warmShapes || err != nil {
			continue
		}
		shapes += lib.Shapes
		_, err = l.Entry(ctx, lib.ID)
	}
	if err != nil {
		l.log.Warn("libraries not loaded ahead", zap.Error(err))
	}
}

func (l *Libraries) touch(h *held) {
	if t := l.tick.Load(); h.used.Load() != t {
		h.used.Store(t)
	}
}

// take returns what is held of the library, making an empty place for it.
func (l *Libraries) take(libraryID uuid.UUID) *held {
	h := (*l.held.Load())[libraryID]
	if h == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		old := *l.held.Load()
		if h = old[libraryID]; h == nil {
			h = newHeld(libraryID)
			all := maps.Clone(old)
			all[libraryID] = h
			l.held.Store(&all)
		}
	}
	l.touch(h)
	return h
}

// drop removes the places, unless another has been made for the library since.
func (l *Libraries) drop(gone ...*held) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := maps.Clone(*l.held.Load())
	for _, h := range gone {
		if all[h.id] == h {
			delete(all, h.id)
		}
	}
	l.held.Store(&all)
}

// evict drops the least recently used libraries until the rest fits. One that is being learned or loaded stays, and
// so does keep.
func (l *Libraries) evict(keep *held) {
	all := maps.Clone(*l.held.Load())
	var shapes int64
	for _, h := range all {
		shapes += h.size.Load()
	}
	for len(all) > l.o.MaxLibraries || shapes > l.o.MaxShapes {
		var oldest *held
		for _, h := range all {
			if h != keep && (oldest == nil || h.used.Load() < oldest.used.Load()) {
				oldest = h
			}
		}
		if oldest == nil {
			return
		}
		delete(all, oldest.id)
		if !oldest.tryLock() {
			continue
		}
		shapes -= oldest.size.Load()
		l.drop(oldest)
		oldest.unlock()
		l.log.Debug("library dropped from memory", zap.Stringer("library_id", oldest.id))
	}
}
