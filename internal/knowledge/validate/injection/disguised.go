package injection

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// respelling is a way to write letters as others, which a model reads all the same.
type respelling struct {
	name string
	may  func(string) bool // says is false of most lines without the cue, and of none with it
	cue  *regexp.Regexp    // what a line has that is worth undoing
	undo func(string) string
}

var respellings = []respelling{
	{"digits for letters", mayDigits, regexp.MustCompile(`(?i)(?:\b[a-z]*[013457@$][a-z]+[a-z013457@$]*\W+(?:\w+\W+){0,2}){2}`), leet.Replace},
	{"spaced", maySpaced, regexp.MustCompile(`(?i)\b(?:[a-z][ ._*|-]{1,3}){8,}[a-z]\b`), joined},
}

// mayDigits says whether two words of a line may have one digit, or sign, in place of a letter.
func mayDigits(s string) bool {
	n := 0
	for i := 0; i+1 < len(s); i++ {
		c := s[i]
		if !isLeet[c] || !isWide[s[i+1]] {
			continue
		}
		if c != '@' && c != '$' { // words do not begin at these
			from := i
			for from > 0 && s[from-1] < utf8.RuneSelf && isWide[s[from-1]] {
				from--
			}
			if from > 0 && isOther[s[from-1]] {
				continue
			}
		}
		to := i + 1
		for to < len(s) && (s[to] < utf8.RuneSelf && isWide[s[to]] || isLeet[s[to]] && s[to] != '@' && s[to] != '$') {
			to++
		}
		if to < len(s) && isOther[s[to]] {
			continue
		}
		if n++; n == 2 {
			return true
		}
	}
	return false
}

// maySpaced says whether a line may have eight single letters with signs between; the first may not look like one.
func maySpaced(s string) bool {
	n := 0
	for i := 0; i+1 < len(s); i++ {
		if !isGap[s[i+1]] {
			continue
		}
		before := i - 1
		switch {
		case s[i] < utf8.RuneSelf:
			if !isWide[s[i]] {
				continue
			}
		case strings.HasSuffix(s[:i+1], "\u017f"): // s in capitals is S
			before = i - 2
		case strings.HasSuffix(s[:i+1], "\u212a"): // the sign for kelvin
			before = i - 3
		default:
			continue
		}
		if before >= 0 && s[before] < utf8.RuneSelf && isWide[s[before]] {
			continue
		}
		if n++; n == 7 {
			return true
		}
	}
	return false
}

// Bytes: the digits and signs that stand for letters; what may be a letter; what ends no word and is neither; signs between
// single letters.
var isLeet, isWide, isOther, isGap = func() (leet, wide, other, gap [256]bool) {
	for i := range 256 {
		c := byte(i)
		leet[c] = strings.IndexByte("013457@$", c) >= 0
		wide[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf
		other[c] = '0' <= c && c <= '9' || c == '_'
		gap[c] = strings.IndexByte(" ._*|-", c) >= 0
	}
	return leet, wide, other, gap
}()

var leet = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s")

var (
	spacedRun  = regexp.MustCompile(`(?i)\b(?:[a-z][ ._*|-]{1,3}){3,}[a-z]\b`)
	spacedWord = regexp.MustCompile(`  +| ?[|] ?`)
)

// joined takes out what stands between single letters; where more than one blank does, a word ends.
func joined(s string) string {
	return spacedRun.ReplaceAllStringFunc(s, func(run string) string {
		words := spacedWord.Split(run, -1)
		if len(words) == 1 && strings.ContainsAny(run, "._*-") && strings.Contains(run, " ") {
			words = strings.Split(run, " ")
		}
		for i, w := range words {
			words[i] = strings.Map(func(r rune) rune {
				if strings.ContainsRune(" ._*|-", r) {
					return -1
				}
				return r
			}, w)
		}
		return strings.Join(words, " ")
	})
}

// maxDisguised bounds a line that is looked at.
const maxDisguised = 4096

// disguised finds lines that instruct once their letters are put right.
func disguised(out []Finding, s string) []Finding {
	at := 0
	for line := range strings.Lines(s) {
		if len(line) <= maxDisguised {
			for _, d := range respellings {
				if !d.may(line) || !d.cue.MatchString(line) {
					continue
				}
				if rule := judge(d.undo(strings.TrimSpace(line))); rule != "" && judge(line) == "" {
					out = append(out, Finding{Encoded, d.name + ": " + rule, at, at + len(strings.TrimRight(line, "\r\n"))})
				}
			}
		}
		at += len(line)
	}
	return out
}
