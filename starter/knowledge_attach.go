package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/knowledge/vault"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/vet"
)

// attach puts files into the bucket and returns the key of their list; "" where there are none.
func attach(ctx context.Context, objects *bucket.Bucket, files map[string][]byte) (string, error) {
	if len(files) == 0 {
		return "", nil
	}
	var list []postgres.Attachment
	for _, path := range slices.Sorted(maps.Keys(files)) {
		o, err := objects.Put(ctx, bytes.NewReader(files[path]))
		if err != nil {
			return "", fmt.Errorf("store %s in the bucket: %w", path, err)
		}
		list = append(list, postgres.Attachment{Path: path, SHA256: o.SHA256, Bytes: o.Size})
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	o, err := objects.PutBytes(ctx, text)
	if err != nil {
		return "", fmt.Errorf("store the list of attachments in the bucket: %w", err)
	}
	return o.Key, nil
}

// writeAttachments writes the files of a space that are no entries: now, as they were at a time, or when a tag was made.
func (a *app) writeAttachments(ctx context.Context, folder, space, tag string, at time.Time) (int, error) {
	var files []postgres.Attachment
	err := a.inSpace(ctx, space, func(tx pgx.Tx, s postgres.Space) error {
		if tag != "" {
			tags, err := postgres.Tags(ctx, tx, s.ID)
			if err != nil {
				return err
			}
			if i := slices.IndexFunc(tags, func(t postgres.Tag) bool { return t.Name == tag }); i >= 0 {
				at = tags[i].CreatedAt
			}
		}
		var err error
		files, err = postgres.Attachments(ctx, tx, s.ID, at)
		return err
	})
	if err != nil || len(files) == 0 {
		return 0, err
	}
	objects, err := a.objects(ctx)
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if err := vault.CheckPath(f.Path); err != nil {
			return 0, err
		}
		in, err := objects.Range(ctx, bucket.Key(f.SHA256), 0, f.Bytes)
		if err != nil {
			return 0, fmt.Errorf("attachment %s: %w", f.Path, err)
		}
		err = writeNew(folder, f.Path, in)
		if err = errors.Join(err, in.Close()); err != nil {
			return 0, err
		}
	}
	return len(files), nil
}

// tryImport says what an import would do.
func (a *app) tryImport(ctx context.Context, name, space string, create bool) error {
	read := importView{Kept: []string{}, Unreadable: []vault.Notice{}, Notices: []vault.Notice{}}
	lines, err := read.read(name, space)
	if err != nil {
		return err
	}
	bySlug := map[string]vault.Entry{} // of entries with the same slug the last counts
	for e, err := range vault.ReadLines(bytes.NewReader([]byte(lines))) {
		if err != nil {
			return err
		}
		bySlug[e.Slug] = e
	}
	var entries []vault.Entry
	for _, slug := range slices.Sorted(maps.Keys(bySlug)) {
		entries = append(entries, bySlug[slug])
	}
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	objects, err := a.objects(ctx)
	if err != nil {
		return err
	}
	k := &activities.Knowledge{Pool: a.pool, Bucket: objects, Checker: vet.New(objects)}
	tried, err := k.TryImport(ctx, caller, space, create, entries)
	switch {
	case errors.Is(err, postgres.ErrName):
		return &failure{code: codeUsage, what: "the name " + space + " is not available", next: "choose another; tartan knowledge status lists the spaces that you may see"}
	case err != nil:
		return notFound(err, fmt.Sprintf("space %q", space), "tartan knowledge status, or --create-space")
	}
	files, err := secretsIn(read.attachments)
	if err != nil {
		return err
	}
	view := dryImportView{Kept: read.Kept, Unreadable: append(read.Unreadable, files...), Notices: read.Notices, TriedImport: tried}
	if a.json() {
		return a.printJSON(view)
	}
	err = a.table([][]string{
		{"SPACE", "ENTRIES", "WOULD PUBLISH", "UNCHANGED", "REFUSED", "WAITING", "WARNINGS", "ATTACHMENTS"},
		{space, count(int64(tried.Entries)), count(int64(tried.Published)), count(int64(tried.Unchanged)), count(int64(tried.Refused)), count(int64(tried.Waiting)), count(int64(tried.Warnings)), count(int64(len(view.Kept)))},
	})
	for _, f := range tried.Findings {
		a.say("%s %s: %s %s\n  %s\n  %s", f.Severity, f.Check, f.Slug, f.Path, f.Evidence, f.Fix)
	}
	for _, n := range view.Unreadable {
		a.say("%s: %s", n.Path, n.Reason)
	}
	return err
}

// secretsIn tells of attachments that an import would refuse.
func secretsIn(files map[string][]byte) (out []vault.Notice, err error) {
	check, err := activities.NewSecretCheck()
	if err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if why := check(files[path]); why != "" {
			out = append(out, vault.Notice{Path: path, Reason: why})
		}
	}
	return out, nil
}
