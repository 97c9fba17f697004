package personal

import "strings"

// forms is a set of forms that a line may have. Most lines have none, and looking at the bytes once says so much sooner than
// an expression for each form does.
type forms uint32

const (
	mayIBAN forms = 1 << iota
	mayCard
	mayIPv4
	mayIPv6
	mayPhone
	maySSN
	mayNINO
	mayNIR
	mayDNI
	mayCodice
	mayHETU
	mayCPF
	mayPersonnummer
	mayNine      // nine digits in a row
	mayEleven    // eleven digits in a row
	maySeventeen // seventeen digits in a row
	mayElevenSet // eleven digits, with single blanks between
	mayTwelveSet // twelve digits, with single blanks between
)

// sieve returns the forms that a line may have: all those that it has, and few others.
func sieve(s string) (may forms) {
	var (
		run, capitals, initials   int // digits, capitals up to here, capitals before a blank up to here
		pay, set, nir, tele       int // longer runs: with single blanks or dashes, with single blanks, of a NIR, of a telephone number
		longPay, longSet, longNIR int
		longTele, points          int
		colon                     = -6
	)
	at := func(i int) byte {
		if i < 0 || i >= len(s) {
			return 0
		}
		return s[i]
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !digit(c) {
			if run > 0 { // ends here
				next := at(i + 1)
				switch {
				case run >= 6 && (c == '-' || c == '+' || c == 'A') && digit(next):
					may |= mayHETU | mayPersonnummer
				case c == '.' && digit(next):
					if points++; points >= 3 {
						may |= mayIPv4
					}
					if run >= 3 && at(i+4) == '.' {
						may |= mayCPF
					}
				}
				if c == '-' && run >= 3 && at(i+3) == '-' && digit(next) {
					may |= maySSN
				}
				if run >= 7 && (capital(c) || c == '-' && capital(next)) {
					may |= mayDNI
				}
			}
			run = 0
			before := digit(at(i - 1))
			if c != ' ' {
				set = 0
				if c != '-' {
					pay = 0
				}
			}
			if !before {
				set, pay = 0, 0
			}
			switch {
			case c == 'A' || c == 'B':
				nir++
			case c != ' ' || !before && at(i-1) != 'A' && at(i-1) != 'B':
				nir = 0
			}
		} else {
			run++
			pay++
			set++
			nir++
			longPay, longSet = max(longPay, pay), max(longSet, set)
			if run == 1 {
				start(s, i, capitals, initials, &may)
			}
			switch run {
			case 9:
				may |= mayNine
			case 11:
				may |= mayEleven
			case 17:
				may |= maySeventeen
			}
		}
		longNIR = max(longNIR, nir)
		switch {
		case digit(c) || c == ' ' || c == '(' || c == ')' || c == '.' || c == '/' || c == '-':
			tele++
			longTele = max(longTele, tele)
		default:
			tele = 0
		}
		switch {
		case c == ':':
			if i-colon <= 5 {
				may |= mayIPv6
			}
			colon = i
		case c == '+' && digit(at(i+1)), c == '(' && digit(at(i+1)) && at(i+4) == ')':
			may |= mayPhone
		}
		initials = 0
		if c == ' ' {
			initials = capitals
		}
		if capital(c) {
			capitals++
		} else {
			capitals = 0
		}
	}
	if longPay >= 13 {
		may |= mayCard
	}
	if longSet >= 11 {
		may |= mayElevenSet
	}
	if longSet >= 12 {
		may |= mayTwelveSet
	}
	if longNIR >= 15 {
		may |= mayNIR
	}
	if longTele >= 8 && may&mayPhone == 0 && telephone(s) {
		may |= mayPhone
	}
	return may
}

// start looks at the first digit of a run, and at what is before it.
func start(s string, i, capitals, initials int, may *forms) {
	second := i+1 < len(s) && digit(s[i+1])
	if second && capitals >= 2 {
		*may |= mayIBAN
	}
	if second && (capitals >= 2 || initials >= 2) {
		*may |= mayNINO
	}
	if capitals >= 6 {
		*may |= mayCodice
	}
	if i > 0 && wordByte(s[i-1]) && s[i-1] < 0x80 {
		return
	}
	if s[i] == '0' && second && s[i+1] == '0' || i+4 < len(s) && (s[i+3] == '-' || s[i+3] == '.') && digit(s[i+4]) {
		*may |= mayPhone
	}
}

// telephone says whether a line has a word for telephone.
func telephone(s string) bool {
	lower := strings.ToLower(s)
	for _, w := range []string{"tel", "tél", "phone", "mobil", "cell", "handy", "fax", "call", "what"} {
		if strings.Contains(lower, w) {
			return true
		}
	}
	return false
}

func digit(b byte) bool { return '0' <= b && b <= '9' }

func capital(b byte) bool { return 'A' <= b && b <= 'Z' }

// addresses returns the places of addresses of mail. The expression sees only what is around each @.
func addresses(s string) (out [][]int) {
	done := 0
	for at := 0; ; at++ {
		i := strings.IndexByte(s[at:], '@')
		if i < 0 {
			return out
		}
		at += i
		from, to := at, at+1
		for from > done && (wordByte(s[from-1]) || strings.IndexByte(".%+'-", s[from-1]) >= 0) {
			from--
		}
		for to < len(s) && (wordByte(s[to]) || s[to] == '.' || s[to] == '-') {
			to++
		}
		if m := emailForm.FindStringIndex(s[from:min(len(s), to+1)]); m != nil {
			out, done = append(out, []int{from + m[0], from + m[1]}), from+m[1]
		}
	}
}
