package personal

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func kinds(s string) string {
	var out []string
	for _, f := range Find(s) {
		out = append(out, string(f.Kind)+" "+s[f.Start:f.End])
	}
	return strings.Join(out, "; ")
}

// The numbers are published examples: of registries, of networks for tests, of the authorities.
func TestFind(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"Write to jane.doe@acme.io.":                                     "email jane.doe@acme.io",
		"Mail <bob+x@sub.acme.co.uk>, not user@example.com":              "email bob+x@sub.acme.co.uk",
		"git@github.com:acme/x.git, https://u:p@acme.io/x, a@b":          "",
		"support@acme.io and noreply@acme.io":                            "",
		"Call +49 30 901820.":                                            "phone 49 30 901820",
		"+1 415-555-2671 or (415) 555-2671":                              "phone +1 415-555-2671; phone (415) 555-2671",
		"Tel.: 030/901820-11":                                            "phone 030/901820-11",
		"+44 20 7946 0958":                                               "phone +44 20 7946 0958",
		"2026-11-25 08:00:00, build 1.24.11, port 8443, 10,000,000":      "",
		"id 1234567890123456, 3.14159265358979, sha 0123456789":          "",
		"DE89 3704 0044 0532 0130 00 and GB82WEST12345698765432":         "iban DE89 3704 0044 0532 0130 00; iban GB82WEST12345698765432",
		"DE88 3704 0044 0532 0130 00":                                    "",
		"4111 1111 1111 1111, 5555-5555-5555-4444, 378282246310005":      "card 4111 1111 1111 1111; card 5555-5555-5555-4444; card 378282246310005",
		"4111 1111 1111 1112":                                            "",
		"10.0.0.1 192.168.1.1 127.0.0.1 203.0.113.9 8.8.8.8 2001:db8::1": "",
		"93.184.216.34 and 2606:2800:220:1:248:1893:25c8:1946":           "ip 93.184.216.34; ip 2606:2800:220:1:248:1893:25c8:1946",
		"version 93.184.216.34, at 12:30:45 or std::vector":              "",
		"SSN 219-09-9999, not 000-12-3456":                               "national_id 219-09-9999",
		"AB 12 34 56 C":                                                  "national_id AB 12 34 56 C",
		"12345678Z":                                                      "national_id 12345678Z",
		"RSSMRA85T10A562S":                                               "national_id RSSMRA85T10A562S",
		"529.982.247-25":                                                 "national_id 529.982.247-25",
		"11010519491231002X":                                             "national_id 11010519491231002X",
		"131052-308T":                                                    "national_id 131052-308T",
		"811228-9874":                                                    "national_id 811228-9874",
		"PESEL 44051401359":                                              "national_id 44051401359",
		"BSN 111222333":                                                  "national_id 111222333",
		"Steuer-ID 86095742719":                                          "national_id 86095742719",
		"44051401359 111222333 86095742719":                              "",
		"1 85 05 78 006 084 91":                                          "national_id 1 85 05 78 006 084 91",
	} {
		if got := kinds(s); got != want {
			t.Errorf("%s: want %q, got %q", s, want, got)
		}
	}
}

// TestGeneratedNumbers makes numbers with right and wrong check digits.
func TestGeneratedNumbers(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	digits := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte(byte('0' + r.IntN(10)))
		}
		return b.String()
	}
	for range 60 {
		bban := digits(18)
		for check := range 100 { // exactly one in 97 is right
			iban := fmt.Sprintf("DE%02d%s", check, bban)
			rest := 0
			for _, c := range bban + "1314" + fmt.Sprintf("%02d", check) {
				rest = (rest*10 + int(c-'0')) % 97
			}
			require.Equal(t, rest == 1, strings.Contains(kinds("to "+iban+" please"), "iban"), iban)
		}
		card := "4" + digits(14)
		right := 0
		for last := range 10 {
			if strings.Contains(kinds(fmt.Sprintf("card %s%d", card, last)), "card "+card) {
				right++
			}
		}
		require.Equal(t, 1, right, card)
	}
}

func FuzzFind(f *testing.F) {
	f.Add("Call +49 30 901820, DE89 3704 0044 0532 0130 00, 219-09-9999")
	f.Add("2001:db8::1 93.184.216.34\n131052-308T AB123456C")
	f.Fuzz(func(t *testing.T, s string) {
		end := 0
		for _, found := range Find(s) {
			require.True(t, end <= found.Start && found.Start < found.End && found.End <= len(s))
			end = found.End
		}
	})
}
