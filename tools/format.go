package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"mvdan.cc/gofumpt/format"
)

// checkFormat prints the Go files under dir that gofumpt would change, or changes them, and returns the exit code.
func checkFormat(dir string, write bool) int {
	code := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != dir && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata" || name == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		want, err := format.Source(src, format.Options{LangVersion: "go1.26", ModulePath: "github.com/tartan-ai/tartan"})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if !bytes.Equal(src, want) {
			if write {
				return os.WriteFile(path, want, 0o644)
			}
			fmt.Fprintf(os.Stderr, "%s: not formatted; run: make fmt\n", path)
			code = 1
		}
		return nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "lint:", err)
		return 2
	}
	return code
}
