package feed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/search"
	"github.com/tartan-ai/tartan/internal/pattern/embed"
	"github.com/tartan-ai/tartan/internal/postgres"
)

const (
	// maxSearched bounds the workspaces whose knowledge is indexed in memory.
	maxSearched = 16
	// indexHistory is how many replaced versions a space keeps for searches of earlier moments.
	indexHistory = 20_000
	// indexBatch is how many revisions are read at a time.
	indexBatch = 200
	// loadWithin bounds a load of an index, and of what is done in the background.
	loadWithin = 10 * time.Minute
)

// ErrLoading says that the index of a workspace is still being loaded.
var ErrLoading = errors.New("the index of the knowledge base is still being loaded")

// searches holds the indexes of the knowledge base by workspace. One is loaded on first use, from its snapshot if there is one,
// and then follows the outbox.
type searches struct {
	mu  sync.Mutex
	all map[uuid.UUID]*Searched
}

// Searched is the index of one workspace. It holds no text, and does not check who asks: a search names the spaces that
// may be read. All methods are safe for concurrent use.
type Searched struct {
	l         *Libraries
	workspace uuid.UUID
	loading   chan struct{} // one load at a time
	stale     atomic.Bool   // something was published since it was last brought up to date
	loaded    atomic.Bool
	used      atomic.Int64

	completing atomic.Bool // its vectors are being asked for
	index      *search.Index
	model      embed.Embedder // whose vectors the index has; nil for the built-in ones
	dimension  int            // of the vectors of model

	mu     sync.RWMutex
	load   *load
	spaces map[uuid.UUID]indexed
	saved  time.Time // of the last snapshot
	since  int       // revisions taken in since
}

// indexed says how far a space has been taken in.
type indexed struct {
	Name     string    `json:"name"`
	Revision int64     `json:"revision"`
	Change   uuid.UUID `json:"change"` // that the revision came with
}

func newSearched(l *Libraries, workspace uuid.UUID) *Searched {
	return &Searched{l: l, workspace: workspace, loading: make(chan struct{}, 1), spaces: map[uuid.UUID]indexed{}}
}

// load is a load that goes on, or the last one.
type load struct {
	done chan struct{}
	err  error // after done
}

// Searched returns the index of a workspace as far as it is known. On first use it is loaded, which goes on when the caller does not wait:
// after Options.Patience, the error is ErrLoading.
func (l *Libraries) Searched(ctx context.Context, workspace uuid.UUID) (*Searched, error) {
	s := l.searches.take(l, workspace)
	if s.loaded.Load() {
		return s, nil
	}
	patience := time.NewTimer(l.o.Patience)
	defer patience.Stop()
	at := s.begin(ctx)
	select {
	case <-at.done:
		return s, at.err
	case <-patience.C:
		return nil, ErrLoading
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// begin loads the index in the background, unless that goes on already.
func (s *Searched) begin(ctx context.Context) *load {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.load != nil {
		select {
		case <-s.load.done:
		default:
			return s.load
		}
	}
	at := &load{done: make(chan struct{})}
	s.load = at
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadWithin)
		defer cancel()
		at.err = s.refresh(ctx)
		close(at.done)
		if at.err != nil {
			s.l.log.Warn("knowledge not indexed", zap.Stringer("workspace_id", s.workspace), zap.Error(at.err))
			return
		}
		s.cutOld(ctx)
		s.complete(ctx)
	}()
	return at
}

// cutOld cuts entries into terms that were published before that was done with each publication, for the ranking in SQL.
func (s *Searched) cutOld(ctx context.Context) {
	s.mu.RLock()
	spaces := slices.Collect(maps.Keys(s.spaces))
	s.mu.RUnlock()
	for _, id := range spaces {
		for n := indexBatch; n == indexBatch; {
			err := postgres.AsService(ctx, s.l.pool, func(tx pgx.Tx) (err error) {
				n, err = postgres.IndexKnowledge(ctx, tx, s.workspace, id, indexBatch)
				return err
			})
			if err != nil {
				s.l.log.Warn("entries from before not indexed in the database", zap.Stringer("space", id), zap.Error(err))
				break
			}
		}
	}
}

