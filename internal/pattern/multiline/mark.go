package multiline

import "bytes"

// mark is what a line looks like by itself.
type mark uint8

const (
	markNone        mark = iota
	markEmpty            // nothing at all
	markIndented         // starts with a blank or tab, and is no other mark
	markClosing          // starts with a closing bracket
	markException        // names an exception: java.io.IOException: disk full
	markFrame            // a frame, or something else that only stands among frames
	markCause            // Caused by: java.io.IOException: disk full
	markPythonHead       // Traceback (most recent call last):
	markPythonFrame      // File "a.py", line 3, in f
	markPythonNext       // During handling of the above exception, another exception occurred:
	markPanic            // panic: runtime error
	markRoutine          // goroutine 7 [running]:
	markGoFile           // /src/a.go:12 +0x1d
	markRust             // thread 'main' panicked at src/main.rs:2:5:
	markBacktrace        // stack backtrace:
)

// mayMark reports whether a line could be a mark, by its first two bytes.
func mayMark(line []byte) bool {
	if len(line) < 2 {
		return len(line) == 1 && line[0] <= ' '
	}
	switch line[0] {
	case ' ', '\t', '#', '[':
		return true
	case '-', '.':
		return line[1] == line[0]
	case 'a', 's':
		return line[1] == 't'
	case 'C', 'p':
		return line[1] == 'a'
	case 'D', 'S':
		return line[1] == 'u' || line[1] == 't'
	case 'F':
		return line[1] == 'i'
	case 'T', 'W', 't':
		return line[1] == 'r' || line[1] == 'h'
	case 'f':
		return line[1] == 'a' || line[1] == 'r'
	case 'g':
		return line[1] == 'o'
	}
	return false
}

// markOf says what a line looks like, and which type of exception it names.
func markOf(line []byte) (m mark, named []byte) {
	if len(line) == 0 {
		return markEmpty, nil
	}
	i := 0
	for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
		i++
	}
	rest := bytes.TrimRight(line[i:], " \t\r")
	if m, named = anywhere(rest); m != markNone {
		return m, named
	}
	if i > 0 {
		if frame(rest) || ruby(rest) || hasPrefix(rest, "thrown in ") || perl(rest) {
			return markFrame, nil
		}
		if hasPrefix(rest, "[Previous line repeated") {
			return markPythonFrame, nil
		}
		if goFile(rest) {
			return markGoFile, nil
		}
		return markIndented, nil
	}
	return leftmost(rest)
}

// anywhere finds what is a mark with and without blanks in front.
func anywhere(rest []byte) (m mark, named []byte) {
	if len(rest) == 0 {
		return markNone, nil
	}
	switch rest[0] {
	case 'a':
		if method(rest) {
			return markFrame, nil
		}
	case 'C', 'S', 'W':
		for _, s := range [...]string{"Caused by:", "Suppressed:", "Wrapped by:"} {
			if named, ok := cause(rest, s); ok {
				return markCause, named
			}
		}
	case '-':
		if hasPrefix(rest, "--- End of ") {
			return markFrame, nil
		}
		if named, ok := cause(rest, "--->"); ok {
			return markCause, named
		}
	case '.':
		if more(rest) {
			return markFrame, nil
		}
	case 'F':
		if hasPrefix(rest, `File "`) && bytes.Contains(rest, []byte(`", line `)) {
			return markPythonFrame, nil
		}
	case '[':
		if named, ok := cause(rest, "[cause]:"); ok {
			return markCause, named
		}
		if hasPrefix(rest, "[CIRCULAR REFERENCE") {
			return markFrame, nil
		}
	case '#':
		if numbered(rest) {
			return markFrame, nil
		}
	}
	return markNone, nil
}

