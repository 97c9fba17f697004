package personal

import (
	"regexp"
	"strconv"
	"strings"
)

// ibanLength is the length of an IBAN by country (ISO 13616 registry).
var ibanLength = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28,
	"CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18,
	"GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32,
	"LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
	"PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25,
	"SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}

// iban returns how many bytes of s, from its start, are an IBAN; 0 is none.
func iban(s string) int {
	want := ibanLength[s[:2]]
	if want == 0 {
		return 0
	}
	var compact []byte
	end := 0
	for end < len(s) && len(compact) < want {
		if s[end] != ' ' {
			compact = append(compact, s[end])
		}
		end++
	}
	if len(compact) < want {
		return 0
	}
	rest := 0 // modulo 97, ISO 7064
	for _, c := range append(compact[4:len(compact):len(compact)], compact[:4]...) {
		if c >= 'A' {
			rest = (rest*100 + int(c-'A') + 10) % 97
		} else {
			rest = (rest*10 + int(c-'0')) % 97
		}
	}
	if rest != 1 {
		return 0
	}
	return end
}

// networks are the numbers that payment cards start with, and their lengths.
var networks = []struct {
	name string
	form *regexp.Regexp
}{
	{"visa", regexp.MustCompile(`^4\d{12}(?:\d{3}){0,2}$`)},
	{"mastercard", regexp.MustCompile(`^(?:5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12})$`)},
	{"amex", regexp.MustCompile(`^3[47]\d{13}$`)},
	{"discover", regexp.MustCompile(`^(?:6011|65\d\d|64[4-9]\d)\d{12}$`)},
	{"diners", regexp.MustCompile(`^3(?:0[0-5]|[689]\d)\d{11}$`)},
	{"jcb", regexp.MustCompile(`^35(?:2[89]|[3-8]\d)\d{12}$`)},
	{"unionpay", regexp.MustCompile(`^62\d{14,17}$`)},
	{"maestro", regexp.MustCompile(`^(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}$`)},
}

// card returns the network of a card number, "" where it is none.
func card(s string) string {
	if strings.Contains(s, " ") && strings.Contains(s, "-") {
		return ""
	}
	s = strip(s)
	if !luhn(s) || strings.Count(s, s[:1]) == len(s) {
		return ""
	}
	for _, n := range networks {
		if n.form.MatchString(s) {
			return n.name
		}
	}
	return ""
}

func luhn(s string) bool {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// national are the identity numbers that are known, those that any digits look like only near a word for them.
var national = []struct {
	name  string
	may   forms
	form  *regexp.Regexp
	near  *regexp.Regexp
	valid func(string) bool
}{
	{"US SSN", maySSN, regexp.MustCompile(`\d{3}-\d{2}-\d{4}`), nil, ssn},
	{"GB NINO", mayNINO, regexp.MustCompile(`[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]`), nil, nino},
	{"FR NIR", mayNIR, regexp.MustCompile(`[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}`), nil, nir},
	{"ES DNI", mayDNI, regexp.MustCompile(`(?:\d{8}|[XYZ]-?\d{7})-?[A-HJ-NP-TV-Z]`), nil, dni},
	{"IT codice fiscale", mayCodice, regexp.MustCompile(`[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]`), nil, codiceFiscale},
	{"FI HETU", mayHETU, regexp.MustCompile(`(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{2}[-+A]\d{3}[0-9A-FHJ-NPR-Y]`), nil, hetu},
	{"BR CPF", mayCPF, regexp.MustCompile(`\d{3}\.\d{3}\.\d{3}-\d{2}`), nil, cpf},
	{"CN resident identity", maySeventeen, regexp.MustCompile(`[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]`), nil, residentIdentity},
	{"SE personnummer", mayPersonnummer, regexp.MustCompile(`(?:19|20)?\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[-+]\d{4}`), nil, personnummer},
	{"DE Steuer-ID", mayElevenSet, regexp.MustCompile(`[1-9]\d(?: ?\d{3}){3}`), word(`steuer|\bidnr|tax id|\btin\b`), steuerID},
	{"NL BSN", mayNine, regexp.MustCompile(`\d{9}`), word(`\bbsn\b|burgerservice|sofi`), weighted([]int{9, 8, 7, 6, 5, 4, 3, 2, -1}, 11)},
	{"PL PESEL", mayEleven, regexp.MustCompile(`\d{11}`), word(`pesel`), weighted([]int{1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1}, 10)},
	{"IN Aadhaar", mayTwelveSet, regexp.MustCompile(`[2-9]\d{3} ?\d{4} ?\d{4}`), word(`aadhaar|\buid\b`), verhoeff},
	{"US SSN", mayNine, regexp.MustCompile(`\d{9}`), word(`\bssn\b|social security`), func(s string) bool { return ssn(s) }},
}

func word(w string) *regexp.Regexp { return regexp.MustCompile(`(?i)(?:` + w + `)`) }

func ssn(s string) bool {
	area := s[:3]
	return area != "000" && area != "666" && area < "900" && s[3:5] != "00" && s[5:] != "0000" && s != "123456789" && s != "078051120"
}

func nino(s string) bool {
	switch s[:2] {
	case "BG", "GB", "KN", "NK", "NT", "TN", "ZZ":
		return false
	}
	return true
}

func nir(s string) bool {
	body := s[:13]
	switch body[5:7] {
	case "2A":
		body = body[:5] + "19" + body[7:]
	case "2B":
		body = body[:5] + "18" + body[7:]
	}
	n, err := strconv.ParseUint(body, 10, 64)
	key, err2 := strconv.ParseUint(s[13:], 10, 64)
	return err == nil && err2 == nil && 97-n%97 == key
}

func dni(s string) bool {
	n, err := strconv.Atoi(strings.NewReplacer("X", "0", "Y", "1", "Z", "2").Replace(s[:len(s)-1]))
	return err == nil && "TRWAGMYFPDXBNJZSQVHLCKE"[n%23] == s[len(s)-1]
}

// odd are the values of characters at odd places of a codice fiscale.
var odd = [...]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}