func (a *searches) take(l *Libraries, workspace uuid.UUID) *Searched {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.all[workspace]
	if s == nil {
		if a.all == nil {
			a.all = map[uuid.UUID]*Searched{}
		}
		for len(a.all) >= maxSearched {
			oldest := uuid.Nil
			for id, one := range a.all {
				if oldest == uuid.Nil || one.used.Load() < a.all[oldest].used.Load() {
					oldest = id
				}
			}
			delete(a.all, oldest)
		}
		s = newSearched(l, workspace)
		a.all[workspace] = s
	}
	s.used.Store(l.tick.Add(1))
	return s
}

// Find searches the spaces named by their ids; what is given as Spaces in the request is not looked at. With a configured embedder, the vector
// of the query comes from it; where it gives none, the note says so, and words alone rank.
func (s *Searched) Find(ctx context.Context, readable []uuid.UUID, r search.Request) (hits []search.Hit, note string, err error) {
	if s.model != nil && r.Vector == nil && !r.LexicalOnly {
		r.Vector, note = s.vectorOf(ctx, r.Query.Text())
		r.LexicalOnly = r.Vector == nil
	} else if s.model == nil && s.l.o.Embedder != nil {
		note = "the likeness of meaning is the built-in one: " + s.l.o.Embedder.Name() + " gave no vectors"
	}
	s.mu.RLock()
	r.Spaces = r.Spaces[:0:0]
	for _, id := range readable {
		if at, ok := s.spaces[id]; ok {
			r.Spaces = append(r.Spaces, at.Name)
		}
	}
	s.mu.RUnlock()
	hits, err = s.index.Search(r)
	return hits, note, err
}

