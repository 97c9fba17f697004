package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/search"
	"github.com/tartan-ai/tartan/internal/knowledge/validate"
	"github.com/tartan-ai/tartan/internal/postgres"
)

type searchKnowledgeArgs struct {
	Query   string  `json:"query" required:"true" max:"4096" doc:"Words; type:, tag:, space:, title:, \"phrase\", +must, -not" note:"Also pref*, after: and before: with dates"`
	AsOf    instant `json:"as_of" note:"RFC 3339 or age, such as 24h. As it was published then"`
	ValidAt instant `json:"valid_at" note:"Only what says that it holds then, or says nothing of it"`
	Limit   int     `json:"limit" min:"1" max:"50" default:"8"`
	After   string  `json:"after_change" note:"Wait up to 5 s for this change set, to find what you have published"`
	Tokens  int     `json:"max_tokens" default:"4000" min:"200" max:"100000" note:"A token is taken to be four bytes; hits that do not fit are left out"`
}

// Found is what a search found.
type Found struct {
	Results []FoundEntry `json:"results"` // the best first
	Omitted int          `json:"omitted,omitempty"`
	Ranking string       `json:"ranking,omitempty"` // how it differs from the usual one, and why
	Notice  string       `json:"notice"`
}

// FoundEntry is a hit.
type FoundEntry struct {
	Entry    string  `json:"entry"`
	Title    string  `json:"title"`
	Type     string  `json:"type"`
	Revision int     `json:"revision"`
	Snippet  string  `json:"snippet"`
	Score    float64 `json:"score"` // of this search only
	By       string  `json:"by"`
	At       string  `json:"at"`
	Resource string  `json:"resource"`
}

func (s *Suite) searchKnowledge() Tool {
	return define[searchKnowledgeArgs, Found](Tool{
		Name: "search_knowledge", Title: "Search knowledge", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "Find entries of the knowledge base: runbooks, facts, decisions.",
	}, func(ctx context.Context, c Call, in searchKnowledgeArgs) (Found, string, error) {
		out, err := s.find(ctx, c, in)
		return out, out.text(), err
	})
}

// find searches what the caller may read and reads what was found, in one transaction: the spaces are those that the database says at
// that moment.
func (s *Suite) find(ctx context.Context, c Call, in searchKnowledgeArgs) (Found, error) {
	out := Found{Results: []FoundEntry{}, Notice: entryNotice}
	q, err := search.ParseQuery(in.Query)
	if err != nil {
		return out, invalid("%s", cut(strings.Join(strings.Fields(err.Error()), " "), 900))
	}
	if s.Libraries == nil {
		return out, unavailable("", "this server has no database")
	}
	now := time.Now()
	request := search.Request{Query: q, K: in.Limit, AsOf: in.AsOf.from(now), ValidAt: in.ValidAt.from(now)}
	index, err := s.Libraries.Searched(ctx, c.Caller.WorkspaceID)
	loading := errors.Is(err, feed.ErrLoading)
	if err != nil && !loading {
		return out, err
	}
	if in.After != "" {
		if err := s.awaitChange(ctx, c, in.After, index); err != nil {
			return out, err
		}
	}
	if err := s.settle(ctx, c, request.AsOf, index); err != nil {
		return out, err
	}
	err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		readable, err := postgres.ReadableSpaces(ctx, tx)
		if err != nil {
			return err
		}
		var hits []search.Hit
		past := false
		if !loading {
			hits, out.Ranking, err = index.Find(ctx, readable, request)
			past = errors.Is(err, search.ErrHistory)
		}
		if loading || past {
			hits, out.Ranking, err = s.rankInDatabase(ctx, tx, readable, request, loading)
		}
		if err != nil || len(hits) == 0 {
			return err
		}
		wanted := make([]postgres.Address, len(hits))
		for i, h := range hits {
			wanted[i] = postgres.Address{Space: h.Space, Slug: h.Slug, Number: int(h.Revision)}
		}
		rows, err := postgres.RevisionTexts(ctx, tx, c.Caller.WorkspaceID, wanted)
		if err != nil {
			return err
		}
		return s.present(ctx, tx, c, rows, hits, q, in.Tokens*bytesPerToken, &out)
	})
	return out, err
}

