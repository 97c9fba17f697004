package server

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/tools"
)

const (
	// maxWatched bounds the resources that one session subscribes to.
	maxWatched = 100
	// settle is how long changes are gathered before subscribers are told: mining commits many chunks a second.
	settle = 300 * time.Millisecond
)

// watchers knows who subscribed to which resource. mcp-go's own fan-out goes by address alone, and two workspaces may use the same
// addresses; here each subscriber's resource is read again as that subscriber, and they are told only if what they see has changed.
type watchers struct {
	server *Server
	wake   chan struct{}

	mu      sync.Mutex
	all     map[watchKey]*watched
	changed map[uuid.UUID]bool // workspaces with changes not told yet
}

type watchKey struct {
	session mcpserver.ClientSession
	listen  string // the id of a subscriptions/listen request, "" for resources/subscribe
	uri     string
}

type watched struct {
	id        Identity
	workspace uuid.UUID
	listen    any
	last      []byte
}

func newWatchers(s *Server) *watchers {
	return &watchers{server: s, wake: make(chan struct{}, 1), all: map[watchKey]*watched{}, changed: map[uuid.UUID]bool{}}
}

// note is the feed's subscriber: it only takes notes.
func (w *watchers) note(e postgres.Event) {
	if e.Topic == postgres.TopicMember {
		if user, err := uuid.Parse(e.Key); err == nil {
			w.server.members.forget(user)
		}
		return
	}
	w.mu.Lock()
	if len(w.all) > 0 {
		w.changed[e.WorkspaceID] = true
	}
	waiting := len(w.changed) > 0
	w.mu.Unlock()
	if waiting {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (w *watchers) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(settle):
		}
		for key, one := range w.due() {
			w.tell(ctx, key, one)
		}
	}
}

// due takes the subscriptions in workspaces that have changed.
func (w *watchers) due() map[watchKey]watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[watchKey]watched{}
	for key, one := range w.all {
		if w.changed[one.workspace] {
			out[key] = *one
		}
	}
	clear(w.changed)
	return out
}

func (w *watchers) tell(ctx context.Context, key watchKey, one watched) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if one.id.Agent != nil {
		if _, err := w.server.verify(ctx, one.id.token); err != nil {
			return // revoked since
		}
	}
	c, err := w.server.members.call(ctx, one.id)
	if err != nil {
		return
	}
	text, err := w.server.readAs(ctx, c, key.uri)
	if err != nil || bytes.Equal(text, one.last) {
		return
	}
	w.mu.Lock()
	if now := w.all[key]; now != nil {
		now.last = text
	}
	w.mu.Unlock()
	params := mcp.NotificationParams{AdditionalFields: map[string]any{"uri": key.uri}}
	if one.listen != nil {
		params.Meta = map[string]any{mcp.MetaKeySubscriptionID: one.listen}
	}
	n := mcp.JSONRPCNotification{JSONRPC: mcp.JSONRPC_VERSION, Notification: mcp.Notification{Method: mcp.MethodNotificationResourceUpdated, Params: params}}
	select {
	case key.session.NotificationChannel() <- n:
	default: // a client that does not read misses it; the resource itself is never stale
	}
}

// add records a subscription whose resource the router has found readable.
func (w *watchers) add(ctx context.Context, key watchKey, listen any) bool {
	id, ok := identityOf(ctx)
	if !ok || !tools.IsResource(key.uri) {
		return false
	}
	c, err := w.server.members.call(ctx, id)
	if err != nil {
		return false
	}
	text, err := w.server.readAs(ctx, c, key.uri)
	if err != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	count := 0
	for k := range w.all {
		if k.session == key.session {
			count++
		}
	}
	if count >= maxWatched && w.all[key] == nil {
		return false
	}
	w.all[key] = &watched{id: id, workspace: c.Caller.WorkspaceID, listen: listen, last: text}
	return true
}

func (w *watchers) remove(match func(watchKey) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.all {
		if match(key) {
			delete(w.all, key)
		}
	}
}

// hook lets the watchers see subscriptions come and go.
func (s *Server) hook(h *mcpserver.Hooks) {
	h.AddAfterSubscribe(func(ctx context.Context, _ any, m *mcp.SubscribeRequest, _ *mcp.EmptyResult) {
		s.watch.add(ctx, watchKey{session: mcpserver.ClientSessionFromContext(ctx), uri: m.Params.URI}, nil)
	})
	h.AddAfterUnsubscribe(func(ctx context.Context, _ any, m *mcp.UnsubscribeRequest, _ *mcp.EmptyResult) {
		gone := watchKey{session: mcpserver.ClientSessionFromContext(ctx), uri: m.Params.URI}
		s.watch.remove(func(k watchKey) bool { return k == gone })
	})
	h.AddOnUnregisterSession(func(_ context.Context, session mcpserver.ClientSession) {
		s.watch.remove(func(k watchKey) bool { return k.session == session })
	})
	h.AddBeforeSubscriptionsListen(func(ctx context.Context, id any, m *mcp.SubscriptionsListenRequest) {
		session, listen := mcpserver.ClientSessionFromContext(ctx), string(must(json.Marshal(id)))
		for _, uri := range m.Params.Notifications.ResourceSubscriptions {
			s.watch.add(ctx, watchKey{session: session, listen: listen, uri: uri}, id)
		}
		context.AfterFunc(ctx, func() {
			s.watch.remove(func(k watchKey) bool { return k.session == session && k.listen == listen })
		})
	})
}
