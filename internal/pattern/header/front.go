package header

import "bytes"

// levelOf reads the name of a level, in any case.
func levelOf(w []byte) Level {
	if len(w) < 3 || len(w) > 13 {
		return Unknown
	}
	var up [13]byte
	for i, c := range w {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		up[i] = c
	}
	switch string(up[:len(w)]) {
	case "TRACE", "FINEST", "FINER", "VERBOSE", "DEBUG5", "DEBUG4":
		return Trace
	case "DEBUG", "DBG", "FINE", "CONFIG", "DEBUG1", "DEBUG2", "DEBUG3":
		return Debug
	case "INFO", "INF", "INFORMATION", "INFORMATIONAL", "LOG", "STATEMENT", "DETAIL", "HINT", "CONTEXT":
		return Info
	case "NOTICE":
		return Notice
	case "WARN", "WARNING", "WRN":
		return Warn
	case "ERROR", "ERR", "SEVERE", "FAILURE":
		return Error
	case "FATAL", "CRIT", "CRITICAL", "ALERT", "EMERG", "EMERGENCY", "PANIC", "DPANIC":
		return Fatal
	}
	return Unknown
}

// oneLetter reads the one-letter levels of mobile logs.
func oneLetter(w []byte) Level {
	if len(w) != 1 {
		return Unknown
	}
	switch w[0] {
	case 'V':
		return Trace
	case 'D':
		return Debug
	case 'I':
		return Info
	case 'W':
		return Warn
	case 'E':
		return Error
	case 'F', 'A':
		return Fatal
	}
	return Unknown
}

// strip takes brackets and closing punctuation off a token.
func strip(w []byte) []byte {
	for len(w) > 0 && bytes.IndexByte([]byte("[<(|"), w[0]) >= 0 {
		w = w[1:]
	}
	for len(w) > 0 && bytes.IndexByte([]byte("]>):,|"), w[len(w)-1]) >= 0 {
		w = w[:len(w)-1]
	}
	return w
}

func upperWord(w []byte) bool {
	for _, c := range w {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return len(w) > 0
}

// closing returns the place of the bracket that closes the one at b[i], or -1.
func closing(b []byte, i int) int {
	depth := 0
	for k := i; k < len(b) && k-i < 512; k++ {
		switch b[k] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return k
			}
		}
	}
	return -1
}

// field is a token in front of a message, or a bracket with all that is in it.
func field(b []byte, i int) (w []byte, end int) {
	if i < len(b) && b[i] == '[' {
		if e := closing(b, i); e >= 0 {
			end = e + 1
			if end < len(b) && (b[end] == ':' || b[end] == ',') {
				end++
			}
			return b[i:end], end
		}
	}
	w = token(b, i)
	return w, i + len(w)
}

// maxFields is how many fields between time and level are looked at.
const maxFields = 5

// after reads level and component behind a time at line[i:]. Without a level only the time is taken off.
func (p *Parser) after(line []byte, i int, h *Header, letters bool) {
	i = skipSeparators(line, i)
	h.Message = line[i:]
	k, name := i, []byte(nil)
	for range maxFields {
		w, e := field(line, k)
		if len(w) == 0 {
			return
		}
		bare := strip(w)
		l := levelOf(bare)
		if l == Unknown && letters {
			l = oneLetter(bare)
		}
		if l == Unknown {
			if c := bytes.IndexByte(bare, ':'); c > 0 && w[0] == '[' {
				if l = levelOf(bare[c+1:]); l != Unknown { // [module:level]
					name = bare[:c]
				}
			}
		}
		if l != Unknown && (upperEnough(w, bare) || e < len(line)) {
			if !upperEnough(w, bare) && !levelStands(line, k, e, w, bare) {
				return
			}
			h.Level = l
			p.component(line, e, name, h, w)
			return
		}
		switch {
		case w[0] == '[' || w[0] == '(' && w[len(w)-1] == ')' || allDigits(bare) || processPair(bare) || separator(w):
		case name == nil && nameLike(bare):
			name = bare
		default:
			return
		}
		k = skipSeparators(line, e)
	}
}

