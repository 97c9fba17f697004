package values

import (
	"bytes"
	"math"
	"strconv"
)

// Unit is what a number counts.
type Unit uint8

// The units. Durations are milliseconds and sizes bytes, whatever they were written in.
const (
	Plain Unit = iota
	Milliseconds
	Bytes
	units
)

// String returns "", "ms" or "bytes".
func (u Unit) String() string { return [...]string{"", "ms", "bytes"}[min(u, Bytes)] }

// Number reads a number: sign, digits with thousands and a fraction, exponent; a % behind it is left out, and a unit of size behind a blank
// makes it bytes. Anything else, such as a version, a date or a list, is not ok.
func Number(b []byte) (x float64, u Unit, ok bool) {
	x, rest, ok := leading(b)
	switch {
	case !ok:
		return 0, Plain, false
	case len(rest) == 0, len(rest) == 1 && rest[0] == '%':
		return x, Plain, true
	case rest[0] == ' ':
		if f := sizeFactor(rest[1:]); f > 0 {
			return x * f, Bytes, true
		}
	}
	return 0, Plain, false
}

// leading reads the number that b starts with.
func leading(b []byte) (x float64, rest []byte, ok bool) {
	i, negative := 0, false
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		negative = b[i] == '-'
		i++
	}
	from := i
	var whole uint64
	digits := 0
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c >= '0' && c <= '9':
			whole = whole*10 + uint64(c-'0')
			digits++
			continue
		case c == ',' && digits > 0 && thousands(b[i+1:]):
			continue
		}
		break
	}
	scale := 0
	if i+1 < len(b) && b[i] == '.' && b[i+1] >= '0' && b[i+1] <= '9' {
		for i++; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
			whole = whole*10 + uint64(b[i]-'0')
			digits++
			scale++
		}
	}
	if digits == 0 {
		return 0, nil, false
	}
	end := exponent(b, i)
	if digits > 18 || end > i {
		plain := b[from:end]
		if bytes.IndexByte(plain, ',') >= 0 {
			plain = bytes.ReplaceAll(plain, []byte(","), nil)
		}
		v, err := strconv.ParseFloat(string(plain), 64)
		if err != nil {
			return 0, nil, false
		}
		x, i = v, end
	} else {
		x = float64(whole) / powers[scale]
	}
	if negative {
		x = -x
	}
	return x, b[i:], true
}

var powers = [19]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

func thousands(b []byte) bool {
	for i := range 3 {
		if i >= len(b) || b[i] < '0' || b[i] > '9' {
			return false
		}
	}
	return len(b) == 3 || b[3] < '0' || b[3] > '9'
}

// exponent returns the end of the exponent at i, or i.
func exponent(b []byte, i int) int {
	if i >= len(b) || b[i]|0x20 != 'e' {
		return i
	}
	j := i + 1
	if j < len(b) && (b[j] == '-' || b[j] == '+') {
		j++
	}
	from := j
	for j < len(b) && b[j] >= '0' && b[j] <= '9' {
		j++
	}
	if j == from {
		return i
	}
	return j
}

// Duration reads a duration in milliseconds: 12ms, 1h2m3.5s, 3 sec, <1 sec.
func Duration(b []byte) (ms float64, ok bool) {
	b = bytes.TrimPrefix(b, []byte("<"))
	for first := true; len(b) > 0; first = false {
		x, rest, ok := leading(b)
		if !ok || !first && x < 0 {
			return 0, false
		}
		rest = bytes.TrimPrefix(rest, []byte(" "))
		n := 0
		for n < len(rest) && (rest[n] < '0' || rest[n] > '9') && rest[n] != ' ' {
			n++
		}
		f := durationFactor(rest[:n])
		if f == 0 {
			return 0, false
		}
		if ms < 0 {
			x = -x
		}
		ms += x * f
		b = bytes.TrimPrefix(rest[n:], []byte(" "))
		ok = true
		if len(b) == 0 {
			return ms, ok
		}
	}
	return 0, false
}

func durationFactor(unit []byte) float64 {
	switch string(unit) {
	case "ns":
		return 1e-6
	case "us", "µs", "μs":
		return 1e-3
	case "ms":
		return 1
	case "s", "sec", "secs":
		return 1e3
	case "m", "min", "mins":
		return 60e3
	case "h", "hr", "hrs":
		return 3600e3
	case "d", "day", "days":
		return 24 * 3600e3
	case "w":
		return 7 * 24 * 3600e3
	case "y":
		return 365 * 24 * 3600e3
	}
	return 0
}

// Size reads a size in bytes, or a rate in bytes per second: 512B, 64KiB, 1.2 KB, 3MB/s. A kilo is 1,024: logs rarely mean 1,000.
func Size(b []byte) (n float64, ok bool) {
	x, rest, ok := leading(b)
	if !ok {
		return 0, false
	}
	f := sizeFactor(bytes.TrimPrefix(rest, []byte(" ")))
	return x * f, f > 0
}

func sizeFactor(unit []byte) float64 {
	unit = bytes.TrimSuffix(unit, []byte("/s"))
	if len(unit) == 0 || len(unit) > 5 {
		return 0
	}
	power := 0
	switch unit[0] | 0x20 {
	case 'b':
		if s := string(unit); s == "B" || s == "b" || s == "bytes" {
			return 1
		}
		return 0
	case 'k':
		power = 1
	case 'm':
		power = 2
	case 'g':
		power = 3
	case 't':
		power = 4
	default:
		return 0
	}
	switch string(unit[1:]) {
	case "", "B", "b", "iB", "i":
		return math.Ldexp(1, 10*power)
	}
	return 0
}

// InBytes returns a copy of the summary with its plain numbers as sizes in the unit, which stood apart behind them, as in 1.2 KB. It is not ok for a
// word that is no unit of size.
func (s *Summary) InBytes(unit []byte) (sized *Summary, ok bool) {
	f := sizeFactor(unit)
	if f == 0 {
		return nil, false
	}
	sized = &Summary{}
	sized.Merge(s)
	if n := sized.numbers[Plain]; n != nil {
		n.double(int(math.Log2(f)))
		sized.numbers[Plain] = nil
		if sized.numbers[Bytes] == nil {
			sized.numbers[Bytes] = n
		} else {
			sized.numbers[Bytes].merge(n)
		}
	}
	return sized, true
}

// double multiplies all numbers by two so many times. Their bins stay whole up to a level where one spans several octaves.
func (n *Numbers) double(times int) {
	n.min, n.max = math.Ldexp(n.min, times), math.Ldexp(n.max, times)
	n.sum = sum{n.sum.high<<times | int64(n.sum.low>>(64-times)), n.sum.low << times}
	old := n.bins
	n.bins, n.slots = nil, nil
	for _, b := range old {
		switch by := int32(times<<subBits) >> n.level; {
		case b.key > 0:
			b.key += by
		case b.key < 0:
			b.key -= by
		}
		n.addBin(b.key, b.count)
	}
}
