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
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
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
	entry, err := f.Libraries.Entry(ctx, in.LibraryID)
	if err != nil {
		return nil, typed("load the library", err)
	}
	t := template.NewTally(template.TallyOptions{Bucket: time.Duration(in.BucketSeconds) * time.Second, Index: entry.Index})
	c := &chunk{
		in: in, bucket: f.Bucket,
		clock: clock{parser: header.NewParser(in.ReceivedAt), arrival: in.ReceivedAt.UnixNano(), out: t},
	}
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
		Tally: o.Key, Shapes: len(t.Counted()), Lines: c.lines, Bytes: c.bytes, Untimed: c.clock.untimed, Truncated: c.truncated,
	}, nil
}

// chunk reads the lines that start in [in.Start, in.End).
type chunk struct {
	in     ExtractInput
	bucket *bucket.Bucket
	clock  clock
	done   progress

	lines, bytes, truncated int64
	lookedBack              bool
}

func (c *chunk) read(ctx context.Context) error {
	from := max(c.in.Start-1, 0)
	r := c.open(ctx, from, c.in.End-from+ahead)
	defer r.Close()
	lr := lines.NewReader(r, 0)
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
		if err := c.add(ctx, line, at, lr.Truncated()); err != nil {
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
	c.clock.close()
	if err := lr.Err(); err != nil {
		return err
	}
	return ctx.Err()
}

func (c *chunk) add(ctx context.Context, line []byte, at int64, truncated bool) error {
	c.lines++
	if truncated {
		c.truncated++
	}
	if !c.lookedBack {
		c.lookedBack = true
		if c.in.Start > 0 && !c.clock.parser.Parse(line).HasTime {
			if err := c.lookBack(ctx); err != nil {
				return err
			}
		}
	}
	c.clock.add(line, at)
	return nil
}

// lookBack finds the last timed line before the chunk, for its first lines.
func (c *chunk) lookBack(ctx context.Context) error {
	from := max(c.in.Start-near-1, 0)
	r := c.open(ctx, from, c.in.Start-from+ahead)
	defer r.Close()
	lr := lines.NewReader(r, 0)
	if from > 0 {
		lr.Next()
	}
	for {
		line, ok := lr.Next()
		if !ok || from+lr.Offset() >= c.in.Start {
			return lr.Err()
		}
		c.clock.seen(line, from+lr.Offset())
	}
}

// lookAhead finds the first timed line behind the chunk, for its last lines; line is the first behind the chunk.
func (c *chunk) lookAhead(lr *lines.Reader, line []byte, from int64) {
	for ok := true; ok && from+lr.Offset() <= c.clock.reach(); line, ok = lr.Next() {
		if c.clock.seen(line, from+lr.Offset()) {
			return
		}
	}
}

// open reads the source from an offset on, asking for first bytes and then, if the caller reads on, for more.
func (c *chunk) open(ctx context.Context, off, first int64) io.ReadCloser {
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
