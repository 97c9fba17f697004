package search

import (
	"math/bits"
	"strings"

	"github.com/kljensen/snowball/french"
	"github.com/kljensen/snowball/hungarian"
	"github.com/kljensen/snowball/norwegian"
	"github.com/kljensen/snowball/russian"
	"github.com/kljensen/snowball/spanish"
	"github.com/kljensen/snowball/swedish"
)

// language is how words of one language become terms.
type language struct {
	code   string // ISO 639-1
	number uint8  // in languages
	stop   map[string]bool
	stem   func(word []byte) []byte // may write over the word
}

// maxLanguages bounds the number of languages.
const maxLanguages = 8

// english has Porter's stemmer and Lucene's stop words, as Anserini has. Stop words of the others are their most frequent
// function words, which tell the language of a text as well.
var (
	english = &language{code: "en", stem: stemPorter, stop: words(`a an and are as at be but by for if in into is it no not of on or such
		that the their then there these they this to was will with`)}
	languages = [maxLanguages]*language{
		english,
		{code: "fr", stem: snowball(french.Stem), stop: words(`au aux avec ce ces cette dans de des du elle elles en est et il ils je la le les leur lui
			mais ne nous ou où par pas pour plus qu que qui sa se ses son sont sur un une vous été être`)},
		{code: "es", stem: snowball(spanish.Stem), stop: words(`al como con de del desde el ella ellas ellos en entre es esta este ha hasta la las le lo los
			más muy no o para pero por que se sin sobre son su sus también un una y ya`)},
		{code: "ru", stem: snowball(russian.Stem), stop: words(`а без был была было быть в вы для до его если есть же за и из или их к как ко
			когда который мы на не но о об он она они от по при с со так то у чтобы это я`)},
		{code: "sv", stem: snowball(swedish.Stem), stop: words(`att av blev den det de dem detta du efter eller en ett från för ha hade han har hon i inte
			jag kan med men mot mycket när och om på sig sin som så till under upp ut var vi vid är`)},
		{code: "no", stem: snowball(norwegian.Stem), stop: words(`av at ble bli da de den der det deres dette du eller en er et etter for fra ha hadde han har hun hva i
			ikke ja jeg kan man med men mot må når nå og om opp på seg sin skal som så til ut var ved vi være`)},
		{code: "hu", stem: snowball(hungarian.Stem), stop: words(`a az azt be csak de egy el ez ezt és ha hogy is itt ki le lesz meg mert mint már most nem
			olyan sem van vagy volt voltak én ő ők össze úgy`)},
		// Without a stemmer, but with its own stop words.
		{code: "de", stem: plain.stem, stop: words(`aber als am an auch auf aus bei das dass dem den der des die durch ein eine einem einen einer
			eines er es für hat ich im in ist mit nach nicht noch oder sich sie sind so um und von vor war werden wird wie zu zum zur über`)},
	}
)

func init() {
	for i, l := range languages {
		l.number = uint8(i)
	}
}

// askedStop are words of questions that say nothing of what is asked for. Texts keep them, so that phrases are found; queries
// drop them where another word is left. They are the English stop words of Snowball's and NLTK's lists.
var askedStop = words(`i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its
	itself they them their theirs themselves what which who whom this that these those am is are was were be been being have has had
	having do does did doing would should could ought a an the and but if or because as until while of at by for with about against
	between into through during before after above below to from up down in out on off over under again further then once here there
	when where why how all any both each few more most other some such no nor not only own same so than too very can will just`)

// term returns the term of a word in lower case, nil for a stop word.
func (l *language) term(word []byte) []byte {
	if l == english {
		word = possessive(word)
	}
	if len(word) == 0 || l.stop[string(word)] {
		return nil
	}
	return l.stem(word)
}

func snowball(stem func(string, bool) string) func([]byte) []byte {
	return func(word []byte) []byte { return append(word[:0], stem(string(word), true)...) }
}

func words(list string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(list) {
		out[w] = true
	}
	return out
}

// languageOf returns the language with a code; nil for one that is not known.
func languageOf(code string) *language {
	for _, l := range languages {
		if l.code == code {
			return l
		}
	}
	return nil
}

const (
	detectBytes = 1000 // of a text are looked at
	detectLeast = 3    // function words are the least that make it another language than English
)

// speakers says which languages have a word as one of their function words, a bit each.
var speakers = func() map[string]uint8 {
	out := map[string]uint8{}
	for i, l := range languages {
		for w := range l.stop {
			out[w] |= 1 << i
		}
	}
	return out
}()

// plain folds case and stems nothing.
var plain = &language{stem: func(w []byte) []byte { return w }}

// detect finds the language of a text by its function words: English, unless another language has twice as many of them, and
// they are a tenth of the words at least.
func detect(text string) *language {
	var (
		found [maxLanguages]int
		total int
		fold  = analyzer{language: plain}
	)
	fold.each(text[:min(len(text), detectBytes)], 0, func(t Token) {
		total++
		for set := speakers[string(t.Term)]; set != 0; set &= set - 1 {
			found[bits.TrailingZeros8(set)]++
		}
	})
	most := 0
	for i, n := range found {
		if n > found[most] {
			most = i
		}
	}
	if n := found[most]; most > 0 && n >= detectLeast && n > 2*found[0] && 10*n >= total {
		return languages[most]
	}
	return english
}
