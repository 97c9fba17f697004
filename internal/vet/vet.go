// Package vet validates proposals against what the knowledge base holds: it looks up what the rules need, as the author, in
// the transaction that goes on from there. What the author may not see has no part in it.
package vet

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/validate"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// Checker validates proposals. It holds compiled rules, and sketches of the texts of the spaces it has been asked about, by
// which near duplicates are found; no text. It is safe for concurrent use.
type Checker struct {
	store *bucket.Bucket // of the texts of sources; nil is none

	mu     sync.Mutex
	rules  map[string]*validate.Validator // by policy
	spaces map[uuid.UUID]*sketches
}

// New makes a Checker. Texts of sources are read from the bucket, which may be nil.
func New(store *bucket.Bucket) *Checker {
	return &Checker{store: store, rules: map[string]*validate.Validator{}, spaces: map[uuid.UUID]*sketches{}}
}

// maxRules bounds the compiled rules that are kept: a space that changes its policy leaves the old one behind.
const maxRules = 64

// Rules returns the validator of a space. The error says what is wrong with its policy.
func (c *Checker) Rules(s postgres.Space) (*validate.Validator, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := fmt.Sprint(s.SelfReview, string(s.Policy))
	if v, ok := c.rules[key]; ok {
		return v, nil
	}
	v, err := rules(s)
	if err != nil {
		return nil, fmt.Errorf("space %s: %w", s.Name, err)
	}
	if len(c.rules) >= maxRules {
		clear(c.rules)
	}
	c.rules[key] = v
	return v, nil
}

func rules(s postgres.Space) (*validate.Validator, error) {
	var p validate.Policy
	if len(s.Policy) > 0 {
		if err := json.Unmarshal(s.Policy, &p); err != nil {
			return nil, fmt.Errorf("policy: %w", err)
		}
	}
	p.SelfApproval = s.SelfReview
	return validate.New(p)
}

// CheckPolicy says what is wrong with the policy of a space.
func CheckPolicy(s postgres.Space) error {
	_, err := rules(s)
	return err
}

// Request is what is to be validated.
type Request struct {
	Space     postgres.Space
	Caller    access.Caller // the author
	Restores  bool          // the documents are ones that the entries have had
	Import    string        // the workflow of an import, whose other entries may be linked to although they are not published yet
	Proposals []postgres.Proposal
	Texts     map[string]string // canonical documents by hash; those that are not here are read from the space
}

// servedFor is how long what was served does not come back as new knowledge.
const servedFor = 14 * 24 * time.Hour

// Check validates proposals as the author at a time, in a transaction of the author's. Findings come in the order of the
// proposals, the gravest first.
func (c *Checker) Check(ctx context.Context, tx pgx.Tx, r Request, now time.Time) ([]postgres.Finding, error) {
	rules, err := c.Rules(r.Space)
	if err != nil {
		return nil, err
	}
	l := &lookup{checker: c, tx: tx, request: r, rules: rules, now: now}
	if err := l.read(ctx); err != nil {
		return nil, fmt.Errorf("validate %d proposals for space %s: %w", len(r.Proposals), r.Space.Name, err)
	}
	found := []postgres.Finding{}
	for i, p := range r.Proposals {
		for _, f := range rules.Validate(l.proposals[i], l.world(i)) {
			found = append(found, postgres.Finding{
				Seq: p.Seq, Check: f.ID, Version: f.Version, Severity: string(f.Severity), Path: f.Path, Evidence: f.Evidence, Fix: f.Fix,
			})
		}
	}
	return found, nil
}

// Facts returns what a document states, for storing with its entry.
func (c *Checker) Facts(s postgres.Space, slug string, d knowledge.Document) ([]postgres.Fact, error) {
	rules, err := c.Rules(s)
	if err != nil {
		return nil, err
	}
	var out []postgres.Fact
	for _, f := range rules.Facts(s.Name, slug, d) {
		out = append(out, postgres.Fact{Subject: f.Subject, Predicate: f.Predicate, Scope: f.Scope, Value: f.Value, Many: f.Many, From: bound(f.From), To: bound(f.To)})
	}
	return out, nil
}

func bound(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// sketches are the texts of a space as of one of its revisions.
type sketches struct {
	mu       sync.Mutex
	near     *validate.Near[uuid.UUID]
	revision int64
	entry    uuid.UUID // the last of that revision
}

// sketchesOf brings the sketches of a space to what the transaction sees. What is read of it comes from entries that the
// caller sees: all of the space, or none.
func (c *Checker) sketchesOf(ctx context.Context, tx pgx.Tx, space uuid.UUID) (*validate.Near[uuid.UUID], error) {
	c.mu.Lock()
	s := c.spaces[space]
	if s == nil {
		s = &sketches{near: validate.NewNear[uuid.UUID]()}
		c.spaces[space] = s
	}
	c.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	const page = 500
	for {
		entries, err := postgres.EntriesSince(ctx, tx, space, s.revision, s.entry, page)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if err := s.take(e); err != nil {
				return nil, err
			}
		}
		if len(entries) < page {
			return s.near, nil
		}
	}
}

func (s *sketches) take(e postgres.EntryText) error {
	if e.Text == "" {
		s.near.Remove(e.EntryID)
	} else {
		d, err := knowledge.Parse([]byte(e.Text))
		if err != nil {
			return err
		}
		s.near.Add(e.EntryID, validate.Text(d))
	}
	s.revision, s.entry = e.SpaceRevision, e.EntryID
	return nil
}
