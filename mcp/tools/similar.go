package tools

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/similar"
	"github.com/tartan-ai/tartan/internal/postgres"
)

const (
	// maxSimilar bounds the indexes of templates held at once, idleSimilar how long one is held that nobody asks: one of
	// 100,000 patterns takes 30 MB, and is made again in a second.
	maxSimilar  = 2
	idleSimilar = time.Minute
	// maxSuggest is how many patterns, the most frequent ones, are compared with all others to suggest merges.
	maxSuggest = 1000
	// maxDiffers bounds the differences shown of a pattern.
	maxDiffers = 4
)

type similarArgs struct {
	ID      string `json:"id" doc:"Pattern id"`
	Text    string `json:"text" max:"4096" doc:"Or any text; with neither, pairs that may be one pattern"`
	Library string `json:"library" default:"default"`
	Limit   int    `json:"limit" min:"1" max:"100" default:"10"`
}

type similarList struct {
	Library  string           `json:"library"`
	Revision int64            `json:"revision"`
	Patterns []similarPattern `json:"patterns"` // the nearest first
}

type similarPattern struct {
	ID       pattern.ID   `json:"id"`
	Name     string       `json:"name,omitempty"`
	Template string       `json:"template"`
	To       pattern.ID   `json:"to,omitempty"` // the pattern that it is near to
	Score    float64      `json:"score"`        // cosine
	Merge    bool         `json:"merge,omitempty"`
	Differs  []difference `json:"differs,omitempty"`
}

type difference struct {
	Token int    `json:"token"` // from 0
	Here  string `json:"here"`  // in template
	There string `json:"there"`
}

func (s *Suite) similarPatterns() Tool {
	return define[similarArgs, similarList](Tool{
		Name: "similar_patterns", Title: "Similar patterns", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "Patterns that mean nearly the same as one, or as a text, and where they differ; merge marks those that may be one.",
	}, func(ctx context.Context, c Call, in similarArgs) (similarList, string, error) {
		if in.ID != "" && in.Text != "" {
			return similarList{}, "", invalid("give either id or text, or neither")
		}
		x, err := s.similar.of(ctx, s, c, in.Library)
		if err != nil {
			return similarList{}, "", err
		}
		out := similarList{Library: in.Library, Revision: x.revision, Patterns: []similarPattern{}}
		switch {
		case in.ID != "":
			err = x.byID(ctx, s, c, pattern.ID(in.ID), in.Limit, &out)
		case in.Text != "":
			x.near(in.Text, "", in.Limit, &out)
		default:
			x.suggest(in.Limit, &out)
		}
		if err == nil {
			err = s.nameSimilar(ctx, c, x.library, &out)
		}
		return out, out.text(), err
	})
}

func (l similarList) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s in library %s", plural(len(l.Patterns), "similar pattern"), l.Library)
	for i, p := range l.Patterns {
		if i == 10 {
			b.WriteString("\n...")
			break
		}
		mark := ""
		if p.Merge {
			mark = "  (may be one pattern)"
		}
		fmt.Fprintf(&b, "\n%s %.2f  %s%s", p.ID, p.Score, cut(p.Template, 100), mark)
	}
	return b.String()
}

// nameSimilar adds the names that people gave.
func (s *Suite) nameSimilar(ctx context.Context, c Call, library uuid.UUID, l *similarList) error {
	if len(l.Patterns) == 0 {
		return nil
	}
	return s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		notes, err := postgres.PatternNotes(ctx, tx, library)
		for i := range l.Patterns {
			l.Patterns[i].Name = notes[l.Patterns[i].ID].Name
		}
		return err
	})
}

// similarLibrary is the index over the templates of one library, as of a revision.
type similarLibrary struct {
	library uuid.UUID

	mu        sync.Mutex // guards what follows while it is brought up to date
	revision  int64
	index     *similar.Index
	templates map[pattern.ID]string
	used      time.Time
}

// similarLibraries holds a few of them; one that is not used is dropped.
type similarLibraries struct {
	mu   sync.Mutex
	held map[uuid.UUID]*similarLibrary
}

// of returns the library's index, brought up to the database's revision.
func (l *similarLibraries) of(ctx context.Context, s *Suite, c Call, library string) (*similarLibrary, error) {
	var x *similarLibrary
	err := s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		lib, err := s.libraryByName(ctx, tx, c, library)
		if err != nil {
			return err
		}
		x = l.take(lib.ID, time.Now())
		return x.update(ctx, tx, lib)
	})
	return x, err
}