// WaitFor waits until a space has been taken in up to a revision, so that a caller finds what she has published. It asks the
// database itself and does not wait for the outbox; for a revision that is not committed yet it waits until ctx ends.
func (s *Searched) WaitFor(ctx context.Context, space uuid.UUID, revision int64) error {
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		s.mu.RLock()
		at := s.spaces[space].Revision
		s.mu.RUnlock()
		if at >= revision {
			return nil
		}
		s.stale.Store(true)
		if err := s.refresh(ctx); err != nil {
			return err
		}
		s.mu.RLock()
		at = s.spaces[space].Revision
		s.mu.RUnlock()
		if at >= revision {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// refresh takes in what the database has, unless that was done by the time it is this caller's turn.
func (s *Searched) refresh(ctx context.Context) error {
	if err := wait(ctx, s.loading); err != nil {
		return err
	}
	defer func() { <-s.loading }()
	first := !s.loaded.Load()
	if stale := s.stale.Swap(false); !first && !stale {
		return nil
	}
	if first {
		s.prepare(ctx)
		s.restore(ctx)
	}
	began := time.Now()
	n, err := s.advance(ctx)
	if err != nil {
		s.stale.Store(true)
		return fmt.Errorf("index the knowledge of workspace %s: %w", s.workspace, err)
	}
	if first {
		s.index.Compact()
		s.loaded.Store(true)
		s.l.log.Debug("knowledge indexed", zap.Stringer("workspace_id", s.workspace), zap.Int("entries", s.index.Len()), zap.Int("revisions", n),
			zap.Int64("duration_ms", time.Since(began).Milliseconds()))
	}
	s.since += n
	if first || s.since > saveAfter {
		s.l.searches.weigh(s.l.o.Grown)
	}
	s.save(first)
	return nil
}

// advance takes in what is new in each space and drops spaces that are gone.
func (s *Searched) advance(ctx context.Context) (n int, err error) {
	var spaces []postgres.Space
	err = postgres.ReadAsService(ctx, s.l.pool, func(tx pgx.Tx) error {
		spaces, err = postgres.Spaces(ctx, tx, s.workspace)
		return err
	})
	if err != nil {
		return 0, err
	}
	there := map[uuid.UUID]bool{}
	for _, sp := range spaces {
		there[sp.ID] = true
		got, err := s.advanceSpace(ctx, sp)
		if n += got; err != nil {
			return n, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.spaces, func(id uuid.UUID, at indexed) bool {
		if !there[id] {
			s.index.Drop(at.Name)
		}
		return !there[id]
	})
	return n, nil
}

func (s *Searched) advanceSpace(ctx context.Context, sp postgres.Space) (n int, err error) {
	s.mu.RLock()
	at, known := s.spaces[sp.ID]
	s.mu.RUnlock()
	if known && at.Revision > sp.Revision {
		s.l.log.Warn("space is older than in memory; indexing it anew", zap.String("space", sp.Name), zap.Int64("revision", sp.Revision), zap.Int64("in_memory", at.Revision))
		known = false
	}
	if !known {
		s.index.Drop(sp.Name)
		at = indexed{Name: sp.Name}
	}
	for first := true; first || at.Revision < sp.Revision; first = false {
		var revisions []postgres.Revision
		var texts map[string]string
		var vectors map[string][]float32
		if at.Revision < sp.Revision {
			err := postgres.ReadAsService(ctx, s.l.pool, func(tx pgx.Tx) (err error) {
				if revisions, err = postgres.RevisionsSince(ctx, tx, sp.ID, at.Revision, indexBatch); err != nil {
					return err
				}
				hashes := make([]string, 0, len(revisions))
				for _, r := range revisions {
					if !r.Deleted() {
						hashes = append(hashes, r.Hash)
					}
				}
				if texts, err = postgres.Bodies(ctx, tx, sp.ID, hashes); err == nil && s.model != nil {
					vectors, err = postgres.VectorsOf(ctx, tx, sp.ID, s.model.Name(), hashes)
				}
				return err
			})
			if err != nil {
				return n, err
			}
			if len(revisions) == 0 {
				return n, fmt.Errorf("space %s is at revision %d, and has nothing after %d", sp.Name, sp.Revision, at.Revision)
			}
		}
		for _, r := range revisions {
			if err := s.take(r, texts[r.Hash], vectors[r.Hash]); err != nil {
				s.l.log.Warn("revision not indexed", zap.String("entry", r.Address()), zap.Int("revision", r.Number), zap.Error(err))
			}
			at.Revision, at.Change = r.SpaceRevision, r.ChangeID
		}
		n += len(revisions)
		s.mu.Lock()
		s.spaces[sp.ID] = at
		s.mu.Unlock()
	}
	return n, nil
}

// take puts a revision in. A text that was destroyed is as good as deleted.
func (s *Searched) take(r postgres.Revision, text string, vector []float32) error {
	if text == "" {
		s.index.Delete(r.Space, r.Slug, r.RecordedAt)
		return nil
	}
	d, err := knowledge.Parse([]byte(text))
	if err != nil {
		return err
	}
	e := search.Of(d)
	e.Space, e.Slug, e.Revision, e.RecordedAt, e.Vector = r.Space, r.Slug, int64(r.Number), r.RecordedAt, vector
	if r.ValidFrom != nil {
		e.ValidFrom = *r.ValidFrom
	}
	if r.ValidTo != nil {
		e.ValidTo = *r.ValidTo
	}
	return s.index.Put(e)
}

// changed notes that something was published in a workspace, or in any of them.
func (a *searches) changed(workspace uuid.UUID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, s := range a.all {
		if workspace == uuid.Nil || id == workspace {
			s.stale.Store(true)
		}
	}
}

// weigh tells how much all indexes hold.
func (a *searches) weigh(tell func(bytes int64)) {
	if tell == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	sum := int64(0)
	for _, s := range a.all {
		if s.loaded.Load() {
			sum += s.index.Bytes()
		}
	}
	tell(sum)
}

// behind are the indexes to catch up.
func (a *searches) behind() (out []*Searched) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.all {
		if s.stale.Load() && s.loaded.Load() {
			out = append(out, s)
		}
	}
	return out
}

// catchUpSearches takes in what is known to be newer than what is served.
func (f *follower) catchUpSearches(ctx context.Context) {
	for _, s := range f.l.searches.behind() {
		within, cancel := context.WithTimeout(ctx, 20*time.Second)
		if err := s.refresh(within); err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			f.l.log.Warn("knowledge not indexed; trying again", zap.Stringer("workspace_id", s.workspace), zap.Error(err))
		}
		cancel()
		s.completeSoon(ctx)
	}
}
