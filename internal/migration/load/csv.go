package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// csvReader reads CSV as RFC 4180 has it. A quoted field may hold line ends. Where quotes are broken, the record's first line alone is bad and
// reading goes on at the next line, so that a quote that is never closed does not swallow the good records behind it.
type csvReader struct {
	window
	delimiter, quote byte
	null             []byte
	names            []string
	width            int   // fields of each record
	columns          []int // of a record, that are its values
	spans            []span
	scratch          []byte // fields whose doubled quotes were made single
	fields, values   []Value
	broken           error // of the stream
}

// span is a field: from and to in the rest of the window, or in scratch.
type span struct {
	from, to        int
	quoted, scratch bool
}

func newCSV(in io.Reader, options map[string]string) (*csvReader, error) {
	if err := known(options, "delimiter", "quote", "header", "null"); err != nil {
		return nil, err
	}
	c := &csvReader{window: newWindow(in, Position{Line: 1}), delimiter: ',', quote: '"', null: []byte(options["null"])}
	for name, into := range map[string]*byte{"delimiter": &c.delimiter, "quote": &c.quote} {
		v, ok := options[name]
		if v == `\t` || v == "tab" {
			v = "\t"
		}
		if ok && (len(v) != 1 || v == "\n" || v == "\r") {
			return nil, fmt.Errorf("option %s must be one character of one byte, not %q", name, v)
		}
		if ok {
			*into = v[0]
		}
	}
	if c.delimiter == c.quote {
		return nil, fmt.Errorf("delimiter and quote are both %q", c.quote)
	}
	header := true
	switch v := options["header"]; v {
	case "", "yes", "true":
	case "no", "false":
		header = false
	default:
		return nil, fmt.Errorf("option header must be yes or no, not %q", v)
	}
	for c.end-c.start < 3 {
		if err := c.fill(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
	}
	if bytes.HasPrefix(c.rest(), []byte("\xef\xbb\xbf")) {
		c.use(3, 0)
	}
	return c, c.begin(header)
}

// begin reads the header, or counts the fields of the first record.
func (c *csvReader) begin(header bool) error {
	record, err := c.parse()
	if errors.Is(err, io.EOF) {
		if header {
			return errors.New("the file is empty: it has no header")
		}
		return nil
	}
	if err != nil {
		return err
	}
	if record.Bad != "" {
		return fmt.Errorf("line %d, the first of the file, cannot be read: %s", record.Line, record.Bad)
	}
	c.width = len(c.fields)
	if !header {
		c.start -= int(c.at.Offset - record.Offset) // the window still holds it
		c.at = record.Position
		return nil
	}
	for i, f := range c.fields {
		name := strings.TrimSpace(string(f.Text))
		if slices.Contains(c.names, name) {
			return fmt.Errorf("the header names %q twice", name)
		}
		if name == "" {
			return fmt.Errorf("the header has no name for column %d", i+1)
		}
		c.names = append(c.names, name)
	}
	return nil
}

func (c *csvReader) moveTo(in io.Reader, at Position) { c.window = newWindow(in, at) }

func (c *csvReader) Names() []string { return c.names }

func (c *csvReader) Position() Position { return c.at }

func (c *csvReader) Select(names []string) error {
	c.columns = make([]int, len(names))
	for i, name := range names {
		at := slices.Index(c.names, name)
		if at < 0 && c.names == nil {
			n, err := strconv.Atoi(name)
			if err != nil || n < 1 || n > c.width && c.width > 0 {
				return fmt.Errorf("the file has no header, so its columns are the numbers from 1 to %d, not %q", c.width, name)
			}
			at = n - 1
		}
		if at < 0 {
			return fmt.Errorf("the file has no column %q: it has %s", name, strings.Join(c.names, ", "))
		}
		c.columns[i] = at
	}
	c.values = make([]Value, len(names))
	return nil
}

func (c *csvReader) Next() (Record, error) {
	r, err := c.parse()
	if err != nil || r.Bad != "" {
		return r, err
	}
	if len(c.fields) != c.width {
		r.Bad = fmt.Sprintf("%d fields instead of %d", len(c.fields), c.width)
		return r, nil
	}
	if r.Bad = unfit(r.Raw); r.Bad != "" {
		return r, nil
	}
	for i, at := range c.columns {
		c.values[i] = c.fields[at]
	}
	r.Values = c.values
	return r, nil
}

// parse reads a record of any number of fields into c.fields.
func (c *csvReader) parse() (Record, error) {
	for {
		n, err := c.line()
		if errors.Is(err, errTooLong) {
			return c.tooLong()
		}
		if err != nil {
			return Record{}, err
		}
		line := c.rest()[:n]
		raw := withoutEnd(line)
		if len(raw) == 0 && c.width != 1 { // an empty line is no record, unless a record is one field
			c.use(n, 1)
			continue
		}
		r := Record{Position: c.at, Raw: raw}
		if bytes.IndexByte(line, c.quote) < 0 {
			c.plain(raw)
			c.use(n, 1)
			return r, nil
		}
		length, next, lines, reason := c.quoted()
		if c.broken != nil {
			return Record{}, c.broken
		}
		if reason != "" {
			r.Raw, r.Bad = withoutEnd(c.rest()[:n]), reason // the window may have moved
			c.use(n, 1)
			return r, nil
		}
		r.Raw = c.rest()[:length]
		c.take(r.Raw)
		c.use(next, lines)
		return r, nil
	}
}

// plain splits a line without quotes.
func (c *csvReader) plain(line []byte) {
	c.fields = c.fields[:0]
	for {
		i := bytes.IndexByte(line, c.delimiter)
		if i < 0 {
			break
		}
		c.fields = append(c.fields, c.unquoted(line[:i]))
		line = line[i+1:]
	}
	c.fields = append(c.fields, c.unquoted(line))
}

func (c *csvReader) unquoted(text []byte) Value {
	if bytes.Equal(text, c.null) {
		return Value{Null: true}
	}
	return Value{Text: text}
}

// quoted finds the fields of the first record of the rest. It returns the record's length without and with its line end, and how many
// line ends that holds, or the reason why its quotes are broken.
func (c *csvReader) quoted() (length, next int, lines int64, reason string) {
	c.spans, c.scratch = c.spans[:0], c.scratch[:0]
	at := 0
	for {
		if c.more(at) && c.rest()[at] == c.quote {
			s, end, reason := c.quotedField(at + 1)
			if reason != "" {
				return 0, 0, 0, reason
			}
			c.spans = append(c.spans, s)
			at = end
		} else {
			end := at
			for c.more(end) {
				b := c.rest()[end]
				if b == c.delimiter || b == '\n' {
					break
				}
				if b == c.quote {
					return 0, 0, 0, fmt.Sprintf("a quote inside field %d, which does not begin with one", len(c.spans)+1)
				}
				end++
			}
			text := end
			if end > at && c.rest()[end-1] == '\r' && (!c.more(end) || c.rest()[end] == '\n') {
				text--
			}
			c.spans = append(c.spans, span{from: at, to: text})
			at = end
		}
		if !c.more(at) {
			length, next = at, at
			break
		}
		if c.rest()[at] == c.delimiter {
			at++
			continue
		}
		length, next = at, at+1 // quotedField and the loop above end at a delimiter or a line end
		if c.rest()[at] == '\r' && c.more(next) {
			next++
		}
		break
	}
	lines = int64(bytes.Count(c.rest()[:next], []byte{'\n'}))
	return len(withoutEnd(c.rest()[:next])), next, lines, ""
}

// more reports whether the rest has a byte at i. It has none where the stream ends or fails, or the record is too long.
func (c *csvReader) more(i int) bool {
	for i >= c.end-c.start {
		if err := c.fill(); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, errTooLong) {
				c.broken = err
			}
			return false
		}
	}
	return true
}

