package template

import "github.com/tartan-ai/tartan/internal/pattern"

// Nearest returns the pattern whose template agrees best with a message that has none: of the groups with about as many tokens,
// the cluster with the most tokens in common, compared from both ends. It reads every cluster: a fraction of a second at 100,000
// patterns.
func (ix *Index) Nearest(message []byte) (Near, bool) {
	s := ix.scanners.Get().(*scanner)
	defer ix.scanners.Put(s)
	s.scan(message)
	got := partsOf(string(s.text), s)
	var best Near
	var bestParts []part
	for i := range ix.patterns.len() {
		p := ix.patterns.at(i)
		if !p.alive() || upperBound(len(p.template()), len(s.text)) < best.Score {
			continue
		}
		want := templateParts(p.template())
		score := agreement(want, got)
		if score > best.Score || score == best.Score && score > 0 && p.id() < best.Pattern {
			best = Near{Pattern: p.id(), Template: p.template(), Score: score}
			bestParts = want
		}
	}
	if best.Score == 0 {
		return Near{}, false
	}
	best.Token, best.Want, best.Got = difference(bestParts, got)
	return best, true
}

// upperBound is the best agreement that a template of length a can have with a text of length b.
func upperBound(a, b int) float64 {
	if a > 8*b+64 || b > 8*a+64 {
		return 0
	}
	return 1
}

// partsOf returns the tokens of a scanned text; slots are empty words.
func partsOf(text string, s *scanner) []part {
	out := make([]part, len(s.tokens))
	for i := range s.tokens {
		t := &s.tokens[i]
		out[i] = part{word: text[t.textStart:t.textEnd], slot: t.kind != kindWord}
		if out[i].slot {
			out[i].word = out[i].word[:len(out[i].word)-1] + pattern.Wildcard
		}
	}
	return out
}

// templateParts cuts a template text into words.
func templateParts(text string) []part {
	var out []part
	for i := 0; i < len(text); {
		if classOf[text[i]]&(isWord|isPunct) == 0 && text[i] != '<' {
			i++
			continue
		}
		from, slot := i, false
		for i < len(text) {
			if len(text)-i >= 3 && text[i:i+3] == pattern.Wildcard {
				slot = true
				i += 3
				continue
			}
			if classOf[text[i]]&(isWord|isPunct) == 0 {
				break
			}
			i++
		}
		if i == from {
			i++
			continue
		}
		out = append(out, part{word: text[from:i], slot: slot})
	}
	return out
}

// agreement is the share of tokens that agree, counted from the front up to the first difference and from the back.
func agreement(want, got []part) float64 {
	n, m := len(want), len(got)
	if n == 0 || m == 0 {
		return 0
	}
	same, front := 0, 0
	for front < n && front < m && agrees(want[front], got[front]) {
		front++
	}
	back := 0
	for back < n-front && back < m-front && agrees(want[n-1-back], got[m-1-back]) {
		back++
	}
	same = front + back
	for i := front; i < min(n, m)-back; i++ {
		if agrees(want[i], got[i]) {
			same++
		}
	}
	return float64(same) / float64(max(n, m))
}

func agrees(want, got part) bool {
	return want.word == got.word || want.word == pattern.Wildcard && got.word != ""
}

// difference returns the first token that differs.
func difference(want, got []part) (token int, w, g string) {
	for token < len(want) && token < len(got) && agrees(want[token], got[token]) {
		token++
	}
	if token < len(want) {
		w = want[token].word
	}
	if token < len(got) {
		g = got[token].word
	}
	return token, w, g
}
