package header

// stamp reads a time that starts with a digit at line[i].
func (c *clock) stamp(b []byte, i int) (stamp, bool) {
	n := i
	for n < len(b) && digit(b[n]) && n-i < 20 {
		n++
	}
	if n == len(b) {
		return stamp{}, false
	}
	switch n - i {
	case 4:
		return c.yearFirst(b, i)
	case 2:
		return c.twoDigits(b, i)
	case 6:
		// 081109 203615 is year, month, day and time.
		if b[n] == ' ' && n+7 < len(b) && allDigits(b[n+1:n+7]) && b[n+7] == ' ' {
			y, m, d := 2000+number(b[i:i+2]), number(b[i+2:i+4]), number(b[i+4:i+6])
			h, mi, s := number(b[n+1:n+3]), number(b[n+3:n+5]), number(b[n+5:n+7])
			if validDate(m, d) && h < 24 && mi < 60 && s < 61 {
				return stamp{at: c.join(y, m, d, int64(h*3600+mi*60+s)*1e9, 0, false), end: n + 7}, true
			}
		}
	case 8:
		// 20171223-22:15:29:606
		m, d := number(b[i+4:i+6]), number(b[i+6:i+8])
		if (b[n] == '-' || b[n] == ' ' || b[n] == 'T') && validDate(m, d) {
			if tod, e, ok := timeOfDay(b, n+1); ok {
				return c.zoned(b, e, number(b[i:i+4]), m, d, tod), true
			}
		}
	case 10, 13, 16, 19:
		return epoch(b, i, n)
	}
	return stamp{}, false
}

// epoch reads seconds, milli-, micro- or nanoseconds since 1970, by their number of digits, and a fraction of seconds.
func epoch(b []byte, i, n int) (stamp, bool) {
	if b[i] != '1' && b[i] != '2' || b[n] != ' ' && b[n] != '\t' && b[n] != '.' && b[n] != ',' && b[n] != ']' && b[n] != ':' {
		return stamp{}, false
	}
	v, unit := int64(0), int64(1)
	for k := i; k < n; k++ {
		v = v*10 + int64(b[k]-'0')
	}
	for k := n - i; k < 19; k++ {
		unit *= 10
	}
	if n-i == 19 && b[i] != '1' {
		return stamp{}, false
	}
	t := stamp{at: v * unit, end: n, epoch: true}
	if n-i == 10 && b[n] == '.' {
		k, f := n+1, int64(1e8)
		for k < len(b) && digit(b[k]) {
			t.at += int64(b[k]-'0') * f
			f /= 10
			k++
		}
		if k == n+1 {
			return stamp{}, false
		}
		t.end = k
	}
	if t.end < len(b) && b[t.end] == ':' {
		t.end++
	}
	return t, true
}

// yearFirst reads 2015-10-18 18:01:47,978 and its kin, with a zone if there is one.
func (c *clock) yearFirst(b []byte, i int) (stamp, bool) {
	if i+19 > len(b) || b[i+4] != b[i+7] || b[i+4] != '-' && b[i+4] != '/' && b[i+4] != '.' || !allDigits(b[i+5:i+7]) || !allDigits(b[i+8:i+10]) {
		return stamp{}, false
	}
	y, m, d := number(b[i:i+4]), number(b[i+5:i+7]), number(b[i+8:i+10])
	t := i + 11
	switch b[i+10] {
	case 'T', 't', ' ', '-', '_':
	default:
		return stamp{}, false
	}
	if b[t] == ' ' {
		t++
	}
	tod, e, ok := timeOfDay(b, t)
	if !ok || !validDate(m, d) || y < 1900 {
		return stamp{}, false
	}
	return c.zoned(b, e, y, m, d, tod), true
}

// zoned reads the zone behind a time and closes it.
func (c *clock) zoned(b []byte, e, y, m, d int, tod int64) stamp {
	offset, ze, ok := zone(b, e)
	if !ok && e < len(b) && b[e] == ' ' {
		if k := e + 1; k < len(b) && (b[k] == '+' || b[k] == '-' || b[k] == 'U' || b[k] == 'G') {
			offset, ze, ok = zone(b, k)
		}
		if !ok {
			if k, named := zoneName(b, e+1); named {
				return stamp{at: c.join(y, m, d, tod, 0, false), end: k}
			}
		}
	}
	if ok {
		return stamp{at: c.join(y, m, d, tod, offset, true), end: ze}
	}
	if e < len(b) && b[e] == ',' {
		e++
	}
	return stamp{at: c.join(y, m, d, tod, 0, false), end: e}
}