// quotedField finds the end of a field whose text begins at i, behind its quote. end is where its delimiter or line end stands.
func (c *csvReader) quotedField(i int) (s span, end int, reason string) {
	s = span{from: i, quoted: true}
	from := i // of what is not in scratch yet
	scratch := len(c.scratch)
	for {
		for {
			if j := bytes.IndexByte(c.rest()[min(i, c.end-c.start):], c.quote); j >= 0 {
				i += j
				break
			}
			if i = c.end - c.start; !c.more(i) {
				return s, 0, fmt.Sprintf("the quote of field %d is not closed", len(c.spans)+1)
			}
		}
		if c.more(i+1) && c.rest()[i+1] == c.quote {
			c.scratch = append(c.scratch, c.rest()[from:i+1]...)
			s.scratch = true
			i += 2
			from = i
			continue
		}
		break
	}
	s.to = i
	if s.scratch {
		c.scratch = append(c.scratch, c.rest()[from:i]...)
		s.from, s.to = scratch, len(c.scratch)
	}
	end = i + 1
	if !c.more(end) {
		return s, end, ""
	}
	switch b := c.rest()[end]; {
	case b == c.delimiter, b == '\n':
		return s, end, ""
	case b == '\r' && (!c.more(end+1) || c.rest()[end+1] == '\n'):
		return s, end, ""
	}
	return s, 0, fmt.Sprintf("text behind the closing quote of field %d", len(c.spans)+1)
}

// take makes fields of the spans.
func (c *csvReader) take(raw []byte) {
	c.fields = c.fields[:0]
	for _, s := range c.spans {
		switch {
		case s.scratch:
			c.fields = append(c.fields, Value{Text: c.scratch[s.from:s.to]})
		case s.quoted:
			c.fields = append(c.fields, Value{Text: raw[s.from:s.to]})
		default:
			c.fields = append(c.fields, c.unquoted(raw[s.from:s.to]))
		}
	}
}
