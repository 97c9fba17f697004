package event

import (
	"bufio"
	"bytes"
	"io"
)

// Spread reports whether a source that begins with head holds its events in another way than one a line: in an array, or each on
// several lines.
func Spread(head []byte) bool {
	i := skip(head, 0)
	if i == len(head) {
		return false
	}
	switch head[i] {
	case '[':
		i = skip(head, i+1)
		return i < len(head) && head[i] == '{'
	case '{':
		k := i + 1
		for k < len(head) && (head[k] == ' ' || head[k] == '\t' || head[k] == '\r') {
			k++
		}
		return k < len(head) && head[k] == '\n'
	}
	return false
}

// Lines returns a reader of the events of r, one a line. A source that holds one a line already is read as it is. An event that
// a line break in a string breaks off ends there, so that what follows is found again.
func Lines(r io.Reader) io.Reader {
	br := bufio.NewReaderSize(r, 64<<10)
	head, _ := br.Peek(4 << 10) // an error comes again when it is read
	if !Spread(head) {
		return br
	}
	return &gatherer{r: br, in: make([]byte, 32<<10)}
}

// gatherer writes the values of an array, or values that stand one behind the other, each on a line of its own.
type gatherer struct {
	r       io.Reader
	in      []byte
	out     bytes.Buffer
	err     error
	depth   int // brackets open in the value
	value   bool
	quoted  bool
	escaped bool
}

// Read implements io.Reader.
func (g *gatherer) Read(p []byte) (int, error) {
	for g.out.Len() == 0 {
		if g.err != nil {
			return 0, g.err
		}
		n, err := g.r.Read(g.in)
		for _, c := range g.in[:n] {
			g.next(c)
		}
		if g.err = err; err != nil && g.value {
			g.end()
		}
	}
	return g.out.Read(p)
}

func (g *gatherer) end() {
	g.out.WriteByte('\n')
	g.value, g.quoted, g.escaped, g.depth = false, false, false, 0
}

func (g *gatherer) next(c byte) {
	switch {
	case g.quoted && c == '\n':
		g.end()
		return
	case g.quoted:
		g.quoted = g.escaped || c != '"'
		g.escaped = !g.escaped && c == '\\'
		g.out.WriteByte(c)
		return
	case c == '\n' || c == '\r':
		if g.value && g.depth == 0 {
			g.end()
		}
		return
	case !g.value:
		if c == ' ' || c == '\t' || c == ',' || c == '[' || c == ']' {
			return
		}
		g.value = true
	case g.depth == 0 && (c == ',' || c == ']'):
		g.end()
		return
	}
	g.out.WriteByte(c)
	switch c {
	case '"':
		g.quoted = true
	case '{', '[':
		g.depth++
	case '}', ']':
		if g.depth--; g.depth <= 0 {
			g.end()
		}
	}
}
