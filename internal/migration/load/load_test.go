package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

func file(format, text string, options map[string]string) File {
	return File{Format: format, Options: options, At: func(offset int64) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text[offset:])), nil
	}}
}

// slow gives a byte at a time, so that every record lies across a read.
func slow(f File) File {
	at := f.At
	f.At = func(offset int64) (io.ReadCloser, error) {
		r, err := at(offset)
		return io.NopCloser(iotest.OneByteReader(r)), err
	}
	return f
}

// all reads a file and writes each record as its line, its values and its fault.
func all(t testing.TB, f File, names []string, at Position) (out []string, positions []Position) {
	t.Helper()
	r, c, err := Open(f, at)
	require.NoError(t, err)
	defer c.Close()
	if names == nil {
		names = r.Names()
	}
	require.NoError(t, r.Select(names))
	for {
		positions = append(positions, r.Position())
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, positions
		}
		require.NoError(t, err)
		text := fmt.Sprintf("%d:", rec.Line)
		for _, v := range rec.Values {
			if v.Null {
				text += "|NULL"
			} else {
				text += "|" + string(v.Text)
			}
		}
		if rec.Bad != "" {
			text += "!" + rec.Bad + "!" + string(rec.Raw)
		}
		out = append(out, text)
	}
}

func TestFilesAreRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		format, text string
		options      map[string]string
		names        []string
		want         []string
	}{
		"plain":                           {"csv", "a,b\n1,x\n2,\n", nil, nil, []string{"2:|1|x", "3:|2|NULL"}},
		"no last line end":                {"csv", "a,b\n1,x", nil, nil, []string{"2:|1|x"}},
		"a mark of byte order, and CR LF": {"csv", "\xef\xbb\xbfa,b\r\n1,\"x\"\r\n2,y\r\n3,\"z\"\r", nil, nil, []string{"2:|1|x", "3:|2|y", "4:|3|z"}},
		"quotes":                          {"csv", "a,b\n1,\"x \"\"y\"\", z\"\n2,\"\"\n", nil, nil, []string{`2:|1|x "y", z`, "3:|2|"}},
		"lines in a field":                {"csv", "a,b\n1,\"x\ny\r\nz\"\n2,w\n", nil, nil, []string{"2:|1|x\ny\r\nz", "5:|2|w"}},
		"columns chosen":                  {"csv", "a,b,c\n1,2,3\n", nil, []string{"c", "a"}, []string{"2:|3|1"}},
		"no header":                       {"csv", "1;'x;y'\n2;\\N\n", map[string]string{"header": "no", "delimiter": ";", "quote": "'", "null": `\N`}, []string{"2", "1"}, []string{"1:|x;y|1", "2:|NULL|2"}},
		"no header behind empty lines":    {"csv", "\n\n1,2\n", map[string]string{"header": "no"}, []string{"1"}, []string{"3:|1"}},
		"tabs":                            {"csv", "a\tb\n1\t2\n", map[string]string{"delimiter": `\t`}, nil, []string{"2:|1|2"}},
		"empty lines":                     {"csv", "a,b\n\n1,2\n\n", nil, nil, []string{"3:|1|2"}},
		"empty lines of one column":       {"csv", "a\n\n1\n", nil, nil, []string{"2:|NULL", "3:|1"}},
		"too few and too many":            {"csv", "a,b\n1\n1,2,3\n4,5\n", nil, nil, []string{"2:!1 fields instead of 2!1", "3:!3 fields instead of 2!1,2,3", "4:|4|5"}},
		"a quote that is not closed":      {"csv", "a,b\n1,\"x\n2,y\n3,z\n", nil, nil, []string{`2:!the quote of field 2 is not closed!1,"x`, "3:|2|y", "4:|3|z"}},
		"one not closed, and then quotes": {"csv", "a,b\n1,\"x\n2,\"y\"\n3,z\n", nil, nil, []string{`2:!text behind the closing quote of field 2!1,"x`, "3:|2|y", "4:|3|z"}},
		"a quote inside":                  {"csv", "a,b\n1,5\" pipe\n2,\"y\"\n", nil, nil, []string{`2:!a quote inside field 2, which does not begin with one!1,5" pipe`, "3:|2|y"}},
		"no text":                         {"csv", "a,b\n1,\xff\n2,\x00\n3,ü\n", nil, nil, []string{"2:!byte 3 of the record, 0xff, is not UTF-8!1,\xff", "3:!byte 3 of the record is zero, which Postgres has no text for!2,\x00", "4:|3|ü"}},
		"json": {
			"jsonl", "{\"a\":1,\"b\":\"x\\n\\u00fc\"}\n\n{\"b\":null,\"a\":{\"c\": [1]}}\r\n{\"a\":true}", nil, nil,
			[]string{"1:|1|x\nü", `3:|{"c": [1]}|NULL`, "4:|true|NULL"},
		},
		"bad json": {"jsonl", "{\"a\":1}\n{\"a\":1\n[1]\nnull\n{\"a\":\"\\u0000\"}\n{\"a\":\"\\ud800\"}\n{\"a\":\"\\ufffd\"}\n", nil, nil, []string{
			"1:|1",
			`2:!not JSON at byte 6 of the record: unexpected end of JSON input!{"a":1`, "3:!not a JSON object![1]", "4:!not a JSON object!null",
			`5:!the field "a" has a zero character, which Postgres has no text for!{"a":"\u0000"}`, `6:!the field "a" has half a character (a lone surrogate)!{"a":"\ud800"}`, "7:|\ufffd",
		}},
		"json fields chosen": {"jsonl", "{\"a\":1,\"b\":2}\n{\"a\":3,\"c\":4}\n", nil, []string{"a"}, []string{"1:|1", "2:|3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := file(tt.format, tt.text, tt.options)
			got, positions := all(t, f, tt.names, Position{})
			require.Equal(t, tt.want, got)
			bytewise, _ := all(t, slow(f), tt.names, Position{})
			require.Equal(t, tt.want, bytewise)
			for i, at := range positions {
				later, _ := all(t, f, tt.names, at)
				require.Equal(t, append([]string(nil), tt.want[i:]...), later, "from record %d on", i)
			}
		})
	}
}

