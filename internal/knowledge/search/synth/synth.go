// Package synth makes entries for measuring search at sizes for which there are no real ones: sentences come in, entries
// recombined of them go out, the same for the same seed. Without sentences it makes words up, as frequent as those of a language.
package synth

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tartan-ai/tartan/internal/knowledge/search"
)

// Maker makes entries by number. It is safe for concurrent use.
type Maker struct {
	sentences []string
	seed      uint64
}

// New takes the sentences that entries are made of; none stands for sentences of made-up words.
func New(sentences []string, seed uint64) *Maker { return &Maker{sentences, seed} }

const (
	vocabulary = 45_000 // as many terms as 100,000 abstracts of the seven collections had that this was first measured on
	sentence   = 17     // words
)

// Entry returns entry i of a space: a title, and a body of 85 words other than function words on average.
func (m *Maker) Entry(space string, i int) search.Entry {
	r := rand.New(rand.NewPCG(m.seed, uint64(i)))
	title := strings.Fields(m.sentence(r))
	var body strings.Builder
	for range 5 + r.IntN(6) {
		body.WriteString(m.sentence(r))
		body.WriteString(". ")
	}
	return search.Entry{
		Space: space, Slug: fmt.Sprintf("entry-%06d", i), Revision: 1, Type: []string{"note", "runbook", "fact"}[r.IntN(3)],
		Tags: []string{word(r.IntN(40))}, Title: strings.Join(title[:min(len(title), 9)], " "), Body: body.String(),
		RecordedAt: time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC),
	}
}

// Query returns query i: some of the words of a sentence, in their order.
func (m *Maker) Query(i int) string {
	r := rand.New(rand.NewPCG(m.seed+1, uint64(i)))
	words := strings.Fields(m.sentence(r))
	n := min(len(words), 4+r.IntN(12))
	return strings.Join(words[:n], " ")
}

func (m *Maker) sentence(r *rand.Rand) string {
	if len(m.sentences) > 0 {
		return m.sentences[r.IntN(len(m.sentences))]
	}
	var b strings.Builder
	for i := range sentence {
		if i > 0 {
			b.WriteByte(' ')
		}
		// Zipf's law: the logarithm of the rank is uniform.
		b.WriteString(word(int(math.Exp(r.Float64() * math.Log(vocabulary)))))
	}
	return b.String()
}

// word is the word of a rank: syllables, so that it looks like one, and stems as one.
func word(rank int) string {
	const first, second = "bdfgklmnprstvz", "aeiou"
	var b strings.Builder
	for rank += 70; rank > 0; rank /= len(first) * len(second) {
		b.WriteByte(first[rank%len(first)])
		b.WriteByte(second[rank/len(first)%len(second)])
	}
	return b.String()
}
