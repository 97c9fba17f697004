package search

import "unicode/utf8"

// porter is Porter's stemmer of 1980 with the two departures of its author's own later version (-bli to -ble, -logi to
// -log), in place. Words are lower case; other than a to z are consonants.
type porter struct {
	b []byte
	j int // the stem before the suffix found last is b[:j]
}

// stem returns the stem of the word, written over it.
func stemPorter(word []byte) []byte {
	if len(word) <= 2 || utf8.RuneCount(word) <= 2 {
		return word
	}
	p := porter{b: word}
	p.plurals()
	if n := len(p.b); p.b[n-1] == 'y' && p.vowel(n-1) {
		p.b[n-1] = 'i'
	}
	p.double()
	p.single()
	p.bare()
	p.last()
	return p.b
}

func (p *porter) consonant(i int) bool {
	switch p.b[i] {
	case 'a', 'e', 'i', 'o', 'u':
		return false
	case 'y':
		return i == 0 || !p.consonant(i-1)
	}
	return true
}

// measure counts the sequences of a vowel and a consonant in b[:n].
func (p *porter) measure(n int) (m int) {
	i := 0
	for i < n && p.consonant(i) {
		i++
	}
	for {
		for i < n && !p.consonant(i) {
			i++
		}
		if i == n {
			return m
		}
		m++
		for i < n && p.consonant(i) {
			i++
		}
	}
}

func (p *porter) vowel(n int) bool {
	for i := range n {
		if !p.consonant(i) {
			return true
		}
	}
	return false
}

// twin says whether b[:n] ends in a double consonant.
func (p *porter) twin(n int) bool {
	return n >= 2 && p.b[n-1] == p.b[n-2] && p.b[n-1] < utf8.RuneSelf && p.consonant(n-1)
}

// short says whether b[:n] ends in consonant, vowel, consonant, the last none of w, x, y.
func (p *porter) short(n int) bool {
	if n < 3 || !p.consonant(n-1) || p.consonant(n-2) || !p.consonant(n-3) {
		return false
	}
	c := p.b[n-1]
	return c != 'w' && c != 'x' && c != 'y'
}

func (p *porter) ends(suffix string) bool {
	n := len(p.b) - len(suffix)
	if n < 0 || string(p.b[n:]) != suffix {
		return false
	}
	p.j = n
	return true
}

func (p *porter) set(suffix string) { p.b = append(p.b[:p.j], suffix...) }

// plurals takes off -s, -ed and -ing.
func (p *porter) plurals() {
	if n := len(p.b); p.b[n-1] == 's' {
		switch {
		case p.ends("sses"):
			p.b = p.b[:n-2]
		case p.ends("ies"):
			p.set("i")
		case p.b[n-2] != 's':
			p.b = p.b[:n-1]
		}
	}
	if p.ends("eed") {
		if p.measure(p.j) > 0 {
			p.b = p.b[:len(p.b)-1]
		}
		return
	}
	if (!p.ends("ed") && !p.ends("ing")) || !p.vowel(p.j) {
		return
	}
	p.b = p.b[:p.j]
	n := len(p.b)
	switch {
	case p.ends("at"), p.ends("bl"), p.ends("iz"):
		p.b = append(p.b, 'e')
	case p.twin(n):
		if c := p.b[n-1]; c != 'l' && c != 's' && c != 'z' {
			p.b = p.b[:n-1]
		}
	case p.measure(n) == 1 && p.short(n):
		p.b = append(p.b, 'e')
	}
}

type ending struct{ from, to string }

// doubles and singles are the endings of steps 2 and 3, by the letter before the last and by the last one. The first that a
// word has decides, whether it is replaced or not.
var (
	doubles = [256][]ending{
		'a': {{"ational", "ate"}, {"tional", "tion"}},
		'c': {{"enci", "ence"}, {"anci", "ance"}},
		'e': {{"izer", "ize"}},
		'l': {{"bli", "ble"}, {"alli", "al"}, {"entli", "ent"}, {"eli", "e"}, {"ousli", "ous"}},
		'o': {{"ization", "ize"}, {"ation", "ate"}, {"ator", "ate"}},
		's': {{"alism", "al"}, {"iveness", "ive"}, {"fulness", "ful"}, {"ousness", "ous"}},
		't': {{"aliti", "al"}, {"iviti", "ive"}, {"biliti", "ble"}},
		'g': {{"logi", "log"}},
	}
	singles = [256][]ending{
		'e': {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}},
		'i': {{"iciti", "ic"}},
		'l': {{"ical", "ic"}, {"ful", ""}},
		's': {{"ness", ""}},
	}
	bares = [256][]string{
		'a': {"al"}, 'c': {"ance", "ence"}, 'e': {"er"}, 'i': {"ic"}, 'l': {"able", "ible"}, 'n': {"ant", "ement", "ment", "ent"},
		'o': {"ion", "ou"}, 's': {"ism"}, 't': {"ate", "iti"}, 'u': {"ous"}, 'v': {"ive"}, 'z': {"ize"},
	}
)

func (p *porter) replace(endings []ending) {
	for _, e := range endings {
		if p.ends(e.from) {
			if p.measure(p.j) > 0 {
				p.set(e.to)
			}
			return
		}
	}
}

func (p *porter) double() {
	if n := len(p.b); n > 1 {
		p.replace(doubles[p.b[n-2]])
	}
}

func (p *porter) single() { p.replace(singles[p.b[len(p.b)-1]]) }

// bare takes off what a long stem ends in.
func (p *porter) bare() {
	n := len(p.b)
	if n < 2 {
		return
	}
	for _, suffix := range bares[p.b[n-2]] {
		if !p.ends(suffix) || (suffix == "ion" && (p.j == 0 || (p.b[p.j-1] != 's' && p.b[p.j-1] != 't'))) {
			continue
		}
		if p.measure(p.j) > 1 {
			p.b = p.b[:p.j]
		}
		return
	}
}

// last takes off a final -e, and one l of two.
func (p *porter) last() {
	n := len(p.b)
	if p.b[n-1] == 'e' {
		if m := p.measure(n - 1); m > 1 || (m == 1 && !p.short(n-1)) {
			p.b = p.b[:n-1]
		}
	}
	// Both conditions look at the whole word, without the -e that went.
	if n = len(p.b); p.b[n-1] == 'l' && p.twin(n) && p.measure(n) > 1 {
		p.b = p.b[:n-1]
	}
}
