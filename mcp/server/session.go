package server

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

const (
	// sessionTTL is how long an idle session of the older protocol revisions is kept.
	sessionTTL = time.Hour
	// maxSessions bounds them; the least recently used one gives way.
	maxSessions = 10_000
)

var errNoSession = errors.New("no such session")

// sessions are those of the protocol revisions before 2026-07-28. A session belongs to the user who began it: its id alone opens
// nothing.
type sessions struct {
	mu  sync.Mutex
	now func() time.Time
	all map[string]*session
}

type session struct {
	user uuid.UUID
	used time.Time
}

func newSessions() *sessions { return &sessions{now: time.Now, all: map[string]*session{}} }

// ResolveSessionIdManager binds mcp-go's view of the sessions to the user of the request. Without a request, which is how mcp-go
// sweeps up, any session may be ended and none used.
func (s *sessions) ResolveSessionIdManager(r *http.Request) mcpserver.SessionIdManager {
	var user uuid.UUID
	if r != nil {
		if id, ok := identityOf(r.Context()); ok {
			user = id.Claims.Subject
		}
	}
	return &userSessions{all: s, user: user, sweep: r == nil}
}

// owns reports whether the session is the user's, and marks it as used.
func (s *sessions) owns(id string, user uuid.UUID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.all[id]
	if found == nil || found.user != user || user == uuid.Nil {
		return false
	}
	now := s.now()
	if now.Sub(found.used) > sessionTTL {
		delete(s.all, id)
		return false
	}
	found.used = now
	return true
}

func (s *sessions) begin(user uuid.UUID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if len(s.all) >= maxSessions {
		s.evict(now)
	}
	id := "tartan-" + uuid.NewString()
	s.all[id] = &session{user: user, used: now}
	return id
}

func (s *sessions) evict(now time.Time) {
	oldest, at := "", now
	for id, one := range s.all {
		if now.Sub(one.used) > sessionTTL {
			delete(s.all, id)
		} else if !one.used.After(at) {
			oldest, at = id, one.used
		}
	}
	if len(s.all) >= maxSessions {
		delete(s.all, oldest)
	}
}

func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, id)
}

type userSessions struct {
	all   *sessions
	user  uuid.UUID
	sweep bool
}

func (u *userSessions) Generate() string { return u.all.begin(u.user) }

func (u *userSessions) Validate(id string) (terminated bool, err error) {
	if !u.all.owns(id, u.user) {
		return false, errNoSession
	}
	return false, nil
}

func (u *userSessions) Terminate(id string) (notAllowed bool, err error) {
	if !u.sweep && !u.all.owns(id, u.user) {
		return false, errNoSession
	}
	u.all.end(id)
	return false, nil
}
