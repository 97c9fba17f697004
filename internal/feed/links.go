package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// maxLinked bounds the workspaces whose links are in memory.
const maxLinked = 1000

// links holds, by workspace, which entries of the knowledge base are about which pattern. A workspace is loaded on first use and
// then follows the outbox.
type links struct {
	mu  sync.Mutex
	all map[uuid.UUID]*linked
}

// linked is the place of one workspace.
type linked struct {
	workspace uuid.UUID
	loading   chan struct{} // one load at a time
	stale     atomic.Bool   // something was published since the view was made
	view      atomic.Pointer[linkView]
}

// linkView is immutable.
type linkView struct {
	spaces map[uuid.UUID]spaceLinks
	about  map[string]map[pattern.ID][]*postgres.LinkedEntry // by name of the library, then by the id in the link

	mu      sync.Mutex
	aliases map[patternRef]heir // of ids that are no patterns
}

// heir is the pattern that a former id means, as found when last asked; "" where it means none.
type heir struct {
	id pattern.ID
	at time.Time
}

// askAgain is how long an id that means nothing is believed to: it may be mined, and retired, in between.
const askAgain = 10 * time.Second

type patternRef struct {
	library uuid.UUID
	id      pattern.ID
}

type spaceLinks struct {
	revision int64
	entries  map[uuid.UUID][]postgres.LinkedEntry
}

// Linked is what a caller may know about the patterns of a library. The zero value knows nothing.
type Linked struct {
	readable map[uuid.UUID]bool
	about    map[pattern.ID][]*postgres.LinkedEntry
}

// About returns the entries that link to the pattern, those published last first.
func (l Linked) About(id pattern.ID) (found []*postgres.LinkedEntry) {
	for _, e := range l.about[id] {
		if l.readable[e.SpaceID] {
			found = append(found, e)
		}
	}
	return found
}

// Linked returns what the caller may know about the patterns of a library, from memory. Links to ids that a pattern had before
// are followed; lives says which ids are those of patterns now. While the database is away it goes on with what is in memory.
func (l *Libraries) Linked(ctx context.Context, caller access.Caller, library postgres.Library, lives func(pattern.ID) bool) (Linked, error) {
	view, err := l.linkView(ctx, caller.WorkspaceID)
	if err != nil {
		return Linked{}, err
	}
	ids := view.about[library.Name]
	if len(ids) == 0 {
		return Linked{}, nil
	}
	readable, err := l.Readable(ctx, caller)
	if err != nil {
		return Linked{}, err
	}
	about, err := l.today(ctx, view, library, lives, ids)
	return Linked{readable: readable, about: about}, err
}

// Lives says whether an id is that of a pattern now.
func (e *Entry) Lives(id pattern.ID) bool {
	_, ok := e.Index.Pattern(id)
	return ok
}

// today turns ids in links into those that patterns have now. Only ids that are no patterns are asked for, once each.
func (l *Libraries) today(ctx context.Context, view *linkView, library postgres.Library, lives func(pattern.ID) bool, ids map[pattern.ID][]*postgres.LinkedEntry) (map[pattern.ID][]*postgres.LinkedEntry, error) {
	var retired, unknown []pattern.ID
	view.mu.Lock()
	defer view.mu.Unlock()
	for id := range ids {
		if lives(id) {
			continue
		}
		retired = append(retired, id)
		h, ok := view.aliases[patternRef{library.ID, id}]
		if !ok || h.id != "" && !lives(h.id) || h.id == "" && time.Since(h.at) > askAgain {
			unknown = append(unknown, id)
		}
	}
	if len(retired) == 0 {
		return ids, nil
	}
	if len(unknown) > 0 {
		err := postgres.ReadAsService(ctx, l.pool, func(tx pgx.Tx) error {
			rows, err := postgres.PatternsByID(ctx, tx, library.ID, unknown)
			for _, id := range unknown {
				view.aliases[patternRef{library.ID, id}] = heir{rows[id].ID, time.Now()}
			}
			return err
		})
		if err != nil && !postgres.Unavailable(err) {
			return nil, fmt.Errorf("follow links to former patterns of %s: %w", library.Name, err)
		}
	}
	out := maps.Clone(ids)
	for _, id := range retired {
		if now := view.aliases[patternRef{library.ID, id}].id; now != "" {
			out[now] = latestFirst(append(slices.Clone(out[now]), ids[id]...))
		}
	}
	return out, nil
}

func latestFirst(entries []*postgres.LinkedEntry) []*postgres.LinkedEntry {
	slices.SortStableFunc(entries, func(a, b *postgres.LinkedEntry) int { return b.RecordedAt.Compare(a.RecordedAt) })
	return entries
}

func (l *Libraries) linkView(ctx context.Context, workspace uuid.UUID) (*linkView, error) {
	h := l.links.take(workspace)
	if view := h.view.Load(); view != nil {
		return view, nil
	}
	return l.refreshLinks(ctx, h)
}