func TestUnknownJSONFieldIsBadWhereAllAreTaken(t *testing.T) {
	t.Parallel()
	text := `{"a":"` + strings.Repeat("x", peeked) + "\"}\n{\"a\":1,\"late\":2}\n"
	got, _ := all(t, file("jsonl", text, nil), nil, Position{})
	require.Len(t, got, 2)
	require.Equal(t, `2:!the field "late" is in no earlier record and has no column!{"a":1,"late":2}`, got[1])
}

func TestARecordThatIsTooLongIsBad(t *testing.T) {
	t.Parallel()
	text := "a,b\n1," + strings.Repeat("x", MaxRecord*2) + "\n2,y\n"
	got, _ := all(t, file("csv", text, nil), nil, Position{})
	require.Len(t, got, 2)
	require.Contains(t, got[0], "2:!longer than 16 MiB!1,xxx")
	require.Equal(t, "3:|2|y", got[1])
}

func TestFaultsOfAFileAreTold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		format, text string
		options      map[string]string
		names        []string
		want         string
	}{
		{"xml", "", nil, nil, `files of format "xml" are not read: use csv or jsonl`},
		{"csv", "", nil, nil, "the file is empty: it has no header"},
		{"csv", "a,a\n", nil, nil, `the header names "a" twice`},
		{"csv", "a,\n", nil, nil, "the header has no name for column 2"},
		{"csv", "a,\"b\n", nil, nil, "line 1, the first of the file, cannot be read: the quote of field 2 is not closed"},
		{"csv", "a\n", map[string]string{"header": "perhaps"}, nil, `option header must be yes or no, not "perhaps"`},
		{"csv", "a\n", map[string]string{"delimiter": "||"}, nil, `option delimiter must be one character of one byte, not "||"`},
		{"csv", "a\n", map[string]string{"sep": ";"}, nil, `there is no option "sep": use delimiter, quote, header, null`},
		{"jsonl", "{}\n", map[string]string{"header": "no"}, nil, `the format has no options, so not "header"`},
		{"csv", "a,b\n", nil, []string{"c"}, `the file has no column "c": it has a, b`},
		{"csv", "1,2\n", map[string]string{"header": "no"}, []string{"3"}, `the file has no header, so its columns are the numbers from 1 to 2, not "3"`},
		{"jsonl", "{\"a\":1}\n", nil, []string{"b"}, `no record at the start of the file has the field "b": they have a`},
	} {
		r, _, err := Open(file(tt.format, tt.text, tt.options), Position{})
		if err == nil {
			err = r.Select(tt.names)
		}
		require.EqualError(t, err, tt.want)
	}
	failure := errors.New("the disk is gone")
	f := File{Format: "csv", At: func(int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("a,b\n1,\"x"), iotest.ErrReader(failure))), nil
	}}
	r, _, err := Open(f, Position{})
	require.NoError(t, err)
	require.NoError(t, r.Select([]string{"a"}))
	_, err = r.Next()
	require.ErrorIs(t, err, failure, "a stream that fails is no quote that is not closed")
}

