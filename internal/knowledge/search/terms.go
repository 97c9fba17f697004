package search

import (
	"errors"
	"fmt"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

// Of makes an entry of a document: its type, title, body, and the tags in its metadata. The address, the revision and the times
// are for the caller to add.
func Of(d knowledge.Document) Entry {
	e := Entry{Type: d.Schema, Title: d.Title, Body: d.Body}
	if tags, ok := d.Metadata["tags"].([]any); ok {
		for _, tag := range tags {
			if s, ok := tag.(string); ok {
				e.Tags = append(e.Tags, s)
			}
		}
	}
	if code, ok := d.Metadata["language"].(string); ok && languageOf(code) != nil {
		e.Language = code
	}
	return e
}

// The rest is for an index elsewhere that ranks as this one does.

// Analysis is the version of the way words become terms.
const Analysis = analysis

// Terms are an entry cut into terms, those of filters left out.
type Terms struct {
	Language   string
	Length     int   // sum of the frequencies
	LengthCode uint8 // of the length, for Norms
	Terms      []Term
}

// Term is one of them.
type Term struct {
	Text      string
	Frequency int // weighted by fields
}

// TermsOf cuts an entry into terms.
func TermsOf(e Entry) (Terms, error) {
	l := languageOf(e.Language)
	if e.Language == "" {
		l = detect(e.Title + "\n" + e.Body)
	}
	if l == nil {
		return Terms{}, fmt.Errorf("language %q is not known", e.Language)
	}
	a := analyze(&e, l)
	out := Terms{Language: l.code, Length: a.length, LengthCode: lengthCode(a.length)}
	for _, t := range a.terms {
		if t.term[0] != filterMark {
			out.Terms = append(out.Terms, Term{t.term, int(t.frequency)})
		}
	}
	return out, nil
}

// ErrFiltered says that a query asks for more than words.
var ErrFiltered = errors.New("the query has filters")

// Asked returns the terms that a query asks for of documents in the languages, each with how often. The error is ErrFiltered if the
// query has a phrase, a filter, or the beginning of a word.
func (q Query) Asked(codes []string) ([]Term, error) {
	if len(q.types)+len(q.tags)+len(q.without)+len(q.spaces) > 0 || !q.after.IsZero() || !q.before.IsZero() {
		return nil, ErrFiltered
	}
	for _, c := range q.clauses {
		if c.must {
			return nil, ErrFiltered
		}
	}
	v := &view{}
	for _, code := range codes {
		if l := languageOf(code); l != nil {
			v.spoken[l.number]++
		}
	}
	return v.asked(q.clauses), nil
}

// asked returns the terms that clauses ask for in the languages of the view, each once, in their order.
func (v *view) asked(clauses []clause) (out []Term) {
	at := map[string]int{}
	for _, l := range v.languages() {
		for _, term := range asked(clauses, l) {
			i, ok := at[term]
			if !ok {
				if len(out) == maxTerms {
					continue
				}
				i = len(out)
				at[term] = i
				out = append(out, Term{Text: term})
			}
			out[i].Frequency++
		}
	}
	return out
}

// Points is what scores are counted in: what a term adds is rounded to whole ones, half to even.
const Points = points

// Weight returns what a term that is asked for so many times, and is in so many of n documents, weighs: with a frequency and the
// norm of a document it adds weight · frequency / (frequency + norm) to its score.
func Weight(times, frequency, n int) float64 { return float64(times) * idf(frequency, n) }

// Norms returns the norms of all codes of lengths, where documents have such a mean length.
func Norms(documents int, length int64) []float64 {
	out := norms(meanLength(documents, length))
	return out[:]
}

func meanLength(documents int, length int64) float64 {
	return max(1, float64(length)/float64(documents))
}
