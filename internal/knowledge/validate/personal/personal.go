// Package personal finds personal data in text by their form and check digits: addresses of mail, telephone and internet,
// bank accounts, payment cards and national identity numbers. Text comes in; kinds and places go out.
package personal

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Kind is a kind of personal data.
type Kind string

// The kinds.
const (
	Email      Kind = "email"
	Phone      Kind = "phone"
	IP         Kind = "ip"
	IBAN       Kind = "iban"
	Card       Kind = "card"
	NationalID Kind = "national_id"
)

// Kinds lists all kinds.
var Kinds = []Kind{Email, Phone, IP, IBAN, Card, NationalID}

// Finding is one place.
type Finding struct {
	Kind       Kind
	Form       string // which form of the kind: "GB NINO", "visa"
	Start, End int    // bytes
}

var (
	emailForm = regexp.MustCompile(`(?i)[a-z0-9][a-z0-9._%+'-]{0,63}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}\b`)
	ibanForm  = regexp.MustCompile(`\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}`)
	cardForm  = regexp.MustCompile(`\d(?:[ -]?\d){12,18}`)
	ipv4Form  = regexp.MustCompile(`\d{1,3}(?:\.\d{1,3}){3}`)
	ipv6Form  = regexp.MustCompile(`(?i)[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}`)
	// phoneForm is an international number, one with an area code in brackets, or three groups after a word for telephone.
	phoneForm = regexp.MustCompile(`(?:\+|\b00)[1-9]\d{0,2}(?:[ ./-]?\(?\d{1,5}\)?){2,6}|\(\d{3}\) ?\d{3}[ .-]\d{4}|\b[2-9]\d{2}([-.])[2-9]\d{2}([-.])\d{4}\b|(?i:\b(?:tel|telephone|telefon|téléphone|teléfono|telefono|phone|mobile|mobil|cell|handy|fax|call|whatsapp)(?:[.:]|\b)[^\d\n]{0,12})(0?[\d(][\d ()./-]{6,16}\d)`)
)

// Find returns the personal data of a text, by their place. Data of one place are of one kind.
func Find(s string) []Finding { return find(s, sieve) }

// find looks in each line for the forms that it may have.
func find(s string, may func(line string) forms) (out []Finding) {
	if !strings.ContainsAny(s, "0123456789@") {
		return nil
	}
	if strings.Contains(s, "@") {
		for _, m := range addresses(s) {
			if email(s, m[0], m[1]) {
				out = append(out, Finding{Email, "", m[0], m[1]})
			}
		}
	}
	for from := 0; from < len(s); {
		to := from + 1 + strings.IndexByte(s[from:], '\n')
		if to == from {
			to = len(s)
		}
		// numbers have six digits and more; addresses of the internet fewer, and signs
		if n := digits(s[from:to]); n >= 6 || n >= 4 && strings.Count(s[from:to], ".") >= 3 || strings.Count(s[from:to], ":") >= 2 {
			out = inLine(out, s, from, to, may(s[from:to]))
		}
		from = to
	}
	slices.SortFunc(out, func(a, b Finding) int { return a.Start - b.Start })
	return out
}

// inLine finds what has digits in a line of a text.
func inLine(out []Finding, s string, from, to int, may forms) []Finding {
	add := func(kind Kind, form string, start, end int) {
		if !slices.ContainsFunc(out, func(f Finding) bool { return start < f.End && f.Start < end }) {
			out = append(out, Finding{kind, form, start, end})
		}
	}
	places := func(of forms, form *regexp.Regexp) [][]int {
		if may&of == 0 {
			return nil
		}
		all := form.FindAllStringSubmatchIndex(s[from:to], -1)
		for _, m := range all {
			for i := range m {
				if m[i] >= 0 {
					m[i] += from
				}
			}
		}
		return all
	}
	for _, m := range places(mayIBAN, ibanForm) {
		if n := iban(s[m[0]:m[1]]); n > 0 && !within(s, m[0], m[0]+n) {
			add(IBAN, s[m[0]:m[0]+2], m[0], m[0]+n)
		}
	}
	for _, m := range places(mayCard, cardForm) {
		if network := card(s[m[0]:m[1]]); network != "" && !within(s, m[0], m[1]) && !decimal(s, m[0], m[1]) {
			add(Card, network, m[0], m[1])
		}
	}
	for _, n := range national {
		for _, m := range places(n.may, n.form) {
			if within(s, m[0], m[1]) || decimal(s, m[0], m[1]) || n.near != nil && !n.near.MatchString(s[max(0, m[0]-60):m[0]]) {
				continue
			}
			if n.valid == nil || n.valid(strip(s[m[0]:m[1]])) {
				add(NationalID, n.name, m[0], m[1])
			}
		}
	}
	for _, m := range places(mayIPv4, ipv4Form) {
		if a, err := netip.ParseAddr(s[m[0]:m[1]]); err == nil && public(a) && !within(s, m[0], m[1]) && !decimal(s, m[0], m[1]) && !version(s, m[0]) {
			add(IP, "v4", m[0], m[1])
		}
	}
	for _, m := range places(mayIPv6, ipv6Form) {
		if a, err := netip.ParseAddr(s[m[0]:m[1]]); err == nil && a.Is6() && public(a) && !within(s, m[0], m[1]) {
			add(IP, "v6", m[0], m[1])
		}
	}
	for _, m := range places(mayPhone, phoneForm) {
		start, end := m[0], m[1]
		if m[6] >= 0 { // after a word
			start, end = m[6], m[7]
		}
		if s[start] == '0' && m[6] < 0 && start > 1 && s[start-1] == ' ' && wordByte(s[start-2]) {
			continue // in the middle of a longer number
		}
		if m[2] >= 0 && s[m[2]:m[3]] != s[m[4]:m[5]] {
			continue
		}
		if n := digits(s[start:end]); n >= 7 && n <= 15 && !within(s, start, end) && !decimal(s, start, end) && !date(s[start:end]) {
			add(Phone, "", start, end)
		}
	}
	return out
}

