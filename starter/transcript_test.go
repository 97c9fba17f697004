package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTranscripts runs what testdata/*.txt shows. A file holds commands, each after a $, followed by what it prints on
// stdout, then lines that begin with ! for stderr, and [n] for an exit code that is not 0. Run with -update to write
// what is printed now.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			dir := t.TempDir()
			var got strings.Builder
			for _, l := range strings.Split(string(raw), "\n") {
				if strings.HasPrefix(l, "#") || l == "" && got.Len() > 0 && !strings.HasSuffix(got.String(), "\n\n") {
					got.WriteString(l + "\n")
				}
				if cmd, ok := strings.CutPrefix(l, "$ "); ok {
					got.WriteString(l + "\n")
					got.WriteString(transcript(t, cmd, dir))
				}
			}
			text := strings.TrimRight(got.String(), "\n") + "\n"
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
				return
			}
			require.Equal(t, string(raw), text)
		})
	}
}

// timing is what differs from run to run.
var timing = regexp.MustCompile(`[0-9.]+ s \([0-9,]+ lines/s\)|"seconds": [0-9.e-]+`)

// transcript runs one command line: [stdin <] tartan ARGS, with DIR for an empty data folder.
func transcript(t *testing.T, cmd, dir string) string {
	t.Helper()
	in := ""
	if text, rest, ok := strings.Cut(cmd, " | "); ok {
		in, cmd = strings.ReplaceAll(strings.Trim(strings.TrimPrefix(text, "printf "), "'"), `\n`, "\n"), rest
	}
	fields := strings.Fields(strings.ReplaceAll(cmd, "DIR", dir))
	require.Equal(t, "tartan", fields[0])
	var out, errs bytes.Buffer
	env := environment{
		lookup: func(k string) (string, bool) {
			if k == "TARTAN_DATA_DIR" {
				return dir, true
			}
			if k == "TEMPORAL_CONFIG_FILE" {
				return dir + "/none.toml", true
			}
			return "", false
		},
		environ: func() []string { return nil },
	}
	code := run(context.Background(), fields[1:], streams{in: strings.NewReader(in), out: &out, err: &errs}, env)
	var b strings.Builder
	b.WriteString(out.String())
	for _, l := range strings.Split(strings.TrimRight(errs.String(), "\n"), "\n") {
		if l != "" {
			b.WriteString("! " + l + "\n")
		}
	}
	if code != 0 {
		b.WriteString("[" + string(rune('0'+code)) + "]\n")
	}
	return timing.ReplaceAllString(strings.ReplaceAll(b.String(), dir, "DIR"), "TIMING")
}