// twoDigits reads 17/06/09 20:10:40 (year first), 03-17 16:13:38.811 and 10.30 16:49:06 (month first), and 23/Nov/2026:13:00:00.
func (c *clock) twoDigits(b []byte, i int) (stamp, bool) {
	if i+14 > len(b) {
		return stamp{}, false
	}
	sep := b[i+2]
	if sep == '/' && i+20 <= len(b) && b[i+6] == '/' && allDigits(b[i+7:i+11]) && (b[i+11] == ':' || b[i+11] == ' ') {
		if m, ok := month(b[i+3:]); ok {
			if tod, e, ok := timeOfDay(b, i+12); ok && validDate(m, number(b[i:i+2])) {
				return c.zoned(b, e, number(b[i+7:i+11]), m, number(b[i:i+2]), tod), true
			}
		}
		return stamp{}, false
	}
	if sep != '/' && sep != '-' && sep != '.' || !allDigits(b[i+3:i+5]) {
		return stamp{}, false
	}
	if b[i+5] == ' ' {
		m, d := number(b[i:i+2]), number(b[i+3:i+5])
		if tod, e, ok := timeOfDay(b, i+6); ok && validDate(m, d) {
			return stamp{at: c.yearless(m, d, tod), end: e, twoNumbers: true}, true
		}
		return stamp{}, false
	}
	if b[i+5] != sep || i+17 > len(b) || !allDigits(b[i+6:i+8]) || b[i+8] != ' ' {
		return stamp{}, false
	}
	y, m, d := 2000+number(b[i:i+2]), number(b[i+3:i+5]), number(b[i+6:i+8])
	if tod, e, ok := timeOfDay(b, i+9); ok && validDate(m, d) {
		return stamp{at: c.join(y, m, d, tod, 0, false), end: e}, true
	}
	return stamp{}, false
}

// named reads Nov 23 13:00:00, Mon Nov 23 13:00:00 2026 and Mon, 23 Nov 2026 13:00:00 +0000.
func (c *clock) named(b []byte, i int) (stamp, bool) {
	if weekday(b[i:]) && i+4 < len(b) && (b[i+3] == ' ' || b[i+3] == ',') {
		k := i + 3
		if b[k] == ',' {
			k++
		}
		k = skipBlank(b, k)
		if k < len(b) && digit(b[k]) {
			return c.dayFirst(b, k)
		}
		i = k
	}
	m, ok := month(b[min(i, len(b)):])
	if !ok || i+5 >= len(b) || b[i+3] != ' ' {
		return stamp{}, false
	}
	k := skipBlank(b, i+3)
	e := k
	for e < len(b) && digit(b[e]) {
		e++
	}
	if e == k || e-k > 2 || e >= len(b) || b[e] != ' ' && b[e] != ',' {
		return stamp{}, false
	}
	d := number(b[k:e])
	if b[e] == ',' {
		e++
	}
	k = skipBlank(b, e)
	year := 0
	if k+5 < len(b) && allDigits(b[k:k+4]) && (b[k+4] == ' ' || b[k+4] == ',') {
		year = number(b[k : k+4])
		k = skipBlank(b, k+5)
	}
	tod, e, ok := timeOfDay(b, k)
	if !ok || !validDate(m, d) {
		return stamp{}, false
	}
	offset, zoned := 0, false
	if z := skipBlank(b, e); z < len(b) && z > e {
		if o, ze, ok := zone(b, z); ok {
			offset, e, zoned = o, ze, true
		}
	}
	if y := skipBlank(b, e); year == 0 && y > e && y+4 <= len(b) && allDigits(b[y:y+4]) && (y+4 == len(b) || !digit(b[y+4]) && !letter(b[y+4]) && b[y+4] != ':' && b[y+4] != '.') {
		if v := number(b[y : y+4]); v >= 1970 && v < 2200 {
			year, e = v, y+4
		}
	}
	if year == 0 {
		return stamp{at: c.yearless(m, d, tod), end: e}, true
	}
	return stamp{at: c.join(year, m, d, tod, offset, zoned), end: e}, true
}

func (c *clock) dayFirst(b []byte, i int) (stamp, bool) {
	e := i
	for e < len(b) && digit(b[e]) {
		e++
	}
	k := skipBlank(b, e)
	m, ok := month(b[min(k, len(b)):])
	if !ok || e-i > 2 || k+9 > len(b) {
		return stamp{}, false
	}
	y := skipBlank(b, k+3)
	if y+5 > len(b) || !allDigits(b[y:y+4]) {
		return stamp{}, false
	}
	tod, te, ok := timeOfDay(b, skipBlank(b, y+4))
	if !ok || !validDate(m, number(b[i:e])) {
		return stamp{}, false
	}
	return c.zoned(b, te, number(b[y:y+4]), m, number(b[i:e]), tod), true
}

// bracketTime reads a time in square brackets at line[i].
func (p *Parser) bracketTime(b []byte, i int, h *Header) (end int, ok bool) {
	k := i + 1
	if k >= len(b) {
		return i, false
	}
	var t stamp
	if digit(b[k]) {
		t, ok = p.stamp(b, k)
	} else {
		t, ok = p.named(b, k)
	}
	if !ok || t.end >= len(b) || b[t.end] != ']' {
		return i, false
	}
	h.Time, h.HasTime = t.at, true
	return t.end + 1, true
}
