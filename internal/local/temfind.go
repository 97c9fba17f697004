package local

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"gopkg.in/yaml.v3"

	deploytemporal "github.com/tartan-ai/tartan/deploy/temporal"
)

// temporalArgs are understood by the CLI and by Tartan's own build alike.
func temporalArgs(bin temporalBinary, file string, ports []int, headless bool) ([]string, error) {
	args := []string{
		"server", "start-dev", "--ip", "127.0.0.1", "--port", strconv.Itoa(ports[0]), "--db-filename", file,
		"--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal",
		"--log-level", "info", "--log-format", "json",
	}
	if headless {
		args = append(args, "--headless")
	} else {
		args = append(args, "--ui-ip", "127.0.0.1", "--ui-port", strconv.Itoa(ports[1]))
	}
	if bin.own {
		args = append(args, "--stop-with-stdin")
	}
	if bin.noNews {
		args = append(args, noNews)
	}
	values, err := DynamicConfig()
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		encoded, err := json.Marshal(values[key])
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", key, err)
		}
		args = append(args, "--dynamic-config-value", key+"="+string(encoded))
	}
	return args, nil
}

// DynamicConfig is the dynamic configuration that the local server runs with, by key.
func DynamicConfig() (map[string]any, error) {
	var file map[string][]struct {
		Value       any            `yaml:"value"`
		Constraints map[string]any `yaml:"constraints"`
	}
	if err := yaml.Unmarshal(deploytemporal.DynamicConfig, &file); err != nil {
		return nil, fmt.Errorf("read dynamic configuration: %w", err)
	}
	values := map[string]any{}
	for key, list := range file {
		if len(list) != 1 || len(list[0].Constraints) > 0 {
			return nil, fmt.Errorf("read dynamic configuration: %s must have one value without constraints", key)
		}
		values[key] = list[0].Value
	}
	return values, nil
}

// temporalBinary is a program that runs the server.
type temporalBinary struct {
	path   string
	server string // version of the server in it, as in 1.32.1
	own    bool   // built by Tartan
	noNews bool   // takes the flag for it; Tartan's own never fetches news
}

// findTemporal chooses the program: the setting, the CLI on PATH, the cache, a build.
func findTemporal(ctx context.Context, o TemporalOptions) (temporalBinary, error) {
	if o.Bin != "" {
		return askTemporal(ctx, o.Bin)
	}
	if path, err := exec.LookPath("temporal"); err == nil && !o.HideSystem {
		bin, err := askTemporal(ctx, path)
		if err == nil {
			return bin, nil
		}
		o.Log.Warn("temporal CLI on PATH is not used", zap.Error(err))
	}
	cache := o.CacheDir
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return temporalBinary{}, fmt.Errorf("find the user's cache folder: %w", err)
		}
		cache = filepath.Join(user, "tartan")
	}
	path, version, err := buildTemporal(ctx, cache, o.Progress)
	if err != nil {
		return temporalBinary{}, err
	}
	markUsed(path)
	return temporalBinary{path: path, server: strings.TrimPrefix(version, "v"), own: true}, nil
}

var serverVersion = regexp.MustCompile(`Server v?(\d+\.\d+\.\d+)`)

// noNews keeps the web UI from fetching news from the internet; CLIs that lack the flag are still used.
const noNews = "--ui-disable-news-fetch"

// askTemporal asks a program for its version and, where it is the CLI, for its flags.
func askTemporal(ctx context.Context, path string) (temporalBinary, error) {
	out, err := ask(ctx, path, "--version")
	if err != nil {
		return temporalBinary{}, err
	}
	m := serverVersion.FindStringSubmatch(out)
	if m == nil {
		return temporalBinary{}, fmt.Errorf("%s says %q, which names no Temporal server", path, lastLines(out, 1))
	}
	bin := temporalBinary{path: path, server: m[1], own: strings.HasPrefix(out, devserverBinary)}
	if bin.own {
		return bin, nil
	}
	if out, err = ask(ctx, path, "server", "start-dev", "--help"); err != nil {
		return temporalBinary{}, err
	}
	for _, flag := range []string{"--sqlite-pragma", "--dynamic-config-value", "--ui-ip"} {
		if !strings.Contains(out, flag) {
			return temporalBinary{}, fmt.Errorf("%s does not know %s: update the temporal CLI", path, flag)
		}
	}
	bin.noNews = strings.Contains(out, noNews)
	return bin, nil
}

func ask(ctx context.Context, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("run %s %s: %w: %s", path, strings.Join(args, " "), err, lastLines(string(out), 3))
	}
	return string(out), nil
}

func minorOf(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
