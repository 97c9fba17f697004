// Package secret finds keys, tokens and passwords in text by the rules of gitleaks and a few more. Text comes in; rules and
// places go out. It never repeats what it found.
//
// gitleaks.toml is the default configuration of gitleaks v8.30.1 as it is published (MIT, see gitleaks.licence.txt; SHA-256
// e163e53b9e7e8a8511e77271e2b323ed057759542a6d988258afe3a1fa329caf). The detector judges as gitleaks does: keywords, then
// the expression, the entropy of its group, and the allow lists. Rules that hold for files of some names only are left out,
// and a comment gitleaks:allow allows nothing: who proposes a text does not say which secrets are none.
package secret

import (
	_ "embed"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"
)

//go:embed gitleaks.toml
var gitleaks string

// Finding is one place. The bytes from Start to End are the secret.
type Finding struct {
	Rule       string // id of the rule
	What       string // what the rule finds, in words
	Start, End int
}

// allowlist says what is no secret.
type allowlist struct {
	Condition   string   `toml:"condition"`
	Paths       []string `toml:"paths"`
	RegexTarget string   `toml:"regexTarget"`
	Regexes     []string `toml:"regexes"`
	StopWords   []string `toml:"stopwords"`

	compiled func() []*regexp.Regexp
}

// rule is one rule of the configuration. Expressions are compiled when a keyword of theirs is first met: all of them
// take 150 ms and 3 MB.
type rule struct {
	ID          string       `toml:"id"`
	Description string       `toml:"description"`
	Path        string       `toml:"path"`
	Regex       string       `toml:"regex"`
	SecretGroup int          `toml:"secretGroup"`
	Entropy     float64      `toml:"entropy"`
	Keywords    []string     `toml:"keywords"`
	Allowlists  []*allowlist `toml:"allowlists"`

	compiled func() *regexp.Regexp
	refuse   func(secret string) bool // own rules: what is none
}

// Detector holds the rules. It is safe for concurrent use.
type Detector struct {
	rules    []*rule
	global   *allowlist
	keywords []string
	byWord   map[string][]int // rules by keyword
}

// New reads the rules. It fails only if they are broken, which the tests rule out.
func New() (*Detector, error) {
	var config struct {
		Allowlist *allowlist `toml:"allowlist"`
		Rules     []*rule    `toml:"rules"`
	}
	if _, err := toml.Decode(gitleaks, &config); err != nil {
		return nil, fmt.Errorf("rules of gitleaks: %w", err)
	}
	d := &Detector{global: config.Allowlist, byWord: map[string][]int{}}
	d.global.prepare()
	for _, r := range append(config.Rules, own()...) {
		if r.Path != "" || r.Regex == "" {
			continue
		}
		if len(r.Keywords) == 0 {
			return nil, fmt.Errorf("rule %s has no keywords", r.ID)
		}
		r.compiled = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(r.Regex) })
		for _, a := range r.Allowlists {
			a.prepare()
		}
		for _, k := range r.Keywords {
			k = strings.ToLower(k)
			d.byWord[k] = append(d.byWord[k], len(d.rules))
		}
		d.rules = append(d.rules, r)
	}
	for k := range d.byWord {
		d.keywords = append(d.keywords, k)
	}
	slices.Sort(d.keywords)
	return d, nil
}

func (a *allowlist) prepare() {
	for i, w := range a.StopWords {
		a.StopWords[i] = strings.ToLower(w)
	}
	a.compiled = sync.OnceValue(func() []*regexp.Regexp {
		out := make([]*regexp.Regexp, len(a.Regexes))
		for i, r := range a.Regexes {
			out[i] = regexp.MustCompile(r)
		}
		return out
	})
}

