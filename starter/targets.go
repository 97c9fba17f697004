package main

import (
	"fmt"
	"maps"
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
	return a.secret("target "+name, ref)
}
