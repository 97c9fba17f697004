package injection

import (
	"regexp"
	"strings"
)

// respelling is a way to write letters as others, which a model reads all the same.
type respelling struct {
	name string
	cue  *regexp.Regexp // what a line has that is worth undoing
	undo func(string) string
}

var respellings = []respelling{
	{"digits for letters", regexp.MustCompile(`(?i)(?:\b[a-z]*[013457@$][a-z]+[a-z013457@$]*\W+(?:\w+\W+){0,2}){2}`), leet.Replace},
	{"spaced", regexp.MustCompile(`(?i)\b(?:[a-z][ ._*|-]{1,3}){8,}[a-z]\b`), joined},
}

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
				if !d.cue.MatchString(line) {
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
