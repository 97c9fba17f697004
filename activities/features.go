package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern/event"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
	"github.com/tartan-ai/tartan/internal/pattern/multiline"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// Features are the activities of agent.features: they turn bytes into counted shapes and keep no state.
type Features struct {
	Bucket    *bucket.Bucket
	Libraries *feed.Libraries
}

// ahead is read behind a chunk's end in the first request: enough to finish its last line unless that is long.
const ahead = 16 << 10

// further is the size of the requests after that.
const further = 256 << 10

// checkBytes is how many bytes are read between two looks at whether to go on.
const checkBytes = 256 << 10

// ExtractFeatures counts the shapes of the lines that start in a byte range and puts the tally into the bucket. The
// same input gives the same tally, so a doubled or retried call costs time only. It holds a few fixed buffers and the
// shapes of one chunk, whatever the size of the source.
func (f *Features) ExtractFeatures(ctx context.Context, in ExtractInput) (*Extracted, error) {
	if in.Kind == KindText {
		return nil, final(WrongLibrary, nil, "texts are clustered, not mined: start ClusterTexts")
	}
	entry, err := f.Libraries.WaitFor(ctx, in.LibraryID, in.Revision)
	if err != nil {
		return nil, typed("load the library", err)
	}
	t := template.NewTally(template.TallyOptions{Bucket: time.Duration(in.BucketSeconds) * time.Second, Index: entry.Index, Values: true})
	c := newChunk(in, f.Bucket, t)
	defer c.done.beating(ctx)()
	if err := c.read(ctx); err != nil {
		return nil, typed(fmt.Sprintf("read bytes %d to %d of the source", in.Start, in.End), err)
	}
	body, err := t.MarshalBinary()
	if err != nil {
		return nil, typed("encode the tally", err)
	}
	o, err := f.Bucket.PutScratch(ctx, body)
	if err != nil {
		return nil, typed("store the tally", err)
	}
	activity.GetLogger(ctx).Debug("features extracted", "lines", c.lines, "bytes", c.bytes)
	return &Extracted{
		Tally: o.Key, Shapes: t.Shapes(), Lines: c.lines, Bytes: c.bytes, Untimed: c.clock.untimed, Truncated: c.truncated, Continued: c.continued,
	}, nil
}

// chunk reads the lines that start in [in.Start, in.End), and counts the records whose first line does. What goes on with a record
// of the chunk before is only counted as continued; what goes on with the last record is read behind the end.
type chunk struct {
	in     ExtractInput
	bucket *bucket.Bucket
	clock  clock
	done   progress

	events *event.Flattener // nil for lines
	folder multiline.Folder
	record multiline.Record // the one being put together, if open
	front  header.Header    // its time
	open   bool

	lines, continued, bytes, truncated int64
	lookedBack                         bool
}

func newChunk(in ExtractInput, b *bucket.Bucket, out tally) *chunk {
	c := &chunk{in: in, bucket: b, clock: clock{parser: header.NewParser(in.ReceivedAt), arrival: in.ReceivedAt.UnixNano(), out: out}}
	if in.Kind == KindRecord {
		c.events = &event.Flattener{}
	}
	if in.Start > 0 {
		c.folder = multiline.Middle()
	}
	return c
}

