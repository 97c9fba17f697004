package validate

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

// slug: its form, and that it cannot be taken for another.
func (c *run) slug() {
	for _, s := range []string{c.p.Space, c.p.Slug} {
		if err := knowledge.CheckSlug(s); err != nil {
			c.add("slug.form", Block, "", excerpt(err.Error(), 300))
			return
		}
	}
	alike := true
	for _, word := range strings.FieldsFunc(c.p.Slug, func(r rune) bool { return strings.ContainsRune("-._/", r) }) {
		if mixed(word) {
			c.add("slug.script", Block, "", quoted(word)+" mixes scripts")
		}
		alike = alike && looksLatin(word)
	}
	if alike && !ascii(c.p.Slug) {
		c.add("slug.script", Block, "", quoted(c.p.Slug)+" looks like "+quoted(foldLookalikes(c.p.Slug)))
	}
}

var scripts = []*unicode.RangeTable{
	unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Hebrew, unicode.Arabic,
	unicode.Devanagari, unicode.Thai, unicode.Georgian, unicode.Cherokee, unicode.Hangul, unicode.Han, unicode.Hiragana, unicode.Katakana,
}

// mixed says whether a word has letters of scripts that are not written together.
func mixed(word string) bool {
	first := (*unicode.RangeTable)(nil)
	for _, r := range word {
		for _, script := range scripts {
			if !unicode.IsLetter(r) || !unicode.Is(script, r) {
				continue
			}
			if slices.Contains(withHan, script) {
				script = unicode.Han
			}
			if first != nil && first != script {
				return true
			}
			first = script
		}
	}
	return false
}

// withHan are the scripts that are written together with Han.
var withHan = []*unicode.RangeTable{unicode.Hangul, unicode.Hiragana, unicode.Katakana}

// looksLatin says whether all letters of a word, if any, could be taken for Latin ones of other code points.
func looksLatin(word string) bool {
	for _, r := range word {
		if unicode.IsLetter(r) && lookalikes[r] == 0 {
			return false
		}
	}
	return true
}

// lookalikes are the letters of other scripts that are drawn like a Latin one in common fonts (Unicode TR 39, those that
// have no difference at all or only in the accent).
var lookalikes = func() map[rune]rune {
	m := map[rune]rune{}
	for _, pair := range [][2]string{
		{"аеорсухіјѕһԁԛԝӏ", "aeopcyxijshdqwl"},
		{"АВЕКМНОРСТХІЈЅУ", "ABEKMHOPCTXIJSY"},
		{"οανιρυκτχεϲϳ", "oavipuktxecj"},
		{"ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX"},
		{"օսհոցզ", "ouhngq"},
	} {
		to := []rune(pair[1])
		for i, r := range []rune(pair[0]) {
			m[r] = to[i]
		}
	}
	return m
}()

func foldLookalikes(s string) string {
	return strings.Map(func(r rune) rune {
		if l := lookalikes[r]; l != 0 {
			return l
		}
		return r
	}, s)
}

// size: of the whole and of the title.
func (c *run) size() {
	d := c.p.Document
	if canonical, err := d.Canonical(); err == nil && len(canonical) > c.v.policy.MaxBytes {
		c.add("size.document", Block, "", strconv.Itoa(len(canonical))+" bytes; at most "+strconv.Itoa(c.v.policy.MaxBytes))
	}
	switch n := len([]rune(d.Title)); {
	case strings.TrimSpace(d.Title) == "":
		c.add("size.title", Block, "/title", "no title")
	case n > c.v.policy.MaxTitle:
		c.add("size.title", Block, "/title", strconv.Itoa(n)+" characters; at most "+strconv.Itoa(c.v.policy.MaxTitle))
	case strings.ContainsAny(d.Title, "\n\r\u2028\u2029"):
		c.add("size.title", Block, "/title", "more than one line")
	}
}
