package template

// wordList returns the end of a list that fills a bracket, or 0: single words with commas, semicolons or bars between them, or with
// blanks if they all look like names or numbers.
func wordList(m []byte, i int, shut byte) (end int) {
	items, marks, blanks, names := 0, 0, 0, true
	for {
		from := i
		var c class
		for i < len(m) && (classOf[m[i]]&(isWord|isPunct) != 0 || m[i] == ':' && addressColon(m, from, i, shut)) {
			c |= classOf[m[i]]
			i++
		}
		if i == from || i == len(m) {
			return 0
		}
		items++
		names = names && c&(isDigit|isSep) != 0
		switch sep := m[i]; sep {
		case shut:
			if items > 1 && blanks == 0 || items > 2 && marks == 0 && names {
				return i
			}
			return 0
		case ',', ';', '|':
			marks++
			i++
			if i < len(m) && m[i] == ' ' {
				i++
			}
		case ' ':
			blanks++
			i++
		default:
			return 0
		}
	}
}

// addressColon reports whether the colon at m[i] in a word that starts at from belongs to it: to an address, a time, or a name in
// square brackets. In curly ones it ends a key.
func addressColon(m []byte, from, i int, shut byte) bool {
	if i == from || i+1 == len(m) {
		return false
	}
	next := classOf[m[i+1]]
	if shut == ']' && next&(isHexAlpha|isOtherAlpha) != 0 {
		return true
	}
	return next&isSlash != 0 || next&isDigit != 0 && orClass(m[from:i])&(isDigit|isPunct) != 0
}

// scriptEnd returns where in m[a:b] a script without blanks begins or ends.
func scriptEnd(m []byte, a, b int) int {
	path := classOf[m[a]]&isSlash != 0
	from := a
	for classOf[m[from]]&isPunct != 0 {
		from++
	}
	wide := script(m, from)
	for i := from; i < b; {
		c := classOf[m[i]]
		if path {
			if i > a && script(m, i) && classOf[m[i-1]]&(isDigit|isHexAlpha|isOtherAlpha) != 0 {
				return i
			}
			i++
			continue
		}
		if c&isPunct == 0 && script(m, i) != wide {
			for i > a && !wide && classOf[m[i-1]]&isTrailing != 0 {
				i--
			}
			return i
		}
		if wide && c&isPunct != 0 {
			return i
		}
		if wide {
			i += 3
		} else {
			i++
		}
	}
	return b
}