// upperEnough reports whether a level is written in capitals or in brackets, so that it is no word of a sentence.
func upperEnough(w, bare []byte) bool {
	return upperWord(bare) || len(w) >= len(bare)+2 || bare[len(bare)-1] <= '9'
}

// levelStands reports whether a level in small letters stands apart from what follows: a separator or several blanks behind it.
func levelStands(line []byte, from, end int, w, bare []byte) bool {
	if len(w) > len(bare) || end < len(line) && line[end] == '\t' || end+1 < len(line) && line[end] == ' ' && line[end+1] == ' ' {
		return true
	}
	next, _ := field(line, skipBlank(line, end))
	return separator(next) || from > 0 && line[from-1] == '\t' || len(next) > 0 && next[0] == '['
}

func separator(w []byte) bool {
	switch string(w) {
	case "-", "--", "---", "|", ":", "–", "::":
		return true
	}
	return false
}

func skipSeparators(line []byte, i int) int {
	for {
		i = skipBlank(line, i)
		w := token(line, i)
		if !separator(w) {
			return i
		}
		i += len(w)
	}
}

// processPair recognises process numbers like 123#45 and 12-34.
func processPair(w []byte) bool {
	for _, c := range w {
		if !digit(c) && c != '#' && c != '-' && c != '.' && c != ':' {
			return false
		}
	}
	return len(w) > 0 && digit(w[0])
}

// nameLike recognises what may be the name of a logger, program or user@database.
func nameLike(w []byte) bool {
	if len(w) == 0 || len(w) > 100 {
		return false
	}
	for _, c := range w {
		if !letter(c) && !digit(c) && bytes.IndexByte([]byte("._-/$@:#"), c) < 0 {
			return false
		}
	}
	return letter(w[0])
}

// component reads what stands between a level at line[:i] and the message: threads in brackets, a logger name that a colon or a
// dash or several blanks set off. name is what stood before the level.
func (p *Parser) component(line []byte, i int, name []byte, h *Header, level []byte) {
	h.Component = name
	tabs := i < len(line) && line[i] == '\t'
	k := skipSeparators(line, i)
	if p.afterColon(line, i, level) {
		h.Message = line[skipBlank(line, i):]
		return
	}
	h.Message = line[k:]
	for range maxFields {
		w, e := field(line, k)
		if len(w) == 0 {
			return
		}
		switch {
		case tabs && e < len(line) && line[e] == '\t' && nameLike(w):
			if callSite(w) {
				h.Message = line[skipBlank(line, e):]
				return
			}
			if next := token(line, skipBlank(line, e)); !callSite(next) {
				return
			}
			h.Component = w
		case w[0] == '[' && len(w) > 2 && e < len(line) && (separatorAhead(line, e) || !bytes.ContainsAny(w, "\"=")):
			if h.Component == nil {
				h.Component = strip(w)
			}
		case processPair(strip(w)) && w[len(w)-1] == ':':
		case allDigits(w) && e < len(line) && separatorAhead(line, e):
		case len(w) > 1 && w[len(w)-1] == ':' && nameLike(w[:len(w)-1]) && dotted(w):
			h.Component = w[:len(w)-1]
			h.Message = line[skipBlank(line, e):]
			return
		case nameLike(w) && e < len(line) && (separatorAhead(line, e) || setOff(line, e, tabs) && dotted(w)):
			if !callSite(w) {
				h.Component = w
			}
		default:
			return
		}
		k = skipSeparators(line, e)
		h.Message = line[k:]
	}
}

// afterColon reports whether the level closes with a colon, so that the message follows at once: LOG:  message.
func (p *Parser) afterColon(line []byte, i int, level []byte) bool {
	return level[len(level)-1] == ':' && i < len(line) && level[0] != '['
}

