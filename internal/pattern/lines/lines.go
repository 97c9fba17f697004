// Package lines reads lines from any byte stream, whatever is in them. A stream of bytes comes in; lines and the
// offsets where they start go out. It knows nothing of what a line means.
package lines

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// DefaultMaxLine is where a line is cut unless the caller says otherwise: 64 KiB.
const DefaultMaxLine = 64 << 10

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// Decompress looks at the first bytes of r and returns its plain content, with kind "gzip", "zstd" or "" for what is
// plain already. Closing the result releases the decoder and leaves r open.
func Decompress(r io.Reader) (rc io.ReadCloser, kind string, err error) {
	br := bufio.NewReaderSize(r, 64<<10)
	head, err := br.Peek(4)
	if err != nil && err != io.EOF {
		return nil, "", fmt.Errorf("read the first bytes: %w", err)
	}
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		zr, err := gzip.NewReader(br)
		if err != nil {
			return nil, "gzip", fmt.Errorf("open gzip stream: %w", err)
		}
		return zr, "gzip", nil
	case bytes.HasPrefix(head, zstdMagic):
		zr, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, "zstd", fmt.Errorf("open zstd stream: %w", err)
		}
		return zr.IOReadCloser(), "zstd", nil
	}
	return io.NopCloser(br), "", nil
}

// Reader cuts a stream into lines without allocating. It is not safe for concurrent use.
type Reader struct {
	r         io.Reader
	buf       []byte
	from, to  int   // the unread bytes are buf[from:to]
	base      int64 // offset in the stream of buf[0]
	max       int
	offset    int64
	truncated bool
	eof       bool
	err       error
}

// NewReader returns a Reader of r that cuts lines longer than maxLine bytes (DefaultMaxLine if 0 or less).
func NewReader(r io.Reader, maxLine int) *Reader {
	if maxLine <= 0 {
		maxLine = DefaultMaxLine
	}
	return &Reader{r: r, buf: make([]byte, maxLine+(256<<10)), max: maxLine}
}

// Next returns the next line without its line end (LF or CRLF), and false at the end of the stream or after an error.
// The slice is valid until the next call. An empty line is returned as empty.
func (r *Reader) Next() (line []byte, ok bool) {
	r.truncated = false
	searched := 0
	for {
		if i := bytes.IndexByte(r.buf[r.from+searched:r.to], '\n'); i >= 0 {
			end := r.from + searched + i
			line = r.buf[r.from:end]
			r.offset = r.base + int64(r.from)
			r.from = end + 1
			return r.cut(line), true
		}
		searched = r.to - r.from
		if r.eof {
			if searched == 0 {
				return nil, false
			}
			line = r.buf[r.from:r.to]
			r.offset = r.base + int64(r.from)
			r.from = r.to
			return r.cut(line), true
		}
		if searched > r.max+1 {
			return r.long(), true
		}
		r.fill()
	}
}

// cut drops a CR before the line end and what is beyond the limit.
func (r *Reader) cut(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) > r.max {
		r.truncated = true
		line = line[:r.max]
	}
	return line
}

// long returns the start of a line that does not end within the limit, and skips the rest of it.
func (r *Reader) long() []byte {
	r.offset = r.base + int64(r.from)
	r.truncated = true
	head := r.buf[:r.max]
	copy(r.buf, r.buf[r.from:r.from+r.max])
	r.base += int64(r.from)
	skipped := int64(r.to - r.from)
	r.from, r.to = r.max, r.max
	for !r.eof {
		n, err := r.r.Read(r.buf[r.max:])
		r.note(err)
		if i := bytes.IndexByte(r.buf[r.max:r.max+n], '\n'); i >= 0 {
			r.base += skipped - int64(r.max)
			r.from, r.to = r.max+i+1, r.max+n
			return head
		}
		skipped += int64(n)
	}
	r.base += skipped - int64(r.max)
	return head
}

func (r *Reader) fill() {
	if r.from > 0 {
		copy(r.buf, r.buf[r.from:r.to])
		r.base += int64(r.from)
		r.to -= r.from
		r.from = 0
	}
	for tries := 0; tries < 100; tries++ {
		n, err := r.r.Read(r.buf[r.to:])
		r.to += n
		r.note(err)
		if n > 0 || r.eof {
			return
		}
	}
	r.note(io.ErrNoProgress)
}

func (r *Reader) note(err error) {
	if err == nil {
		return
	}
	r.eof = true
	if !errors.Is(err, io.EOF) {
		r.err = err
	}
}

// Offset returns where the line last returned starts in the stream.
func (r *Reader) Offset() int64 { return r.offset }

// Consumed returns the offset just behind the line last returned and its line end: where the next line starts.
func (r *Reader) Consumed() int64 { return r.base + int64(r.from) }

// Truncated reports whether the line last returned was cut at the limit.
func (r *Reader) Truncated() bool { return r.truncated }

// Err returns the error that ended the stream, and nil for its regular end. What was read before it is returned by Next first.
func (r *Reader) Err() error { return r.err }