func (l *Libraries) refreshLinks(ctx context.Context, h *linked) (*linkView, error) {
	if err := wait(ctx, h.loading); err != nil {
		return nil, err
	}
	defer func() { <-h.loading }()
	view := h.view.Load()
	if stale := h.stale.Swap(false); view != nil && !stale {
		return view, nil
	}
	next, err := l.loadLinks(ctx, h.workspace, view)
	if err != nil {
		h.stale.Store(true)
		return nil, err
	}
	h.view.Store(next)
	return next, nil
}

func (l *links) take(workspace uuid.UUID) *linked {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.all[workspace]
	if h == nil {
		if l.all == nil || len(l.all) >= maxLinked {
			l.all = map[uuid.UUID]*linked{}
		}
		h = &linked{workspace: workspace, loading: make(chan struct{}, 1)}
		l.all[workspace] = h
	}
	return h
}

// changed notes that something was published in a workspace, or in any of them.
func (l *links) changed(workspace uuid.UUID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, h := range l.all {
		if workspace == uuid.Nil || id == workspace {
			h.stale.Store(true)
		}
	}
}

// behind are the workspaces to catch up.
func (l *links) behind() (out []*linked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.all {
		if h.stale.Load() && h.view.Load() != nil {
			out = append(out, h)
		}
	}
	return out
}

// loadLinks reads the links of a workspace, going on from before, which may be nil.
func (l *Libraries) loadLinks(ctx context.Context, workspace uuid.UUID, before *linkView) (*linkView, error) {
	next := &linkView{spaces: map[uuid.UUID]spaceLinks{}, aliases: map[patternRef]heir{}}
	err := postgres.ReadAsService(ctx, l.pool, func(tx pgx.Tx) error {
		spaces, err := postgres.Spaces(ctx, tx, workspace)
		if err != nil {
			return err
		}
		for _, s := range spaces {
			var old spaceLinks
			if before != nil {
				old = before.spaces[s.ID]
			}
			if next.spaces[s.ID], err = advanceLinks(ctx, tx, s, old); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load the links of workspace %s to patterns: %w", workspace, err)
	}
	if before != nil {
		before.mu.Lock()
		maps.Copy(next.aliases, before.aliases)
		before.mu.Unlock()
	}
	next.arrange()
	return next, nil
}

// advanceLinks is what a space links to now. A space that went back in time or moved far is read anew.
func advanceLinks(ctx context.Context, tx pgx.Tx, s postgres.Space, old spaceLinks) (spaceLinks, error) {
	const far = 1000
	if old.entries != nil && old.revision == s.Revision {
		return old, nil
	}
	out := spaceLinks{revision: s.Revision, entries: map[uuid.UUID][]postgres.LinkedEntry{}}
	var changed []uuid.UUID
	if old.entries != nil && old.revision < s.Revision {
		revisions, err := postgres.RevisionsSince(ctx, tx, s.ID, old.revision, far)
		if err != nil {
			return out, err
		}
		if len(revisions) < far {
			maps.Copy(out.entries, old.entries)
			changed = []uuid.UUID{}
			for _, r := range revisions {
				delete(out.entries, r.EntryID)
				changed = append(changed, r.EntryID)
			}
		}
	}
	found, err := postgres.LinkedToPatterns(ctx, tx, s.ID, changed)
	for _, f := range found {
		out.entries[f.EntryID] = append(out.entries[f.EntryID], f)
	}
	return out, err
}

// arrange sorts the links by library and pattern.
func (v *linkView) arrange() {
	v.about = map[string]map[pattern.ID][]*postgres.LinkedEntry{}
	for _, s := range v.spaces {
		for _, entries := range s.entries {
			for i := range entries {
				e := &entries[i]
				library, id, ok := strings.Cut(strings.TrimPrefix(e.Target, "pattern:"), "/")
				if !ok {
					continue
				}
				if v.about[library] == nil {
					v.about[library] = map[pattern.ID][]*postgres.LinkedEntry{}
				}
				v.about[library][pattern.ID(id)] = append(v.about[library][pattern.ID(id)], e)
			}
		}
	}
	for _, ids := range v.about {
		for id := range ids {
			latestFirst(ids[id])
		}
	}
}

// published takes in that something changed in a space: what is in it, or who may read it.
func (f *follower) published(e postgres.Event) {
	space, err := uuid.Parse(e.Key)
	var change struct {
		Access bool `json:"access"`
	}
	if err == nil {
		err = json.Unmarshal(e.Payload, &change)
	}
	if err != nil {
		f.l.log.Warn("event of a space is not understood", zap.Error(err))
		return
	}
	f.l.links.changed(e.WorkspaceID)
	f.l.searches.changed(e.WorkspaceID)
	if change.Access || !f.spaces[space] { // a new space may be one that all may read
		f.spaces[space] = true
		f.l.spaces.forgetIf(func(c access.Caller) bool { return c.WorkspaceID == e.WorkspaceID })
	}
}

// catchUpLinks loads what is known to be newer than what is served.
func (f *follower) catchUpLinks(ctx context.Context) {
	for _, h := range f.l.links.behind() {
		within, cancel := context.WithTimeout(ctx, 20*time.Second)
		if _, err := f.l.refreshLinks(within, h); err != nil && ctx.Err() == nil {
			f.l.log.Warn("links to patterns not refreshed; trying again", zap.Stringer("workspace_id", h.workspace), zap.Error(err))
		}
		cancel()
	}
}
