// Package header finds what a logging framework puts in front of a message: time, level and component. A line comes in;
// a Header goes out. What it does not recognise it leaves in the message, so that no byte of a line is lost.
//
//	2015-10-18 18:01:47,978 INFO [main] org.apache.Foo: Task 7 done
//	└────────time─────────┘ level       └─component──┘  └─message─┘
package header

import (
	"bytes"
	"time"
)

// Level is the severity of a line; zero means that the line does not say.
type Level uint8

// The levels, in rising severity.
const (
	Unknown Level = iota
	Trace
	Debug
	Info
	Notice
	Warn
	Error
	Fatal
)

var levelNames = [...]string{"", "trace", "debug", "info", "notice", "warn", "error", "fatal"}

// String returns the lower-case name of the level, "" for Unknown.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return ""
}

// Header is a line taken apart.
type Header struct {
	Time      int64 // Unix nanoseconds, UTC; valid if HasTime
	HasTime   bool
	Level     Level
	Component []byte // logger, class or program name; may be empty
	Message   []byte // the rest of the line
	Inner     []byte // the line that a container runtime wrapped into this one; nil where none did
	Lent      bool   // Time is that of the wrapper: the inner line has none
}

// Parser takes lines apart. It is not safe for concurrent use.
type Parser struct {
	clock
	buf    []byte // message of a JSON line or an access log
	inner  []byte // what stays of a logfmt line
	pairs  []pair
	nested [maxNesting][]byte // lines within JSON lines
}

// NewParser returns a Parser; ref gives the year and the zone to dates that lack them.
func NewParser(ref time.Time) *Parser { return &Parser{clock: newClock(ref)} }

// Parse takes one line apart. The slices of the result are valid until the next call and while line is unchanged. It
// allocates nothing, but for lines in JSON, which it copies into a buffer of its own.
func (p *Parser) Parse(line []byte) Header { return p.parse(line, 0) }

// maxNesting is how deep lines may be wrapped in each other: a container's log of a daemon's JSON.
const maxNesting = 3

func (p *Parser) parse(line []byte, depth int) Header {
	h := Header{Message: line}
	i := 0
	for i < len(line) && line[i] == ' ' {
		i++
	}
	if i == len(line) {
		return h
	}
	switch c := line[i]; {
	case c == '{':
		if p.json(line[i:], depth, &h) {
			return h
		}
		return Header{Message: line}
	case c == '<':
		if p.priority(line, i, &h) {
			return h
		}
	case c == '[':
		if end, ok := p.bracketTime(line, i, &h); ok {
			p.after(line, end, &h, false)
			return h
		}
	case c >= '0' && c <= '9':
		if t, ok := p.stamp(line, i); ok {
			h.Time, h.HasTime = t.at, true
			p.numbered(line, t, depth, &h)
			return h
		}
	case c == '-' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z':
		if p.lettered(line, i, &h) {
			return h
		}
	}
	if p.logfmt(line[i:], &h) {
		return h
	}
	if p.access(line, i, &h) {
		return h
	}
	p.bare(line, i, &h)
	return h
}

// numbered goes on behind a time that starts with a digit.
func (p *Parser) numbered(line []byte, t stamp, depth int, h *Header) {
	rest := t.end
	if t.epoch {
		if e, ok := p.clusterLog(line, rest, h); ok {
			rest = e
		}
	}
	if stream, e, ok := containerStream(line, rest); ok && depth < maxNesting {
		at := h.Time
		*h = p.parse(line[e:], depth+1)
		h.wrapped(line[e:], at, true)
		_ = stream
		return
	}
	if e, ok := syslogTail(line, rest, h, false); ok {
		p.afterProgram(line, e, h)
		return
	}
	p.after(line, rest, h, t.twoNumbers)
}

// wrapped notes that the line parsed was in another, whose time it takes if it has none.
func (h *Header) wrapped(inner []byte, at int64, timed bool) {
	if h.Inner == nil {
		h.Inner = inner
	}
	if !h.HasTime && timed {
		h.Time, h.HasTime, h.Lent = at, true, true
	}
}