func codiceFiscale(s string) bool {
	sum := 0
	for i := range 15 {
		v := int(s[i] - '0')
		if s[i] >= 'A' {
			v = int(s[i] - 'A')
		}
		if i%2 == 0 {
			v = odd[v]
		}
		sum += v
	}
	return byte('A'+sum%26) == s[15]
}

func hetu(s string) bool {
	// strip has taken a dash or plus out, and left the letter of the century in
	digits := s[:6] + s[len(s)-4:len(s)-1]
	n, err := strconv.Atoi(digits)
	return err == nil && "0123456789ABCDEFHJKLMNPRSTUVWXY"[n%31] == s[len(s)-1]
}

func cpf(s string) bool {
	if strings.Count(s, s[:1]) == len(s) {
		return false
	}
	for _, n := range []int{9, 10} {
		sum := 0
		for i := range n {
			sum += int(s[i]-'0') * (n + 1 - i)
		}
		if sum*10%11%10 != int(s[n]-'0') {
			return false
		}
	}
	return true
}

func residentIdentity(s string) bool {
	sum := 0
	for i, w := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(s[i]-'0') * w
	}
	return "10X98765432"[sum%11] == s[17]
}

func personnummer(s string) bool { return luhn(s[len(s)-10:]) }

func steuerID(s string) bool { // ISO 7064 modulo 11, 10
	product := 10
	for i := range 10 {
		sum := (int(s[i]-'0') + product) % 10
		if sum == 0 {
			sum = 10
		}
		product = sum * 2 % 11
	}
	return (11-product)%10 == int(s[10]-'0')
}

// weighted checks digits whose weighted sum is divisible.
func weighted(weights []int, by int) func(string) bool {
	return func(s string) bool {
		sum := 0
		for i, w := range weights {
			sum += w * int(s[i]-'0')
		}
		return sum%by == 0 && strings.Count(s, s[:1]) != len(s)
	}
}

// verhoeff checks by the dihedral group of ten (Verhoeff 1969).
func verhoeff(s string) bool {
	permutation := [10]int{1, 5, 7, 6, 2, 8, 3, 0, 9, 4}
	c := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		for range i % 8 {
			d = permutation[d]
		}
		c = dihedral(c, d)
	}
	return c == 0
}

func dihedral(a, b int) int {
	switch {
	case a < 5 && b < 5:
		return (a + b) % 5
	case a < 5:
		return (a+b-5)%5 + 5
	case b < 5:
		return (a-5-b+5)%5 + 5
	}
	return (a - b + 5) % 5
}
