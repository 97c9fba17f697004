package bucket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

func folderBucket(t *testing.T) (*Bucket, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bucket")
	b, err := Open(context.Background(), "file://"+dir)
	require.NoError(t, err)
	return b, dir
}

// buckets are the two kinds, to which the same promises apply.
func buckets(t *testing.T) map[string]*Bucket {
	t.Helper()
	f, _ := folderBucket(t)
	return map[string]*Bucket{"folder": f, "s3": newStub(t).bucket(t)}
}

func read(t *testing.T, b *Bucket, key string, off, n int64) string {
	t.Helper()
	rc, err := b.Range(context.Background(), key, off, n)
	require.NoError(t, err)
	defer rc.Close()
	got, err := io.ReadAll(rc)
	require.NoError(t, err)
	return string(got)
}

func TestPutIsContentAddressed(t *testing.T) {
	ctx := context.Background()
	for kind, b := range buckets(t) {
		t.Run(kind, func(t *testing.T) {
			o, err := b.Put(ctx, strings.NewReader("hello bucket"))
			require.NoError(t, err)
			require.EqualValues(t, 12, o.Size)
			require.Equal(t, digest([]byte("hello bucket")), o.SHA256)
			require.Equal(t, "objects/"+o.SHA256[:2]+"/"+o.SHA256, o.Key)
			again, err := b.PutBytes(ctx, []byte("hello bucket"))
			require.NoError(t, err)
			require.Equal(t, o, again)

			size, err := b.Size(ctx, o.Key)
			require.NoError(t, err)
			require.EqualValues(t, 12, size)
			require.Equal(t, "hello bucket", read(t, b, o.Key, 0, -1))
			require.Equal(t, "bucket", read(t, b, o.Key, 6, -1))
			require.Equal(t, "lo", read(t, b, o.Key, 3, 2))
			require.Equal(t, "et", read(t, b, o.Key, 10, 50))
			require.Empty(t, read(t, b, o.Key, 12, 5))
			require.Empty(t, read(t, b, o.Key, 99, -1))
			require.Empty(t, read(t, b, o.Key, 3, 0))

			body, err := b.ReadAll(ctx, o.Key, 12)
			require.NoError(t, err)
			require.Equal(t, "hello bucket", string(body))
			_, err = b.ReadAll(ctx, o.Key, 11)
			require.ErrorContains(t, err, "larger than 11 bytes")

			empty, err := b.Put(ctx, strings.NewReader(""))
			require.NoError(t, err)
			require.Equal(t, emptySum, empty.SHA256)
			require.Empty(t, read(t, b, empty.Key, 0, -1))
		})
	}
}

func TestNotFound(t *testing.T) {
	ctx := context.Background()
	for kind, b := range buckets(t) {
		t.Run(kind, func(t *testing.T) {
			for _, key := range []string{Key(emptySum), "", "objects/../../etc/passwd", "objects/e3/" + strings.Repeat("z", 64), "objects/aa/" + emptySum} {
				_, err := b.Size(ctx, key)
				require.ErrorIs(t, err, ErrNotFound, key)
				_, err = b.Range(ctx, key, 0, -1)
				require.ErrorIs(t, err, ErrNotFound, key)
				there, err := b.Exists(ctx, key)
				require.NoError(t, err)
				require.False(t, there)
			}
		})
	}
}

func TestFailedPutLeavesNothing(t *testing.T) {
	b, dir := folderBucket(t)
	broken := errors.New("broken stream")
	_, err := b.Put(context.Background(), io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = b.Put(ctx, strings.NewReader("never"))
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, files(t, dir))
}

func TestExistingObjectIsNotRewritten(t *testing.T) {
	b, dir := folderBucket(t)
	o, err := b.Put(context.Background(), strings.NewReader("same"))
	require.NoError(t, err)
	before, err := os.Stat(filepath.Join(dir, o.Key))
	require.NoError(t, err)
	for range 2 {
		_, err = b.Put(context.Background(), strings.NewReader("same"))
		require.NoError(t, err)
	}
	after, err := os.Stat(filepath.Join(dir, o.Key))
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	require.Len(t, files(t, dir), 1)
}

func TestTornScratchIsWrittenAnew(t *testing.T) {
	b, dir := folderBucket(t)
	o, err := b.PutScratch(context.Background(), []byte("tally"))
	require.NoError(t, err)
	for _, torn := range []string{"", "tal\x00\x00"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, o.Key), []byte(torn), 0o600))
		again, err := b.PutScratch(context.Background(), []byte("tally"))
		require.NoError(t, err)
		require.Equal(t, o, again)
		require.Equal(t, "tally", read(t, b, o.Key, 0, -1))
	}
	require.Len(t, files(t, dir), 1)
}

func TestPutAtOnce(t *testing.T) {
	b, dir := folderBucket(t)
	body := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{7}).Read(body) //nolint:errcheck // never fails
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			o, err := b.Put(context.Background(), bytes.NewReader(body))
			require.NoError(t, err)
			require.Equal(t, digest(body), o.SHA256)
		})
	}
	wg.Wait()
	require.Len(t, files(t, dir), 1)
}

func TestOpenSweepsOldLitter(t *testing.T) {
	_, dir := folderBucket(t)
	old, young := filepath.Join(dir, "incoming", "put-old"), filepath.Join(dir, "incoming", "put-young")
	for _, path := range []string{old, young} {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	past := time.Now().Add(-2 * litterAge)
	require.NoError(t, os.Chtimes(old, past, past))
	_, err := Open(context.Background(), "file://"+dir)
	require.NoError(t, err)
	require.Equal(t, []string{young}, files(t, dir))
}

func TestOpenRefuses(t *testing.T) {
	for address, want := range map[string]string{
		"gs://bucket":                           `scheme "gs"`,
		"file://":                               "no folder",
		"s3://bucket":                           "no endpoint",
		"s3://bucket?endpoint=http://localhost": "no bucket or credentials",
		"s3://k:very-secret@b":                  "no endpoint",
		"s3://k:very-secret@b\x7f":              "not a URL",
	} {
		_, err := Open(context.Background(), address)
		require.ErrorContains(t, err, want, address)
		require.NotContains(t, err.Error(), "very-secret")
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	}))
	return found
}
