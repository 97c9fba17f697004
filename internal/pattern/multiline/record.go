package multiline

import "bytes"

// MaxText bounds the text that is kept of a record: 4 KiB, as much as an example has.
const MaxText = 4 << 10

// maxTypes bounds the chain of exceptions in a message.
const maxTypes = 8

// Record puts a record together from its lines. Its buffers are used again by the next one. It is not safe for concurrent use.
type Record struct {
	Message []byte // of the first line, and behind it the chain of exceptions: exception=ValueError cause=KeyError
	Text    []byte // the lines, with line feeds between them, cut at MaxText
	At      int64  // where the first line starts
	Lines   int    // physical lines, the first included

	types int
	chain []byte // the names so far, each behind a blank
}

// Start begins a record with its first line and the message in it. Both are copied.
func (r *Record) Start(message, line []byte, at int64) {
	r.Message = append(r.Message[:0], message...)
	r.Text = append(r.Text[:0], line[:min(len(line), MaxText)]...)
	r.At, r.Lines, r.types, r.chain = at, 1, 0, r.chain[:0]
}

// Within reports whether a line that starts at an offset is near enough to the first one to be looked at. What is beyond
// counts as a line of the record and changes nothing in it.
func (r *Record) Within(at int64) bool { return at-r.At <= Reach && r.Lines <= MaxLines }

// Add takes in a further line, which names an exception or, if nil, does not.
func (r *Record) Add(line, exception []byte, at int64) {
	within := r.Within(at)
	r.Lines++
	if !within {
		return
	}
	if room := MaxText - len(r.Text); room > 1 {
		r.Text = append(r.Text, '\n')
		r.Text = append(r.Text, line[:min(len(line), room-1)]...)
	}
	if len(exception) == 0 || r.types == maxTypes || r.told(exception) {
		return
	}
	if r.types++; r.types == 1 {
		r.Message = append(bytes.TrimRight(r.Message, " \t"), " exception="...)
	} else {
		r.Message = append(r.Message, " cause="...)
	}
	r.Message = append(r.Message, exception...)
	r.chain = append(append(r.chain, ' '), exception...)
}

// told reports whether the exception is the one named before.
func (r *Record) told(exception []byte) bool {
	n := len(r.chain) - len(exception)
	return n > 0 && r.chain[n-1] == ' ' && string(r.chain[n:]) == string(exception)
}
