package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// targetURL looks up where a database to migrate is, at each use. An error names the place, and never what is there.
func (a *app) targetURL(name string) (string, error) {
	if name == "self" {
		return a.cfg.DatabaseURL, nil
	}
	refs, err := a.cfg.TargetRefs()
	if err != nil {
		return "", err
	}
	ref, ok := refs[name]
	if !ok {
		known := append([]string{"self"}, slices.Sorted(maps.Keys(refs))...)
		return "", fmt.Errorf("no target %q; TARTAN_TARGETS of the worker knows %s", name, strings.Join(known, ", "))
	}
	if variable, is := strings.CutPrefix(ref, "env:"); is {
		if url := strings.TrimSpace(a.env.get(variable)); url != "" {
			return url, nil
		}
		return "", fmt.Errorf("target %s: the variable %s is not set", name, variable)
	}
	body, err := os.ReadFile(strings.TrimPrefix(ref, "file:"))
	if err != nil {
		return "", fmt.Errorf("target %s: %w", name, err)
	}
	return strings.TrimSpace(string(body)), nil
}
