package vet

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/validate"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// lookup gathers what the rules need for all proposals of a request, in few statements.
type lookup struct {
	checker *Checker
	tx      pgx.Tx
	request Request
	rules   *validate.Validator
	now     time.Time

	proposals []validate.Proposal
	needs     []validate.Needs
	own       map[string]int // place of the proposal by address

	targets map[string]validate.Target
	inbound map[string][]string // by address
	twins   map[string][]string // addresses by hash
	similar [][]validate.Similar
	facts   []validate.Fact // of living entries that the request leaves as they are, and of its own
	sources map[string]string
	served  []validate.Passage
}

// How much is looked at.
const (
	maxSimilar = 5
	maxServed  = 200
	maxSource  = 4 << 20 // bytes of the text of a source
)

func (l *lookup) read(ctx context.Context) error {
	for _, step := range []func(context.Context) error{l.documents, l.readTargets, l.readInbound, l.readTwins, l.readSimilar, l.readFacts, l.readSources, l.readServed} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *lookup) documents(ctx context.Context) error {
	r := l.request
	var missing []string
	for _, p := range r.Proposals {
		if _, ok := r.Texts[p.Result()]; !ok && p.Result() != "" {
			missing = append(missing, p.Result())
		}
	}
	stored := map[string]string{}
	if len(missing) > 0 {
		var err error
		if stored, err = postgres.Bodies(ctx, l.tx, r.Space.ID, missing); err != nil {
			return err
		}
	}
	role, err := postgres.SpaceRole(ctx, l.tx, r.Space.ID)
	if err != nil {
		return err
	}
	l.own = map[string]int{}
	for i, p := range r.Proposals {
		v := validate.Proposal{Space: r.Space.Name, Slug: p.Slug, Op: validate.Delete, Author: r.Caller.UserID.String(), Role: validate.Role(role), Restores: r.Restores || p.Reverts > 0}
		if hash := p.Result(); hash != "" {
			text, ok := r.Texts[hash]
			if !ok {
				text = stored[hash]
			}
			if v.Document, err = knowledge.Parse([]byte(text)); err != nil {
				return err
			}
			v.Op = validate.Put
		}
		l.proposals, l.needs = append(l.proposals, v), append(l.needs, l.rules.Needs(v))
		l.own[v.Address()] = i
	}
	return nil
}

// readTargets resolves links: to entries, those of the request as it will make them, and to patterns.
func (l *lookup) readTargets(ctx context.Context) error {
	l.targets = map[string]validate.Target{}
	var addresses []string
	patterns := map[string][]pattern.ID{} // by library
	for _, n := range l.needs {
		for _, t := range n.Targets {
			if rest, ok := strings.CutPrefix(t, "pattern:"); ok {
				library, id, _ := strings.Cut(rest, "/")
				patterns[library] = append(patterns[library], pattern.ID(id))
			} else if i, ok := l.own[t]; !ok {
				addresses = append(addresses, t)
			} else if l.targets[t] = validate.Exists; l.proposals[i].Op == validate.Delete {
				l.targets[t] = validate.Tombstone
			}
		}
	}
	if len(addresses) > 0 {
		states, err := postgres.EntryStates(ctx, l.tx, l.request.Space.WorkspaceID, addresses)
		if err != nil {
			return err
		}
		for t, lives := range states {
			if l.targets[t] = validate.Tombstone; lives {
				l.targets[t] = validate.Exists
			}
		}
	}
	if err := l.readStaged(ctx, addresses); err != nil { // after what is there
		return err
	}
	for library, ids := range patterns {
		if err := l.readPatterns(ctx, library, ids); err != nil {
			return err
		}
	}
	return nil
}

