package local

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// choosePostgres finds installed binaries, or downloads them.
func choosePostgres(ctx context.Context, o PostgresOptions, dataDir string, want int, who *identity) (pgBinaries, error) {
	if !o.HideSystem || o.BinDir != "" {
		b, err := findPostgres(o.BinDir, want, who, installedPostgres())
		if err == nil || !errors.Is(err, ErrNoPostgres) {
			return b, err
		}
	}
	return pgBinaries{}, fmt.Errorf("download: %w", ErrNoPostgres)
}

// portLost reports whether a start failed because another program took the port.
func portLost(err error) bool {
	return strings.Contains(err.Error(), "could not bind") || strings.Contains(err.Error(), "Address already in use")
}
