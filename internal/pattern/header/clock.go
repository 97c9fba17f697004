package header

import "time"

// clock turns the parts of a date into Unix nanoseconds.
type clock struct {
	ref    time.Time
	utc    bool
	latest int64 // a year-less date later than this is of the year before
	hour   [5]int
	hourAt int64 // of hour, in the zone of ref
}

func newClock(ref time.Time) clock {
	_, offset := ref.Zone()
	return clock{ref: ref, utc: offset == 0 && ref.Location() == time.UTC, latest: ref.Add(24 * time.Hour).UnixNano(), hour: [5]int{-1}}
}

// stamp is a time found in a line.
type stamp struct {
	at         int64
	end        int // behind it in the line
	epoch      bool
	twoNumbers bool // of the kind that two process numbers and a one-letter level follow
}

// days counts the days from 1970-01-01 to a date of the Gregorian calendar.
func days(y, m, d int) int64 {
	if m <= 2 {
		y--
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	mp := (m + 9) % 12
	doy := (153*mp+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era)*146097 + int64(doe) - 719468
}

// join makes an instant; without a zone of its own it is in that of ref. tod is nanoseconds since midnight, offset seconds east.
func (c *clock) join(y, m, d int, tod int64, offset int, zoned bool) int64 {
	if zoned || c.utc {
		return days(y, m, d)*86400e9 + tod - int64(offset)*1e9
	}
	h := int(tod / 3600e9)
	if key := [5]int{y, m, d, h, 1}; key != c.hour {
		c.hour, c.hourAt = key, time.Date(y, time.Month(m), d, h, 0, 0, 0, c.ref.Location()).UnixNano()
	}
	return c.hourAt + tod%3600e9
}

// yearless makes an instant of a date without a year: the year of ref, or the one before if that were in the future by more than a day.
func (c *clock) yearless(m, d int, tod int64) int64 {
	y := c.ref.Year()
	at := c.join(y, m, d, tod, 0, false)
	if at > c.latest {
		at = c.join(y-1, m, d, tod, 0, false)
	}
	return at
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

func allDigits(b []byte) bool {
	for _, c := range b {
		if !digit(c) {
			return false
		}
	}
	return len(b) > 0
}

// number reads up to 18 digits.
func number(b []byte) (n int) {
	for _, c := range b {
		n = n*10 + int(c-'0')
	}
	return n
}

func skipBlank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}

// token returns what stands from i to the next blank.
func token(b []byte, i int) []byte {
	e := i
	for e < len(b) && b[e] != ' ' && b[e] != '\t' {
		e++
	}
	return b[i:e]
}

func hasPrefix(b []byte, s string) bool { return len(b) >= len(s) && string(b[:len(s)]) == s }

func validDate(m, d int) bool { return m >= 1 && m <= 12 && d >= 1 && d <= 31 }

func month(b []byte) (int, bool) {
	if len(b) < 3 {
		return 0, false
	}
	switch string(b[:3]) {
	case "Jan":
		return 1, true
	case "Feb":
		return 2, true
	case "Mar":
		return 3, true
	case "Apr":
		return 4, true
	case "May":
		return 5, true
	case "Jun":
		return 6, true
	case "Jul":
		return 7, true
	case "Aug":
		return 8, true
	case "Sep":
		return 9, true
	case "Oct":
		return 10, true
	case "Nov":
		return 11, true
	case "Dec":
		return 12, true
	}
	return 0, false
}

func weekday(b []byte) bool {
	if len(b) < 3 {
		return false
	}
	switch string(b[:3]) {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}

// timeOfDay reads 15:04:05 with a fraction behind . , or : if there is one.
func timeOfDay(b []byte, i int) (tod int64, end int, ok bool) {
	if i+8 > len(b) || b[i+2] != b[i+5] || b[i+2] != ':' && b[i+2] != '.' || !allDigits(b[i:i+2]) || !allDigits(b[i+3:i+5]) || !allDigits(b[i+6:i+8]) {
		return 0, i, false
	}
	h, m, s := number(b[i:i+2]), number(b[i+3:i+5]), number(b[i+6:i+8])
	if h > 24 || m > 59 || s > 60 {
		return 0, i, false
	}
	tod = int64(h*3600+m*60+s) * 1e9
	end = i + 8
	if end+1 < len(b) && (b[end] == '.' || b[end] == ',' || b[end] == ':') && digit(b[end+1]) {
		end++
		unit := int64(1e8)
		for end < len(b) && digit(b[end]) {
			tod += int64(b[end]-'0') * unit
			unit /= 10
			end++
		}
	}
	return tod, end, true
}

// zone reads Z, +02:00, -0700, +02, UTC and GMT.
func zone(b []byte, i int) (offset, end int, ok bool) {
	if i >= len(b) {
		return 0, i, false
	}
	switch {
	case b[i] == 'Z' && (i+1 == len(b) || !letter(b[i+1])):
		return 0, i + 1, true
	case hasPrefix(b[i:], "UTC") || hasPrefix(b[i:], "GMT"):
		if i+3 == len(b) || b[i+3] == ' ' || b[i+3] == ']' || b[i+3] == '\t' {
			return 0, i + 3, true
		}
	case (b[i] == '+' || b[i] == '-') && i+3 <= len(b) && allDigits(b[i+1:i+3]):
		offset = number(b[i+1:i+3]) * 3600
		end = i + 3
		if end+3 <= len(b) && b[end] == ':' && allDigits(b[end+1:end+3]) {
			offset += number(b[end+1:end+3]) * 60
			end += 3
		} else if end+2 <= len(b) && allDigits(b[end:end+2]) {
			offset += number(b[end:end+2]) * 60
			end += 2
		}
		if end < len(b) && (digit(b[end]) || letter(b[end])) || offset > 15*3600 {
			return 0, i, false
		}
		if b[i] == '-' {
			offset = -offset
		}
		return offset, end, true
	}
	return 0, i, false
}

func letter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }

// zoneName reads a zone name in capitals before a bracket, as in 13:00:00.123 CET [123]. Its offset is not known: ref's is taken.
func zoneName(b []byte, i int) (end int, ok bool) {
	e := i
	for e < len(b) && b[e] >= 'A' && b[e] <= 'Z' {
		e++
	}
	return e, e-i >= 2 && e-i <= 5 && levelOf(b[i:e]) == Unknown && e+1 < len(b) && b[e] == ' ' && b[e+1] == '['
}
