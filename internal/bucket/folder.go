package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// litterAge is when a file left in incoming by a killed process is removed. A file that is being written is younger,
// because each write renews its time.
const litterAge = time.Hour

// copyBuffer suits one sequential reader: larger is not faster on a file, and the worker's memory is counted.
const copyBuffer = 256 << 10

type folder struct{ root string }

func openFolder(path string) (*folder, error) {
	if path == "" {
		return nil, errors.New("the address has no folder, write file:///absolute/path")
	}
	f := &folder{root: filepath.FromSlash(path)}
	if err := os.MkdirAll(f.incoming(), 0o700); err != nil {
		return nil, err
	}
	f.sweep(time.Now().Add(-litterAge))
	return f, nil
}

func (f *folder) incoming() string       { return filepath.Join(f.root, "incoming") }
func (f *folder) path(key string) string { return filepath.Join(f.root, filepath.FromSlash(key)) }
func (f *folder) exists(key string) bool { _, err := os.Stat(f.path(key)); return err == nil }
func known(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrNotFound
	case errors.Is(err, fs.ErrPermission):
		return errors.Join(ErrDenied, err)
	}
	return err
}

func (f *folder) sweep(before time.Time) {
	entries, _ := os.ReadDir(f.incoming())
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().Before(before) {
			os.Remove(filepath.Join(f.incoming(), e.Name())) //nolint:errcheck // another process may have swept it
		}
	}
}

func (f *folder) put(_ context.Context, r io.Reader) (o Object, err error) {
	tmp, err := os.CreateTemp(f.incoming(), "put-*")
	if err != nil {
		return Object{}, known(err)
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // gone after the rename
	defer tmp.Close()           //nolint:errcheck // closed below when its content matters
	h := sha256.New()
	if o.Size, err = io.CopyBuffer(io.MultiWriter(tmp, h), onlyReader{r}, make([]byte, copyBuffer)); err != nil {
		return Object{}, err
	}
	o.SHA256 = hex.EncodeToString(h.Sum(nil))
	o.Key = Key(o.SHA256)
	return o, f.settle(tmp, o.Key)
}

func (f *folder) putBytes(_ context.Context, body []byte, scratch bool) (Object, error) {
	o := Object{SHA256: digest(body), Size: int64(len(body))}
	o.Key = Key(o.SHA256)
	if f.exists(o.Key) && !scratch {
		return o, nil
	}
	if old, err := os.ReadFile(f.path(o.Key)); scratch && err == nil && bytes.Equal(old, body) {
		return o, nil
	}
	tmp, err := os.CreateTemp(f.incoming(), "put-*")
	if err != nil {
		return Object{}, known(err)
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // gone after the rename
	defer tmp.Close()           //nolint:errcheck // closed by settle when its content matters
	if _, err := tmp.Write(body); err != nil {
		return Object{}, err
	}
	if scratch {
		return o, f.reveal(tmp, o.Key)
	}
	return o, f.settle(tmp, o.Key)
}

// settle makes the written file the object: on disk first, then visible, so that a power cut leaves no torn object.
func (f *folder) settle(tmp *os.File, key string) error {
	if f.exists(key) {
		return nil
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	return f.reveal(tmp, key)
}

func (f *folder) reveal(tmp *os.File, key string) error {
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.path(key)), 0o700); err != nil {
		return known(err)
	}
	return os.Rename(tmp.Name(), f.path(key))
}

func (f *folder) open(_ context.Context, key string, off, n int64) (io.ReadCloser, error) {
	file, err := os.Open(f.path(key))
	if err != nil {
		return nil, known(err)
	}
	if _, err := file.Seek(off, io.SeekStart); err != nil {
		file.Close() //nolint:errcheck // only read from
		return nil, err
	}
	if n < 0 {
		return file, nil
	}
	return limited{io.LimitReader(file, n), file}, nil
}

func (f *folder) size(_ context.Context, key string) (int64, error) {
	info, err := os.Stat(f.path(key))
	if err != nil {
		return 0, known(err)
	}
	return info.Size(), nil
}

type limited struct {
	io.Reader
	io.Closer
}

// onlyReader hides WriterTo, which would make its own buffer and pass by the one given to the copy.
type onlyReader struct{ io.Reader }
