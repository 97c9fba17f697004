package validate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

// Passage is a text that the search has served: the whole or a part of an entry.
type Passage struct {
	Address string  // of the entry
	Prints  []int64 // of the text, by Prints
}

const (
	runOfWords = 5
	window     = 4
	// maxPrints bounds what is kept of one passage
	maxPrints = 4096
	// minPrints is the least share of a text that is worth a word: two sentences
	minPrints = 8
)

// Prints are the fingerprints of a text, sorted, each once: of its runs of five words, the least hash in every window of
// four (winnowing: Schleimer, Wilkerson, Aiken 2003), so that two texts with eight words in a row in common share one.
// The same on every machine. A text of 300 words has some 120.
func Prints(text string) []int64 {
	words := strings.Fields(string(plainText(text)))
	if len(words) == 0 {
		return nil
	}
	sums := make([]int64, 0, len(words))
	for i := 0; i == 0 || i+runOfWords <= len(words); i++ {
		h := uint64(14695981039346656037) // FNV-1a
		for _, w := range words[i:min(i+runOfWords, len(words))] {
			for _, c := range []byte(w) {
				h = (h ^ uint64(c)) * 1099511628211
			}
			h = mix(h)
		}
		sums = append(sums, int64(h>>1)) // not negative
	}
	out := make([]int64, 0, len(sums)/2+1)
	for i := 0; i == 0 || i+window <= len(sums); i++ {
		out = append(out, slices.Min(sums[i:min(i+window, len(sums))]))
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), maxPrints)]
}

// feedback: what was served of other entries does not come back as new.
func (c *run) feedback() {
	if c.p.Restores || len(c.w.Served) == 0 {
		return
	}
	own := Prints(c.p.Document.Body)
	if len(own) < minPrints {
		return
	}
	for _, address := range servedAddresses(c.w.Served) {
		if address == c.p.Address() {
			continue // an edit of what was read
		}
		served := map[int64]bool{}
		for _, p := range c.w.Served {
			if p.Address == address {
				for _, h := range p.Prints {
					served[h] = true
				}
			}
		}
		n := 0
		for _, h := range own {
			if served[h] {
				n++
			}
		}
		share := float64(n) / float64(len(own))
		evidence := fmt.Sprintf("%.0f %% of the body was served of %s", 100*share, address)
		switch {
		case share >= 0.8 && !derived(c.p.Document, address):
			c.add("feedback.served", Block, "/body", evidence)
		case share >= 0.5:
			c.add("feedback.served", Warn, "/body", evidence)
		}
	}
}

func servedAddresses(passages []Passage) []string {
	out := make([]string, len(passages))
	for i, p := range passages {
		out[i] = p.Address
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// derived says whether a document declares what it is made of.
func derived(d knowledge.Document, address string) bool {
	return slices.ContainsFunc(d.Links, func(l knowledge.Link) bool {
		return l.Target == address && (l.Relation == "derived_from" || l.Relation == "supersedes")
	})
}