// Find returns the secrets of a text, by their place. A secret that a rule for one service finds is not found again by
// the generic rules.
func (d *Detector) Find(s string) (out []Finding) {
	lower := strings.ToLower(s)
	met := make([]bool, len(d.rules))
	for _, k := range d.keywords {
		if strings.Contains(lower, k) {
			for _, r := range d.byWord[k] {
				met[r] = true
			}
		}
	}
	for i, r := range d.rules {
		if met[i] {
			out = d.find(out, s, r)
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return a.Start - b.Start })
	return slices.DeleteFunc(slices.Clone(out), func(f Finding) bool {
		return generic(f.Rule) && slices.ContainsFunc(out, func(g Finding) bool {
			return g != f && g.Start < f.End && f.Start < g.End && (!generic(g.Rule) || g.Start < f.Start || g.Start == f.Start && g.Rule < f.Rule)
		})
	})
}

func generic(id string) bool {
	return strings.Contains(id, "generic") || strings.HasPrefix(id, "tartan-")
}

func (d *Detector) find(out []Finding, s string, r *rule) []Finding {
	re := r.compiled()
	for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
		match := strings.Trim(s[m[0]:m[1]], "\n")
		start := m[0] + strings.Index(s[m[0]:m[1]], match)
		end := start + len(match)
		if len(m) > 2 {
			// the groups as they are in the match alone, as gitleaks has them
			if g := groupOf(re.FindStringSubmatchIndex(match), r.SecretGroup); g[0] >= 0 {
				start, end = start+g[0], start+g[1]
			}
		}
		secret := s[start:end]
		if secret == "" || r.Entropy != 0 && Entropy(secret) <= r.Entropy || r.refuse != nil && r.refuse(secret) {
			continue
		}
		line := lineOf(s, m[0], m[1])
		if d.global.allows(secret, match, line) || slices.ContainsFunc(r.Allowlists, func(a *allowlist) bool { return a.allows(secret, match, line) }) {
			continue
		}
		out = append(out, Finding{r.ID, r.Description, start, end})
	}
	return out
}

// groupOf returns the place of the group that is the secret: the one the rule names, or the first that is not empty.
func groupOf(m []int, group int) [2]int {
	if m == nil {
		return [2]int{-1, -1}
	}
	if group > 0 {
		return [2]int{m[2*group], m[2*group+1]}
	}
	for g := 2; g < len(m); g += 2 {
		if m[g] < m[g+1] {
			return [2]int{m[g], m[g+1]}
		}
	}
	return [2]int{-1, -1}
}

func lineOf(s string, start, end int) string {
	from := strings.LastIndexByte(s[:start], '\n') + 1
	if i := strings.IndexByte(s[end:], '\n'); i >= 0 {
		return s[from : end+i]
	}
	return s[from:]
}

// allows says whether a finding is none. A list that asks for all of its conditions, and for paths among them, never does.
func (a *allowlist) allows(secret, match, line string) bool {
	target := secret
	switch a.RegexTarget {
	case "match":
		target = match
	case "line":
		target = line
	}
	byRegex := slices.ContainsFunc(a.compiled(), func(re *regexp.Regexp) bool { return re.MatchString(target) })
	lower := strings.ToLower(secret)
	byWord := slices.ContainsFunc(a.StopWords, func(w string) bool { return strings.Contains(lower, w) })
	if strings.EqualFold(a.Condition, "and") || a.Condition == "&&" {
		return len(a.Paths) == 0 && (len(a.Regexes) == 0 || byRegex) && (len(a.StopWords) == 0 || byWord)
	}
	return byRegex || byWord
}

// Entropy is Shannon's, in bits per byte of the text, counted by characters.
func Entropy(s string) (bits float64) {
	counts := map[rune]int{}
	for _, r := range s {
		counts[r]++
	}
	// summed in the order of the counts, for the same sum every time
	sorted := make([]int, 0, len(counts))
	for _, n := range counts {
		sorted = append(sorted, n)
	}
	slices.Sort(sorted)
	for _, n := range sorted {
		p := float64(n) / float64(len(s))
		bits -= p * math.Log2(p)
	}
	return bits
}
