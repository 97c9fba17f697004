package search

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// seeds are texts that words are hard to find in.
var seeds = []string{
	"", "a", "can't won’t U.S.A. 3.14 1,000 a_b __ 's", "\xff\xc3(", "日本語のテキスト と English", "naïve e\u0301 \u200b\u200d", "İSTANBUL ǅ ß",
	"ภาษาไทย ភាសាខ្មែរ", strings.Repeat("x", 600), strings.Repeat("é", 300), "a:b a::b a.b. a..b 1.2.3 1a.2b", "한국어 조사", "__a__ _1_", "ʂʂʂʂed",
}

func FuzzWords(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, l := range languages {
			last, position := 0, -1
			a := analyzer{language: l}
			a.each(text, 0, func(token Token) {
				if token.Start < 0 || token.Start >= token.End || token.End > len(text) || token.Start < last {
					t.Fatalf("word from %d to %d after one at %d in %d bytes", token.Start, token.End, last, len(text))
				}
				if last = token.Start; token.Position <= position {
					t.Fatalf("position %d after %d", token.Position, position)
				}
				if position = token.Position; len(token.Term) == 0 || token.Term[0] == filterMark {
					t.Fatalf("term %q", token.Term)
				}
				if utf8.ValidString(text) && !utf8.Valid(token.Term) {
					t.Fatalf("term %q of %q", token.Term, text[token.Start:token.End])
				}
			})
		}
		detect(text)
	})
}

func FuzzQuery(f *testing.F) {
	for _, s := range append(seeds, `"a b" +c -d e* title:f title:"g h" type:i tag:j space:k after:2026-01-31 before:2026-02-01T00:00:00Z`, `-"a`, `+ - ++ -- "" *`,
		"title: x", `title:" `, "-type:x", "-restor*", "\x00type:note") {
		f.Add(s)
	}
	x := New(Options{})
	text := "Restore a backup: stop the server, restore the last backup, start the server."
	for i, slug := range []string{"a", "b", "c"} {
		if err := x.Put(Entry{Space: "ops", Slug: slug, Title: "Restore", Body: text[i:], Type: "note", Tags: []string{"db"}, RecordedAt: time.Unix(int64(i), 0)}); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, query string) {
		q, err := ParseQuery(query)
		if err != nil {
			q = PlainQuery(query)
		}
		for _, lexical := range []bool{true, false} {
			hits, err := x.Search(Request{Query: q, Spaces: []string{"ops"}, K: 2, LexicalOnly: lexical, AsOf: time.Time{}})
			if err != nil || len(hits) > 2 {
				t.Fatalf("%d hits, %v", len(hits), err)
			}
		}
		if hits, err := x.Search(Request{Query: q, Spaces: []string{"other"}, K: 2}); err != nil || len(hits) > 0 {
			t.Fatalf("%d hits of what may not be read, %v", len(hits), err)
		}
		s := q.Snippet(text+query, "", 30)
		for _, m := range s.Marks {
			if m.Start < 0 || m.Start >= m.End || m.End > len(s.Text) {
				t.Fatalf("mark %v in %d bytes", m, len(s.Text))
			}
		}
	})
}

// FuzzSnapshot repairs the checksum, so that what is behind it is reached.
func FuzzSnapshot(f *testing.F) {
	x, _ := filled(f, 5, 12, Options{Dim: 1, History: 10})
	var b bytes.Buffer
	if err := x.WriteSnapshot(&b, 1); err != nil {
		f.Fatal(err)
	}
	small := New(Options{Dim: 1})
	_ = small.Put(Entry{Space: "a", Slug: "b", Title: "restore restore", Body: strings.Repeat("restore ", 3), Vector: []float32{1}})
	var s bytes.Buffer
	if err := small.WriteSnapshot(&s, 1); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(s.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if n := len(data) - 4; n >= 0 {
			binary.LittleEndian.PutUint32(data[n:], crc32.Checksum(data[:n], castagnoli))
		}
		x, _, err := Read(bytes.NewReader(data), Options{Dim: 1})
		if err != nil {
			return
		}
		for space := range x.segments {
			for _, r := range []Request{{}, {AsOf: time.UnixMicro(1e15)}, {LexicalOnly: true}} {
				q, _ := ParseQuery(`"restore restore" bkr0 running type:note`)
				r.Query, r.Spaces, r.K = q, []string{space}, 3
				_, _ = x.Search(r)
			}
			if err = x.Put(Entry{Space: space, Slug: "new", Body: "restore bkr0", RecordedAt: time.UnixMicro(3e15), Vector: make([]float32, x.dim)}); err != nil {
				t.Fatal(err)
			}
		}
		x.Compact()
	})
}