func separatorAhead(line []byte, i int) bool {
	return separator(token(line, skipBlank(line, i)))
}

// setOff reports whether a tab, or several blanks, follow.
func setOff(line []byte, i int, tabs bool) bool {
	return tabs && line[i] == '\t' || i+1 < len(line) && line[i] == ' ' && line[i+1] == ' '
}

// dotted reports whether a name is one of a class, file or logger rather than a word of prose: it has a dot, a dollar, a digit, a
// capital within, or is all capitals.
func dotted(w []byte) bool {
	inner := 0
	for i, c := range w {
		if c == '.' || c == '$' || c == '_' || c == '/' || digit(c) || i > 0 && c >= 'A' && c <= 'Z' {
			inner++
		}
	}
	return inner > 0 || len(w) > 2 && w[len(w)-1] == ':'
}

// callSite recognises file.go:12.
func callSite(w []byte) bool {
	c := bytes.LastIndexByte(w, ':')
	return c > 0 && allDigits(w[c+1:])
}

// syslogTail reads "host program[pid]: " behind the time of a syslog line. Unless sure, there must be a pid.
func syslogTail(line []byte, i int, h *Header, sure bool) (end int, ok bool) {
	k := skipBlank(line, i)
	host := token(line, k)
	if len(host) == 0 || !nameLike(host) && !processPair(host) && !sure {
		return i, false
	}
	if host[len(host)-1] == ':' {
		if !sure {
			return i, false
		}
		h.Component = program(host[:len(host)-1])
		return k + len(host), true
	}
	k = skipBlank(line, k+len(host))
	c := bytes.IndexByte(line[k:], ':')
	if c <= 0 || c > 64 {
		return i, false
	}
	tag := line[k : k+c]
	if bytes.IndexByte(tag, ' ') >= 0 && bytes.IndexByte(tag, '[') < 0 && bytes.IndexByte(tag, '(') < 0 {
		return i, false
	}
	if k+c+1 < len(line) && line[k+c+1] != ' ' {
		return i, false
	}
	pid := len(tag) > 2 && tag[len(tag)-1] == ']' && letter(tag[0])
	if !pid && (!sure || bytes.IndexByte(tag, ' ') >= 0) {
		return i, false
	}
	h.Component = program(tag)
	return k + c + 1, true
}

// program takes the pid off a tag.
func program(tag []byte) []byte {
	if b := bytes.IndexByte(tag, '['); b > 0 {
		return tag[:b]
	}
	return tag
}

// afterProgram reads a level that some programs put in front of their syslog messages.
func (p *Parser) afterProgram(line []byte, i int, h *Header) {
	i = skipBlank(line, i)
	h.Message = line[i:]
	w, e := field(line, i)
	if len(w) < 5 {
		return
	}
	if bare := strip(w); len(bare) == len(w)-2 && w[0] != '|' {
		if l := levelOf(bare); l != Unknown {
			h.Level = l
			h.Message = line[skipBlank(line, e):]
		}
	}
}

// bare reads a level at the start of a line without a time: INFO message, [warn] message, ERROR:logger:message.
func (p *Parser) bare(line []byte, i int, h *Header) {
	w, e := field(line, i)
	if c := bytes.IndexByte(w, ':'); c > 2 && c < len(w)-1 && upperWord(w[:c]) {
		if l := levelOf(w[:c]); l != Unknown {
			if d := bytes.IndexByte(w[c+1:], ':'); d > 0 && nameLike(w[c+1:c+1+d]) {
				h.Level, h.Component = l, w[c+1:c+1+d]
				h.Message = line[skipBlank(line, i+c+1+d+1):]
			}
		}
		return
	}
	bare := strip(w)
	l := levelOf(bare)
	if l == Unknown || e >= len(line) || !upperWord(bare) && len(w) < len(bare)+2 {
		return
	}
	if len(w) == len(bare) && l == Info && string(bare) != "INFO" {
		return
	}
	h.Level = l
	p.component(line, e, nil, h, w)
}