// TestWrittenCSVComesBack writes random rows as CSV and reads them from any record on.
func TestWrittenCSVComesBack(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	const alphabet = "ab,\"\n\r\t ü;\\"
	for range 300 {
		var text strings.Builder
		text.WriteString("a,b,c\n")
		var want []string
		line := 2
		for range rng.IntN(20) {
			row := fmt.Sprintf("%d:", line)
			for i := range 3 {
				if i > 0 {
					text.WriteByte(',')
				}
				if rng.IntN(6) == 0 {
					row += "|NULL"
					continue
				}
				field := ""
				for range rng.IntN(6) {
					r := []rune(alphabet)
					field += string(r[rng.IntN(len(r))])
				}
				line += strings.Count(field, "\n")
				row += "|" + field
				text.WriteString(`"` + strings.ReplaceAll(field, `"`, `""`) + `"`)
			}
			line++
			text.WriteString([]string{"\n", "\r\n"}[rng.IntN(2)])
			want = append(want, row)
		}
		f := file("csv", text.String(), nil)
		got, positions := all(t, f, nil, Position{})
		require.Equal(t, want, got, "%q", text.String())
		at := rng.IntN(len(positions))
		got, _ = all(t, slow(f), nil, positions[at])
		require.Equal(t, want[at:], append(want[:0:0], got...), "%q from record %d", text.String(), at)
	}
}

// FuzzCSV holds that no byte of a file is lost: records and what separates them make up the file again, and reading is the same
// byte by byte.
func FuzzCSV(f *testing.F) {
	f.Add("a,b\n1,\"x\n2,y\n")
	f.Add("\xef\xbb\xbfa,b\r\n\"1\"\r,2\n\n\"\"\"")
	f.Add("a\n\"\r\"\r")
	f.Fuzz(func(t *testing.T, text string) {
		src := file("csv", text, nil)
		r, _, err := Open(src, Position{})
		if err != nil {
			return
		}
		require.NoError(t, r.Select(r.Names()))
		end := r.Position().Offset
		for {
			rec, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			require.Empty(t, strings.Trim(text[end:rec.Offset], "\r\n"), "skipped before line %d", rec.Line)
			require.True(t, strings.HasPrefix(text[rec.Offset:], string(rec.Raw)))
			require.EqualValues(t, 1+strings.Count(text[:rec.Offset], "\n"), rec.Line)
			require.Greater(t, r.Position().Offset, rec.Offset)
			end = r.Position().Offset
		}
		require.Empty(t, strings.Trim(text[end:], "\r\n"))
		fast, _ := all(t, src, nil, Position{})
		bytewise, _ := all(t, slow(src), nil, Position{})
		require.Equal(t, fast, bytewise)
	})
}

func TestCopyTextIsEscaped(t *testing.T) {
	t.Parallel()
	got := AppendCopy(nil, []Value{{Text: []byte("a\tb\\c\nd\re")}, {Null: true}, {}, {Text: []byte(`\N`)}})
	require.Equal(t, "a\\tb\\\\c\\nd\\re\t\\N\t\t\\\\N\n", string(got))
}

func BenchmarkCSV(b *testing.B) {
	for name, row := range map[string]string{"plain": "12345678,some words of text,2026-11-25T08:00:00Z,17.25,true\n", "quoted": "12345678,\"some \"\"words\"\", of text\",2026-11-25T08:00:00Z,17.25,true\n"} {
		b.Run(name, func(b *testing.B) {
			text := []byte("a,b,c,d,e\n" + strings.Repeat(row, 10_000))
			b.SetBytes(int64(len(text)))
			var out []byte
			for b.Loop() {
				f := File{Format: "csv", At: func(int64) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }}
				r, _, err := Open(f, Position{})
				require.NoError(b, err)
				require.NoError(b, r.Select(r.Names()))
				n := 0
				for {
					rec, err := r.Next()
					if err != nil {
						break
					}
					out = AppendCopy(out[:0], rec.Values)
					n++
				}
				require.Equal(b, 10_000, n)
			}
		})
	}
}