// leftmost finds what is a mark at the start of a line only.
func leftmost(line []byte) (mark, []byte) {
	if len(line) == 0 {
		return markIndented, nil
	}
	switch line[0] {
	case '}', ']', ')':
		return markClosing, nil
	case 'T':
		if hasPrefix(line, "Traceback (most recent call last)") {
			return markPythonHead, nil
		}
		if hasPrefix(line, "The above exception was the direct cause of") {
			return markPythonNext, nil
		}
	case 'D':
		if hasPrefix(line, "During handling of the above exception") {
			return markPythonNext, nil
		}
	case 'f':
		if hasPrefix(line, "fatal error: ") {
			return markPanic, nil
		}
		if ruby(line) {
			return markFrame, nil
		}
	case 'p':
		if hasPrefix(line, "panic: ") {
			return markPanic, nil
		}
	case 'g':
		if hasPrefix(line, "goroutine ") && line[len(line)-1] == ':' && bytes.IndexByte(line, '[') > 0 {
			return markRoutine, nil
		}
	case 't':
		if hasPrefix(line, "thread '") && bytes.Contains(line, []byte("' panicked at ")) {
			return markRust, nil
		}
	case 's':
		if string(line) == "stack backtrace:" {
			return markBacktrace, nil
		}
		if string(line) == "stack traceback:" { // Lua
			return markFrame, nil
		}
	case 'S':
		if string(line) == "Stack trace:" {
			return markFrame, nil
		}
		if hasPrefix(line, "Stack (most recent call last)") {
			return markPythonHead, nil
		}
	case '[':
		if string(line) == "[stacktrace]" {
			return markFrame, nil
		}
	}
	if t := thrown(line); t != nil && !plain(t) {
		return markException, t
	}
	return markNone, nil
}

// method recognises a frame of Java or .NET: at a.b.C.d(C.java:12), at A.B.C(String s) in C:\c.cs:line 5.
func method(rest []byte) bool {
	if !hasPrefix(rest, "at ") {
		return false
	}
	name := rest[3:]
	open := bytes.IndexByte(name, '(')
	return open > 0 && bytes.IndexByte(name[:open], ' ') < 0 && bytes.IndexByte(name[:open], '.') > 0 && bytes.IndexByte(name[open:], ')') > 0
}

// frame recognises an indented frame of JavaScript or Rust: at f (a.js:1:2), at new A (a.js:1:2), at a.js:1:2.
func frame(rest []byte) bool {
	if !hasPrefix(rest, "at ") {
		return false
	}
	rest = bytes.TrimSuffix(rest, []byte(" {"))
	if len(rest) < 5 {
		return false
	}
	if rest[len(rest)-1] != ')' {
		return placed(rest[3:]) || string(rest) == "at <anonymous>"
	}
	open := bytes.LastIndexByte(rest, '(')
	if open < 5 || rest[open-1] != ' ' {
		return false
	}
	where := rest[open+1 : len(rest)-1]
	return placed(where) || string(where) == "<anonymous>" || string(where) == "native" || hasPrefix(where, "index ")
}

// placed recognises a:1 and a:1:2.
func placed(w []byte) bool {
	colon := bytes.LastIndexByte(w, ':')
	return colon > 0 && digits(w[colon+1:]) && bytes.IndexByte(w[:colon], ' ') < 0
}

// ruby recognises from a.rb:3:in `f'.
func ruby(rest []byte) bool {
	if !hasPrefix(rest, "from ") {
		return false
	}
	in := bytes.Index(rest, []byte(":in "))
	return in > 0 && placed(rest[5:in])
}

// perl recognises Shop::save(7) called at a.pl line 12.
func perl(rest []byte) bool {
	i := bytes.Index(rest, []byte(" called at "))
	return i > 0 && bytes.Contains(rest[i:], []byte(" line "))
}

// goFile recognises /src/a.go:12 +0x1d, the second line of a frame of Go.
func goFile(rest []byte) bool {
	w := rest
	if k := bytes.Index(w, []byte(" +0x")); k > 0 {
		w = w[:k]
	}
	colon := bytes.LastIndexByte(w, ':')
	return colon > 3 && digits(w[colon+1:]) && (bytes.HasSuffix(w[:colon], []byte(".go")) || bytes.HasSuffix(w[:colon], []byte(".s")) && w[0] == '/')
}

