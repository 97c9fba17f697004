package local

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A child's log is kept up to this size, and one older part beside it.
const (
	maxLogBytes = 16 << 20
	logCheck    = 10 * time.Second
)

// openLog opens a child's log for appending and keeps it short until stop is called. The child writes to
// the file itself, so that its last words survive this process; rotation therefore copies and truncates.
func openLog(path string) (f *os.File, stop func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("make log folder: %w", err)
	}
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open log: %w", err)
	}
	_ = rotateLog(path, maxLogBytes)
	quit := make(chan struct{})
	go func() {
		t := time.NewTicker(logCheck)
		defer t.Stop()
		for {
			select {
			case <-quit:
				return
			case <-t.C:
				_ = rotateLog(path, maxLogBytes)
			}
		}
	}()
	return f, func() { close(quit) }, nil
}

// rotateLog moves what a log holds to <path>.1 when it is longer than limit.
func rotateLog(path string, limit int64) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() <= limit {
		return err
	}
	from, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path+".1", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer to.Close()
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	return from.Truncate(0)
}

// logTail is what a log has gained since an offset, cut to its last lines.
func logTail(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() < from {
		from = 0
	}
	body, _ := io.ReadAll(io.NewSectionReader(f, from, 64<<10))
	return lastLines(string(body), 12)
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}