func (c *chunk) read(ctx context.Context) error {
	from := max(c.in.Start-1, 0)
	r := c.source(ctx, from, c.in.End-from+ahead)
	defer r.Close()
	lr := lines.NewReader(r, c.maxLine())
	if c.in.Start > 0 {
		lr.Next() // the end of a line that the chunk before owns
	}
	first, next := from+lr.Consumed(), int64(checkBytes)
	for {
		line, ok := lr.Next()
		at := from + lr.Offset()
		if !ok {
			break
		}
		if at >= c.in.End {
			c.lookAhead(lr, line, from)
			break
		}
		if lr.Truncated() {
			c.truncated++
		}
		if err := c.add(ctx, line, at); err != nil {
			return err
		}
		if c.bytes = from + lr.Consumed() - first; c.bytes >= next {
			next = c.bytes + checkBytes
			c.done.bytes.Store(c.bytes)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	c.flush()
	c.clock.close()
	if err := lr.Err(); err != nil {
		return err
	}
	return ctx.Err()
}

func (c *chunk) add(ctx context.Context, line []byte, at int64) error {
	h := c.clock.parser.Parse(line)
	if !c.lookedBack {
		c.lookedBack = true
		if c.in.Start > 0 && (!h.HasTime || h.Lent && c.in.Fold) {
			if err := c.lookBack(ctx); err != nil {
				return err
			}
			h = c.clock.parser.Parse(line)
		}
	}
	if c.events != nil {
		h.Message = c.events.Message(line, h)
	}
	if !c.in.Fold {
		c.lines++
		c.clock.add(h, line, at)
		return nil
	}
	if c.goesOn(line, at, h) {
		c.continued++
		return nil
	}
	c.flush()
	c.lines++
	c.record.Start(h.Message, line, at)
	c.front, c.open = h, true
	return nil
}

// maxLine is where a line is cut: an event that is cut is no event any more.
func (c *chunk) maxLine() int {
	if c.events != nil {
		return event.MaxLine
	}
	return lines.DefaultMaxLine
}

// goesOn reports whether a line goes on with the record before it, and takes it into that record.
func (c *chunk) goesOn(line []byte, at int64, h header.Header) bool {
	if !c.in.Fold {
		return false
	}
	text, head := multiline.LineOf(line, h)
	if !c.folder.Continues(text, at, head) {
		return false
	}
	if c.open {
		c.record.Add(line, c.folder.Exception(), at)
	}
	return true
}

// flush counts the record that is whole.
func (c *chunk) flush() {
	if !c.open {
		return
	}
	c.open = false
	c.front.Message = c.record.Message
	c.clock.add(c.front, c.record.Text, c.record.At)
}

// lookBack finds what the lines before the chunk say of its first ones: the last time, and the record they may go on with.
func (c *chunk) lookBack(ctx context.Context) error {
	reach := int64(near)
	if c.in.Fold {
		reach = max(reach, multiline.Reach)
	}
	from := max(c.in.Start-reach-1, 0)
	if from == 0 {
		c.folder = multiline.Folder{}
	}
	r := c.source(ctx, from, c.in.Start-from+ahead)
	defer r.Close()
	lr := lines.NewReader(r, c.maxLine())
	if from > 0 {
		lr.Next()
	}
	for {
		line, ok := lr.Next()
		at := from + lr.Offset()
		if !ok || at >= c.in.Start {
			return lr.Err()
		}
		h := c.clock.parser.Parse(line)
		if !c.goesOn(line, at, h) {
			c.clock.seen(h, at)
		}
	}
}

// lookAhead reads behind the chunk what goes on with its last record, and finds the first time, for its last lines. line is the
// first behind the chunk.
func (c *chunk) lookAhead(lr *lines.Reader, line []byte, from int64) {
	for ok := true; ok; line, ok = lr.Next() {
		at := from + lr.Offset()
		if c.open && !c.record.Within(at) {
			c.flush() // what comes changes nothing
		}
		if !c.open && at > c.clock.reach() {
			return
		}
		h := c.clock.parser.Parse(line)
		if c.goesOn(line, at, h) {
			continue
		}
		c.flush()
		if c.clock.seen(h, at) {
			return
		}
	}
}

// source reads the source from an offset on, asking for first bytes and then, if the caller reads on, for more.
func (c *chunk) source(ctx context.Context, off, first int64) io.ReadCloser {
	return &stretch{ctx: ctx, bucket: c.bucket, key: c.in.Key, off: off, ask: first}
}

// stretch reads an object in ranges, so that a store at the other end of a network sends little more than is used.
type stretch struct {
	ctx      context.Context //nolint:containedctx // lives within one call
	bucket   *bucket.Bucket
	key      string
	off, ask int64 // where the next range starts, and its length
	left     int64 // of the current range
	rc       io.ReadCloser
}

func (s *stretch) Read(p []byte) (int, error) {
	for {
		if s.rc == nil {
			rc, err := s.bucket.Range(s.ctx, s.key, s.off, s.ask)
			if err != nil {
				return 0, err
			}
			s.rc, s.left, s.ask = rc, s.ask, further
		}
		n, err := s.rc.Read(p)
		s.off, s.left = s.off+int64(n), s.left-int64(n)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		if s.left > 0 { // shorter than asked for: the object ends here
			return n, io.EOF
		}
		s.Close() //nolint:errcheck // read to its end
		s.rc = nil
		if n > 0 {
			return n, nil
		}
	}
}

// Close ends the range that is being read.
func (s *stretch) Close() error {
	if s.rc == nil {
		return nil
	}
	return s.rc.Close()
}
