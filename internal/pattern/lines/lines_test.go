package lines_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/lines"
)

type row struct {
	text   string
	offset int64
	cut    bool
}

func read(t *testing.T, r io.Reader, limit int) []row {
	t.Helper()
	lr := lines.NewReader(r, limit)
	var got []row
	for {
		line, ok := lr.Next()
		if !ok {
			break
		}
		got = append(got, row{string(line), lr.Offset(), lr.Truncated()})
	}
	require.NoError(t, lr.Err())
	return got
}

func TestNextCutsAnyBytesIntoLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1000)
	in := "a\r\n\nb\x00c\n\xff\xfe\n" + long + "\nend"
	want := []row{
		{"a", 0, false},
		{"", 3, false},
		{"b\x00c", 4, false},
		{"\xff\xfe", 8, false},
		{long[:100], 11, true},
		{"end", 1012, false},
	}
	require.Equal(t, want, read(t, strings.NewReader(in), 100))
	require.Equal(t, want, read(t, iotest.OneByteReader(strings.NewReader(in)), 100))
	require.Empty(t, read(t, strings.NewReader(""), 100))
	require.Equal(t, []row{{"", 0, false}}, read(t, strings.NewReader("\n"), 100))
}

func TestLinesFarOverTheBufferKeepTheirOffsets(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("y", 3<<20)
	for _, r := range []io.Reader{strings.NewReader("a\n" + long + "\nb\n"), iotest.HalfReader(strings.NewReader("a\n" + long + "\nb"))} {
		got := read(t, r, 64<<10)
		require.Len(t, got, 3)
		require.Equal(t, row{"a", 0, false}, got[0])
		require.True(t, got[1].cut)
		require.Equal(t, long[:64<<10], got[1].text)
		require.Equal(t, int64(2), got[1].offset)
		require.Equal(t, row{"b", 2 + 3<<20 + 1, false}, got[2])
	}
}

func TestErrKeepsWhatCameBeforeIt(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	lr := lines.NewReader(io.MultiReader(strings.NewReader("one\ntw"), iotest.ErrReader(broken)), 0)
	line, ok := lr.Next()
	require.True(t, ok)
	require.Equal(t, "one", string(line))
	line, ok = lr.Next()
	require.True(t, ok)
	require.Equal(t, "tw", string(line))
	_, ok = lr.Next()
	require.False(t, ok)
	require.ErrorIs(t, lr.Err(), broken)
}

func TestDecompressSniffsTheKind(t *testing.T) {
	t.Parallel()
	var gz bytes.Buffer
	for _, part := range []string{"one\n", "two\n"} {
		w := gzip.NewWriter(&gz)
		_, err := w.Write([]byte(part))
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
	var zs bytes.Buffer
	zw, err := zstd.NewWriter(&zs)
	require.NoError(t, err)
	_, err = zw.Write([]byte("one\ntwo\n"))
	require.NoError(t, err)
	require.NoError(t, zw.Close())
	for kind, in := range map[string][]byte{"": []byte("one\ntwo\n"), "gzip": gz.Bytes(), "zstd": zs.Bytes()} {
		rc, got, err := lines.Decompress(bytes.NewReader(in))
		require.NoError(t, err)
		require.Equal(t, kind, got)
		plain, err := io.ReadAll(rc)
		require.NoError(t, err)
		require.NoError(t, rc.Close())
		require.Equal(t, "one\ntwo\n", string(plain))
	}
	rc, kind, err := lines.Decompress(strings.NewReader("x"))
	require.NoError(t, err)
	require.Empty(t, kind)
	require.NoError(t, rc.Close())
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("a\r\nb\n\nc"), 3)
	f.Fuzz(func(t *testing.T, in []byte, limit int) {
		if limit <= 0 || limit > 1<<16 {
			limit = 64
		}
		want := bytes.Split(in, []byte("\n"))
		if len(want[len(want)-1]) == 0 {
			want = want[:len(want)-1]
		}
		lr := lines.NewReader(iotest.HalfReader(bytes.NewReader(in)), limit)
		offset := int64(0)
		for _, w := range want {
			got, ok := lr.Next()
			require.True(t, ok)
			require.Equal(t, offset, lr.Offset())
			offset += int64(len(w)) + 1
			plain := bytes.TrimSuffix(w, []byte("\r"))
			require.Equal(t, len(plain) > limit, lr.Truncated())
			require.Equal(t, string(plain[:min(limit, len(plain))]), string(got))
		}
		_, ok := lr.Next()
		require.False(t, ok)
	})
}
