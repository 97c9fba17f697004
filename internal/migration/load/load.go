// Package load reads records from files for a copy into a table: CSV and JSON lines. Bytes come in as a stream, and records go out with the place
// where each begins, so that a copy goes on at the exact record after a crash. A record that cannot be read is given as it stands, with the
// reason, and reading goes on behind it. Values are text as COPY reads it; what type they have is Postgres's to say.
package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxRecord is how many bytes a record may have. What is longer is a bad record.
const MaxRecord = 16 << 20

// The formats that are read.
const (
	FormatCSV   = "csv"
	FormatJSONL = "jsonl"
)

// Position is where a record begins.
type Position struct {
	Offset int64 `json:"offset"` // bytes from the start of the file
	Line   int64 `json:"line"`   // from 1
}

// Value is one field of a record.
type Value struct {
	Text []byte
	Null bool
}

// Record is one record of a file. Its slices hold until the next one is read.
type Record struct {
	Position
	Raw    []byte  // as it stands in the file, without the end of its line; of one over MaxRecord, its first 64 KiB
	Values []Value // in the order of the selected names; none of a bad record
	Bad    string  // why it cannot be read; empty: it can
}

// Reader gives the records of a file in order.
type Reader interface {
	// Names returns what the file calls its fields: the header, or of JSON lines the keys of its first records. None: a file without a header.
	Names() []string
	// Select says which fields a record's values are, in order. Of a file without a header they are numbers from 1. It must be called before Next.
	Select(names []string) error
	// Next returns the next record, or io.EOF.
	Next() (Record, error)
	// Position returns where the next record begins: what a later reader starts at to go on.
	Position() Position
}

// File is a file and how it is written. At returns its bytes from an offset.
type File struct {
	Format  string
	Options map[string]string // csv: delimiter, quote, header (yes, no), null; jsonl: none
	At      func(offset int64) (io.ReadCloser, error)
}

// Open reads the start of a file and returns a reader that begins at a position; the zero position is the first record. Close the
// returned closer when done.
func Open(f File, at Position) (Reader, io.Closer, error) {
	var start func(io.Reader, map[string]string) (Reader, error)
	switch f.Format {
	case FormatCSV:
		start = func(r io.Reader, o map[string]string) (Reader, error) { return newCSV(r, o) }
	case FormatJSONL:
		start = func(r io.Reader, o map[string]string) (Reader, error) { return newJSONL(r, o) }
	default:
		return nil, nil, fmt.Errorf("files of format %q are not read: use %s or %s", f.Format, FormatCSV, FormatJSONL)
	}
	body, err := f.At(0)
	if err != nil {
		return nil, nil, err
	}
	r, err := start(body, f.Options)
	if err != nil {
		_ = body.Close()
		return nil, nil, err
	}
	if at.Offset <= r.Position().Offset {
		return r, body, nil
	}
	_ = body.Close()
	if body, err = f.At(at.Offset); err != nil {
		return nil, nil, err
	}
	r.(interface{ moveTo(io.Reader, Position) }).moveTo(body, at)
	return r, body, nil
}

// AppendCopy appends a row in COPY's text format, with its line end.
func AppendCopy(dst []byte, values []Value) []byte {
	for i, v := range values {
		if i > 0 {
			dst = append(dst, '\t')
		}
		if v.Null {
			dst = append(dst, '\\', 'N')
			continue
		}
		dst = appendEscaped(dst, v.Text)
	}
	return append(dst, '\n')
}

func appendEscaped(dst, text []byte) []byte {
	from := 0
	for i, c := range text {
		var e byte
		switch c {
		case '\\':
			e = '\\'
		case '\t':
			e = 't'
		case '\n':
			e = 'n'
		case '\r':
			e = 'r'
		default:
			continue
		}
		dst = append(append(dst, text[from:i]...), '\\', e)
		from = i + 1
	}
	return append(dst, text[from:]...)
}

// unfit says why bytes cannot be text in Postgres; empty: they can.
func unfit(b []byte) string {
	if !utf8.Valid(b) {
		for at := 0; at < len(b); {
			r, n := utf8.DecodeRune(b[at:])
			if r == utf8.RuneError && n == 1 {
				return fmt.Sprintf("byte %d of the record, 0x%02x, is not UTF-8", at+1, b[at])
			}
			at += n
		}
	}
	if at := bytes.IndexByte(b, 0); at >= 0 {
		return fmt.Sprintf("byte %d of the record is zero, which Postgres has no text for", at+1)
	}
	return ""
}

// known refuses options that a format does not have.
func known(options map[string]string, names ...string) error {
	for name := range options {
		if !slices.Contains(names, name) {
			if len(names) == 0 {
				return fmt.Errorf("the format has no options, so not %q", name)
			}
			return fmt.Errorf("there is no option %q: use %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}

var errTooLong = errors.New("longer than a record may be")

// window holds the part of a stream that is being read.
type window struct {
	in         io.Reader
	buf        []byte
	start, end int
	done       bool // the stream has ended
	at         Position
}

func newWindow(in io.Reader, at Position) window {
	return window{in: in, buf: make([]byte, 256<<10), at: at}
}

// rest is what was read and not used.
func (w *window) rest() []byte { return w.buf[w.start:w.end] }

// fill reads more. It returns io.EOF where there is no more, and errTooLong where a record's worth is held already.
func (w *window) fill() error {
	if w.done {
		return io.EOF
	}
	if w.end-w.start > MaxRecord {
		return errTooLong
	}
	if w.start > 0 {
		w.end = copy(w.buf, w.buf[w.start:w.end])
		w.start = 0
	}
	if w.end == len(w.buf) {
		w.buf = append(w.buf, make([]byte, len(w.buf))...)
	}
	for range 100 {
		n, err := w.in.Read(w.buf[w.end:])
		w.end += n
		if errors.Is(err, io.EOF) {
			w.done = true
			if n == 0 {
				return io.EOF
			}
			return nil
		}
		if err != nil || n > 0 {
			return err
		}
	}
	return io.ErrNoProgress
}

// line returns how long the first line of the rest is, with its end.
func (w *window) line() (int, error) {
	from := 0
	for {
		if i := bytes.IndexByte(w.rest()[from:], '\n'); i >= 0 {
			return from + i + 1, nil
		}
		from = w.end - w.start
		if err := w.fill(); errors.Is(err, io.EOF) {
			if from == 0 {
				return 0, io.EOF
			}
			return from, nil
		} else if err != nil {
			return 0, err
		}
	}
}

// use goes n bytes on, which hold that many line ends.
func (w *window) use(n int, lines int64) {
	w.start += n
	w.at.Offset += int64(n)
	w.at.Line += lines
}

// tooLong gives a line that is too long as a bad record, and goes behind it.
func (w *window) tooLong() (Record, error) {
	r := Record{Position: w.at, Raw: slices.Clone(w.rest()[:64<<10]), Bad: fmt.Sprintf("longer than %d MiB", MaxRecord>>20)}
	for {
		if i := bytes.IndexByte(w.rest(), '\n'); i >= 0 {
			w.use(i+1, 1)
			return r, nil
		}
		w.use(w.end-w.start, 0)
		if err := w.fill(); errors.Is(err, io.EOF) {
			return r, nil
		} else if err != nil {
			return Record{}, err
		}
	}
}

// withoutEnd cuts the end of a line off.
func withoutEnd(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}
