package header

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// pair is a key and its value in a JSON object or a logfmt line.
type pair struct {
	key, value []byte // a JSON string without its quotes, still escaped
	quoted     bool
	from, to   int // the whole pair in the line
}

// json reads a line that is a JSON object: journald's, a container's, or a structured logger's.
func (p *Parser) json(line []byte, depth int, h *Header) bool {
	pairs, ok := object(line, p.pairs[:0])
	p.pairs = pairs
	if !ok || len(pairs) == 0 {
		return false
	}
	if v := find(pairs, "MESSAGE"); v != nil {
		return p.journal(pairs, v, depth, h)
	}
	if v, at := find(pairs, "log"), find(pairs, "time"); v != nil && at != nil && v.quoted && find(pairs, "stream") != nil && depth < maxNesting {
		when, timed := p.value(at)
		p.nested[depth] = unescape(p.nested[depth][:0], v.value)
		inner := bytes.TrimRight(p.nested[depth], "\r\n")
		*h = p.parse(inner, depth+1)
		h.wrapped(inner, when, timed)
		return true
	}
	return p.record(line, pairs, h)
}

func find(pairs []pair, key string) *pair {
	for i := range pairs {
		if string(pairs[i].key) == key {
			return &pairs[i]
		}
	}
	return nil
}

// journal reads what journalctl -o json prints.
func (p *Parser) journal(pairs []pair, message *pair, depth int, h *Header) bool {
	p.buf = p.buf[:0]
	if message.quoted {
		p.buf = unescape(p.buf, message.value)
	} else {
		p.buf = byteArray(p.buf, message.value)
	}
	h.Message = p.buf
	for _, k := range [...]string{"_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"} {
		if v := find(pairs, k); v != nil && len(v.value) == 16 && allDigits(v.value) {
			h.Time, h.HasTime = int64(number(v.value))*1000, true
		}
	}
	if v := find(pairs, "PRIORITY"); v != nil && len(v.value) == 1 && v.value[0] >= '0' && v.value[0] <= '7' {
		h.Level = [...]Level{Fatal, Fatal, Fatal, Error, Warn, Notice, Info, Debug}[v.value[0]-'0']
	}
	for _, k := range [...]string{"_COMM", "SYSLOG_IDENTIFIER"} {
		if v := find(pairs, k); v != nil && len(v.value) > 0 {
			h.Component = v.value
		}
	}
	return true
}

// byteArray reads [72,105], how journald prints messages that are not text.
func byteArray(dst, v []byte) []byte {
	n, in := 0, false
	for _, c := range v {
		switch {
		case digit(c):
			n, in = n*10+int(c-'0'), true
		case in:
			dst = append(dst, byte(n))
			n, in = 0, false
		}
	}
	return dst
}

// role is what a key of a structured line says.
type role uint8

const (
	roleField role = iota
	roleTime
	roleLevel
	roleComponent
	roleMessage
)

func roleOf(key []byte) role {
	switch string(key) {
	case "time", "ts", "timestamp", "@timestamp", "t", "datetime", "eventTime", "Timestamp", "Time", "date", "asctime":
		return roleTime
	case "level", "lvl", "severity", "log.level", "Level", "loglevel", "levelname", "l":
		return roleLevel
	case "logger", "component", "log.logger", "LoggerName", "loggerName", "logger_name":
		return roleComponent
	case "msg", "message", "M", "event", "Message", "@message":
		return roleMessage
	}
	return roleField
}

// IsMessageKey reports whether a key of a structured line is one of those that hold its message.
func IsMessageKey(key []byte) bool { return roleOf(key) == roleMessage }