// email refuses what is no address of a person: hosts for examples, remotes of git, automatic senders.
func email(s string, start, end int) bool {
	local, host, _ := strings.Cut(strings.ToLower(s[start:end]), "@")
	for _, example := range []string{"example.com", "example.org", "example.net", "example.edu"} {
		if host == example || strings.HasSuffix(host, "."+example) {
			return false
		}
	}
	for _, reserved := range []string{".example", ".test", ".invalid", ".localhost", ".local", ".internal", ".png", ".jpg", ".svg"} {
		if strings.HasSuffix(host, reserved) {
			return false
		}
	}
	switch local {
	case "git", "noreply", "no-reply", "donotreply", "postmaster", "mailer-daemon", "user", "username", "name", "you", "someone", "root", "admin", "support", "info", "security", "help", "contact", "hello", "abuse", "sales", "team":
		return false
	}
	if end < len(s) && s[end] == ':' && !strings.HasPrefix(s[end:], ": ") && !strings.HasPrefix(s[end:], ":\n") && end+1 < len(s) { // git@host:path, scp
		return false
	}
	return start < 3 || s[start-3:start] != "://" && s[start-1] != '/' && s[start-1] != ':'
}

// public says whether an address may be of a person's line.
func public(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// reserved are the blocks for documentation, benchmarks and shared lines (RFC 5737, 3849, 2544, 6598), of known public
// resolvers, and what is none yet.
var reserved = func() (out []netip.Prefix) {
	for _, p := range []string{
		"0.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "100.64.0.0/10", "240.0.0.0/4", "1.1.1.0/24", "1.0.0.0/24", "8.8.8.0/24", "8.8.4.0/24", "9.9.9.0/24",
		"2001:db8::/32", "3fff::/20", "2606:4700:4700::/48", "2001:4860:4860::/48", "64:ff9b::/96",
	} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}()

// within says whether a place is part of a longer word or number.
func within(s string, start, end int) bool {
	return start > 0 && wordByte(s[start-1]) || end < len(s) && wordByte(s[end])
}

func wordByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_' || b >= 0x80
}

// decimal says whether digits go on after a point, a comma, a dash or a slash: a number, a path, an identifier.
func decimal(s string, start, end int) bool {
	joins := func(b byte) bool { return strings.IndexByte(".,-/:=", b) >= 0 }
	return start > 1 && joins(s[start-1]) && s[start-1] != ':' && s[start-1] != '=' && wordByte(s[start-2]) ||
		end+1 < len(s) && joins(s[end]) && wordByte(s[end+1])
}

func version(s string, start int) bool {
	before := strings.ToLower(s[max(0, start-9):start])
	return strings.HasSuffix(before, "v") || strings.Contains(before, "version") || strings.Contains(before, "release")
}

var dateForm = regexp.MustCompile(`^\(?(?:(?:19|20)\d{2}[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12]\d|3[01])\b|(?:0?[1-9]|[12]\d|3[01])[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:19|20)\d{2}\b|(?:19|20)\d{2}[-–/](?:19|20)\d{2}\b)`)

func date(s string) bool { return dateForm.MatchString(s) }

func digits(s string) (n int) {
	for i := 0; i < len(s); i++ {
		if digit(s[i]) {
			n++
		}
	}
	return n
}

// strip leaves letters and digits, in upper case.
func strip(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && wordByte(byte(r)) && r != '_' {
			return r
		}
		return -1
	}, strings.ToUpper(s))
}
