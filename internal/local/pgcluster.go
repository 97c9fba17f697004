package local

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// cluster is the data folder of a Postgres server (what Postgres itself calls a cluster), with the user and
// the binaries that run it. Its parent holds data, and while it is made data.new.
//
// The user may be one that cannot search the folders above it, when root works in its home folder. The
// parent is then handed to the children as descriptor 3 and named /proc/self/fd/3, which needs no search
// permission and no change to folders that are not ours.
type cluster struct {
	parent   string
	user     *identity
	bin      pgBinaries
	folder   *os.File // the parent, when it is passed as a descriptor
	log      *zap.Logger
	progress func(string)
}

// data is the data folder as this process sees it.
func (c *cluster) data() string { return filepath.Join(c.parent, "data") }

// seen is how the children name a file in the parent.
func (c *cluster) seen(name string) string {
	if c.folder != nil {
		return "/proc/self/fd/3/" + name
	}
	return filepath.Join(c.parent, name)
}

func (c *cluster) files() []*os.File {
	if c.folder == nil {
		return nil
	}
	return []*os.File{c.folder}
}

// prepare makes the parent and finds out how the children reach it.
func (c *cluster) prepare() error {
	if err := os.MkdirAll(c.parent, 0o700); err != nil {
		return fmt.Errorf("make postgres folder: %w", err)
	}
	if err := c.user.own(c.parent); err != nil {
		return fmt.Errorf("give %s to %s: %w", c.parent, c.user, err)
	}
	if c.user.reaches(c.parent) {
		return nil
	}
	if !canPassFolder {
		return fmt.Errorf("postgres runs as %s, which may not search the folders above %s: "+
			"use a data folder outside of private folders, or run tartan as a normal user", c.user, c.parent)
	}
	var err error
	if c.folder, err = os.Open(c.parent); err != nil {
		return fmt.Errorf("open postgres folder: %w", err)
	}
	return nil
}

// major is the version that made the data folder; 0 means that there is none yet.
func (c *cluster) major() (int, error) {
	body, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read version of %s: %w", c.data(), err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(body)))
	if err != nil {
		return 0, fmt.Errorf("read version of %s: %w", c.data(), err)
	}
	return n, nil
}

// create makes the data folder under another name and renames it when it is complete, so that a kill in
// between leaves nothing that looks like a database.
func (c *cluster) create(ctx context.Context, password string, durable bool) error {
	c.progress("making the database in " + c.data())
	fresh, pwfile := filepath.Join(c.parent, "data.new"), filepath.Join(c.parent, "initdb.password")
	defer os.Remove(pwfile)
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove unfinished database: %w", err)
	}
	if err := os.WriteFile(pwfile, []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("write password for initdb: %w", err)
	}
	if err := c.user.own(pwfile); err != nil {
		return fmt.Errorf("write password for initdb: %w", err)
	}
	args := []string{
		"-D", c.seen("data.new"), "--username=postgres", "--pwfile=" + c.seen("initdb.password"), "--auth=scram-sha-256",
		"--data-checksums", "--encoding=UTF8", "--locale=C", "--no-sync",
	}
	if c.bin.major >= 17 {
		// The built-in provider knows the case of all letters and sorts the same on every system.
		args = append(args, "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin.dir, "initdb"), args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr, cmd.ExtraFiles = "/", pgEnv(), c.user.credential(), c.files()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make database with %s: %w:\n%s", cmd.Path, err, lastLines(out.String(), 12))
	}
	if durable {
		if err := syncTree(fresh); err != nil {
			return fmt.Errorf("write database to disk: %w", err)
		}
	}
	if err := os.Rename(fresh, c.data()); err != nil {
		return fmt.Errorf("finish database: %w", err)
	}
	if durable {
		return syncPath(c.parent)
	}
	return nil
}

// syncTree writes all files below dir to disk, many at a time: the file system then commits them together,
// where initdb's own one by one takes seconds.
func syncTree(dir string) error {
	var g errgroup.Group
	g.SetLimit(32)
	walk := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			g.Go(func() error { return syncPath(path) })
		}
		return err
	})
	return errors.Join(walk, g.Wait())
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// waitReady waits for the server that was just started, and for no other: the pid file must carry its
// process id, and the server that answers must have begun after the launch.
func (c *cluster) waitReady(ctx context.Context, p *process, url string, begun time.Time) error {
	slow := time.NewTimer(3 * time.Second)
	defer slow.Stop()
	for {
		select {
		case <-p.done:
			return fmt.Errorf("it ended at once: %w", orExit0(p.err))
		case <-ctx.Done():
			return ctx.Err()
		case <-slow.C:
			c.progress("postgres is still starting: after a crash it replays its log first")
		case <-time.After(5 * time.Millisecond):
		}
		pm, err := c.postmaster()
		if err == nil && pm.pid == p.pid && pm.ready {
			return askStartTime(ctx, url, begun)
		}
	}
}

func orExit0(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// askStartTime connects and checks that the server is the one launched.
func askStartTime(ctx context.Context, url string, begun time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		var refused interface{ SQLState() string }
		if errors.As(err, &refused) && refused.SQLState() == "28P01" {
			return fmt.Errorf("the password in %s is not the database's: restore that file, or remove the data folder to begin anew", passwordFile)
		}
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var at time.Time
	if err := conn.QueryRow(ctx, "select pg_postmaster_start_time()").Scan(&at); err != nil {
		return fmt.Errorf("ask for its start time: %w", err)
	}
	if at.Before(begun.Add(-time.Second)) {
		return fmt.Errorf("the server that answers began at %s, before this one was started", at.UTC().Format(time.RFC3339))
	}
	return nil
}

// pgEnv is the whole environment of Postgres: nothing of the user's PG* variables, messages in English.
func pgEnv() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=/"}
}

// readPassword reads the superuser's password, making one where there is no database yet.
func readPassword(path string, exists bool) (string, error) {
	body, err := os.ReadFile(path)
	if err == nil && len(bytes.TrimSpace(body)) > 0 {
		return string(bytes.TrimSpace(body)), nil
	}
	if exists {
		return "", fmt.Errorf("the database's password is missing in %s: restore that file, or remove the data folder to begin anew", path)
	}
	password := rand.Text()
	if err := writeFile(path, []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write password: %w", err)
	}
	return password, nil
}

// socketDir is where the Unix socket goes: in the data folder where the path is short enough for a socket
// address (104 bytes on macOS) and the server may go there, else in the temporary folder.
func socketDir(dataDir string, who *identity) (string, error) {
	dir := filepath.Join(dataDir, pgFolder, "socket")
	if len(dir) > 80 || !who.reaches(filepath.Dir(dir)) {
		dir = filepath.Join("/tmp", fmt.Sprintf("tartan-%s", shortHash(dataDir)))
	}
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		err = who.own(dir)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("make socket folder: %w", err)
	}
	// The temporary folder is open to all: a folder that somebody else put there is not used.
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("check socket folder: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	want := uint32(os.Geteuid())
	if who != nil {
		want = who.uid
	}
	if !ok || !info.IsDir() || st.Uid != want || info.Mode().Perm() != 0o700 {
		return "", fmt.Errorf("the socket folder %s is not a private folder of %s: remove it", dir, who)
	}
	return dir, nil
}
