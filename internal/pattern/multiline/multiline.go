// Package multiline tells which lines of a stream go on with the record before them: the frames of a stack trace, the rest
// of a message with line breaks in it. Lines and where they start come in; whether each one continues, and records put
// together, go out. It knows no log format beyond what stack traces look like, and reads nothing itself.
//
//	2026-11-24 10:00:00 ERROR cannot save order 7        a record
//	java.io.IOException: disk full                       │
//	    at shop.Store.save(Store.java:12)                │ goes on
//	Caused by: java.net.SocketException: reset           │
//	    ... 3 more                                       │
//	2026-11-24 10:00:01 INFO saved order 8               the next record
//
// Whether a line goes on follows from lines at most Reach before it. So whoever starts to read in the middle of a stream, Reach
// bytes early, comes to the same answers as one who read it from its beginning.
//
// Two things are remembered. The head is the record that a line with a header opened: indented lines go on with it, and the
// lines of a trace or bracket that it opened. The trace is what the last lines looked like, whatever came before: it
// alone decides where no line has a header. A stream of plain lines folds nothing.
package multiline

import (
	"bytes"

	"github.com/tartan-ai/tartan/internal/pattern/header"
)

// The bounds of what a line can go on with, and of what is kept of a record. A record may be longer: its further frames
// still go on with it, but what they say of exceptions is not in its message.
const (
	Reach    = 256 << 10 // bytes from line start to line start
	MaxLines = 1000      // lines after one with a header
)

const (
	maxMessage = 16 // lines of an exception's message
	maxCode    = 8  // lines of source code in a Python frame
)

// Head says what a line has in front of its message.
type Head uint8

// The heads of a line.
const (
	Bare    Head = iota // nothing: the line may go on with the one before
	Leveled             // a level and no time
	Timed               // a time
)

// LineOf returns what to ask Continues of a line that the header parser took apart: the line that a container runtime wrapped, or the
// line itself, and what stands in front of it.
func LineOf(line []byte, h header.Header) ([]byte, Head) {
	if h.Inner != nil {
		line = h.Inner
	}
	switch {
	case h.HasTime && !h.Lent:
		return line, Timed
	case h.Level != header.Unknown && len(line) > 0 && line[0] > ' ':
		return line, Leveled
	}
	return line, Bare
}

// stage is what kind of trace the last lines are.
type stage uint8

const (
	outside     stage = iota
	inFrames          // frames of Java, JavaScript, .NET, Ruby, PHP, or a cause: indented lines go on
	inPython          // frames of Python: source lines go on, and the line that names the exception ends it
	pythonDone        // behind the line that names the exception
	pythonNext        // behind the line that says that another exception follows
	inPanic           // behind panic: of Go
	inRoutine         // behind goroutine 7 [running]: or a frame's file: a function follows
	inFunction        // behind a frame's function: its file follows
	inRust            // behind thread 'main' panicked at
	inBacktrace       // behind stack backtrace:
)

// Folder tells of one line after the other whether it goes on. The zero value is at the beginning of a stream. It is not safe
// for concurrent use.
type Folder struct {
	begun bool
	head  head
	trace trace
	named []byte
}

// head is the record that a line with a header opened.
type head struct {
	kind    Head
	at      int64 // where its line starts
	lines   int   // that went on
	depth   int   // brackets that lines left open at their ends
	message int   // lines that the message of an exception may still have
}

type trace struct {
	stage stage
	at    int64 // where the line that set the stage starts
	lines int   // since then
	depth int   // whether the line ends in what announces another
}

// Middle returns a Folder for a stream that is read from somewhere within it. After Reach bytes it knows as much as one that
// was there from the beginning.
func Middle() Folder { return Folder{begun: true} }

// Continues reports whether the line that starts at an offset goes on with the record before it. A line with a header never does.
// It allocates nothing.
func (f *Folder) Continues(line []byte, at int64, h Head) bool {
	first := !f.begun
	f.begun, f.named = true, nil
	if h != Bare {
		f.head = head{kind: h, at: at, depth: opens(line)}
		f.trace = trace{}
		return false
	}
	if f.head.kind != Bare && (at-f.head.at > Reach || f.head.lines >= MaxLines) {
		f.head = head{}
	}
	if f.trace.stage != outside && at-f.trace.at > Reach {
		f.trace = trace{}
	}
	if f.head.kind == Bare && f.trace.stage == outside && !mayMark(line) {
		return false
	}
	m, named := markOf(line)
	goesOn := f.byTrace(m, line, at)
	if goesOn {
		f.head.message = 0
		if m == markCause {
			f.head.message = maxMessage
		}
	} else {
		goesOn = f.byHead(m, line)
	}
	if !goesOn || first {
		f.head = head{}
		return false
	}
	f.head.lines++
	if named == nil && m == markNone && f.trace.stage == pythonDone {
		named = pythonType(line)
	}
	f.named = named
	return true
}