// containerStream recognises "stdout F " and its like, which container runtimes put between time and line.
func containerStream(line []byte, i int) (stream string, end int, ok bool) {
	i = skipBlank(line, i)
	for _, s := range [...]string{"stdout ", "stderr "} {
		if hasPrefix(line[i:], s) && len(line) >= i+9 && (line[i+7] == 'F' || line[i+7] == 'P') && line[i+8] == ' ' {
			return s[:6], i + 9, true
		}
	}
	return "", i, false
}

// lettered recognises times that start with the name of a day or month, klog, and clusters' logs with a label in front.
func (p *Parser) lettered(line []byte, i int, h *Header) bool {
	if t, ok := p.named(line, i); ok {
		h.Time, h.HasTime = t.at, true
		if e, ok := syslogTail(line, t.end, h, true); ok {
			p.afterProgram(line, e, h)
		} else {
			p.after(line, t.end, h, false)
		}
		return true
	}
	if p.klog(line, i, h) {
		return true
	}
	if e := bytes.IndexByte(line[i:], ' '); e > 0 && e < 24 {
		label := line[i : i+e]
		if string(label) == "-" || upperWord(label) {
			if t, ok := p.stamp(line, i+e+1); ok && t.epoch {
				if end, ok := p.clusterLog(line, t.end, h); ok {
					h.Time, h.HasTime = t.at, true
					if e, ok := syslogTail(line, end, h, true); ok {
						p.afterProgram(line, e, h)
					} else {
						p.after(line, end, h, false)
					}
					return true
				}
			}
		}
	}
	for _, k := range [...]string{"Start-Date: ", "End-Date: "} {
		if hasPrefix(line[i:], k) {
			if t, ok := p.stamp(line, skipBlank(line, i+len(k))); ok {
				h.Time, h.HasTime = t.at, true
				return true
			}
		}
	}
	return false
}

// klog recognises I1123 13:00:00.123456   12345 file.go:12] message.
func (p *Parser) klog(line []byte, i int, h *Header) bool {
	l := line[i:]
	if len(l) < 21 || !allDigits(l[1:5]) || l[5] != ' ' {
		return false
	}
	var level Level
	switch l[0] {
	case 'I':
		level = Info
	case 'W':
		level = Warn
	case 'E':
		level = Error
	case 'F':
		level = Fatal
	case 'D':
		level = Debug
	default:
		return false
	}
	mon, day := number(l[1:3]), number(l[3:5])
	tod, e, ok := timeOfDay(line, i+6)
	if !ok || mon < 1 || mon > 12 || day < 1 || day > 31 {
		return false
	}
	end := bytes.IndexByte(line[e:], ']')
	if end < 0 || end > 200 {
		return false
	}
	file := line[e : e+end]
	if k := bytes.LastIndexByte(file, ' '); k >= 0 {
		file = file[k+1:]
	}
	if k := bytes.IndexByte(file, ':'); k > 0 {
		file = file[:k]
	}
	h.Time, h.HasTime, h.Level, h.Component = p.yearless(mon, day, tod), true, level, file
	h.Message = line[skipBlank(line, e+end+1):]
	return true
}

// clusterLog goes on behind an epoch: a date, a node, and perhaps a second time, without its zone, and node.
func (p *Parser) clusterLog(line []byte, i int, h *Header) (end int, ok bool) {
	i = skipBlank(line, i)
	if i+11 > len(line) || !allDigits(line[i:i+4]) || line[i+4] != '.' || line[i+7] != '.' || line[i+10] != ' ' {
		return i, false
	}
	i = skipBlank(line, i+10)
	node := token(line, i)
	i = skipBlank(line, i+len(node))
	if t, ok := p.stamp(line, i); ok {
		i = skipBlank(line, t.end)
		if again := token(line, i); bytes.Equal(again, node) {
			i = skipBlank(line, i+len(again))
		}
		// What follows is classes in capitals, the last one a level.
		e, found := i, false
		for range 4 {
			w := token(line, e)
			if !upperWord(w) {
				break
			}
			if l := levelOf(w); l != Unknown {
				h.Level, found = l, true
				e += len(w)
				break
			}
			h.Component = w
			e = skipBlank(line, e+len(w))
		}
		if found {
			h.Message = line[skipBlank(line, e):]
			return skipBlank(line, e), true
		}
		h.Component = nil
		return i, true
	}
	if t, ok := p.named(line, i); ok {
		i = skipBlank(line, t.end)
	}
	return i, true
}

