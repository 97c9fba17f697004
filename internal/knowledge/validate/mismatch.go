package validate

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// mismatch is a pair of sentences that say the same but for a number, a date or a negation.
type mismatch struct {
	kind         string // number, date, negation
	ours, theirs string
	at           int // byte of ours
}

// maxMismatches bounds what is said of one pair of documents: the first few tell.
const maxMismatches = 5

// mismatches finds sentences of ours that a sentence of theirs contradicts. Sentences are compared without their numbers,
// dates and negations; one that stands in theirs as it is contradicts nothing.
func mismatches(ours, theirs string) (out []mismatch) {
	type said struct {
		raw string
		claims
	}
	bySkeleton, same := map[string]said{}, map[string]bool{}
	for _, s := range sentences(theirs) {
		c := claimsOf(s.text)
		same[c.whole] = true
		if _, there := bySkeleton[c.skeleton]; !there {
			bySkeleton[c.skeleton] = said{s.text, c}
		}
	}
	for _, s := range sentences(ours) {
		c := claimsOf(s.text)
		t, ok := bySkeleton[c.skeleton]
		if !ok || same[c.whole] || c.words < 2 || len(out) == maxMismatches {
			continue
		}
		kind := ""
		switch {
		case c.dates != t.dates:
			kind = "date"
		case c.numbers != t.numbers:
			kind = "number"
		case c.negative != t.negative:
			kind = "negation"
		default:
			continue
		}
		out = append(out, mismatch{kind, s.text, t.raw, s.at})
	}
	return out
}

type sentence struct {
	text string
	at   int
}

var sentenceEnd = regexp.MustCompile(`[.!?。！？]["')\]]*(?:\s+|$)|[。！？]|\n+|;\s`)

func sentences(s string) (out []sentence) {
	from := 0
	add := func(to int) {
		if strings.TrimSpace(s[from:to]) != "" {
			out = append(out, sentence{s[from:to], from})
		}
	}
	for _, m := range sentenceEnd.FindAllStringIndex(s, -1) {
		add(m[0])
		from = m[1]
	}
	add(len(s))
	return out
}

// claims are what a sentence says, apart from how.
type claims struct {
	whole    string // words, with numbers, dates and negations
	skeleton string // words without
	numbers  string
	dates    string
	negative bool
	words    int // of the skeleton, but for placeholders
}

