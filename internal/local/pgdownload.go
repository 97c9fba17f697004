package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// The Postgres that is downloaded where none is installed: the platform binaries that the embedded-postgres
// project publishes on Maven Central, by Go's name of the platform. They hold initdb, postgres, pg_ctl and
// the server's own modules, pgoutput among them.
const (
	downloadMajor   = 18
	downloadVersion = "18.4.0"
	mavenCentral    = "https://repo1.maven.org/maven2"
	mavenGroup      = "/io/zonky/test/postgres/embedded-postgres-binaries-"
)

// download is one published archive; sum is the SHA-256 of the jar.
type download struct{ platform, sum string }

var downloads = map[string]download{
	"linux/amd64":  {"linux-amd64", "401d4e69baba9072d3772607710df0d47b39a7632c6b01b2a5f5d85a9514e212"},
	"linux/arm64":  {"linux-arm64v8", "a9ec284923b9a7d2db41509bfb88c3d0eeb9f4aa5e2b29ea0aac5e8dbaf4c335"},
	"darwin/amd64": {"darwin-amd64", "68381ed1488edd337345c6c4bc6ae0c823832a4dd7af8b04656ee5c218c291b5"},
	"darwin/arm64": {"darwin-arm64v8", "ab698c4486a795d2aa8a158b3a41e1201a77e7ff72a6255094cd5900080853c2"},
}

const installHint = "install Postgres (apt install postgresql, brew install postgresql), " +
	"or name a mirror of Maven Central that this machine reaches"

// url is where the archive is, below the address of a Maven repository.
func (d download) url(base string) string {
	name := "embedded-postgres-binaries-" + d.platform
	return strings.TrimSuffix(base, "/") + mavenGroup + d.platform + "/" + downloadVersion + "/" + name + "-" + downloadVersion + ".jar"
}

// downloadPostgres makes sure that the binaries are unpacked below dir and returns the folder of the programs.
// What is there is complete: it is unpacked elsewhere and renamed.
func downloadPostgres(ctx context.Context, base, dir string, progress func(string)) (string, error) {
	d, ok := downloads[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("%w, and there are none to download for %s/%s: install Postgres", ErrNoPostgres, runtime.GOOS, runtime.GOARCH)
	}
	if base == "" {
		base = mavenCentral
	}
	// The checksum is in the name, so that other binaries of the same version get another folder.
	home := filepath.Join(dir, "postgres-"+downloadVersion+"-"+d.platform+"-"+d.sum[:8])
	bin := filepath.Join(home, "bin")
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make folder for postgres: %w", err)
	}
	unlock, err := waitLock(ctx, filepath.Join(dir, ".lock"), func() { progress("waiting for another download of Postgres") })
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	progress("no Postgres is installed: downloading Postgres " + downloadVersion + " from " + base)
	jar := home + ".jar"
	if err := fetch(ctx, d.url(base), jar, d.sum, progress); err != nil {
		return "", fmt.Errorf("%w, and downloading it failed: %w: %s", ErrNoPostgres, err, installHint)
	}
	progress("unpacking Postgres")
	fresh := home + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return "", fmt.Errorf("remove unfinished postgres: %w", err)
	}
	if err := unpackJar(jar, fresh); err != nil {
		return "", fmt.Errorf("unpack postgres: %w", err)
	}
	if err := os.Rename(fresh, home); err != nil {
		return "", fmt.Errorf("keep postgres: %w", err)
	}
	_ = os.Remove(jar)
	return bin, nil
}

// fetch downloads a file whose SHA-256 is known, going on where an earlier try ended.
func fetch(ctx context.Context, url, path, sum string, progress func(string)) error {
	part := path + ".part"
	var err error
	for try := 1; try <= 4; try++ {
		if try > 1 {
			progress(fmt.Sprintf("download interrupted (%v), trying again", err))
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Duration(try) * 500 * time.Millisecond):
			}
		}
		if err = fetchRest(ctx, url, part, progress); err == nil {
			break
		}
		var final *refusedError
		if errors.As(err, &final) || ctx.Err() != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	f, err := os.Open(part)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		_ = os.Remove(part)
		return fmt.Errorf("%s has the SHA-256 %s, not %s: it is not used", url, got, sum)
	}
	return os.Rename(part, path)
}

// refusedError is an answer that trying again does not change.
type refusedError struct{ url, status string }

// Error names the address and the answer.
func (e *refusedError) Error() string { return e.url + " answered " + e.status }

// stall is how long a download may stand still.
const stall = 30 * time.Second

func fetchRest(ctx context.Context, url, part string, progress func(string)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(stall, cancel)
	defer watchdog.Stop()
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	have, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return nil // complete already; the checksum decides
	case res.StatusCode == http.StatusOK && have > 0:
		// The server does not continue downloads: begin anew.
		if err := f.Truncate(0); err != nil {
			return err
		}
		have = 0
	case res.StatusCode >= 400 && res.StatusCode < 500:
		return &refusedError{url: url, status: res.Status}
	case res.StatusCode != http.StatusOK && res.StatusCode != http.StatusPartialContent:
		return fmt.Errorf("%s answered %s", url, res.Status)
	}
	total := have + res.ContentLength
	told := time.Now()
	buf := make([]byte, 128<<10)
	for {
		n, err := res.Body.Read(buf)
		watchdog.Reset(stall)
		if _, werr := f.Write(buf[:n]); werr != nil {
			return werr
		}
		have += int64(n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", url, err)
		}
		if time.Since(told) > 2*time.Second && res.ContentLength > 0 {
			told = time.Now()
			progress(fmt.Sprintf("downloading Postgres: %d of %d MB", have>>20, total>>20))
		}
	}
}
