package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/tools"
)

const (
	// listFor is how long a user's list of workspaces is kept. It only resolves names: the role is asked for on every call.
	listFor = 10 * time.Second
	// listStale is how long it serves while the database is away: recognizing goes on without it.
	listStale = 5 * time.Minute
	// maxUsers bounds the lists kept.
	maxUsers = 10_000
)

// members turns an identity into a caller with a role in one workspace.
type members struct {
	pool      *pgxpool.Pool
	libraries *feed.Libraries

	mu    sync.Mutex
	lists map[uuid.UUID]workspaceList
}

type workspaceList struct {
	all []postgres.Workspace
	at  time.Time
}

func newMembers(pool *pgxpool.Pool, libraries *feed.Libraries) *members {
	return &members{pool: pool, libraries: libraries, lists: map[uuid.UUID]workspaceList{}}
}

// call resolves the workspace that the identity means and the role in it. Its errors are *tools.Error or internal.
func (m *members) call(ctx context.Context, id Identity) (tools.Call, error) {
	if m.pool == nil {
		return tools.Call{}, &tools.Error{Kind: tools.Unavailable, Message: "this server has no database"}
	}
	user := id.Claims.Subject
	chosen, err := m.choose(ctx, id)
	if err != nil {
		return tools.Call{}, err
	}
	caller := access.Caller{UserID: user, WorkspaceID: chosen.ID}
	role, err := m.libraries.Role(ctx, caller)
	if errors.Is(err, postgres.ErrDenied) {
		m.forget(user)
		return tools.Call{}, notMember(chosen.Slug)
	}
	if err != nil {
		return tools.Call{}, err
	}
	return tools.Call{Caller: caller, Role: role, Workspace: chosen.Slug}, nil
}

func (m *members) choose(ctx context.Context, id Identity) (postgres.Workspace, error) {
	want := id.Workspace
	if pinned := id.Claims.WorkspaceID; pinned != uuid.Nil {
		if want != "" && want != pinned.String() {
			return postgres.Workspace{}, &tools.Error{Kind: tools.Denied, Message: "the token is good for one workspace only", Next: "Leave out " + WorkspaceHeader}
		}
		want = pinned.String()
	}
	list, fresh, err := m.list(ctx, id.Claims.Subject, false)
	if err != nil {
		return postgres.Workspace{}, err
	}
	found, err := pick(list, want)
	if err != nil && !fresh {
		if list, _, err = m.list(ctx, id.Claims.Subject, true); err != nil {
			return postgres.Workspace{}, err
		}
		found, err = pick(list, want)
	}
	return found, err
}

func pick(list []postgres.Workspace, want string) (postgres.Workspace, error) {
	if want != "" {
		i := slices.IndexFunc(list, func(w postgres.Workspace) bool { return w.Slug == want || w.ID.String() == want })
		if i < 0 {
			return postgres.Workspace{}, notMember(want)
		}
		return list[i], nil
	}
	switch len(list) {
	case 0:
		return postgres.Workspace{}, &tools.Error{Kind: tools.Denied, Message: "you are not a member of any workspace", Next: "Ask an admin to add you"}
	case 1:
		return list[0], nil
	}
	slugs := make([]string, len(list))
	for i, w := range list {
		slugs[i] = w.Slug
	}
	return postgres.Workspace{}, &tools.Error{
		Kind: tools.Invalid, Message: "you are a member of several workspaces: " + strings.Join(slugs[:min(len(slugs), 20)], ", "),
		Next: "Choose one with the header " + WorkspaceHeader + " or ?workspace= in the server's URL",
	}
}

func notMember(workspace string) *tools.Error {
	return &tools.Error{Kind: tools.Denied, Message: fmt.Sprintf("you are not a member of workspace %.64q", workspace), Next: "Check its name, or ask one of its admins"}
}

func (m *members) list(ctx context.Context, user uuid.UUID, reload bool) (all []postgres.Workspace, fresh bool, err error) {
	m.mu.Lock()
	known, ok := m.lists[user]
	m.mu.Unlock()
	// A reload at most once a second keeps a client with a wrong name from querying the database with every call.
	if age := time.Since(known.at); ok && (age < listFor && !reload || age < time.Second) {
		return known.all, age < time.Second, nil
	}
	if all, err = postgres.Workspaces(ctx, m.pool, user); err != nil {
		if ok && postgres.Unavailable(err) && time.Since(known.at) < listStale {
			return known.all, true, nil
		}
		return nil, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.lists) >= maxUsers {
		clear(m.lists)
	}
	m.lists[user] = workspaceList{all: all, at: time.Now()}
	return all, true, nil
}

func (m *members) forget(user uuid.UUID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.lists, user)
}
