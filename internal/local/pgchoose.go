package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

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