// priority recognises <34>1 2003-10-11T22:14:15.003Z host app procid msgid [sd] message, and <13>Feb  5 17:32:18 host app: message.
func (p *Parser) priority(line []byte, i int, h *Header) bool {
	e := i + 1
	for e < len(line) && line[e] >= '0' && line[e] <= '9' {
		e++
	}
	if e == i+1 || e > i+4 || e >= len(line) || line[e] != '>' {
		return false
	}
	severity := number(line[i+1:e]) & 7
	e++
	level := [...]Level{Fatal, Fatal, Fatal, Error, Warn, Notice, Info, Debug}[severity]
	if e+1 < len(line) && line[e] == '1' && line[e+1] == ' ' {
		if end, ok := p.rfc5424(line, e+2, h); ok {
			h.Level = level
			h.Message = line[end:]
			return true
		}
	}
	var t stamp
	ok := false
	if e < len(line) && line[e] >= '0' && line[e] <= '9' {
		t, ok = p.stamp(line, e)
	} else {
		t, ok = p.named(line, e)
	}
	h.Level = level
	h.Message = line[e:]
	if ok {
		h.Time, h.HasTime = t.at, true
		e = t.end
		if end, ok := syslogTail(line, e, h, true); ok {
			p.afterProgram(line, end, h)
			h.Level = level
			return true
		}
		h.Message = line[skipBlank(line, e):]
	}
	return true
}

func (p *Parser) rfc5424(line []byte, i int, h *Header) (end int, ok bool) {
	if i < len(line) && line[i] == '-' {
		i++
	} else {
		t, ok := p.stamp(line, i)
		if !ok {
			return i, false
		}
		h.Time, h.HasTime = t.at, true
		i = t.end
	}
	var fields [4][]byte
	for k := range fields {
		i = skipBlank(line, i)
		fields[k] = token(line, i)
		i += len(fields[k])
	}
	i = skipBlank(line, i)
	if string(fields[1]) != "-" {
		h.Component = fields[1]
	}
	if i < len(line) && line[i] == '-' {
		return skipBlank(line, i+1), true
	}
	for i < len(line) && line[i] == '[' {
		e := closing(line, i)
		if e < 0 {
			break
		}
		i = e + 1
	}
	i = skipBlank(line, i)
	if hasPrefix(line[i:], "\xef\xbb\xbf") {
		i += 3
	}
	return i, true
}

// access recognises the logs of web servers: host ident user [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326. The
// message is the line without the time.
func (p *Parser) access(line []byte, i int, h *Header) bool {
	head := line[i:min(len(line), i+160)]
	b := bytes.IndexByte(head, '[')
	if b < 4 || i+b+28 > len(line) || line[i+b+3] != '/' || line[i+b+7] != '/' || line[i+b+12] != ':' || line[i+b-1] != ' ' {
		return false
	}
	s := line[i+b+1:]
	mon, ok := month(s[3:6])
	if !ok || !allDigits(s[:2]) || !allDigits(s[7:11]) {
		return false
	}
	tod, e, ok := timeOfDay(s, 12)
	if !ok {
		return false
	}
	offset, ze, zoned := zone(s, skipBlank(s, e))
	if zoned {
		e = ze
	}
	if e >= len(s) || s[e] != ']' {
		return false
	}
	h.Time, h.HasTime = p.join(number(s[7:11]), mon, number(s[:2]), tod, offset, zoned), true
	p.buf = append(p.buf[:0], line[i:i+b]...)
	p.buf = append(p.buf, s[skipBlank(s, e+1):]...)
	h.Message = p.buf
	return true
}
