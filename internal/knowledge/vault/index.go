package vault

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Head is what a note may be called by others, and where it lies.
type Head struct {
	Slug      string   `json:"slug"`
	Path      string   `json:"path"`
	Title     string   `json:"title"`
	Permalink string   `json:"permalink,omitempty"` // of basic-memory
	Aliases   []string `json:"aliases,omitempty"`
}

// Options say where notes go.
type Options struct {
	Space   string   // of the entries
	Schemas []string // types that a note may name by the key "type" of its front matter; others are "note"
}

// DefaultSchema is the type of notes that name none.
const DefaultSchema = "note"

// Index knows the notes of a vault: which path is which slug, and what a link means. It is no larger than their names. An
// Index may be read by several at once, but not while notes are put into it.
type Index struct {
	opts   Options
	bySlug map[string]Head
	byPath map[string]string
	names  map[string][]string // lower case name -> paths, sorted
	kept   map[string]bool     // paths and names of files that are no notes, in lower case
}

// NewIndex makes an index of nothing.
func NewIndex(opts Options) *Index {
	return &Index{opts: opts, bySlug: map[string]Head{}, byPath: map[string]string{}, names: map[string][]string{}, kept: map[string]bool{}}
}

// AssignSlugs gives each path of a note its slug, whatever the order of the paths. A path that is its own slug keeps it; of
// others that would have the same, the first keeps it and the rest have a piece of a hash behind it.
func AssignSlugs(paths []string) map[string]string {
	paths = slices.Clone(paths)
	itself := func(p string) int {
		if p == plainSlug(p)+".md" {
			return 0
		}
		return 1
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Or(itself(a)-itself(b), strings.Compare(a, b)) })
	paths = slices.Compact(paths)
	out, taken := make(map[string]string, len(paths)), make(map[string]bool, len(paths))
	for _, p := range paths {
		slug := plainSlug(p)
		for salt := p; taken[slug]; salt += "/" {
			slug = withSuffix(plainSlug(p), salt)
		}
		out[p], taken[slug] = slug, true
	}
	return out
}

// Put adds a note, or says that its names have changed.
func (x *Index) Put(h Head) error {
	if err := CheckPath(h.Path); err != nil {
		return err
	}
	if other, ok := x.byPath[h.Path]; ok && other != h.Slug {
		return fmt.Errorf("%w: %q is that of %s and of %s", ErrPath, h.Path, other, h.Slug)
	}
	x.Remove(h.Slug)
	x.bySlug[h.Slug], x.byPath[h.Path] = h, h.Slug
	for _, name := range h.names() {
		at, ok := slices.BinarySearch(x.names[name], h.Path)
		if !ok {
			x.names[name] = slices.Insert(x.names[name], at, h.Path)
		}
	}
	return nil
}

// Remove forgets a note.
func (x *Index) Remove(slug string) {
	h, ok := x.bySlug[slug]
	if !ok {
		return
	}
	delete(x.bySlug, slug)
	delete(x.byPath, h.Path)
	for _, name := range h.names() {
		x.names[name] = slices.DeleteFunc(x.names[name], func(p string) bool { return p == h.Path })
		if len(x.names[name]) == 0 {
			delete(x.names, name)
		}
	}
}

// Keep says that there is a file which is no note, so that links to it lead somewhere.
func (x *Index) Keep(name string) {
	x.kept[strings.ToLower(name)], x.kept[strings.ToLower(path.Base(name))] = true, true
}

func (x *Index) isKept(from string, r reference) bool {
	p, _ := fromFolder(from, r.target)
	return x.kept[strings.ToLower(p)] || r.wiki && x.kept[strings.ToLower(strings.TrimPrefix(r.target, "/"))]
}

// Place puts an entry where its file was, or where its slug says if another is there now.
func (x *Index) Place(e Entry) (Head, error) {
	f, err := formOf(e.Document)
	if err != nil {
		return Head{}, fmt.Errorf("%s: %w", e.Slug, err)
	}
	p := f.Path
	if other, taken := x.byPath[p]; p == "" || taken && other != e.Slug || CheckPath(p) != nil || noteExtension(p) == "" {
		p = e.Slug + ".md"
	}
	h := headOf(p, e.Document)
	h.Slug = e.Slug
	return h, x.Put(h)
}

// Head returns what is known of a note.
func (x *Index) Head(slug string) (Head, bool) {
	h, ok := x.bySlug[slug]
	return h, ok
}

// names are all that a link may call a note, in lower case: its path from every folder down, and what it calls itself. The
// first byte says how good the name is.
func (h Head) names() []string {
	var out []string
	p := strings.ToLower(strings.TrimSuffix(h.Path, noteExtension(h.Path)))
	for {
		out = append(out, "0"+p)
		_, rest, ok := strings.Cut(p, "/")
		if !ok {
			break
		}
		p = rest
	}
	if h.Permalink != "" {
		out = append(out, "1"+strings.ToLower(h.Permalink))
	}
	out = append(out, "2"+strings.ToLower(h.Title))
	for _, alias := range h.Aliases {
		out = append(out, "3"+strings.ToLower(alias))
	}
	return out
}

// resolve finds the note that a reference in the note at from means. A wiki link is a path from the root or the end of one,
// a permalink, a title or an alias, in this order and whatever the case; of several the one in the same folder is taken,
// then the one with the shortest path. Other links are paths from the folder of the note.
func (x *Index) resolve(from string, r reference) (slug string, ok bool) {
	if !r.wiki {
		p, ok := fromFolder(from, r.target)
		if slug, found := x.byPath[p]; ok && found {
			return slug, true
		}
		slug, found := x.byPath[p+".md"]
		return slug, ok && found
	}
	target := strings.TrimPrefix(r.target, "/")
	if strings.HasPrefix(target, "./") || strings.HasPrefix(target, "../") {
		if target, ok = fromFolder(from, target); !ok {
			return "", false
		}
	}
	for _, p := range []string{target, target + ".md"} {
		if slug, ok := x.byPath[p]; ok {
			return slug, true
		}
	}
	name := strings.ToLower(strings.TrimSuffix(target, noteExtension(target)))
	for _, kind := range []string{"0", "1", "2", "3"} {
		if paths := x.names[kind+name]; len(paths) > 0 {
			return x.byPath[slices.MinFunc(paths, func(a, b string) int {
				return cmp.Or(elsewhere(from, a)-elsewhere(from, b), len(a)-len(b), strings.Compare(a, b))
			})], true
		}
	}
	return "", false
}

func elsewhere(from, p string) int {
	if path.Dir(from) == path.Dir(p) {
		return 0
	}
	return 1
}
