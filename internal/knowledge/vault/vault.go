// Package vault brings folders of Markdown in and out: vaults of Obsidian and of basic-memory, and any other, as files by
// path. What is brought in is documents, which come out as the bytes that came in; what changed since changes only the lines
// it has to. It also writes the documents line by line as JSON, and their history as a stream that makes a git repository of
// it. Everything is a function of its arguments: files are the caller's to read and write, and there is no clock.
//
// A note is a byte order mark and a front matter, which become metadata, and a body, which stays as it is. A title is that of
// the front matter, or the first heading of the first level, or the name of the file. Links to other notes become links of
// the document, observations of basic-memory ("- [category] content #tag (context)") and tags within the text become
// metadata, and "- relation [[Note]]" names the relation of a link. What documents say beyond that is kept under the key
// "tartan" of the front matter.
package vault

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

// Notice says something about a file.
type Notice struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Vault is a folder, brought in.
type Vault struct {
	Entries []Entry           // by slug
	Kept    map[string][]byte // the files that are no notes, as they are: attachments, settings, notes that cannot be read
	Refused []Notice          // what cannot be brought in at all: files whose paths no vault can have
	Notices []Notice          // what of the notes means nothing, and why notes are kept as files
}

// Import brings a folder in, given as the bytes of its files by path. For more than fits the memory, see ReadHead, AssignSlugs
// and Index, of which this is made.
func Import(files map[string][]byte, opts Options) (Vault, error) {
	v := Vault{Kept: map[string][]byte{}}
	x := NewIndex(opts)
	heads := map[string]Head{}
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := CheckPath(path); err != nil {
			v.Refused = append(v.Refused, Notice{path, err.Error()})
			continue
		}
		if IsNote(path) {
			h, err := ReadHead(path, files[path], opts)
			if err == nil {
				heads[path], paths = h, append(paths, path)
				continue
			}
			v.Notices = append(v.Notices, Notice{path, err.Error()})
		}
		v.Kept[path] = files[path]
		x.Keep(path)
	}
	slugs := AssignSlugs(paths)
	for _, path := range paths {
		h := heads[path]
		h.Slug = slugs[path]
		if err := x.Put(h); err != nil {
			return Vault{}, err
		}
	}
	for _, path := range paths {
		d, notices, err := x.Read(slugs[path], files[path])
		if err != nil {
			return Vault{}, err
		}
		for _, reason := range notices {
			v.Notices = append(v.Notices, Notice{path, reason})
		}
		v.Entries = append(v.Entries, Entry{slugs[path], d})
	}
	slices.SortFunc(v.Entries, bySlug)
	return v, nil
}

func bySlug(a, b Entry) int { return strings.Compare(a.Slug, b.Slug) }

// Export writes the notes of entries, and the kept files, by path. What Import made of a folder becomes that folder again. A
// kept file that lies where a note has to go is an error.
func Export(entries []Entry, kept map[string][]byte, opts Options) (map[string][]byte, error) {
	x, err := IndexOf(entries, opts)
	if err != nil {
		return nil, err
	}
	files := maps.Clone(kept)
	if files == nil {
		files = map[string][]byte{}
	}
	for _, e := range entries {
		text, err := x.Write(e)
		if err != nil {
			return nil, err
		}
		path := x.bySlug[e.Slug].Path
		if _, ok := files[path]; ok {
			return nil, fmt.Errorf("%w: %q is a kept file, and the place of %s", ErrPath, path, e.Slug)
		}
		files[path] = text
	}
	return files, nil
}

// IndexOf is the index of entries, each at its place. Those whose slug says where they lie are placed first.
func IndexOf(entries []Entry, opts Options) (*Index, error) {
	x := NewIndex(opts)
	sorted := slices.SortedFunc(slices.Values(entries), bySlug)
	for _, moved := range []bool{false, true} {
		for _, e := range sorted {
			if err := knowledge.CheckSlug(e.Slug); err != nil {
				return nil, err
			}
			if f, err := formOf(e.Document); err == nil && moved != (f.Path != "") {
				continue
			}
			if _, ok := x.bySlug[e.Slug]; ok {
				return nil, fmt.Errorf("%w: %s is there twice", ErrNote, e.Slug)
			}
			if _, err := x.Place(e); err != nil {
				return nil, err
			}
		}
	}
	return x, nil
}
