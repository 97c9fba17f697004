package template

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
)

var awkward = []string{
	"", " ", "\t\n", "a", "=", "a=", "a= b=c", "[]", "[a, b]", "[a,b", "{}", "()", "f()", `k="v w"`, `k=""`, `{"a":"b c","d":1}`, "<*>", "a <*> b", "\x00", "a\x00b \x01", "\xff\xfe x",
	"http://x/y?z=1, next", `C:\a b`, "12:30:45,678", "::1 fe80::1%eth0", "1,234,567", "1.2 KB", "Mon Jul  9 22:53:22 2005", "blk_-1 blk_-2", "a...5", "-", "--", "->", "x@y.z", "/a/b=c,d", "0x", "#1", "....",
	"user root", "ы连 é", strings.Repeat("w ", 200), strings.Repeat("x", 5000), strings.Repeat("1 ", 300), "a\u00a0b", "\x14 \x14", "'it''s'", `"`, `a="`, "1-2-3-4", "a:b:c:d", "::", "a=b=c", "5%", "1e5", "T10:00", "2015-10-18T18:01:47.978+02:00",
	"0000000000000000000.!\xe9", "000000000000\xe400*", "00000000檼*",
	"fe80::1%eth0-0000000000000000000.!\xe9ZT", "12:30.!连\xff", "连\xe9.!5 \xff-连.", "http://x/y\xe9z, C:\\a\xe9b /a/b\xe9c/连d", "12:30\xe9Z 1,234\xe9 <1 sec\xe9.!连",
	"a.!" + strings.Repeat("连", 100), "5.!连://x", "5.-!连://x", "0...0:00 1.2.3.4:5 1..2", "0\":\t\" \"", "k=\v' '", strings.Repeat(strings.Repeat("x", 255)+" ", 8)[:2047] + "!! y", strings.Repeat(strings.Repeat("x", 255)+" ", 8)[:2046] + ".!连 y",
}

// checkScan holds what is true of every scan.
func checkScan(t *testing.T, message []byte) {
	t.Helper()
	var s, again scanner
	s.scan(message)
	require.LessOrEqual(t, len(s.tokens), maxTokens)
	require.True(t, utf8.Valid(s.text), "canonical text %q", s.text)
	require.NotContains(t, string(s.text), "\x00")
	last := 0
	for i := range s.tokens {
		tok := &s.tokens[i]
		require.LessOrEqual(t, last, int(tok.start))
		require.LessOrEqual(t, tok.start, tok.slotStart)
		require.LessOrEqual(t, tok.slotStart, tok.end)
		require.LessOrEqual(t, int(tok.end), len(message))
		last = int(tok.end)
	}
	again.parse = true
	again.scan(s.text)
	require.Equal(t, string(s.text), string(again.text))
	require.Equal(t, s.id(), again.id(), "canonical text %q", s.text)
	require.Equal(t, s.proof(), again.proof(), "canonical text %q", s.text)
	require.Equal(t, len(s.tokens), len(again.tokens), "canonical text %q", s.text)
	for i := range s.tokens {
		require.Equal(t, s.tokens[i].hash, again.tokens[i].hash)
		require.Equal(t, s.tokens[i].kind, again.tokens[i].kind)
	}
}

// checkLearn holds what is true of every message that was learnt.
func checkLearn(t *testing.T, message []byte) {
	t.Helper()
	tl := NewTally(TallyOptions{})
	tl.Add(message, message, 5)
	c := tl.Counted()
	require.Len(t, c, 1)
	l := NewLibrary(Options{})
	ch := l.Learn([]Shape{c[0].Shape})
	require.Equal(t, c[0].ID, ch.Assigned[0].Shape)
	require.NotEmpty(t, ch.Assigned[0].Pattern)
	p, ok := l.Pattern(ch.Assigned[0].Pattern)
	require.True(t, ok)
	require.True(t, utf8.ValidString(p.Template))
	require.Equal(t, pattern.Fingerprint(p.Template), p.ID)
	var m Match
	require.True(t, l.Index().Recognise(message, &m))
	require.Equal(t, p.ID, m.Pattern)
	require.Len(t, m.Values, len(p.Slots))
	require.Equal(t, strings.Count(p.Template, pattern.Wildcard), len(p.Slots), "template %q", p.Template)
	for _, v := range m.Values {
		require.True(t, 0 <= v.Start && v.Start <= v.End && v.End <= len(message), "%v", v)
	}
}

