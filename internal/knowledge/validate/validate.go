// Package validate checks a proposed change of the knowledge base before it is published. A proposal and what the caller
// looked up for it come in; results come out, each with the check, where, why and what to do. The same input gives the
// same results. It does no I/O, reads no clock, asks no model, and never repeats a secret it found.
package validate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/validate/secret"
)

// Severity says what a result does to its proposal.
type Severity string

// The severities, the gravest first.
const (
	Block      Severity = "block"      // may not be published as it is
	Quarantine Severity = "quarantine" // waits for a person, whatever the space asks for
	Warn       Severity = "warn"       // may be published; shown to who reviews
	Info       Severity = "info"       // said for completeness
)

// rank orders severities, the gravest first; "" is the last.
func (s Severity) rank() int {
	return slices.Index([]Severity{Block, Quarantine, Warn, Info, ""}, s)
}

// Result is one finding of one check.
type Result struct {
	ID       string   `json:"id"`       // of the check, see Checks
	Version  int      `json:"version"`  // of the check: another version may judge the same document otherwise
	Severity Severity `json:"severity"` //
	Path     string   `json:"path"`     // JSON Pointer (RFC 6901) into the document, with "#L12" for line 12 of a text; "" for the whole
	Evidence string   `json:"evidence"` // what was found; secrets and personal data only by kind and length
	Fix      string   `json:"fix"`      // what to do
}

// Verdict is the gravest severity of results, "" where there are none.
func Verdict(results []Result) Severity {
	worst := Severity("")
	for _, r := range results {
		if r.Severity.rank() < worst.rank() {
			worst = r.Severity
		}
	}
	return worst
}

// Op is what a proposal does to its entry.
type Op string

// The operations.
const (
	Put    Op = "put"    // a new revision, of a new entry too
	Delete Op = "delete" // a tombstone
)

// Proposal is one proposed document.
type Proposal struct {
	Space, Slug string
	Op          Op
	Document    knowledge.Document // nothing for Delete
	Author      string
	Role        Role // of the author in the space
	Restores    bool // the document is one the entry has had: it is no copy of what was served
}

// Address is the "space/slug" of the entry.
func (p Proposal) Address() string { return p.Space + "/" + p.Slug }

// Needs is what only the caller can look up. It does so as the author, in the transaction that publishes where there is
// one: what the author may not see must not be in World, as results name it.
type Needs struct {
	Hash    knowledge.Hash // another live entry with this document? World.Twin
	Text    string         // for Near.Query; its documents go into World.Similar; "" when nothing is compared
	Targets []string       // internal targets of links, sorted, each once: World.Targets
	Inbound bool           // which live entries link here? World.Inbound
	Facts   []FactKey      // facts of other live entries with these keys: World.Facts
	Sources []string       // stored text of sources, by SourceKey: World.Sources
	Prints  []int64        // passages served that share any of these: World.Served
}

// Target is the state of what a link leads to.
type Target int

// The states of targets. One that was looked up and is in no map is Missing.
const (
	Missing Target = iota
	Exists
	Tombstone // was there and is deleted
)

// Similar is an entry that may be a near duplicate, with its document for the exact comparison.
type Similar struct {
	Address  string
	Document knowledge.Document
}

// World is what a proposal is judged by. The zero value of a field says that nothing was found, but for Now.
type World struct {
	Now     time.Time
	Targets map[string]Target // by target; entries put by the same change set count as Exists, deleted ones as Tombstone
	Inbound []string          // addresses of live entries that link to the entry to be deleted and stay
	Twin    string            // address of another live entry with the same hash
	Similar []Similar
	Facts   []Fact            // of other entries, those of the same change set too
	Sources map[string]string // stored text by SourceKey
	Served  []Passage         // served within the time the caller holds to be recent
}

// Validator holds compiled rules. It is safe for concurrent use and keeps nothing between calls.
type Validator struct {
	policy  Policy
	schemas map[string]schema
	secrets *secret.Detector
}

// New makes a validator. The error says which part of the policy or which schema cannot be used, and why.
func New(p Policy) (*Validator, error) {
	p, err := p.complete()
	if err != nil {
		return nil, err
	}
	schemas, err := compileSchemas(p.Schemas)
	if err != nil {
		return nil, err
	}
	secrets, err := secret.New()
	if err != nil {
		return nil, err
	}
	return &Validator{p, schemas, secrets}, nil
}

// Validate runs all checks on one proposal. Results are ordered by severity, path and check.
func (v *Validator) Validate(p Proposal, w World) []Result {
	c := &run{v: v, p: p, w: w}
	c.access()
	switch p.Op {
	case Delete:
		c.inbound()
	case Put:
		c.texts = textsOf(p.Document)
		c.compare()
		for _, check := range []func(){
			c.slug, c.size, c.unicode, c.schema, c.duplicates, c.links, c.times, c.contradictions,
			c.secrets, c.personal, c.injection, c.citations, c.feedback,
		} {
			check()
		}
	default:
		c.add("access.operation", Block, "", fmt.Sprintf("operation %q", p.Op))
	}
	return c.finish()
}

// run is one validation.
type run struct {
	v       *Validator
	p       Proposal
	w       World
	texts   []text
	found   []Result
	secret  []string  // what must not appear in evidence
	similar []Similar // those of World that are compared, and
	jaccard []float64 // ... their similarity
}

// add records a finding of a check of the table.
func (c *run) add(id string, s Severity, path, evidence string) {
	check, ok := byID[id]
	if !ok || !slices.Contains(check.Severities, s) {
		panic("validate: " + id + " as " + string(s) + " is not in the table of checks")
	}
	c.found = append(c.found, Result{id, check.Version, s, path, evidence, check.Fix})
}

// maxOfCheck bounds the results of one check: a document of addresses would drown all else.
const maxOfCheck = 20

// finish orders and bounds the findings and takes secrets out of the evidence.
func (c *run) finish() []Result {
	slices.SortStableFunc(c.secret, func(a, b string) int { return len(b) - len(a) })
	slices.SortStableFunc(c.found, func(a, b Result) int {
		return cmp.Or(a.Severity.rank()-b.Severity.rank(), cmp.Compare(a.Path, b.Path), cmp.Compare(a.ID, b.ID))
	})
	out, seen := make([]Result, 0, len(c.found)), map[string]int{}
	for _, r := range c.found {
		if seen[r.ID]++; seen[r.ID] > maxOfCheck {
			continue
		}
		for _, s := range c.secret {
			r.Evidence, r.Path = strings.ReplaceAll(r.Evidence, s, "[secret]"), strings.ReplaceAll(r.Path, s, "[secret]")
		}
		out = append(out, r)
	}
	for i := range out {
		if n := seen[out[i].ID]; n > maxOfCheck {
			out[i].Evidence += fmt.Sprintf(" (one of %d)", n)
		}
	}
	return out
}
