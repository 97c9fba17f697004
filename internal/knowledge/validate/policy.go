package validate

import (
	"fmt"
	"slices"
	"time"

	"github.com/tartan-ai/tartan/internal/knowledge/validate/personal"
)

// Action is what a policy does with a kind of finding.
type Action string

// The actions.
const (
	AllowIt Action = "allow"
	WarnOf  Action = "warn"
	BlockIt Action = "block"
)

// Policy is what a space decides of its checks. The zero value of a field takes the default.
type Policy struct {
	MaxBytes      int                      `json:"max_bytes"`      // of the canonical document; 262,144
	MaxTitle      int                      `json:"max_title"`      // characters; 200
	NearWarn      float64                  `json:"near_warn"`      // Jaccard from which a near duplicate is warned of; 0.8
	NearBlock     float64                  `json:"near_block"`     // ... is blocked; 0.95, above 1 is never
	DanglingLinks Action                   `json:"dangling_links"` // links to entries that are not there; block
	Personal      map[personal.Kind]Action `json:"personal"`       // by kind, see DefaultPersonal
	StaleAfter    time.Duration            `json:"stale_after"`    // age from which a source is stale; a year
	ManyValued    []string                 `json:"many_valued"`    // predicates that hold several values at once
	NeedSources   []string                 `json:"need_sources"`   // types that need a source; fact
	SelfApproval  bool                     `json:"self_approval"`  // the author may approve, for spaces of one
	Schemas       map[string][]byte        `json:"schemas"`        // JSON Schema 2020-12 of the workspace's own types, by name
}

// DefaultPersonal is what is done with personal data where a policy says nothing.
var DefaultPersonal = map[personal.Kind]Action{
	personal.Email: WarnOf, personal.Phone: WarnOf, personal.IP: AllowIt,
	personal.IBAN: BlockIt, personal.Card: BlockIt, personal.NationalID: BlockIt,
}

// complete fills in the defaults. The error names the field that cannot be used.
func (p Policy) complete() (Policy, error) {
	setDefault(&p.MaxBytes, 256<<10)
	setDefault(&p.MaxTitle, 200)
	setDefault(&p.NearWarn, 0.8)
	setDefault(&p.NearBlock, max(0.95, p.NearWarn))
	setDefault(&p.DanglingLinks, BlockIt)
	setDefault(&p.StaleAfter, 365*24*time.Hour)
	if p.NeedSources == nil {
		p.NeedSources = []string{"fact"}
	}
	switch {
	case p.MaxBytes < 0, p.MaxTitle < 0:
		return p, fmt.Errorf("policy: max_bytes %d and max_title %d must be above 0", p.MaxBytes, p.MaxTitle)
	case p.NearWarn < MinNear || p.NearWarn > p.NearBlock:
		return p, fmt.Errorf("policy: near_warn %g must be from %g to near_block %g", p.NearWarn, MinNear, p.NearBlock)
	case p.StaleAfter < 0:
		return p, fmt.Errorf("policy: stale_after %s must be above 0", p.StaleAfter)
	}
	if err := p.DanglingLinks.check("dangling_links"); err != nil {
		return p, err
	}
	actions := map[personal.Kind]Action{}
	for kind, action := range DefaultPersonal {
		actions[kind] = action
	}
	for kind, action := range p.Personal {
		if !slices.Contains(personal.Kinds, kind) {
			return p, fmt.Errorf("policy: personal: no kind %q; want one of %v", kind, personal.Kinds)
		}
		if err := action.check("personal." + string(kind)); err != nil {
			return p, err
		}
		actions[kind] = action
	}
	p.Personal = actions
	many := make([]string, len(p.ManyValued))
	for i, predicate := range p.ManyValued {
		many[i] = keyForm(predicate)
	}
	p.ManyValued = many
	return p, nil
}

func setDefault[T comparable](field *T, value T) {
	if *field == *new(T) {
		*field = value
	}
}

func (a Action) check(field string) error {
	if a != AllowIt && a != WarnOf && a != BlockIt {
		return fmt.Errorf("policy: %s: %q is no action; want allow, warn or block", field, a)
	}
	return nil
}

// severity is what an action makes of a finding; false is nothing.
func (a Action) severity() (Severity, bool) {
	switch a {
	case BlockIt:
		return Block, true
	case WarnOf:
		return Warn, true
	}
	return "", false
}
