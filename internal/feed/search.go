package feed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/search"
	"github.com/tartan-ai/tartan/internal/postgres"
)

const (
	// maxSearched bounds the workspaces whose knowledge is indexed in memory.
	maxSearched = 16
	// indexHistory is how many replaced versions a space keeps for searches of earlier moments.
	indexHistory = 20_000
	// indexBatch is how many revisions are read at a time.
	indexBatch = 200
)

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
	index     *search.Index

	mu     sync.RWMutex
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

// Searched returns the index of a workspace as far as it is known, loading it on first use.
func (l *Libraries) Searched(ctx context.Context, workspace uuid.UUID) (*Searched, error) {
	s := l.searches.take(l, workspace)
	if s.loaded.Load() {
		return s, nil
	}
	return s, s.refresh(ctx)
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
		s = &Searched{l: l, workspace: workspace, loading: make(chan struct{}, 1), index: search.New(search.Options{History: indexHistory}), spaces: map[uuid.UUID]indexed{}}
		a.all[workspace] = s
	}
	s.used.Store(l.tick.Add(1))
	return s
}

// Find searches the spaces named by their ids; what is given as Spaces in the request is not looked at.
func (s *Searched) Find(readable []uuid.UUID, r search.Request) ([]search.Hit, error) {
	s.mu.RLock()
	r.Spaces = r.Spaces[:0:0]
	for _, id := range readable {
		if at, ok := s.spaces[id]; ok {
			r.Spaces = append(r.Spaces, at.Name)
		}
	}
	s.mu.RUnlock()
	return s.index.Search(r)
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
				texts, err = postgres.Bodies(ctx, tx, sp.ID, hashes)
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
			if err := s.take(r, texts[r.Hash]); err != nil {
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
func (s *Searched) take(r postgres.Revision, text string) error {
	if text == "" {
		s.index.Delete(r.Space, r.Slug, r.RecordedAt)
		return nil
	}
	d, err := knowledge.Parse([]byte(text))
	if err != nil {
		return err
	}
	e := search.Entry{Space: r.Space, Slug: r.Slug, Revision: int64(r.Number), Type: d.Schema, Tags: tagsOf(d), Title: d.Title, Body: d.Body, RecordedAt: r.RecordedAt}
	if r.ValidFrom != nil {
		e.ValidFrom = *r.ValidFrom
	}
	if r.ValidTo != nil {
		e.ValidTo = *r.ValidTo
	}
	return s.index.Put(e)
}

func tagsOf(d knowledge.Document) (tags []string) {
	list, _ := d.Metadata["tags"].([]any)
	for _, t := range list {
		if tag, ok := t.(string); ok && tag != "" {
			tags = append(tags, tag)
		}
	}
	return tags
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
	}
}
