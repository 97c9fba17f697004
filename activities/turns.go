package activities

import (
	"context"
	"sync"

	"github.com/google/uuid"
)

// turns lets one commit of this process at a time into each library. The database would do the same with its row lock,
// but there each that waits holds a connection, and gives up after the lock timeout.
type turns struct {
	mu    sync.Mutex
	gates map[uuid.UUID]*gate
}

type gate struct {
	open  chan struct{} // holds a token while nobody is in
	users int           // those in and those waiting; at none the gate is dropped
}

// take waits for the turn and returns what ends it.
func (t *turns) take(ctx context.Context, id uuid.UUID) (leave func(), err error) {
	t.mu.Lock()
	if t.gates == nil {
		t.gates = map[uuid.UUID]*gate{}
	}
	g := t.gates[id]
	if g == nil {
		g = &gate{open: make(chan struct{}, 1)}
		g.open <- struct{}{}
		t.gates[id] = g
	}
	g.users++
	t.mu.Unlock()
	drop := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if g.users--; g.users == 0 {
			delete(t.gates, id)
		}
	}
	select {
	case <-g.open:
		return func() { g.open <- struct{}{}; drop() }, nil
	case <-ctx.Done():
		drop()
		return nil, ctx.Err()
	}
}
