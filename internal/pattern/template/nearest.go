package template

import (
	"cmp"
	"slices"
	"sync"

	"github.com/tartan-ai/tartan/internal/pattern"
)

const (
	// maxCandidates bounds the patterns compared token by token.
	maxCandidates = 128
	// maxTouched bounds the patterns looked at for all words together; words that many have tell little.
	maxTouched = 4096
)

// neighbours finds patterns by the words of their templates: for each word its patterns, and for each number of tokens too, for
// messages without a known word. It is made when first asked for, about 100 ms and 5 MB for 100,000 patterns.
type neighbours struct {
	once  sync.Once
	words []uint32 // sorted hashes
	from  []uint32 // where the patterns of each word start in all; one more at the end
	all   []uint32 // patterns
}

func (ix *Index) neighbours() *neighbours {
	n := &ix.near
	n.once.Do(func() { n.build(ix) })
	return n
}

func (n *neighbours) build(ix *Index) {
	pairs := make([]uint64, 0, 8*ix.patterns.len())
	var parts []part
	for i := range ix.patterns.len() {
		p := ix.patterns.at(i)
		if !p.alive() {
			continue
		}
		parts = appendParts(parts[:0], p.template())
		pairs = append(pairs, uint64(lengthKey(len(parts)))<<32|uint64(i))
		for _, part := range parts {
			if part.word != pattern.Wildcard {
				pairs = append(pairs, uint64(wordKey(part.word))<<32|uint64(i))
			}
		}
	}
	slices.Sort(pairs)
	pairs = slices.Compact(pairs)
	n.all = make([]uint32, len(pairs))
	for k, pair := range pairs {
		if key := uint32(pair >> 32); len(n.words) == 0 || n.words[len(n.words)-1] != key {
			n.words, n.from = append(n.words, key), append(n.from, uint32(k))
		}
		n.all[k] = uint32(pair)
	}
	n.from = append(n.from, uint32(len(n.all)))
}

func wordKey(word string) uint32 { return uint32(hashBytes([]byte(word)) >> 32) }

func lengthKey(tokens int) uint32 { return uint32(mixAt(uint64(tokens), 0) >> 32) }

// of returns the patterns that have a word.
func (n *neighbours) of(key uint32) []uint32 {
	k, ok := slices.BinarySearch(n.words, key)
	if !ok {
		return nil
	}
	return n.all[n.from[k]:n.from[k+1]]
}

// candidates returns the patterns that share the most words with a message, rare words first, at most maxCandidates.
func (n *neighbours) candidates(got []part) []uint32 {
	var lists [][]uint32
	for _, p := range got {
		if list := n.of(wordKey(p.word)); len(list) > 0 {
			lists = append(lists, list)
		}
	}
	slices.SortStableFunc(lists, func(a, b []uint32) int { return cmp.Compare(len(a), len(b)) })
	touched := make([]uint32, 0, 512)
	for _, list := range lists {
		if len(touched) > 0 && len(touched)+len(list) > maxTouched {
			break
		}
		touched = append(touched, first(list, maxTouched)...)
	}
	return mostFrequent(touched)
}

// alike returns patterns with about as many tokens, at most maxCandidates for each number.
func (n *neighbours) alike(tokens int) (out []uint32) {
	for _, by := range []int{0, 1, -1, 2, -2, 3, -3} {
		out = append(out, first(n.of(lengthKey(tokens+by)), maxCandidates)...)
	}
	return out
}

// mostFrequent returns the numbers that are most often in a list, which it sorts, at most maxCandidates, and of as frequent ones the
// least.
func mostFrequent(list []uint32) []uint32 {
	slices.Sort(list)
	counted := make([]uint64, 0, len(list))
	for from, i := 0, 1; i <= len(list); i++ {
		if i == len(list) || list[i] != list[from] {
			// The count goes first, turned round, so that sorting puts the most frequent in front.
			counted = append(counted, uint64(len(list)-(i-from))<<32|uint64(list[from]))
			from = i
		}
	}
	slices.Sort(counted)
	out := list[:0]
	for _, c := range counted[:min(len(counted), maxCandidates)] {
		out = append(out, uint32(c))
	}
	return out
}

func first(list []uint32, n int) []uint32 { return list[:min(len(list), n)] }

// Nearest returns the pattern whose template agrees best with a message that has none: of the patterns that share its rarest words,
// or, where none of those agrees at all, of those with about as many tokens, the one with the largest share of tokens that agree, compared from both ends.
// It takes some 100 µs, whatever the size of the library, and longer the first time.
func (ix *Index) Nearest(message []byte) (Near, bool) {
	s := ix.scanners.Get().(*scanner)
	defer ix.scanners.Put(s)
	s.scan(message)
	near, _ := ix.nearest(partsOf(string(s.text), s), "")
	return near, near.Score > 0
}

// nearest returns the nearest pattern but one, and its tokens.
func (ix *Index) nearest(got []part, but pattern.ID) (best Near, tokens []part) {
	n := ix.neighbours()
	if best, tokens = ix.nearestOf(n.candidates(got), got, but); best.Score == 0 {
		best, tokens = ix.nearestOf(n.alike(len(got)), got, but)
	}
	return best, tokens
}

func (ix *Index) nearestOf(candidates []uint32, got []part, but pattern.ID) (best Near, tokens []part) {
	var want []part
	for _, i := range candidates {
		p := ix.patterns.at(int(i))
		if p.id() == but {
			continue
		}
		want = appendParts(want[:0], p.template())
		score := agreement(want, got)
		if score > best.Score || score == best.Score && score > 0 && p.id() < best.Pattern {
			best = Near{Pattern: p.id(), Template: p.template(), Score: score}
			tokens = append(tokens[:0], want...)
		}
	}
	if best.Score == 0 {
		return Near{}, nil
	}
	best.Token, best.Want, best.Got = difference(tokens, got)
	return best, tokens
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

// appendParts cuts a template text into words.
func appendParts(out []part, text string) []part {
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

// agreement is the share of tokens that agree, counted from the front up to the first difference and from the back, and place by place
// between.
func agreement(want, got []part) float64 {
	n, m := len(want), len(got)
	if n == 0 || m == 0 {
		return 0
	}
	front, back := agreeing(want, got)
	same := front + back
	for i := front; i < min(n, m)-back; i++ {
		if agrees(want[i], got[i]) {
			same++
		}
	}
	return float64(same) / float64(max(n, m))
}

// agreeing returns how many tokens agree from the front, and of the rest from the back.
func agreeing(want, got []part) (front, back int) {
	n, m := len(want), len(got)
	for front < n && front < m && agrees(want[front], got[front]) {
		front++
	}
	for back < n-front && back < m-front && agrees(want[n-1-back], got[m-1-back]) {
		back++
	}
	return front, back
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