// record takes time, level and logger out of a JSON object; the other fields stay in the message as a smaller object.
func (p *Parser) record(line []byte, pairs []pair, h *Header) bool {
	p.buf = append(p.buf[:0], '{')
	for i := range pairs {
		v := &pairs[i]
		if p.take(v, h) {
			continue
		}
		if len(p.buf) > 1 {
			p.buf = append(p.buf, ',')
		}
		p.buf = append(p.buf, line[v.from:v.to]...)
	}
	if len(p.buf) == 1 {
		return false
	}
	h.Message = append(p.buf, '}')
	p.buf = h.Message
	return true
}

// take reads a pair that belongs to the header, the first of its role.
func (p *Parser) take(v *pair, h *Header) bool {
	switch roleOf(v.key) {
	case roleTime:
		if at, ok := p.value(v); ok && !h.HasTime {
			h.Time, h.HasTime = at, true
			return true
		}
	case roleLevel:
		if l := levelValue(v.value); l != Unknown && h.Level == Unknown {
			h.Level = l
			return true
		}
	case roleComponent:
		if h.Component == nil && v.quoted && nameLike(v.value) {
			h.Component = v.value
			return true
		}
	case roleField, roleMessage:
	}
	return false
}

// levelValue reads a level by name, or the numbers that bunyan and pino write.
func levelValue(v []byte) Level {
	if len(v) == 2 && allDigits(v) && v[1] == '0' {
		return [...]Level{Unknown, Trace, Debug, Info, Warn, Error, Fatal, Unknown, Unknown, Unknown}[v[0]-'0']
	}
	return levelOf(v)
}

// value reads a time that is a string or a number.
func (p *Parser) value(v *pair) (at int64, ok bool) {
	if len(v.value) == 0 {
		return 0, false
	}
	if t, ok := p.clock.stampWhole(v.value); ok {
		return t, true
	}
	if v.quoted {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v.value), 64)
	if err != nil {
		return 0, false
	}
	switch {
	case f >= 1e8 && f < 1e11:
		return int64(f*1e6) * 1000, true
	case f >= 1e11 && f < 1e14:
		return int64(f*1e3) * 1000, true
	}
	return 0, false
}

// stampWhole reads a value that is nothing but a time.
func (c *clock) stampWhole(v []byte) (int64, bool) {
	var pad [48]byte
	if len(v)+1 > len(pad) {
		return 0, false
	}
	n := copy(pad[:], v)
	pad[n] = ' '
	if digit(v[0]) {
		if t, ok := c.stamp(pad[:n+1], 0); ok && t.end == n {
			return t.at, true
		}
		return 0, false
	}
	if t, ok := c.named(pad[:n+1], 0); ok && t.end == n {
		return t.at, true
	}
	return 0, false
}

// object reads the pairs of a JSON object that fills the line. Values that are objects or arrays are taken as they are.
func object(b []byte, out []pair) ([]pair, bool) {
	i := 1
	for {
		i = skipSpace(b, i)
		if i < len(b) && b[i] == '}' {
			return out, skipSpace(b, i+1) == len(b)
		}
		from := i
		if i >= len(b) || b[i] != '"' {
			return out, false
		}
		ke := quoteEnd(b, i)
		if ke < 0 {
			return out, false
		}
		key := b[i+1 : ke]
		i = skipSpace(b, ke+1)
		if i >= len(b) || b[i] != ':' {
			return out, false
		}
		i = skipSpace(b, i+1)
		v, e, ok := jsonValue(b, i)
		if !ok {
			return out, false
		}
		v.key, v.from, v.to = key, from, e
		out = append(out, v)
		i = skipSpace(b, e)
		if i < len(b) && b[i] == ',' {
			i++
			continue
		}
		if i >= len(b) || b[i] != '}' {
			return out, false
		}
	}
}