func TestAwkwardLines(t *testing.T) {
	t.Parallel()
	for _, line := range awkward {
		checkScan(t, []byte(line))
		checkLearn(t, []byte(line))
	}
}

func FuzzScan(f *testing.F) {
	for _, line := range awkward {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) > 1<<16 {
			return
		}
		checkScan(t, message)
		checkLearn(t, message)
	})
}

func FuzzLearn(f *testing.F) {
	f.Add([]byte("a b\na c\nx=1 y\nx=2 y"), uint8(2))
	f.Add([]byte("0000000000 00000000000000000000000=0\n\x17=\x92'0="), uint8(8))
	f.Add([]byte("a []\na [] 5\n[] b\n[] 5 b\n[]\n[] 5"), uint8(1))
	f.Fuzz(func(t *testing.T, text []byte, chunk uint8) {
		if len(text) > 1<<14 {
			return
		}
		lines := strings.Split(string(text), "\n")
		learnIn := func(n int) *Library {
			l := NewLibrary(Options{})
			for from := 0; from < len(lines); from += n {
				tl := NewTally(TallyOptions{})
				for _, line := range lines[from:min(from+n, len(lines))] {
					tl.Add([]byte(line), []byte(line), 0)
				}
				var shapes []Shape
				for _, c := range tl.Counted() {
					shapes = append(shapes, c.Shape)
				}
				l.Learn(shapes)
			}
			return l
		}
		a, b := learnIn(len(lines)), learnIn(1+int(chunk))
		require.Equal(t, a.Checksum(), b.Checksum())
		require.Equal(t, a.Patterns(), b.Patterns())
		ix := b.Index()
		var m Match
		for _, line := range lines {
			require.True(t, ix.Recognise([]byte(line), &m))
			require.Equal(t, 1.0, m.Confidence)
			p, ok := ix.Pattern(m.Pattern)
			require.True(t, ok)
			require.Len(t, m.Values, len(p.Slots))
			for _, v := range m.Values {
				require.True(t, 0 <= v.Start && v.Start <= v.End && v.End <= len(line))
			}
		}
	})
}

func FuzzReadTally(f *testing.F) {
	t := NewTally(TallyOptions{})
	t.Add([]byte("a 1"), []byte("a 1"), 7)
	b, _ := t.MarshalBinary()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := ReadTally(b)
		if err != nil {
			require.ErrorIs(t, err, ErrTally)
		}
	})
}

// TestRandomLines glues awkward pieces together in all ways.
func TestRandomLines(t *testing.T) {
	t.Parallel()
	const seed = 11
	rng := rand.New(rand.NewPCG(seed, seed))
	pieces := append([]string{
		" ", " ", ",", ", ", ":", ": ", "=", "\"", "'", "(", ")", "[", "]", "{", "}", "<", ">", "|", "-", ".", "..", "/", "\\", "@", "#", "+", "%", "_", "0", "12", "0x1f", "10.0.0.1",
		"bytes (1.2 KB)", "12 bytes", "<1 sec", "true", "null", "Jul 9", "KB", "é", "\xc3", "T", "Z", "12:30", "://", "::", "fe80", "deadbeef01", "user", "blk_1",
	}, awkward[:50]...)
	for round := range 20_000 {
		var m []byte
		for range 1 + rng.IntN(10) {
			m = append(m, pieces[rng.IntN(len(pieces))]...)
		}
		func() {
			defer func() {
				if t.Failed() {
					t.Logf("seed %d round %d: %q", seed, round, m)
				}
			}()
			checkScan(t, m)
			if round%100 == 0 {
				checkLearn(t, m)
			}
		}()
	}
}
