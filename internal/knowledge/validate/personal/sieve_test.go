package personal

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pieces are what forms are made of, and what is next to them.
var pieces = []string{
	"0", "1", "2", "3", "19", "00", "123", "4567", "89012", "555", "0x", "a", "e", "A", "B", "X", "DE", "GB", "ABCDEF", "é", "\u017f", "\u212a", "_", " ", " ", " ", "-", "-", ".", ".", ":", ":", "+", "(", ")", "/", "@", "\n", ",",
	"tel", "Tel: ", "TÉLÉPHONE ", "phone ", "fax.", "what\u017fapp ", "call ", "bsn ", "pesel ", "steuer ", "ssn ", "aadhaar ", "jane", "@acme.io", "::", "2a00:", "93.184.216.34", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00",
	"219-09-9999", "AB 12 34 56 C", "12345678Z", "X1234567-L", "RSSMRA85T10A562S", "529.982.247-25", "11010519491231002X", "131052-308T", "811228-9874", "44051401359", "111222333", "86095742719", "1 85 05 78 006 084 91", "185057800608491",
	"+49 30 901820", "(415) 555-2671", "415-555-2671", "0049 30 901820", "030/901820-11", "aadhaar 2341 2341 2346", "bsn 111222333", "pesel 44051401359", "tax id 86095742719", "ssn 219099999", "2606:2800:220:1:248:1893:25c8:1946",
}

// What is found is the same as where each line is looked at for each form, and each text for addresses as a whole.
func TestSieveLosesNothing(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	found := map[string]int{}
	same := func(s string) {
		whole := find(s, func(string) forms { return ^forms(0) })
		require.Equal(t, whole, Find(s), "seed %d: %q", seed, s)
		require.Equal(t, emailForm.FindAllStringIndex(s, -1), addresses(s), "seed %d: %q", seed, s)
		for _, f := range whole {
			found[string(f.Kind)+" "+f.Form]++
		}
	}
	for range 3_000 {
		var b strings.Builder
		for range 1 + r.IntN(24) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		same(b.String())
	}
	for range 3_000 { // a piece with one byte changed, or cut
		p := []byte(pieces[r.IntN(len(pieces))] + pieces[r.IntN(len(pieces))] + pieces[r.IntN(len(pieces))])
		p[r.IntN(len(p))] = "0123456789 -.:+()AZaz@\n"[r.IntN(23)]
		same(string(p[r.IntN(len(p)):]))
	}
	same(notes(100))
	pages, err := filepath.Glob("../../../../docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		same(string(text))
	}
	for _, n := range national {
		require.Positive(t, found["national_id "+n.name], "seed %d: none of %s", seed, n.name)
	}
	for _, kind := range []string{"email ", "phone ", "ip v4", "ip v6", "iban DE", "card visa"} {
		require.Positive(t, found[kind], fmt.Sprintf("seed %d: none of %s", seed, kind))
	}
}