// rankInDatabase ranks without the index, and says why and what is missing.
func (s *Suite) rankInDatabase(ctx context.Context, tx pgx.Tx, readable []uuid.UUID, r search.Request, loading bool) ([]search.Hit, string, error) {
	why, next := "the index does not reach back to that moment", "ask for a later moment"
	if loading {
		why, next = feed.ErrLoading.Error(), "try again in some seconds"
	}
	hits, err := postgres.RankKnowledge(ctx, tx, readable, r)
	switch {
	case errors.Is(err, search.ErrFiltered):
		return nil, "", unavailable(next+", or for words alone", "%s, and without it phrases, filters and beginnings of words are not searched for", why)
	case errors.Is(err, postgres.ErrUncut):
		return nil, "", unavailable(next, "%s, and %s", why, postgres.ErrUncut)
	}
	return hits, "by words alone, from the database: " + why, err
}

// settle waits until all that was published up to a moment is committed, and in the index if there is one: an answer about the past never changes.
func (s *Suite) settle(ctx context.Context, c Call, at time.Time, index *feed.Searched) error {
	if at.IsZero() {
		return nil
	}
	var revisions map[uuid.UUID]int64
	err := s.inWorkspace(ctx, c, func(tx pgx.Tx) (err error) {
		revisions, err = postgres.SettleMoment(ctx, tx, at)
		return err
	})
	if errors.Is(err, postgres.ErrFuture) {
		return invalid("as_of: %s", cut(err.Error(), maxExample))
	}
	for space, revision := range revisions {
		if err == nil && index != nil {
			err = s.awaitRevision(ctx, index, space, revision)
		}
	}
	return err
}

func (s *Suite) present(ctx context.Context, tx pgx.Tx, c Call, rows []postgres.RevisionText, hits []search.Hit, q search.Query, room int, out *Found) error {
	served := map[uuid.UUID][]postgres.Served{}
	for _, r := range rows {
		if r.Text == "" {
			continue // destroyed since it was indexed
		}
		d, err := knowledge.Parse([]byte(r.Text))
		if err != nil {
			return err
		}
		i := slices.IndexFunc(hits, func(h search.Hit) bool { return h.Space == r.Space && h.Slug == r.Slug })
		e := FoundEntry{
			Entry: r.Address(), Title: cut(d.Title, maxExample), Type: d.Schema, Revision: r.Number, Snippet: snippet(d, q), Score: rounded(hits[i].Score),
			By: r.Author.String(), At: stamp(r.RecordedAt), Resource: EntryURI(r.Address(), 0),
		}
		if room -= len(e.Snippet) + len(e.Title) + 2*len(e.Entry) + 200; room < 0 && len(out.Results) > 0 {
			out.Omitted++
			continue
		}
		out.Results = append(out.Results, e)
		served[r.SpaceID] = append(served[r.SpaceID], servedOf(r.Revision, e.Snippet))
	}
	for space, texts := range served {
		if err := postgres.SaveServed(ctx, tx, c.Caller.WorkspaceID, space, texts); err != nil {
			return err
		}
	}
	return nil
}

// servedOf notes what a reader was given, so that it does not come back as something new.
func servedOf(r postgres.Revision, text string) postgres.Served {
	sum := sha256.Sum256([]byte(text))
	return postgres.Served{TextHash: hex.EncodeToString(sum[:]), EntryID: r.EntryID, Number: r.Number, Prints: validate.Prints(text)}
}

// awaitChange waits until the index, if there is one, has what a change set published.
func (s *Suite) awaitChange(ctx context.Context, c Call, text string, index *feed.Searched) error {
	id, err := uuid.Parse(text)
	if err != nil {
		return noChange(text)
	}
	var change postgres.Change
	err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		if change, err = postgres.ChangeByID(ctx, tx, id); errors.Is(err, postgres.ErrNotFound) {
			return noChange(text)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case change.State != postgres.ChangePublished:
		return invalid("change set %s is %s, not published", text, change.State)
	case index == nil:
		return nil
	}
	return s.awaitRevision(ctx, index, change.SpaceID, change.SpaceRevision)
}