// take finds or makes the place of a library and drops what has not been used for a while.
func (l *similarLibraries) take(id uuid.UUID, now time.Time) *similarLibrary {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.held[id]
	if x == nil {
		x = &similarLibrary{library: id}
		if l.held == nil {
			l.held = map[uuid.UUID]*similarLibrary{}
		}
		if len(l.held) >= maxSimilar {
			l.dropOldest()
		}
		l.held[id] = x
	}
	x.used = now
	time.AfterFunc(idleSimilar+time.Second, func() { l.dropIdle(time.Now()) })
	return x
}

func (l *similarLibraries) dropOldest() {
	var oldest *similarLibrary
	for _, x := range l.held {
		if oldest == nil || x.used.Before(oldest.used) {
			oldest = x
		}
	}
	delete(l.held, oldest.library)
}

func (l *similarLibraries) dropIdle(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, x := range l.held {
		if now.Sub(x.used) >= idleSimilar {
			delete(l.held, id)
		}
	}
}

// update takes in the patterns that changed since.
func (x *similarLibrary) update(ctx context.Context, tx pgx.Tx, lib postgres.Library) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.index != nil && x.revision == lib.Revision {
		return nil
	}
	if x.index == nil || x.revision > lib.Revision { // new, or the database was restored since
		x.templates, x.revision = map[pattern.ID]string{}, -1
		x.index = similar.New(func(id pattern.ID) (string, bool) { text, ok := x.templates[id]; return text, ok })
	}
	changed, err := postgres.TemplatesSince(ctx, tx, lib.ID, x.revision)
	if err != nil {
		return err
	}
	for _, p := range changed {
		x.index.Delete(p.ID)
		if delete(x.templates, p.ID); !p.Active {
			continue
		}
		x.templates[p.ID] = p.Template
		if err := x.index.Add(p.ID, p.Template); err != nil {
			return err
		}
	}
	x.revision = lib.Revision
	return nil
}

// byID lists what is near to a pattern, also by a former id.
func (x *similarLibrary) byID(ctx context.Context, s *Suite, c Call, id pattern.ID, limit int, out *similarList) error {
	var row postgres.PatternRow
	err := s.inWorkspace(ctx, c, func(tx pgx.Tx) (err error) {
		row, err = postgres.PatternByID(ctx, tx, x.library, id)
		return err
	})
	if err != nil {
		return err
	}
	x.near(row.Template, row.ID, limit, out)
	return nil
}

// near lists the patterns nearest to a text, without the one it belongs to.
func (x *similarLibrary) near(text string, of pattern.ID, limit int, out *similarList) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, h := range x.index.Near(text, limit+1, 0) {
		if h.ID != of && len(out.Patterns) < limit {
			out.Patterns = append(out.Patterns, x.compared(h, of, text))
		}
	}
}

func (x *similarLibrary) compared(h similar.Hit, of pattern.ID, text string) similarPattern {
	template := x.templates[h.ID]
	p := similarPattern{ID: h.ID, Template: cut(template, maxExample), Score: round(float64(h.Score)), To: of}
	if of == "" {
		return p
	}
	differs := similar.Differ(template, text)
	p.Merge = similar.One(h.Score, differs)
	for _, d := range differs[:min(len(differs), maxDiffers)] {
		p.Differs = append(p.Differs, difference{d.Token, cut(d.Here, maxValue), cut(d.There, maxValue)})
	}
	return p
}

// suggest lists pairs that may be one pattern, the nearest first, each once.
func (x *similarLibrary) suggest(limit int, out *similarList) {
	x.mu.Lock()
	defer x.mu.Unlock()
	ids := make([]pattern.ID, 0, len(x.templates))
	for id := range x.templates {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids[:min(len(ids), maxSuggest)] {
		for _, h := range x.index.Near(x.templates[id], 6, similar.NearlyEqual) {
			if h.ID <= id { // itself, or the pair was met from the other side
				continue
			}
			if p := x.compared(h, id, x.templates[id]); p.Merge {
				out.Patterns = append(out.Patterns, p)
			}
		}
	}
	slices.SortStableFunc(out.Patterns, func(a, b similarPattern) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
	})
	out.Patterns = out.Patterns[:min(limit, len(out.Patterns))]
}
