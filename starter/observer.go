package main

import (
	"io"
	"time"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/pattern/event"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
	"github.com/tartan-ai/tartan/internal/pattern/multiline"
)

// observing says what an observation is.
type observing struct {
	kind   string // of the library; "" is lines
	noFold bool   // each line is one
}

func (o observing) check() error {
	if o.kind != "" && o.kind != activities.KindLines && o.kind != activities.KindRecord {
		return usage("--kind is %s or %s, not %s", activities.KindLines, activities.KindRecord, o.kind)
	}
	return nil
}

// observation is a line with those that go on with it, or an event.
type observation struct {
	header header.Header
	text   []byte
	lines  int
}

// observer reads the observations of a stream. Its observation is valid until the next call of Next.
type observer struct {
	observation
	r         *lines.Reader
	parser    *header.Parser   // nil if lines are bare messages
	events    *event.Flattener // nil for lines
	folds     bool
	folder    multiline.Folder
	records   [2]multiline.Record // the one being read, and the one that was
	front     header.Header       // of the one being read
	open      bool
	truncated int64
}

func newObserver(in io.Reader, o observing, noHeader bool, now time.Time) *observer {
	r := &observer{folds: !o.noFold && !noHeader && o.kind != activities.KindRecord}
	limit := maxLine
	if o.kind == activities.KindRecord {
		in, limit, r.events = event.Lines(in), event.MaxLine, &event.Flattener{}
	}
	if !noHeader || r.events != nil {
		r.parser = header.NewParser(now)
	}
	r.r = lines.NewReader(in, limit)
	return r
}

// Next reads the next observation and reports whether there was one.
func (r *observer) Next() bool {
	for {
		line, ok := r.r.Next()
		if !ok {
			return r.flush()
		}
		if r.r.Truncated() {
			r.truncated++
		}
		h := header.Header{Message: line}
		if r.parser != nil {
			h = r.parser.Parse(line)
		}
		if r.events != nil {
			h.Message = r.events.Message(line, h)
		}
		if !r.folds {
			r.observation = observation{h, line, 1}
			return true
		}
		at := r.r.Offset()
		if text, head := multiline.LineOf(line, h); r.folder.Continues(text, at, head) {
			r.records[0].Add(line, r.folder.Exception(), at)
			continue
		}
		was := r.flush()
		r.records[0].Start(h.Message, line, at)
		r.front, r.open = h, true
		if was {
			return true
		}
	}
}

// flush makes the record that was being read the observation.
func (r *observer) flush() bool {
	if !r.open {
		return false
	}
	r.open = false
	r.records[0], r.records[1] = r.records[1], r.records[0]
	r.front = header.Header{Time: r.front.Time, HasTime: r.front.HasTime, Message: r.records[1].Message}
	r.observation = observation{r.front, r.records[1].Text, r.records[1].Lines}
	return true
}

// Err returns the error that ended the stream, and nil for its regular end.
func (r *observer) Err() error { return r.r.Err() }
