package feed

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/search"
	"github.com/tartan-ai/tartan/internal/postgres"
)

const (
	// embedBatch is how many texts are sent to a configured embedder at a time.
	embedBatch = 64
	// maxEmbedded is where longer texts are cut, in bytes: some 2,000 tokens, which all models take.
	maxEmbedded = 8000
	// embedPatience bounds the wait for the vector of a query.
	embedPatience = 2 * time.Second
)

// prepare makes the empty index: with the vectors of the configured embedder where it gives any, else with the built-in ones.
func (s *Searched) prepare(ctx context.Context) {
	if model := s.l.o.Embedder; model != nil {
		dim, err := s.dim(ctx)
		if err == nil {
			s.model, s.dimension = model, dim
		} else {
			s.l.log.Warn("no vectors of the configured embedder; the built-in ones take their place", zap.String("model", model.Name()), zap.Error(err))
		}
	}
	s.index = search.New(s.options())
}

func (s *Searched) options() search.Options {
	o := search.Options{History: indexHistory}
	if s.model != nil {
		o.Dim, o.Embedder = s.dimension, s.model.Name()
	}
	return o
}

// dim is the number of components of the configured embedder's vectors: as of those that are kept, or else it is asked.
func (s *Searched) dim(ctx context.Context) (dim int, err error) {
	model := s.l.o.Embedder
	err = postgres.ReadAsService(ctx, s.l.pool, func(tx pgx.Tx) error {
		dim, err = postgres.VectorDim(ctx, tx, s.workspace, model.Name())
		return err
	})
	if err != nil || dim > 0 {
		return dim, err
	}
	ctx, cancel := context.WithTimeout(ctx, embedPatience)
	defer cancel()
	if _, err = model.Embed(ctx, []string{"dimension"}); err == nil && model.Dim() == 0 {
		err = fmt.Errorf("%s does not say how many components its vectors have", model.Name())
	}
	return model.Dim(), err
}

// vectorOf is the vector of a query, or a note that says why there is none.
func (s *Searched) vectorOf(ctx context.Context, text string) ([]float32, string) {
	ctx, cancel := context.WithTimeout(ctx, embedPatience)
	defer cancel()
	v, err := s.model.Embed(ctx, []string{cutText(text)})
	if err != nil || len(v[0]) != s.dimension {
		s.l.log.Warn("ranked by words alone", zap.Error(err))
		return nil, "ranked by words alone: " + s.model.Name() + " gave no vector"
	}
	return v[0], ""
}

// completeSoon completes the index in the background, one at a time.
func (s *Searched) completeSoon(ctx context.Context) {
	if s.model == nil && s.l.o.Embedder == nil || !s.completing.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer s.completing.Store(false)
		ctx, cancel := context.WithTimeout(ctx, loadWithin)
		defer cancel()
		if s.model == nil {
			s.renew(ctx)
			return
		}
		s.complete(ctx)
	}()
}

// renew puts an index with the configured embedder's vectors in the place of one that was made while it gave none.
func (s *Searched) renew(ctx context.Context) {
	if _, err := s.dim(ctx); err != nil {
		return // it gives none still
	}
	next := newSearched(s.l, s.workspace)
	if err := next.refresh(ctx); err != nil || next.model == nil {
		return
	}
	next.complete(ctx)
	a := &s.l.searches
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all[s.workspace] == s {
		next.used.Store(s.used.Load())
		next.stale.Store(true) // something may have been published meanwhile
		a.all[s.workspace] = next
	}
}

// complete asks the configured embedder for the vectors of entries that have none, and keeps them. Entries are found by their words until
// then. What fails is tried again at the next comparison with the database.
func (s *Searched) complete(ctx context.Context) {
	if s.model == nil {
		return
	}
	for {
		missing := s.index.Missing(embedBatch)
		if len(missing) == 0 {
			return
		}
		if err := s.completeThese(ctx, missing); err != nil {
			if ctx.Err() == nil {
				s.l.log.Warn("entries have no vectors yet", zap.String("model", s.model.Name()), zap.Int("entries", len(missing)), zap.Error(err))
			}
			return
		}
	}
}

func (s *Searched) completeThese(ctx context.Context, missing []search.Hit) error {
	wanted := make([]postgres.Address, len(missing))
	for i, h := range missing {
		wanted[i] = postgres.Address{Space: h.Space, Slug: h.Slug, Number: int(h.Revision)}
	}
	var rows []postgres.RevisionText
	known := map[string][]float32{} // by space and hash: another process may have been told meanwhile
	err := postgres.ReadAsService(ctx, s.l.pool, func(tx pgx.Tx) (err error) {
		if rows, err = postgres.RevisionTexts(ctx, tx, s.workspace, wanted); err != nil {
			return err
		}
		hashes := map[uuid.UUID][]string{}
		for _, r := range rows {
			hashes[r.SpaceID] = append(hashes[r.SpaceID], r.Hash)
		}
		for space, hashes := range hashes {
			vectors, err := postgres.VectorsOf(ctx, tx, space, s.model.Name(), hashes)
			if err != nil {
				return err
			}
			for hash, v := range vectors {
				known[space.String()+hash] = v
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("%d entries are in the index and not in the database", len(missing))
	}
	var texts []string
	var asked []postgres.RevisionText
	for _, r := range rows {
		if known[r.SpaceID.String()+r.Hash] != nil {
			continue
		}
		text := ""
		if r.Text != "" { // a text that was destroyed has no meaning
			d, err := knowledge.Parse([]byte(r.Text))
			if err != nil {
				return fmt.Errorf("%s: %w", r.Address(), err)
			}
			text = cutText(d.Title + "\n" + d.Body)
		}
		texts, asked = append(texts, text), append(asked, r)
	}
	vectors, err := s.model.Embed(ctx, texts)
	if err != nil {
		return err
	}
	fresh := map[uuid.UUID]map[string][]float32{}
	for i, r := range asked {
		known[r.SpaceID.String()+r.Hash] = vectors[i]
		if r.Text != "" {
			if fresh[r.SpaceID] == nil {
				fresh[r.SpaceID] = map[string][]float32{}
			}
			fresh[r.SpaceID][r.Hash] = vectors[i]
		}
	}
	for _, r := range rows {
		if err := s.index.Complete(r.Space, r.Slug, int64(r.Number), known[r.SpaceID.String()+r.Hash]); err != nil {
			return err
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return postgres.AsService(ctx, s.l.pool, func(tx pgx.Tx) error {
		for space, vectors := range fresh {
			if err := postgres.SaveVectors(ctx, tx, s.workspace, space, s.model.Name(), vectors); err != nil {
				return err
			}
		}
		return nil
	})
}

// cutText cuts a text where it is longer than models take, between characters.
func cutText(text string) string {
	if len(text) <= maxEmbedded {
		return text
	}
	end := maxEmbedded
	for end > 0 && text[end]&0xC0 == 0x80 {
		end--
	}
	return text[:end]
}