// Exception returns the type of the exception that the line last asked about names, where it goes on; else nil. It is a part of
// that line.
func (f *Folder) Exception() []byte { return f.named }

// byTrace says whether the line goes on by what it and the lines right before it look like. The stage must not depend on the
// head, or a reader in the middle of the stream would come to another one.
func (f *Folder) byTrace(m mark, line []byte, at int64) bool {
	was := f.trace.stage
	if s := opensStage[m]; s != outside {
		f.trace = trace{stage: s, at: at, depth: opens(line)}
		switch m {
		case markPythonHead:
			return was == pythonNext
		case markPanic, markRust:
			return false
		case markRoutine:
			return was == inPanic || was == inRoutine || was == inFunction
		}
		return true
	}
	if was == outside {
		return false
	}
	f.trace.lines++
	goesOn := f.within(m, line)
	if !goesOn {
		f.trace = trace{}
	}
	return goesOn
}

// opensStage is the stage that a mark opens, whatever came before it.
var opensStage = [...]stage{
	markFrame: inFrames, markCause: inFrames, markPythonHead: inPython, markPythonFrame: inPython, markPythonNext: pythonNext,
	markPanic: inPanic, markRoutine: inRoutine, markGoFile: inRoutine, markRust: inRust, markBacktrace: inBacktrace,
}

// within says whether a line that opens no stage goes on with the trace.
func (f *Folder) within(m mark, line []byte) bool {
	t := &f.trace
	switch t.stage {
	case inFrames:
		// JavaScript prints what else an error holds in braces behind its frames.
		return m == markIndented || m == markClosing && len(line) == 1 || note(line)
	case inPython:
		if m == markIndented {
			return t.lines <= maxCode
		}
		if pythonType(line) != nil {
			t.stage = pythonDone
			return true
		}
	case pythonDone, pythonNext:
		return m == markEmpty && t.lines <= maxCode
	case inPanic:
		return m == markEmpty || hasPrefix(line, "[signal ") || m == markIndented && hasPrefix(bytes.TrimLeft(line, " \t"), "panic: ")
	case inRoutine:
		if call(line) || function(line) {
			t.stage = inFunction
			return true
		}
		return m == markEmpty || hasPrefix(line, "created by ") || hasPrefix(line, "...additional frames elided...")
	case inRust:
		return t.depth > 0 && t.lines == 1 && m != markEmpty || note(line)
	case inBacktrace:
		return m == markIndented || note(line)
	case outside, inFunction: // what follows a function is a mark
	}
	return false
}

// byHead says whether the line goes on with the record that a line with a header opened.
func (f *Folder) byHead(m mark, line []byte) bool {
	h := &f.head
	if h.kind == Bare {
		return false
	}
	switch m {
	case markPythonHead, markRoutine:
		h.message = 0
		return true
	case markException:
		h.message = maxMessage
		return true
	case markPanic, markRust: // the runtime prints these, not a logger
		return false
	}
	if h.kind != Timed {
		return false
	}
	if h.depth > 0 {
		if m == markClosing {
			h.depth--
		}
		h.depth += opens(line)
		return true
	}
	if m == markIndented || h.lines == 0 && function(line) {
		return true
	}
	h.message--
	return h.message >= 0
}

// opens returns 1 if a line leaves something open at its end: a bracket, or what a colon announces in a Rust panic.
func opens(line []byte) int {
	if n := len(line); n > 0 {
		switch line[n-1] {
		case '{', '[', '(':
			return 1
		case ':':
			if hasPrefix(line, "thread '") {
				return 1
			}
		}
	}
	return 0
}

// note recognises what Rust prints behind a panic.
func note(line []byte) bool {
	return hasPrefix(line, "note: run with `RUST_BACKTRACE") || hasPrefix(line, "note: Some details are omitted")
}

// function recognises the function of a frame as Go's structured loggers print it: main.main, example.com/shop/store.(*Store).Save.
func function(line []byte) bool {
	for _, c := range line {
		if !letter(c) && !digit(c) && bytes.IndexByte([]byte("./*()_-[]~"), c) < 0 {
			return false
		}
	}
	if len(line) < 6 || !letter(line[0]) {
		return false
	}
	if hasPrefix(line, "main.") || hasPrefix(line, "runtime.") || bytes.Contains(line, []byte(".(*")) {
		return true
	}
	slash := bytes.IndexByte(line, '/')
	return slash > 0 && bytes.IndexByte(line[:slash], '.') > 0 && bytes.IndexByte(line[bytes.LastIndexByte(line, '/'):], '.') > 0
}

// call recognises the function of a frame in Go: main.(*Server).handle(0xc00001, {0x1, 0x2}).
func call(line []byte) bool {
	n := len(line)
	if n < 3 || line[n-1] != ')' || line[0] <= ' ' {
		return false
	}
	open := bytes.IndexByte(line, '(')
	return open > 0 && bytes.IndexByte(line[:open], ' ') < 0
}
