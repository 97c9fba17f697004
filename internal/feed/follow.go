package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// Run follows the outbox until ctx ends, and returns ctx's error. It outlives restarts of the database: it remembers
// its position and compares everything it holds each time it comes back.
func (l *Libraries) Run(ctx context.Context) error {
	f := follower{l: l, spaces: map[uuid.UUID]bool{}}
	const first, last = 20 * time.Millisecond, 250 * time.Millisecond
	for pause := first; ctx.Err() == nil; {
		began := time.Now()
		err := f.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > time.Second {
			pause = first
			l.log.Warn("lost the change feed; connecting again", zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
		pause = min(2*pause, last)
	}
	return ctx.Err()
}

// follower is the one reader of the outbox.
type follower struct {
	l        *Libraries
	position postgres.Position
	placed   bool
	spaces   map[uuid.UUID]bool // that were told of
}

const (
	batch = 500
	// Events are read within milliseconds; a process that was cut off for longer compares revisions when it is back.
	keepEvents = 24 * time.Hour
	trimEvery  = time.Hour
)

// follow reads from one connection until it breaks.
func (f *follower) follow(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, f.l.pool.Config().ConnConfig.Copy())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "set role service_role; set statement_timeout = '20s'; listen "+postgres.OutboxChannel); err != nil {
		return err
	}
	end, err := postgres.OutboxEnd(ctx, conn)
	if err != nil {
		return err
	}
	if !f.placed || end.XID < f.position.XID { // the database was replaced by an earlier one
		f.position, f.placed = end, true
		f.l.roles.clear() // what changed before the position is never told
		f.l.spaces.clear()
		f.l.agents.clear()
	}
	if err := f.reconcile(ctx, conn); err != nil {
		return err
	}
	f.l.log.Info("change feed connected")
	next, trim := time.Now().Add(f.l.o.Reconcile), time.Now().Add(trimEvery)
	for quiet := time.Duration(0); ; {
		n, err := f.drain(ctx, conn)
		if err != nil {
			return err
		}
		f.catchUp(ctx)
		if time.Now().After(next) {
			if err := f.reconcile(ctx, conn); err != nil {
				return err
			}
			next = time.Now().Add(f.l.o.Reconcile)
		}
		if time.Now().After(trim) {
			if _, err := postgres.TrimOutbox(ctx, conn, time.Now().Add(-keepEvents)); err != nil {
				return err
			}
			trim = time.Now().Add(trimEvery)
		}
		// A wake-up may come while an older transaction still hides the event: look again soon, then ever later.
		if quiet = min(2*quiet, f.l.o.Poll); n > 0 || quiet == 0 {
			quiet = 5 * time.Millisecond
		}
		woken, err := f.sleep(ctx, conn, quiet)
		if err != nil {
			return err
		}
		if woken {
			quiet = 0
		}
	}
}

// sleep waits for a notification, but not longer than d.
func (f *follower) sleep(ctx context.Context, conn *pgx.Conn, d time.Duration) (woken bool, err error) {
	nap, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if _, err = conn.WaitForNotification(nap); err == nil {
		return true, nil
	}
	if ctx.Err() == nil && nap.Err() != nil && !conn.IsClosed() {
		return false, nil
	}
	return false, err
}

// drain takes in all events that can be read now.
func (f *follower) drain(ctx context.Context, conn *pgx.Conn) (n int, err error) {
	for {
		events, err := postgres.ReadOutbox(ctx, conn, f.position, batch)
		if err != nil {
			return n, err
		}
		for _, e := range events {
			f.take(e)
		}
		if len(events) > 0 {
			// Subscribers read what changed as soon as they are told, so the libraries come first.
			f.catchUp(ctx)
			for _, e := range events {
				f.l.tell(e)
			}
			f.position = events[len(events)-1].Position
		}
		n += len(events)
		if len(events) < batch {
			return n, nil
		}
	}
}

func (f *follower) take(e postgres.Event) {
	switch e.Topic {
	case postgres.TopicLibrary:
		id, err := uuid.Parse(e.Key)
		h := (*f.l.held.Load())[id]
		if err != nil || h == nil {
			return
		}
		var change postgres.LibraryChange
		if err := json.Unmarshal(e.Payload, &change); err != nil {
			f.l.log.Warn("event of a library is not understood", zap.Error(err))
		}
		raise(&h.want, change.Revision)
	case postgres.TopicMember:
		if user, err := uuid.Parse(e.Key); err == nil {
			f.l.roles.forget(access.Caller{UserID: user, WorkspaceID: e.WorkspaceID})
			f.l.spaces.forget(access.Caller{UserID: user, WorkspaceID: e.WorkspaceID})
		}
	case postgres.TopicAgent:
		f.l.agents.clear()
	case postgres.TopicKnowledge:
		f.published(e)
	case postgres.TopicModel:
		f.l.routers.told(e.WorkspaceID)
	}
}

// catchUp loads what is known to be newer than what is served. What is being learned in this process is left to
// Committed, or to the next round.
func (f *follower) catchUp(ctx context.Context) {
	f.catchUpLinks(ctx)
	f.catchUpSearches(ctx)
	for _, h := range *f.l.held.Load() {
		e := h.entry.Load()
		if e == nil || e.Revision >= h.want.Load() || h.learning.Load() {
			continue
		}
		within, cancel := context.WithTimeout(ctx, 20*time.Second)
		if err := f.l.refresh(within, h, h.want.Load()); err != nil && ctx.Err() == nil {
			f.l.log.Warn("library not refreshed; trying again", zap.Stringer("library_id", h.id), zap.Error(err))
		}
		cancel()
	}
}

// reconcile compares all that is held with the database: a library that is behind is caught up, one that is ahead or
// has another checksum at the same revision is loaded anew, one that is gone is dropped.
func (f *follower) reconcile(ctx context.Context, conn *pgx.Conn) error {
	all := *f.l.held.Load()
	ids := make([]uuid.UUID, 0, len(all))
	for id := range all {
		ids = append(ids, id)
	}
	rows, err := postgres.LibrariesByID(ctx, conn, ids)
	if err != nil {
		return fmt.Errorf("reconcile: %w", err)
	}
	found := make(map[uuid.UUID]postgres.Library, len(rows))
	for _, row := range rows {
		found[row.ID] = row
	}
	for id, h := range all {
		row, ok := found[id]
		if !ok {
			if h.entry.Load() != nil {
				f.l.drop(h)
			}
			continue
		}
		f.compare(h, row)
	}
	f.l.links.changed(uuid.Nil)
	f.l.searches.changed(uuid.Nil)
	f.l.routers.told(uuid.Nil)
	f.catchUp(ctx)
	return nil
}

func (f *follower) compare(h *held, row postgres.Library) {
	raise(&h.want, row.Revision)
	if !h.tryLock() {
		return // in use; the next time will do
	}
	defer h.unlock()
	switch {
	case h.lib == nil || h.revision < row.Revision:
		return // want says so already
	case h.revision == row.Revision && (row.Revision == 0 || h.lib.Checksum() == row.Checksum):
		return
	case h.revision == row.Revision:
		f.l.log.Warn("library in memory differs from the database; loading it anew", zap.Stringer("library_id", h.id),
			zap.Int64("revision", row.Revision))
		h.lib = nil
	}
	// Here also when more was committed since the row was read, or the database went back in time: load finds out.
	h.want.Add(1) // more than is served, so that catchUp loads; reload sets it right
}