func (s *Suite) awaitRevision(ctx context.Context, index *feed.Searched, space uuid.UUID, revision int64) error {
	wait, cancel := context.WithTimeout(ctx, waitForWrite)
	defer cancel()
	err := index.WaitFor(wait, space, revision)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return unavailable("Try again", "the index did not reach revision %d of the space in %s", revision, waitForWrite)
	}
	return err
}

// snippetSize is about how long a snippet is, in bytes.
const snippetSize = 300

// snippet is the part of a document that has most of the words of the query, with these marked as in Markdown.
func snippet(d knowledge.Document, q search.Query) string {
	found := q.Snippet(d.Body, search.Of(d).Language, snippetSize)
	var b strings.Builder
	if found.Start > 0 {
		b.WriteString("... ")
	}
	at := 0
	for _, m := range found.Marks {
		b.WriteString(found.Text[at:m.Start] + "**" + found.Text[m.Start:m.End] + "**")
		at = m.End
	}
	b.WriteString(found.Text[at:])
	if found.Start+len(found.Text) < len(d.Body) {
		b.WriteString(" ...")
	}
	return strings.TrimSpace(b.String())
}

func (f Found) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s. %s", plural(len(f.Results), "hit"), f.Notice)
	if f.Ranking != "" {
		fmt.Fprintf(&b, " Ranking: %s.", f.Ranking)
	}
	for _, r := range f.Results {
		fmt.Fprintf(&b, "\n%s@%d (%s) %s: %s", r.Entry, r.Revision, r.Type, r.Title, cut(strings.Join(strings.Fields(r.Snippet), " "), 200))
	}
	return b.String()
}

type connectorSearchArgs struct {
	Query string `json:"query" required:"true" max:"4096"`
}

// connectorResults is what ChatGPT's connectors expect of search, as JSON in the text too.
type connectorResults struct {
	Results []connectorResult `json:"results"`
}

type connectorResult struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

func (s *Suite) connectorSearch() Tool {
	return define[connectorSearchArgs, connectorResults](Tool{
		Name: "search", Title: "Search", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "Search the knowledge base; ids are for fetch.",
	}, func(ctx context.Context, c Call, in connectorSearchArgs) (connectorResults, string, error) {
		out := connectorResults{Results: []connectorResult{}}
		// What people ask there is no query with signs in it.
		found, err := s.find(ctx, c, searchKnowledgeArgs{Query: plainQuery(in.Query), Limit: 10, Tokens: DefaultTokens})
		for _, r := range found.Results {
			out.Results = append(out.Results, connectorResult{ID: r.Entry, Title: r.Title, URL: r.Resource})
		}
		text, _ := json.Marshal(out)
		return out, string(text), err
	})
}

// plainQuery takes the meaning from quotes, signs and colons.
func plainQuery(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`"+-*:`, r) {
			return ' '
		}
		return r
	}, text)
}

type connectorFetchArgs struct {
	ID string `json:"id" required:"true"`
}

// connectorDocument is what ChatGPT's connectors expect of fetch, as JSON in the text too.
type connectorDocument struct {
	ID       string            `json:"id"`
	Title    string            `json:"title"`
	Text     string            `json:"text"`
	URL      string            `json:"url"`
	Metadata map[string]string `json:"metadata"`
}

func (s *Suite) connectorFetch() Tool {
	return define[connectorFetchArgs, connectorDocument](Tool{
		Name: "fetch", Title: "Fetch", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "Fetch an entry of the knowledge base by an id from search.",
	}, func(ctx context.Context, c Call, in connectorFetchArgs) (connectorDocument, string, error) {
		e, err := s.readEntry(ctx, c, in.ID, 0, postgres.Moment{}, 4*DefaultTokens)
		if err != nil {
			return connectorDocument{}, "", err
		}
		out := connectorDocument{ID: e.Entry, Title: e.Title, Text: e.Body, URL: e.Resource, Metadata: map[string]string{
			"type": e.Type, "revision": fmt.Sprint(e.Revision), "by": e.By, "at": e.At, "change": e.Change, "notice": e.Notice,
		}}
		text, err := json.Marshal(out)
		return out, string(text), err
	})
}