var (
	months = `(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)`
	dateIn = regexp.MustCompile(`\d{4}-\d{2}-\d{2}(?:[t ]\d{2}:\d{2}(?::\d{2})?z?)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\b` + months + `\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}|\d{1,2}(?:st|nd|rd|th)?\.? ` + months + `\.?,? \d{4}|\b` + months + ` \d{4}|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b`)
	// a number with its unit: "1,000 ms", "2.5GB", "80 %"
	numberIn = regexp.MustCompile(`[-+]?\d+(?:[,.'_]\d+)*(?: ?(?:%|°c|[nµμm]?s|sec(?:ond)?s?|min(?:ute)?s?|h(?:ou)?rs?|days?|weeks?|[kmgtp]i?b|bytes?|x)\b|%)?`)
	spelled  = map[string]string{"zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "hundred": "100", "thousand": "1000", "twice": "2x", "once": "1x"}
	negating = map[string]bool{
		"not": true, "no": true, "never": true, "cannot": true, "without": true, "none": true, "neither": true, "nor": true,
		"nicht": true, "kein": true, "keine": true, "keinen": true, "nie": true, "niemals": true, "ohne": true, "ne": true, "pas": true, "jamais": true, "nunca": true, "jamás": true, "não": true, "non": true, "mai": true, "niet": true, "geen": true, "nooit": true, "не": true, "никогда": true, "нет": true, "nie wolno": true,
	}
	auxiliary = map[string]bool{"do": true, "does": true, "did": true, "is": true, "are": true, "be": true, "was": true, "were": true, "will": true, "would": true, "can": true, "could": true, "should": true, "must": true, "may": true, "shall": true, "has": true, "have": true, "had": true, "always": true, "any": true, "longer": true, "a": true, "an": true, "the": true}
	// opposite pairs one word with what denies it
	opposite = map[string]string{"disabled": "enabled", "disable": "enable", "disables": "enables", "off": "on", "false": "true", "deny": "allow", "denied": "allowed", "denies": "allows", "forbidden": "allowed", "prohibited": "allowed", "optional": "required", "unsafe": "safe", "unsupported": "supported", "insecure": "secure", "invalid": "valid", "incorrect": "correct", "unavailable": "available", "impossible": "possible", "unnecessary": "necessary", "decrease": "increase", "decreases": "increases", "stop": "start", "before": "after", "minimum": "maximum", "above": "below", "fails": "succeeds", "private": "public", "deaktiviert": "aktiviert", "verboten": "erlaubt", "ungültig": "gültig", "désactivé": "activé", "interdit": "autorisé", "desactivado": "activado", "prohibido": "permitido"}
)

func claimsOf(s string) (c claims) {
	s = cases.Fold().String(norm.NFKC.String(s))
	s = strings.NewReplacer("’", "'", "can't", "can not", "cannot", "can not", "won't", "will not", "n't", " not", "*", "", "`", "", "_", " ").Replace(s)
	var dates, numbers []string
	s = dateIn.ReplaceAllStringFunc(s, func(d string) string {
		dates = append(dates, dateForm(d))
		return " \x01 "
	})
	words := strings.FieldsFunc(numberIn.ReplaceAllStringFunc(s, func(n string) string {
		numbers = append(numbers, textValue(n))
		return " \x02 "
	}), func(r rune) bool { return r != 1 && r != 2 && !unicode.IsLetter(r) && !unicode.IsMark(r) && r != '\'' })
	var skeleton []string
	for _, w := range words {
		if n, ok := spelled[w]; ok && w != "one" {
			numbers, w = append(numbers, n), "\x02"
		}
		if positive, ok := opposite[w]; ok {
			w, c.negative = positive, !c.negative
		}
		switch {
		case negating[w]:
			c.negative = !c.negative
		case auxiliary[w]:
		default:
			if w != "\x01" && w != "\x02" {
				c.words++
			}
			skeleton = append(skeleton, w)
		}
	}
	c.skeleton, c.dates, c.numbers = strings.Join(skeleton, " "), strings.Join(dates, " "), strings.Join(numbers, " ")
	c.whole = c.skeleton + "\x00" + c.dates + "\x00" + c.numbers + "\x00" + strconv.FormatBool(c.negative)
	return c
}

// dateForm writes a date the same way however it was written, where that is certain.
func dateForm(s string) string {
	if t, ok := ParseTime(strings.ToUpper(s)); ok {
		return t.Format("2006-01-02T15:04:05")
	}
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return isBlank(r) || r == ',' || r == '.' }), " ")
}

// units in their shortest form.
var units = map[string]string{
	"sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m", "minute": "m", "minutes": "m",
	"hr": "h", "hrs": "h", "hour": "h", "hours": "h", "day": "d", "days": "d", "week": "w", "weeks": "w", "byte": "b", "bytes": "b",
	"μs": "µs", "percent": "%", "millisecond": "ms", "milliseconds": "ms",
}

var (
	withUnit  = regexp.MustCompile(`^([-+]?\d[\d,.'_]*(?:e[-+]?\d+)?) ?([^\d\s]*)$`)
	thousands = regexp.MustCompile(`^[-+]?\d{1,3}(?:[,'_]\d{3})+(?:\.\d+)?$`)
)

// textValue is the form in which a text is compared as a value.
func textValue(s string) string {
	s = strings.Join(strings.Fields(cases.Fold().String(norm.NFKC.String(s))), " ")
	m := withUnit.FindStringSubmatch(s)
	if m == nil {
		return s
	}
	digits := m[1]
	if thousands.MatchString(digits) {
		digits = strings.NewReplacer(",", "", "'", "", "_", "").Replace(digits)
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || len(digits) > 15 { // longer than a float holds: compared as it is written
		return s
	}
	unit := m[2]
	if short, ok := units[unit]; ok {
		unit = short
	}
	return strconv.FormatFloat(n, 'g', -1, 64) + unit
}