// numbered recognises a frame of PHP, Dart or a debugger: #0 /a.php(7): f(), #1 {main}, #2  0x0000 in f (), #3 f (a.dart:1:2).
func numbered(rest []byte) bool {
	i := 1
	for i < len(rest) && digit(rest[i]) {
		i++
	}
	if i == 1 || i+1 >= len(rest) || rest[i] != ' ' {
		return false
	}
	w := bytes.TrimLeft(rest[i:], " ")
	if open := bytes.LastIndexByte(w, '('); open > 0 && w[len(w)-1] == ')' && placed(w[open+1:len(w)-1]) {
		return true
	}
	return string(w) == "{main}" || hasPrefix(w, "0x") || hasPrefix(w, "[internal function]: ") || bytes.Contains(w, []byte("): "))
}

// more recognises ... 12 more and ... 5 common frames omitted.
func more(rest []byte) bool {
	if !hasPrefix(rest, "... ") {
		return false
	}
	w := rest[4:]
	i := 0
	for i < len(w) && digit(w[i]) {
		i++
	}
	return i > 0 && (string(w[i:]) == " more" || hasPrefix(w[i:], " common frames omitted") || hasPrefix(w[i:], " lines matching"))
}

// cause reads the type behind one of the words that introduce a cause. Without a type it is one only where nothing follows.
func cause(rest []byte, word string) (named []byte, ok bool) {
	if !hasPrefix(rest, word) {
		return nil, false
	}
	w := bytes.TrimLeft(rest[len(word):], " ")
	if len(w) == 0 {
		return nil, word == "Caused by:"
	}
	if t := thrown(w); t != nil {
		return t, true
	}
	t := name(w)
	if len(t) > 0 && (len(t) == len(w) || w[len(t)] == ':') && bytes.IndexByte(t, '.') > 0 {
		return t, true
	}
	return nil, false
}

// thrown returns the name at the start of w if it is that of an exception: its last part says so, and it is followed by a
// colon, by a bracket or by nothing.
func thrown(w []byte) []byte {
	t := name(w)
	if len(t) < 4 {
		return nil
	}
	if rest := w[len(t):]; len(rest) > 0 && rest[0] != ':' && !hasPrefix(rest, " (") && !hasPrefix(rest, " [") {
		return nil
	}
	last := t[bytes.LastIndexAny(t, ".:\\$/")+1:]
	if len(last) == 0 || last[0] < 'A' || last[0] > 'Z' {
		return nil
	}
	for _, s := range [...]string{"Exception", "Error", "Throwable", "Failure", "Fault", "Interrupt"} {
		if bytes.HasSuffix(last, []byte(s)) {
			return t
		}
	}
	return nil
}

// plain reports whether the name of an exception is also a word of a sentence: Error: no route to host.
func plain(t []byte) bool {
	switch string(t) {
	case "Error", "Exception", "Failure", "Fault", "Interrupt":
		return true
	}
	return false
}

// pythonType returns the type that ends a trace of Python: ValueError: bad, KeyboardInterrupt, lib.Oops: no.
func pythonType(line []byte) []byte {
	t := name(line)
	if len(t) == 0 || len(t) < len(line) && line[len(t)] != ':' {
		return nil
	}
	return t
}

// name returns the identifier that w starts with, with dots, :: and the like within.
func name(w []byte) []byte {
	i := 0
	for i < len(w) && (letter(w[i]) || i > 0 && digit(w[i]) || w[i] == '_' || w[i] >= 0x80 ||
		i > 0 && i+1 < len(w) && (w[i] == '.' || w[i] == '$' || w[i] == '\\' || w[i] == '/') && (letter(w[i+1]) || w[i+1] == '_') ||
		i > 0 && i+2 < len(w) && w[i] == ':' && w[i+1] == ':' && letter(w[i+2])) {
		if w[i] == ':' {
			i++
		}
		i++
	}
	return w[:i]
}

func hasPrefix(b []byte, s string) bool { return len(b) >= len(s) && string(b[:len(s)]) == s }

func digit(b byte) bool { return b >= '0' && b <= '9' }

func letter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }

func digits(b []byte) bool {
	for _, c := range b {
		if !digit(c) {
			return false
		}
	}
	return len(b) > 0
}
