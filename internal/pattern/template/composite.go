package template

// composite recognises a value that goes on behind the colon at m[b]: URL, drive path, time, IPv6 and MAC addresses.
func composite(m []byte, a, b int, flags class) (k kind, end int) {
	w := m[a:b]
	next := byte(0)
	if b+1 < len(m) {
		next = m[b+1]
	}
	switch {
	case next == '/' && b+2 < len(m) && m[b+2] == '/' && flags&isDigit == 0:
		return kindURL, untilBlank(m, b+3)
	case len(w) == 1 && flags&(isHexAlpha|isOtherAlpha) != 0 && (next == '\\' || next == '/'):
		return kindPath, untilBlank(m, b+2)
	}
	if flags&isDigit != 0 && digit(next) {
		if end, ok := clockTime(m, a, b); ok {
			return kindTime, end
		}
	}
	if len(w) <= 4 && allHex(w) && (classOf[next]&(isDigit|isHexAlpha) != 0 || next == ':') {
		if k, end := hexGroups(m, a); k != kindWord {
			return k, end
		}
	}
	return kindWord, b
}

// blankLike tells the bytes that end a URL.
var blankLike = func() (t [256]bool) {
	for b, c := range classOf {
		t[b] = c&(isSpace|isControl) != 0
	}
	for _, b := range []byte("\"'<>|)]}`") {
		t[b] = true
	}
	return t
}()

// untilBlank returns the end of a URL or drive path: white space, a quote or a closing bracket, less closing punctuation.
func untilBlank(m []byte, i int) int {
	for i < len(m) && !blankLike[m[i]] {
		if script(m, i) && classOf[m[i-1]]&(isDigit|isHexAlpha|isOtherAlpha) != 0 {
			break
		}
		i++
	}
	for i > 0 && (m[i-1] == '.' || m[i-1] == ',' || m[i-1] == ';' || m[i-1] == ':') {
		i--
	}
	return i
}

// clockTime recognises 18:01, 18:01:47, 18:01:47,978 and 2015-10-18T18:01:47.978+02:00, m[b] being the first colon.
func clockTime(m []byte, a, b int) (end int, ok bool) {
	two := func(i int) bool { return i+1 < len(m) && digit(m[i]) && digit(m[i+1]) }
	start := b
	for start > a && b-start < 2 && digit(m[start-1]) {
		start--
	}
	if start > a && (m[start-1] != 'T' && m[start-1] != 't' || b-start != 2 || start-1-a < 8 || !digit(m[a])) {
		return 0, false
	}
	if !two(b+1) || alnum(m, b+3) && m[b+3] != 'Z' {
		return 0, false
	}
	end = b + 3
	if end < len(m) && m[end] == ':' && two(end+1) {
		end += 3
		if end+1 < len(m) && (m[end] == '.' || m[end] == ',') && digit(m[end+1]) {
			end++
			for end < len(m) && digit(m[end]) {
				end++
			}
		}
	}
	if end < len(m) && m[end] == 'Z' && !alnum(m, end+1) {
		return end + 1, true
	}
	if start > a && end < len(m) && (m[end] == '+' || m[end] == '-') && two(end+1) {
		end += 3
		if end < len(m) && m[end] == ':' && two(end+1) {
			end += 3
		} else if two(end) {
			end += 2
		}
	}
	return end, !alnum(m, end)
}

// hexGroups recognises at least four groups of hex digits with colons between them, or an IPv6 address with ::.
func hexGroups(m []byte, i int) (k kind, end int) {
	groups, short, pairs := 0, false, true
	start := i
	for {
		from := i
		for i < len(m) && classOf[m[i]]&(isDigit|isHexAlpha) != 0 {
			i++
		}
		if i-from > 4 {
			return kindWord, start
		}
		if i > from {
			groups++
			pairs = pairs && i-from == 2
		}
		if i+1 < len(m) && m[i] == ':' && m[i+1] == ':' && !short {
			short = true
			i += 2
			continue
		}
		if i+1 >= len(m) || m[i] != ':' || classOf[m[i+1]]&(isDigit|isHexAlpha) == 0 {
			break
		}
		i++
	}
	if alnum(m, i) || groups > 8 && !pairs {
		return kindWord, start
	}
	switch {
	case groups >= 6 && pairs && !short:
		return kindHex, i
	case groups == 8 && !short || short && groups >= 2:
		return kindIP, i
	}
	return kindWord, start
}

// extend adds a port to an address or identifier, a slashed address to a host, thousands to a number, and a unit of size to it.
func extend(m []byte, a, b int, k kind) int {
	if b >= len(m) {
		return b
	}
	switch k { //nolint:exhaustive // the other kinds end where their word ends
	case kindIP, kindHost, kindIdent:
		if m[b] == ':' && b+1 < len(m) && digit(m[b+1]) {
			e := b + 1
			for e < len(m) && digit(m[e]) {
				e++
			}
			if e-b <= 6 && !alnum(m, e) {
				return e
			}
		}
	case kindNumber:
		e := b
		for b-a <= 3 && e+3 < len(m) && m[e] == ',' && digit(m[e+1]) && digit(m[e+2]) && digit(m[e+3]) && !alnum(m, e+4) {
			e += 4
		}
		return e
	}
	return b
}

// extendPath lets a path go on behind = , ; and : where no blank follows.
func extendPath(m []byte, b int) int {
	for b+1 < len(m) && (m[b] == '=' || m[b] == ',' || m[b] == ';' || m[b] == ':') && classOf[m[b+1]]&(isWord|isPunct) != 0 {
		b++
		for b < len(m) && classOf[m[b]]&(isWord|isPunct) != 0 {
			b++
		}
	}
	for b > 0 && (m[b-1] == '.' || m[b-1] == '!' || m[b-1] == '?') {
		b--
	}
	return b
}

// calendar recognises a date that starts with the English name of a day or month: Mon Jul  9 22:53:22 2005, Jul 9 22:53:22.
func calendar(m []byte, i int) (end int, ok bool) {
	if !isDay(m[i : i+3]) {
		return monthDay(m, i)
	}
	j := i + 3
	if j < len(m) && m[j] == ',' {
		j++
	}
	j = blanks(m, j)
	if j == i+3 || j+3 > len(m) {
		return 0, false
	}
	return monthDay(m, j)
}

func isDay(w []byte) bool {
	switch string(w) {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}

func isMonth(w []byte) bool {
	switch string(w) {
	case "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec":
		return true
	}
	return false
}

func monthDay(m []byte, i int) (end int, ok bool) {
	if i+3 > len(m) || !isMonth(m[i:i+3]) {
		return 0, false
	}
	d := blanks(m, i+3)
	e := digits(m, d)
	if d == i+3 || e == d || e-d > 2 || alnum(m, e) {
		return 0, false
	}
	end = e
	t := blanks(m, e)
	if c := digits(m, t); c > t && c-t <= 2 && c < len(m) && m[c] == ':' {
		if te, ok := clockTime(m, t, c); ok {
			end = te
		}
	}
	y := blanks(m, end)
	if ye := digits(m, y); y > end && ye-y == 4 && !alnum(m, ye) && (m[y] == '1' || m[y] == '2') {
		end = ye
	}
	return end, true
}

func blanks(m []byte, i int) int {
	for i < len(m) && m[i] == ' ' {
		i++
	}
	return i
}

func digits(m []byte, i int) int {
	for i < len(m) && digit(m[i]) {
		i++
	}
	return i
}
