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
	// 100,000 patterns takes 30 MB, and is made again in a second of processor time.
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
		err = s.inWorkspace(ctx, c, func(tx pgx.Tx) (err error) {
			switch {
			case in.ID != "":
				row, err := postgres.PatternByID(ctx, tx, x.library, pattern.ID(in.ID))
				if err != nil {
					return err
				}
				out.Patterns, err = x.near(ctx, tx, row.Template, row.ID, in.Limit)
				return err
			case in.Text != "":
				out.Patterns, err = x.near(ctx, tx, in.Text, "", in.Limit)
			default:
				out.Patterns, err = x.suggest(ctx, tx, in.Limit)
			}
			return err
		})
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

// likePatterns is the index over the templates of one library, of a revision at least.
type likePatterns struct {
	library  uuid.UUID
	revision int64
	index    *similar.Index
}

// similarLibrary is the place of one.
type similarLibrary struct {
	mu   sync.Mutex // held while it is brought up to date
	like likePatterns
	used time.Time // guarded by the lock of those that hold it
}

// similarLibraries holds a few of them; one that is not used is dropped.
type similarLibraries struct {
	mu   sync.Mutex
	held map[uuid.UUID]*similarLibrary
}

// of returns the library's index, brought up to the database's revision.
func (l *similarLibraries) of(ctx context.Context, s *Suite, c Call, library string) (x likePatterns, err error) {
	err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		lib, err := s.libraryByName(ctx, tx, c, library)
		if err != nil {
			return err
		}
		x, err = l.take(lib.ID, time.Now()).update(ctx, tx, lib)
		return err
	})
	return x, err
}

// take finds or makes the place of a library and drops what has not been used for a while.
func (l *similarLibraries) take(id uuid.UUID, now time.Time) *similarLibrary {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.held[id]
	if x == nil {
		x = &similarLibrary{like: likePatterns{library: id}}
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
	delete(l.held, oldest.like.library)
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
func (x *similarLibrary) update(ctx context.Context, tx pgx.Tx, lib postgres.Library) (likePatterns, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	like := &x.like
	if like.index != nil && like.revision == lib.Revision {
		return *like, nil
	}
	if like.index == nil || like.revision > lib.Revision { // new, or the database was restored since
		like.index, like.revision = similar.New(), -1
	}
	changed, err := postgres.TemplatesSince(ctx, tx, lib.ID, like.revision)
	if err != nil {
		return *like, err
	}
	for _, p := range changed {
		if !p.Active {
			like.index.Delete(p.ID)
		} else if err := like.index.Add(p.ID, p.Template); err != nil {
			return *like, err
		}
	}
	like.revision = lib.Revision
	return *like, nil
}

// near lists the patterns nearest to a text, without the one it is the template of.
func (x likePatterns) near(ctx context.Context, tx pgx.Tx, text string, of pattern.ID, limit int) ([]similarPattern, error) {
	var pairs []likeness
	for _, h := range x.index.Near(text, limit+spare, 0) {
		if h.ID != of {
			pairs = append(pairs, likeness{h.ID, of, text})
		}
	}
	return x.compared(ctx, tx, pairs, limit, false)
}

// spare is how many patterns more than asked for are looked at, since scores of the index are rounded.
const spare = 10

// likeness is a pattern and what it is like.
type likeness struct {
	id, of pattern.ID
	text   string
}

// suggest lists pairs that may be one pattern, each once, of which one at least is among the most frequent.
func (x likePatterns) suggest(ctx context.Context, tx pgx.Tx, limit int) ([]similarPattern, error) {
	frequent, _, err := postgres.Patterns(ctx, tx, postgres.ListPatterns{Library: x.library, Limit: maxSuggest})
	if err != nil {
		return nil, err
	}
	var pairs []likeness
	met := map[[2]pattern.ID]bool{}
	for _, p := range frequent {
		for _, h := range x.index.Near(p.Template, 6, similar.NearlyEqual-similar.Rounding) {
			pair := [2]pattern.ID{min(p.ID, h.ID), max(p.ID, h.ID)}
			if h.ID != p.ID && !met[pair] {
				met[pair] = true
				pairs = append(pairs, likeness{h.ID, p.ID, p.Template})
			}
		}
	}
	return x.compared(ctx, tx, pairs, limit, true)
}

// compared scores pairs exactly, by the templates as they are now, the nearest first.
func (x likePatterns) compared(ctx context.Context, tx pgx.Tx, pairs []likeness, limit int, merges bool) ([]similarPattern, error) {
	ids := make([]pattern.ID, len(pairs))
	for i, p := range pairs {
		ids[i] = p.id
	}
	rows, err := postgres.PatternsByID(ctx, tx, x.library, ids)
	if err != nil {
		return nil, err
	}
	out := make([]similarPattern, 0, len(pairs))
	for _, pair := range pairs {
		row := rows[pair.id]
		if row.ID != pair.id {
			continue // merged into another meanwhile
		}
		score := similar.Score(row.Template, pair.text)
		p := similarPattern{ID: row.ID, Name: row.Name, Template: cut(row.Template, maxExample), Score: round(float64(score)), To: pair.of}
		if pair.of != "" {
			differs := similar.Differ(row.Template, pair.text)
			p.Merge = similar.One(score, differs)
			for _, d := range differs[:min(len(differs), maxDiffers)] {
				p.Differs = append(p.Differs, difference{d.Token, cut(d.Here, maxValue), cut(d.There, maxValue)})
			}
		}
		if p.Merge || !merges {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b similarPattern) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
	})
	return out[:min(limit, len(out))], nil
}
