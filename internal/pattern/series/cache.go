package series

import (
	"container/list"
	"sync"
)

// Cache keeps the recognisers used last, by the key they were stored under, up to Limit bytes; the newest is kept
// whatever its size. It is safe for concurrent use.
type Cache struct {
	Limit int

	mu    sync.Mutex
	load  sync.Mutex // one at a time, so that memory is needed for one
	order list.List  // of *cached, the latest used first
	bytes int
}

type cached struct {
	key        string
	recogniser *Recogniser
	bytes      int
}

// Get returns the recogniser of a key, from memory or decoded from what read yields. It returns the error of read or
// that of Decode.
func (c *Cache) Get(key string, read func() ([]byte, error)) (*Recogniser, error) {
	if r := c.find(key); r != nil {
		return r, nil
	}
	c.load.Lock()
	defer c.load.Unlock()
	if r := c.find(key); r != nil {
		return r, nil
	}
	data, err := read()
	if err != nil {
		return nil, err
	}
	r, err := Decode(data)
	if err != nil {
		return nil, err
	}
	c.keep(key, r)
	return r, nil
}

func (c *Cache) find(key string) *Recogniser {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.order.Front(); e != nil; e = e.Next() {
		if entry, ok := e.Value.(*cached); ok && entry.key == key {
			c.order.MoveToFront(e)
			return entry.recogniser
		}
	}
	return nil
}

func (c *Cache) keep(key string, r *Recogniser) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry := &cached{key, r, r.Bytes()}
	c.order.PushFront(entry)
	c.bytes += entry.bytes
	for c.bytes > c.Limit && c.order.Len() > 1 {
		last := c.order.Remove(c.order.Back())
		if old, ok := last.(*cached); ok {
			c.bytes -= old.bytes
		}
	}
}

// Bytes is about how much memory the kept recognisers take.
func (c *Cache) Bytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}
