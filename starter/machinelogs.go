package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/tartan-ai/tartan/internal/local"
)

// machineLogs are where systems keep the logs of their package managers and services.
var machineLogs = []string{
	"/var/log/dpkg.log", "/var/log/dpkg.log.1", "/var/log/apt/history.log", "/var/log/apt/term.log", "/var/log/alternatives.log",
	"/var/log/syslog", "/var/log/messages", "/var/log/auth.log", "/var/log/kern.log", "/var/log/daemon.log", "/var/log/cloud-init.log",
	"/var/log/pacman.log", "/var/log/dnf.log", "/var/log/dnf.rpm.log", "/var/log/apk.log", "/var/log/installer/syslog", "/var/log/bootstrap.log",
	"/var/log/postgresql/*.log", "/var/log/nginx/*.log", "/var/log/apache2/*.log",
	"/var/log/install.log", "/var/log/system.log", "/opt/homebrew/var/log/*.log", "/usr/local/var/log/*.log", // macOS
}

// maxMachineLog bounds what is read of one log: a demonstration need not read a year.
const maxMachineLog = 64 << 20

// part is what is new in a log since it was last mined: whole lines from an offset on.
type part struct {
	name string
	text []byte
	done mark // what will have been mined once the part is
}

// mark says how much of a log was mined: its size then, and the digest of those bytes, by which the same log is known.
type mark struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// tourFile remembers the marks, so that a second tour counts only what was added.
const tourFile = "tour.json"

// readMarks reads what earlier tours mined.
func readMarks(dataDir string) (map[string]mark, error) {
	marks := map[string]mark{}
	raw, err := os.ReadFile(filepath.Join(dataDir, tourFile))
	if missing(err) {
		return marks, nil
	}
	if err != nil {
		return nil, err
	}
	return marks, json.Unmarshal(raw, &marks)
}

func writeMarks(dataDir string, marks map[string]mark) error {
	raw, err := json.MarshalIndent(marks, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dataDir, tourFile), raw, 0o600)
}

// newParts reads what is new in the logs of this machine and of the stack itself. What cannot be read is left out.
func newParts(ctx context.Context, dataDir string, marks map[string]mark) []part {
	var parts []part
	patterns := append([]string{}, machineLogs...)
	patterns = append(patterns, local.LogPath(dataDir, "postgres"), local.LogPath(dataDir, "temporal"))
	for _, p := range patterns {
		files, _ := filepath.Glob(p)
		for _, path := range files {
			if text, err := readLog(path); err == nil {
				parts = appendNew(parts, path, text, marks[path])
			}
		}
	}
	if text := journal(ctx); len(text) > 0 {
		parts = appendNew(parts, "journal", text, marks["journal"])
	}
	return parts
}

// appendNew adds the part of a log after its mark, up to the last line end.
func appendNew(parts []part, name string, text []byte, last mark) []part {
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	from := int64(0)
	if last.Size > 0 && last.Size <= int64(len(text)) && digest(text[:last.Size]) == last.SHA256 {
		from = last.Size
	}
	if from == int64(len(text)) {
		return parts
	}
	return append(parts, part{name, text[from:], mark{int64(len(text)), digest(text)}})
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func readLog(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a file")
	}
	return io.ReadAll(io.LimitReader(f, maxMachineLog))
}

// journal is what the system's journal holds, where there is one that this user may read.
func journal(ctx context.Context) []byte {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "journalctl", "--no-pager", "--quiet", "--output", "short-iso", "--lines", "20000").Output()
	if err != nil {
		return nil
	}
	return out
}
