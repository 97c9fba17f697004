package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldestPostgres is the oldest major version taken: 14 has everything the schema uses.
const oldestPostgres = 14

// pgBinaries is one installation of Postgres.
type pgBinaries struct {
	dir   string // holds initdb and postgres
	major int
	full  string // as in 18.4
}

// ErrNoPostgres says that no usable Postgres binaries are installed. StartPostgres then downloads them.
var ErrNoPostgres = errors.New("no postgres binaries found")

// findPostgres chooses the binaries: dir where it is given, else the newest installed; wantMajor, when not
// zero, is the only major version that can open the data folder.
func findPostgres(dir string, wantMajor int, who *identity, candidates []string) (pgBinaries, error) {
	if dir != "" {
		b, err := checkPostgres(dir, who)
		if err != nil {
			return pgBinaries{}, err
		}
		if wantMajor != 0 && b.major != wantMajor {
			return pgBinaries{}, fmt.Errorf("the data folder was made by postgres %d, but %s holds postgres %d: "+
				"point the setting at postgres %d, or use another data folder", wantMajor, dir, b.major, wantMajor)
		}
		return b, nil
	}
	var best pgBinaries
	for _, c := range candidates {
		b, err := checkPostgres(c, who)
		if err != nil || b.major < oldestPostgres || (wantMajor != 0 && b.major != wantMajor) {
			continue
		}
		if b.major > best.major {
			best = b
		}
	}
	if best.major == 0 {
		return best, ErrNoPostgres
	}
	return best, nil
}

// installedPostgres lists the folders where package managers put Postgres, newest version first.
func installedPostgres() []string {
	var dirs []string
	if p, err := exec.LookPath("postgres"); err == nil {
		// /usr/local/bin/postgres is often a symbolic link into the real folder, which also has the libraries.
		if resolved, err := filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(resolved))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", // Debian, Ubuntu, Gentoo
		"/usr/pgsql-*/bin",          // Red Hat and others, from postgresql.org
		"/usr/libexec/postgresql*",  // Alpine
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		found, _ := filepath.Glob(pattern)
		slices.SortFunc(found, func(a, b string) int { return cmp.Compare(majorIn(b), majorIn(a)) })
		dirs = append(dirs, found...)
	}
	return dirs
}

var digits = regexp.MustCompile(`\d+`)

// majorIn reads the first number in a path, which in all the folders above is the major version.
func majorIn(path string) int {
	n, _ := strconv.Atoi(digits.FindString(path))
	return n
}

var versionLine = regexp.MustCompile(`PostgreSQL\) (\d+)(\S*)`)

// checkPostgres runs the binary as the user that will run it, so that a missing library or a folder that
// user may not enter shows here and not in the middle of a start.
func checkPostgres(dir string, who *identity) (pgBinaries, error) {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return pgBinaries{}, fmt.Errorf("look for postgres in %s: %w", dir, err)
		}
	}
	cmd := exec.Command(filepath.Join(dir, "postgres"), "--version")
	cmd.Dir, cmd.SysProcAttr, cmd.Env = "/", who.credential(), pgEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return pgBinaries{}, fmt.Errorf("run %s as %s: %w: %s", cmd.Path, who, err, strings.TrimSpace(string(out)))
	}
	m := versionLine.FindStringSubmatch(string(out))
	if m == nil {
		return pgBinaries{}, fmt.Errorf("%s says %q, which is no version of postgres", cmd.Path, strings.TrimSpace(string(out)))
	}
	major, _ := strconv.Atoi(m[1])
	return pgBinaries{dir: dir, major: major, full: m[1] + m[2]}, nil
}

// String names the user in messages.
func (i *identity) String() string {
	if i == nil {
		return "this user"
	}
	return i.name
}

// systemCache keeps downloaded binaries for a user that may not enter the data folder: it is open to all and
// only root, who then runs this, writes to it.
const systemCache = "/var/cache/tartan"

// choosePostgres finds installed binaries, or downloads them. want is the major version of the data folder, 0 for a new one.
func choosePostgres(ctx context.Context, o PostgresOptions, dataDir string, want int, who *identity) (pgBinaries, error) {
	if !o.HideSystem || o.BinDir != "" {
		b, err := findPostgres(o.BinDir, want, who, installedPostgres())
		if err == nil || !errors.Is(err, ErrNoPostgres) {
			return b, err
		}
	}
	if want != 0 && want != downloadMajor {
		return pgBinaries{}, fmt.Errorf("the data folder was made by postgres %d, and no postgres %d is found here: "+
			"install it, or use another data folder", want, want)
	}
	unpack := o.UnpackDir
	if unpack == "" {
		unpack = filepath.Join(dataDir, pgBinFolder)
	}
	// Postgres resolves the real path of its programs, so unlike its data they must be reached by that path.
	if err := os.MkdirAll(unpack, 0o755); err != nil {
		return pgBinaries{}, fmt.Errorf("make folder for postgres: %w", err)
	}
	if !who.reaches(unpack) {
		unpack = systemCache
	}
	bin, err := downloadPostgres(ctx, o.MavenURL, unpack, o.Progress)
	if err != nil {
		return pgBinaries{}, err
	}
	b, err := checkPostgres(bin, who)
	if err != nil {
		return pgBinaries{}, fmt.Errorf("the downloaded postgres does not run here: %w: install Postgres by the system's package manager", err)
	}
	return b, nil
}

// portLost reports whether a start failed because another program took the port.
func portLost(err error) bool {
	return strings.Contains(err.Error(), "could not bind") || strings.Contains(strings.ToLower(err.Error()), "address already in use")
}
