package local

import (
	"bufio"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// The sources of the server are a module of their own in the folder devserver of the repository; a module
// cannot embed files of another, so they are kept here as text, and a test holds the two equal.
//
//go:generate ./devserver.sh
//go:embed devserver
var devserverSources embed.FS

const (
	devserverBinary = "tartan-temporal"
	// compiledPackages is how many packages a build from an empty cache compiles, for the estimate.
	compiledPackages = 1215
)

// buildFlags leave out symbol and debug tables, a third of the file.
var buildFlags = []string{"build", "-v", "-buildvcs=false", "-ldflags=-s -w"}

var serverPin = regexp.MustCompile(`(?m)^\s*go\.temporal\.io/server (v\S+)`)

// cachedTemporal is where the built server is kept: by version and by a hash of all that decides what it is.
func cachedTemporal(cacheDir string) (path, version string, err error) {
	h := sha256.New()
	err = eachSource(func(name string, body []byte) error {
		fmt.Fprintf(h, "%s %d\n%s", name, len(body), body)
		if m := serverPin.FindSubmatch(body); name == "go.mod" && m != nil {
			version = string(m[1])
		}
		return nil
	})
	if err != nil {
		return "", "", err
	}
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH, buildFlags)
	name := fmt.Sprintf("temporal-%s-%s", version, hex.EncodeToString(h.Sum(nil)[:6]))
	return filepath.Join(cacheDir, name, devserverBinary), version, nil
}

// buildTemporal builds the server into its place in the cache, unless it is there. One build runs at a time;
// another caller waits for it and takes what it made.
func buildTemporal(ctx context.Context, cacheDir string, progress func(string)) (target, version string, err error) {
	target, version, err = cachedTemporal(cacheDir)
	if err != nil {
		return "", "", err
	}
	if _, err := os.Stat(target); err == nil {
		return target, version, nil
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", "", errors.New("there is no Temporal server here: install the temporal CLI (https://docs.temporal.io/cli), " +
			"or Go, with which Tartan builds its own")
	}
	dir := filepath.Dir(target)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", "", fmt.Errorf("make cache folder: %w", err)
	}
	unlock, err := waitLock(ctx, filepath.Join(dir, "lock"), func() { progress("waiting for another build of the Temporal server") })
	if err != nil {
		return "", "", err
	}
	defer unlock()
	if _, err := os.Stat(target); err == nil {
		return target, version, nil
	}
	progress(fmt.Sprintf("building the Temporal server %s, once: it takes some 3 to 8 minutes and 3 GB of Go's caches; "+
		"the quick way is to install the temporal CLI, which is used instead where it is on PATH", version))
	src := filepath.Join(dir, "src")
	if err := writeSources(src); err != nil {
		return "", "", err
	}
	fresh := target + ".new"
	if err := runBuild(ctx, goTool, src, fresh, progress); err != nil {
		return "", "", err
	}
	if err := os.Rename(fresh, target); err != nil {
		return "", "", fmt.Errorf("keep the built server: %w", err)
	}
	removeUnused(cacheDir)
	return target, version, nil
}

// unusedAfter is how long the server of another version is kept after its last use.
const unusedAfter = 30 * 24 * time.Hour

// markUsed notes that a cached server is in use.
func markUsed(path string) { _ = os.Chtimes(filepath.Dir(path), time.Now(), time.Now()) }

// removeUnused removes servers of other versions that nobody started for long: each takes 90 MB.
func removeUnused(cacheDir string) {
	dirs, _ := filepath.Glob(filepath.Join(cacheDir, "temporal-v*"))
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > unusedAfter {
			_ = os.RemoveAll(dir)
		}
	}
}

// eachSource calls fn with every file of the server's module, by its path in it, in the order of the paths.
func eachSource(fn func(name string, body []byte) error) error {
	return fs.WalkDir(devserverSources, "devserver", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := devserverSources.ReadFile(path)
		if err != nil {
			return err
		}
		return fn(strings.TrimSuffix(strings.TrimPrefix(path, "devserver/"), ".txt"), body)
	})
}

func writeSources(dir string) error {
	err := eachSource(func(name string, body []byte) error {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, body, 0o644)
	})
	if err != nil {
		return fmt.Errorf("write server sources: %w", err)
	}
	return nil
}

// runBuild runs the go tool, which names each module it downloads and each package it compiles.
func runBuild(ctx context.Context, goTool, src, out string, progress func(string)) error {
	cmd := exec.CommandContext(ctx, goTool, append(buildFlags, "-o", out, ".")...)
	cmd.Dir = src
	// A workspace or flags of the user's own project must not change what is built.
	cmd.Env = append(cmd.Environ(), "GOWORK=off", "GOFLAGS=", "PWD="+src)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("build the Temporal server: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build the Temporal server: %w", err)
	}
	last := followBuild(stderr, progress)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("build the Temporal server: %w", ctx.Err())
		}
		return fmt.Errorf("build the Temporal server with %s: %w:\n%s", goTool, err, strings.Join(last, "\n"))
	}
	return nil
}

// followBuild turns the go tool's lines into progress every few seconds and keeps the last ones.
func followBuild(r io.Reader, progress func(string)) (last []string) {
	begun, told := time.Now(), time.Now()
	var compiling time.Time
	modules, packages := 0, 0
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if last = append(last, line); len(last) > 12 {
			last = last[1:]
		}
		if strings.HasPrefix(line, "go: ") {
			modules++
		} else {
			if packages == 0 {
				compiling = time.Now()
			}
			packages++
		}
		if time.Since(told) < 5*time.Second {
			continue
		}
		told = time.Now()
		spent := time.Since(begun).Round(time.Second)
		if packages == 0 {
			progress(fmt.Sprintf("building the Temporal server: %d modules downloaded, %s", modules, spent))
			continue
		}
		text := fmt.Sprintf("building the Temporal server: %d of at most %d packages, %s", packages, compiledPackages, spent)
		// What is in Go's cache is not compiled, so few packages say nothing of how many are to come.
		if packages >= 100 {
			left := time.Since(compiling) * time.Duration(max(0, compiledPackages-packages)) / time.Duration(packages)
			text += fmt.Sprintf(", about %s left", left.Round(10*time.Second))
		}
		progress(text)
	}
	return last
}

// waitLock takes a lock, waiting for it as long as the context allows; waiting is called once if it must wait.
func waitLock(ctx context.Context, path string, waiting func()) (release func(), err error) {
	for first := true; ; first = false {
		release, err := lockPath(path, "build")
		if err == nil || !errors.Is(err, ErrInUse) {
			return release, err
		}
		if first {
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