func jsonValue(b []byte, i int) (v pair, end int, ok bool) {
	if i >= len(b) {
		return v, i, false
	}
	switch b[i] {
	case '"':
		e := quoteEnd(b, i)
		if e < 0 {
			return v, i, false
		}
		return pair{value: b[i+1 : e], quoted: true}, e + 1, true
	case '{', '[':
		depth := 0
		for k := i; k < len(b); k++ {
			switch b[k] {
			case '"':
				if k = quoteEnd(b, k); k < 0 {
					return v, i, false
				}
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return pair{value: b[i : k+1]}, k + 1, true
				}
			}
		}
		return v, i, false
	}
	e := i
	for e < len(b) && b[e] != ',' && b[e] != '}' && b[e] != ']' && b[e] > ' ' {
		e++
	}
	return pair{value: b[i:e]}, e, e > i
}

func quoteEnd(b []byte, i int) int {
	for k := i + 1; k < len(b); k++ {
		switch b[k] {
		case '\\':
			k++
		case '"':
			return k
		}
	}
	return -1
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// unescape appends the text of a JSON string.
func unescape(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			dst = append(dst, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n':
			dst = append(dst, '\n')
		case 't':
			dst = append(dst, '\t')
		case 'r':
			dst = append(dst, '\r')
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'u':
			r, n := codeUnit(s, i)
			i += n
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, s[i])
		}
	}
	return dst
}

// codeUnit reads the four hex digits behind the u at s[i], and a second surrogate, and says how many bytes it read.
func codeUnit(s []byte, i int) (r rune, n int) {
	one := func(at int) (rune, bool) {
		if at+4 > len(s) {
			return 0, false
		}
		v, err := strconv.ParseUint(string(s[at:at+4]), 16, 16)
		return rune(v), err == nil
	}
	r, ok := one(i + 1)
	if !ok {
		return utf8.RuneError, 0
	}
	if r >= 0xd800 && r < 0xdc00 && i+6 < len(s) && s[i+5] == '\\' && s[i+6] == 'u' {
		if low, ok := one(i + 7); ok && low >= 0xdc00 && low < 0xe000 {
			return (r-0xd800)<<10 + (low - 0xdc00) + 0x10000, 10
		}
	}
	return r, 4
}

// logfmt reads a line of key=value pairs that starts with one of the header. What is not of the header stays in the message.
func (p *Parser) logfmt(line []byte, h *Header) bool {
	e := bytes.IndexByte(line[:min(len(line), 16)], '=')
	if e <= 0 || roleOf(line[:e]) == roleField || roleOf(line[:e]) == roleComponent {
		return false
	}
	found := 0
	first, last := -1, 0 // what stays, if it is in one piece
	whole := true
	p.inner = p.inner[:0]
	for i := 0; i < len(line); {
		i = skipBlank(line, i)
		v, end, ok := logfmtPair(line, i)
		if ok && p.take(&v, h) {
			found++
			i = end
			continue
		}
		if end == i {
			break
		}
		if first < 0 {
			first = i
		} else if i != skipBlank(line, last) {
			whole = false
		}
		if len(p.inner) > 0 {
			p.inner = append(p.inner, ' ')
		}
		p.inner = append(p.inner, line[i:end]...)
		last = end
		i = end
	}
	if found == 0 || first < 0 {
		*h = Header{Message: h.Message}
		return false
	}
	if whole {
		h.Message = line[first:last]
		return true
	}
	p.buf = append(p.buf[:0], p.inner...)
	h.Message = p.buf
	return true
}

// logfmtPair reads key=value or key="value" at line[i]; without a = it is a lone word.
func logfmtPair(line []byte, i int) (v pair, end int, ok bool) {
	k := i
	for k < len(line) && line[k] != '=' && line[k] != ' ' && line[k] != '"' {
		k++
	}
	if k >= len(line) || line[k] != '=' || k == i {
		w := token(line, i)
		return v, i + len(w), false
	}
	v.key = line[i:k]
	k++
	if k < len(line) && line[k] == '"' {
		if e := quoteEnd(line, k); e >= 0 {
			v.value, v.quoted = line[k+1:e], true
			return v, e + 1, true
		}
	}
	v.value = token(line, k)
	v.quoted = len(v.value) > 0 && !digit(v.value[0])
	return v, k + len(v.value), true
}
