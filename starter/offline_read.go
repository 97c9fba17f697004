package main

import (
	"bytes"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// offlineBlock is how much of a stream one goroutine reads at a time.
const offlineBlock = 1 << 20

// offlineReader adds observations to an Offline: by itself on one processor, else with a goroutine for each. Where every line is an
// observation these read blocks of the stream; else one goroutine folds lines into observations and deals them out.
type offlineReader struct {
	offline
	now     time.Time
	workers []*offlineWorker
	number  int     // of the last block
	rows    []int32 // the observation of each line, if assignments are wanted

	continued, truncated, untimed int64
}

// offlineWorker adds the lines of a block.
type offlineWorker struct {
	noHeader bool
	shard    *template.Shard
	parser   *header.Parser
	block    *lines.Reader

	lines, truncated, untimed int64 // of the blocks
}

// timedBlock is a block of lines. A line without a time has that of the line before it, which may be in the block before.
type timedBlock struct {
	number int
	text   []byte
	before <-chan int64 // gives the time of the line before the block, once
	after  chan<- int64 // wants that of its last line
}

func newOfflineReader(mined *template.Offline, o offline, now time.Time) *offlineReader {
	r := &offlineReader{offline: o, now: now.UTC()}
	for range runtime.GOMAXPROCS(0) {
		r.workers = append(r.workers, &offlineWorker{
			noHeader: o.noHeader, shard: mined.Shard(), parser: header.NewParser(r.now), block: lines.NewBlockReader(maxLine),
		})
	}
	return r
}

// read adds every observation of one stream.
func (r *offlineReader) read(in io.Reader) error {
	plain, _, err := lines.Decompress(in)
	if err != nil {
		return err
	}
	defer plain.Close()
	single := r.observe.kind != activities.KindRecord && (r.noHeader || r.observe.noFold)
	switch {
	case len(r.workers) == 1:
		r.number++
		r.workers[0].shard.Begin(r.number)
		return r.observed(plain, r.workers[0].shard.Add)
	case single:
		return r.together(plain)
	}
	return r.dealt(plain)
}

// observed reads the observations of a stream in this goroutine.
func (r *offlineReader) observed(plain io.Reader, add func(message, text []byte, at int64)) error {
	at := r.now.UnixNano()
	in := newObserver(plain, r.observe, r.noHeader, r.now)
	observation := int32(-1)
	for in.Next() {
		x := &in.observation
		if x.header.HasTime {
			at = x.header.Time
		} else if !r.noHeader {
			r.untimed++
		}
		observation++
		if r.assignments != "" {
			for range x.lines {
				r.rows = append(r.rows, observation)
			}
		}
		r.continued += int64(x.lines - 1)
		add(x.header.Message, x.text, at)
	}
	r.truncated += in.truncated
	return in.Err()
}

// batch is observations one after the other, to be counted by another goroutine.
type batch struct {
	number int
	bytes  []byte
	items  []batchItem
}

type batchItem struct {
	message, text int // their lengths
	at            int64
}

// dealt reads the observations of a stream in this goroutine and deals batches of them to the workers.
func (r *offlineReader) dealt(plain io.Reader) error {
	free := make(chan *batch, 2*len(r.workers))
	for range cap(free) {
		free <- &batch{}
	}
	work := make(chan *batch, len(r.workers))
	var wg sync.WaitGroup
	for _, w := range r.workers {
		wg.Go(func() {
			for b := range work {
				w.count(b)
				free <- b
			}
		})
	}
	next := func() *batch {
		b := <-free
		r.number++
		b.number, b.bytes, b.items = r.number, b.bytes[:0], b.items[:0]
		return b
	}
	b := next()
	err := r.observed(plain, func(message, text []byte, at int64) {
		b.bytes = append(append(b.bytes, message...), text...)
		b.items = append(b.items, batchItem{len(message), len(text), at})
		if len(b.bytes) >= offlineBlock/2 {
			work <- b
			b = next()
		}
	})
	work <- b
	close(work)
	wg.Wait()
	return err
}

// count adds a batch.
func (w *offlineWorker) count(b *batch) {
	w.shard.Begin(b.number)
	rest := b.bytes
	for _, x := range b.items {
		w.shard.Add(rest[:x.message], rest[x.message:x.message+x.text], x.at)
		rest = rest[x.message+x.text:]
	}
}

// together deals the blocks of a stream to the workers. There are two buffers for each, so that one can be filled while the other is read.
func (r *offlineReader) together(plain io.Reader) error {
	free := make(chan []byte, 2*len(r.workers))
	for range cap(free) {
		free <- make([]byte, offlineBlock)
	}
	work := make(chan timedBlock, len(r.workers))
	var wg sync.WaitGroup
	for _, w := range r.workers {
		wg.Go(func() {
			for b := range work {
				w.read(&b)
				free <- b.text[:offlineBlock]
			}
		})
	}
	before := make(chan int64, 1)
	before <- r.now.UnixNano()
	blocks := lines.NewBlocks(plain, maxLine)
	for {
		text, ok := blocks.Next(<-free)
		if !ok {
			break
		}
		r.number++
		after := make(chan int64, 1)
		work <- timedBlock{number: r.number, text: text, before: before, after: after}
		before = after
	}
	close(work)
	wg.Wait()
	r.truncated, r.untimed = 0, 0
	total := int64(0)
	for _, w := range r.workers {
		total, r.truncated, r.untimed = total+w.lines, r.truncated+w.truncated, r.untimed+w.untimed
	}
	if r.assignments != "" {
		for i := range total {
			r.rows = append(r.rows, int32(i))
		}
	}
	return blocks.Err()
}

// read adds the lines of a block.
func (w *offlineWorker) read(b *timedBlock) {
	w.shard.Begin(b.number)
	if w.noHeader {
		at := <-b.before
		b.after <- at
		w.block.Reset(b.text)
		w.add(w.block, at)
		return
	}
	last, timed := w.lastTime(b.text)
	if timed {
		b.after <- last // the next block need not wait for this one to be read
	}
	at := <-b.before
	if !timed {
		b.after <- at
	}
	w.block.Reset(b.text)
	w.add(w.block, at)
}

// lastTime returns the time of the last line that has one.
func (w *offlineWorker) lastTime(text []byte) (at int64, ok bool) {
	for end := len(text); end > 0; {
		from := bytes.LastIndexByte(text[:end-1], '\n') + 1
		w.block.Reset(text[from:end])
		if line, _ := w.block.Next(); len(line) > 0 {
			if h := w.parser.Parse(line); h.HasTime {
				return h.Time, true
			}
		}
		end = from
	}
	return 0, false
}

// add adds the lines of a reader, of which the first has the time at unless it says another.
func (w *offlineWorker) add(in *lines.Reader, at int64) {
	for {
		text, ok := in.Next()
		if !ok {
			return
		}
		w.lines++
		if in.Truncated() {
			w.truncated++
		}
		if w.noHeader {
			w.shard.Add(text, text, at)
			continue
		}
		h := w.parser.Parse(text)
		if h.HasTime {
			at = h.Time
		} else {
			w.untimed++
		}
		w.shard.Add(h.Message, text, at)
	}
}
