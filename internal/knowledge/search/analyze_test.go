package search

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPorter has the examples of Porter's paper of 1980, and words at the edges of Lucene's PorterStemmer.
func TestPorter(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"caresses": "caress", "ponies": "poni", "ties": "ti", "caress": "caress", "cats": "cat", "feed": "feed", "agreed": "agre", "plastered": "plaster",
		"bled": "bled", "motoring": "motor", "sing": "sing", "conflated": "conflat", "troubled": "troubl", "sized": "size", "hopping": "hop", "tanned": "tan",
		"falling": "fall", "hissing": "hiss", "fizzed": "fizz", "failing": "fail", "filing": "file", "happy": "happi", "sky": "sky", "relational": "relat",
		"conditional": "condit", "rational": "ration", "valenci": "valenc", "hesitanci": "hesit", "digitizer": "digit", "conformabli": "conform", "radicalli": "radic",
		"differentli": "differ", "vileli": "vile", "analogousli": "analog", "vietnamization": "vietnam", "predication": "predic", "operator": "oper",
		"feudalism": "feudal", "decisiveness": "decis", "hopefulness": "hope", "callousness": "callous", "formaliti": "formal", "sensitiviti": "sensit",
		"sensibiliti": "sensibl", "triplicate": "triplic", "formative": "form", "formalize": "formal", "electriciti": "electr", "electrical": "electr",
		"hopeful": "hope", "goodness": "good", "revival": "reviv", "allowance": "allow", "inference": "infer", "airliner": "airlin", "gyroscopic": "gyroscop",
		"adjustable": "adjust", "defensible": "defens", "irritant": "irrit", "replacement": "replac", "adjustment": "adjust", "dependent": "depend",
		"adoption": "adopt", "homologou": "homolog", "communism": "commun", "activate": "activ", "angulariti": "angular", "homologous": "homolog",
		"effective": "effect", "bowdlerize": "bowdler", "probate": "probat", "rate": "rate", "cease": "ceas", "controll": "control", "roll": "roll",
		"is": "is", "eed": "eed", "ion": "ion", "technologi": "technolog", "s": "s", "ass": "ass", "ied": "i", "yyy": "yyi", "né": "né",
	} {
		require.Equal(t, want, string(stemPorter([]byte(word))), word)
	}
}

// TestWords has what Lucene's StandardTokenizer makes of the texts, in lower case and without stop words and stems; runs of characters
// that are written without spaces are pairs instead.
func TestWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Hello, World!": "Hello World", "can't won’t": "can't won’t", "U.S.A. 3.14 1,000 1,a": "U.S.A 3.14 1,000 1 a", "a_b __ _x": "a_b _x",
		"point-in-time": "point in time", "a:b a::b x.": "a:b a b x", "e-mail@example.com": "e mail example.com", "mach 2.5": "mach 2.5", "f(x)=y": "f x y",
		"日本語": "日本 本語", "山": "山", "日本 x": "日本 x", "ไทย": "ไท ทย", "naïve e\u0301t": "naïve e\u0301t", "\xffa": "a", "": "",
		strings.Repeat("x", 300): strings.Repeat("x", 255) + " " + strings.Repeat("x", 45),
	} {
		var got []string
		eachWord(text, func(start, end int, _ bool) { got = append(got, text[start:end]) })
		require.Equal(t, want, strings.Join(got, " "), "%q", text)
	}
	require.Equal(t, []string{"kei", "server", "were", "restor", "2.5"}, termsOf("The key's servers were restored? 2.5"))
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"The disks of the server are full.": "en", "": "en", "ERR-4711 node-7 0x7f": "en",
		"Les disques du serveur sont pleins, et la sauvegarde est dans une autre région.":     "fr",
		"Los discos del servidor están llenos y la copia no se hizo en el otro.":              "es",
		"Диски сервера заполнены, и резервная копия не была сделана на другом.":               "ru",
		"Die Festplatten des Servers sind voll, und die Sicherung ist nicht auf dem anderen.": "de",
		"Skivorna är fulla och det finns inte en kopia på den andra servern som vi har.":      "sv",
	} {
		require.Equal(t, want, detect(text).code, text)
	}
}

// TestLengths has the values of Lucene's SmallFloat.byte4ToInt.
func TestLengths(t *testing.T) {
	t.Parallel()
	for n := range 40 {
		require.EqualValues(t, n, lengths[lengthCode(n)])
	}
	for n, want := range map[int]float64{41: 40, 42: 42, 55: 54, 56: 56, 59: 56, 60: 60, 100: 96, 1000: 984} {
		require.Equal(t, want, lengths[lengthCode(n)], n)
	}
	for c := 1; c < 256; c++ {
		require.Greater(t, lengths[c], lengths[c-1])
		require.EqualValues(t, c, lengthCode(int(lengths[c])))
	}
}