// readStaged finds what an import will publish yet.
func (l *lookup) readStaged(ctx context.Context, addresses []string) error {
	var slugs []string
	for _, a := range addresses {
		if space, slug, _ := strings.Cut(a, "/"); space == l.request.Space.Name && l.targets[a] != validate.Exists {
			slugs = append(slugs, slug)
		}
	}
	if l.request.Import == "" || len(slugs) == 0 {
		return nil
	}
	staged, err := postgres.StagedBy(ctx, l.tx, l.request.Space.ID, l.request.Import, slugs)
	for slug := range staged {
		l.targets[l.request.Space.Name+"/"+slug] = validate.Exists
	}
	return err
}

func (l *lookup) readPatterns(ctx context.Context, library string, ids []pattern.ID) error {
	lib, err := postgres.LibraryByName(ctx, l.tx, l.request.Space.WorkspaceID, library)
	if errors.Is(err, postgres.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	found, err := postgres.PatternsByID(ctx, l.tx, lib.ID, ids)
	for id := range found {
		l.targets["pattern:"+library+"/"+string(id)] = validate.Exists
	}
	return err
}

// readInbound finds who links to what is to be deleted, but for what the request changes: that is judged by its own links.
func (l *lookup) readInbound(ctx context.Context) error {
	l.inbound = map[string][]string{}
	var addresses []string
	for i, n := range l.needs {
		if n.Inbound {
			addresses = append(addresses, l.proposals[i].Address())
		}
	}
	if len(addresses) == 0 {
		return nil
	}
	references, err := postgres.Inbound(ctx, l.tx, l.request.Space.WorkspaceID, addresses)
	for _, r := range references {
		if _, ok := l.own[r.From]; !ok {
			l.inbound[r.Target] = append(l.inbound[r.Target], r.From)
		}
	}
	return err
}

// readTwins finds the same documents in other entries. Of two in one request the later is the copy.
func (l *lookup) readTwins(ctx context.Context) error {
	l.twins = map[string][]string{}
	var hashes []string
	for _, p := range l.request.Proposals {
		if p.Result() != "" {
			hashes = append(hashes, p.Result())
		}
	}
	if len(hashes) == 0 {
		return nil
	}
	heads, err := postgres.CurrentWith(ctx, l.tx, l.request.Space.ID, hashes)
	for slug, h := range heads {
		if address := l.request.Space.Name + "/" + slug; !l.changes(address) {
			l.twins[h.Hash] = append(l.twins[h.Hash], address)
		}
	}
	for _, addresses := range l.twins {
		slices.Sort(addresses)
	}
	return err
}

// changes reports whether the request makes something else of an entry.
func (l *lookup) changes(address string) bool {
	_, ok := l.own[address]
	return ok
}

// readSimilar finds texts that may be near duplicates, in the space and in the request before each.
func (l *lookup) readSimilar(ctx context.Context) error {
	l.similar = make([][]validate.Similar, len(l.proposals))
	if !slices.ContainsFunc(l.needs, func(n validate.Needs) bool { return n.Text != "" }) {
		return nil
	}
	near, err := l.checker.sketchesOf(ctx, l.tx, l.request.Space.ID)
	if err != nil {
		return err
	}
	here := validate.NewNear[int]()
	candidates := make([][]uuid.UUID, len(l.proposals))
	var ids []uuid.UUID
	for i, n := range l.needs {
		if n.Text == "" {
			continue
		}
		candidates[i] = near.Query(n.Text, maxSimilar)
		ids = append(ids, candidates[i]...)
		for _, j := range here.Query(n.Text, maxSimilar) {
			l.compare(i, validate.Similar{Address: l.proposals[j].Address(), Document: l.proposals[j].Document})
		}
		here.Add(i, n.Text)
	}
	if len(ids) == 0 {
		return nil
	}
	entries, err := postgres.EntryTexts(ctx, l.tx, ids)
	if err != nil {
		return err
	}
	by := map[uuid.UUID]validate.Similar{}
	for _, e := range entries {
		d, err := knowledge.Parse([]byte(e.Text))
		if err != nil {
			return err
		}
		by[e.EntryID] = validate.Similar{Address: l.request.Space.Name + "/" + e.Slug, Document: d}
	}
	for i, ids := range candidates {
		for _, id := range ids {
			if s, ok := by[id]; ok && !l.changes(s.Address) {
				l.compare(i, s)
			}
		}
	}
	return nil
}

// compare keeps a candidate that is as near as candidates are meant to be.
func (l *lookup) compare(i int, s validate.Similar) {
	if validate.Jaccard(l.needs[i].Text, validate.Text(s.Document)) >= validate.MinNear {
		l.similar[i] = append(l.similar[i], s)
	}
}

func (l *lookup) readFacts(ctx context.Context) error {
	var subjects, predicates, scopes []string
	for i, n := range l.needs {
		for _, k := range n.Facts {
			subjects, predicates, scopes = append(subjects, k.Subject), append(predicates, k.Predicate), append(scopes, k.Scope)
		}
		if len(n.Facts) > 0 {
			l.facts = append(l.facts, l.rules.Facts(l.request.Space.Name, l.proposals[i].Slug, l.proposals[i].Document)...)
		}
	}
	if len(subjects) == 0 {
		return nil
	}
	stated, err := postgres.FactsAbout(ctx, l.tx, l.request.Space.ID, subjects, predicates, scopes)
	for _, f := range stated {
		if l.changes(f.Address) {
			continue
		}
		fact := validate.Fact{FactKey: validate.FactKey{Subject: f.Subject, Predicate: f.Predicate, Scope: f.Scope}, Value: f.Value, Many: f.Many, Address: f.Address}
		if f.From != nil {
			fact.From = *f.From
		}
		if f.To != nil {
			fact.To = *f.To
		}
		l.facts = append(l.facts, fact)
	}
	return err
}

// readSources reads the texts of sources that are in the bucket under their hash.
func (l *lookup) readSources(ctx context.Context) error {
	l.sources = map[string]string{}
	if l.checker.store == nil {
		return nil
	}
	for _, n := range l.needs {
		for _, key := range n.Sources {
			if _, err := knowledge.ParseHash(key); err != nil || l.sources[key] != "" {
				continue
			}
			size, err := l.checker.store.Size(ctx, bucket.Key(key))
			if errors.Is(err, bucket.ErrNotFound) || err == nil && size > maxSource {
				continue
			}
			if err != nil {
				return err
			}
			text, err := l.checker.store.ReadAll(ctx, bucket.Key(key), maxSource)
			if err != nil {
				return err
			}
			l.sources[key] = string(text)
		}
	}
	return nil
}

func (l *lookup) readServed(ctx context.Context) error {
	var prints []int64
	for _, n := range l.needs {
		prints = append(prints, n.Prints...)
	}
	if len(prints) == 0 {
		return nil
	}
	slices.Sort(prints)
	passages, err := postgres.ServedSince(ctx, l.tx, l.request.Space.WorkspaceID, slices.Compact(prints), l.now.Add(-servedFor), maxServed)
	for _, p := range passages {
		l.served = append(l.served, validate.Passage{Address: p.Address, Prints: p.Prints})
	}
	return err
}

// world is what one proposal is judged by.
func (l *lookup) world(i int) validate.World {
	p := l.proposals[i]
	w := validate.World{
		Now: l.now, Targets: l.targets, Inbound: l.inbound[p.Address()], Similar: l.similar[i], Sources: l.sources, Served: l.served,
	}
	hash := l.request.Proposals[i].Result()
	for _, twin := range l.twins[hash] {
		w.Twin = twin
	}
	for j := range i {
		if w.Twin == "" && hash != "" && l.request.Proposals[j].Result() == hash {
			w.Twin = l.proposals[j].Address()
		}
	}
	for _, f := range l.facts {
		if f.Address != p.Address() {
			w.Facts = append(w.Facts, f)
		}
	}
	return w
}
