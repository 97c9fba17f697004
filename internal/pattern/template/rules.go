package template

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// Rules are what a person says about patterns. They lie over what is mined and do not disturb it:
//
//	shapes ──(partition, families)──> mined patterns
//	   └────(the best rule that matches)──> patterns of rules, which win
//
// So the patterns of a library are a function of its shapes and its rules, and a rule that is taken away leaves no trace.
// Of the rules that match a shape, the one with the most literal tokens wins; among equals the later one.

// Rule says that the shapes that one of the matchers matches belong to the target.
type Rule struct {
	Number   int64           `json:"number"` // later rules have higher ones
	Target   pattern.Pattern `json:"target"`
	Matchers []string        `json:"matchers"`           // canonical text
	Replaces []pattern.ID    `json:"replaces,omitempty"` // earlier rules with these targets rest while this one stands
}

// ruleSet is the rules that are in force. It is never changed once an Index may have it.
type ruleSet struct {
	rules   []Rule
	targets map[pattern.ID]pattern.Pattern
	fits    []*matcher // by rule: the target's text as a form
	places  []uint32   // by rule: the target among the library's patterns
	fixed   map[uint64][]*matcher
	stars   []*matcher
	asking  []*matcher // those of fixed and stars that ask for values
	sum     uint64     // hash of all rules, in whatever order
}

// newRuleSet compiles rules. What cannot be read matches nothing.
func newRuleSet(rules []Rule, s *scanner) *ruleSet {
	rules = slices.Clone(rules)
	slices.SortFunc(rules, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Target.ID, b.Target.ID))
	})
	set := &ruleSet{targets: map[pattern.ID]pattern.Pattern{}, fixed: map[uint64][]*matcher{}}
	replaced := map[pattern.ID]int64{}
	for _, r := range rules {
		for _, id := range r.Replaces {
			replaced[id] = r.Number
		}
	}
	for _, r := range rules {
		if r.Number >= replaced[r.Target.ID] && r.Target.ID == pattern.Fingerprint(r.Target.Template) {
			set.add(r, s)
		}
	}
	for _, list := range set.fixed {
		set.rank(list)
	}
	set.rank(set.stars)
	return set
}

func (set *ruleSet) add(r Rule, s *scanner) {
	fit, err := compile(starred(r.Target.Template), s)
	if err != nil || fit.slots() != len(r.Target.Slots) {
		return
	}
	k := len(set.rules)
	set.rules, set.fits = append(set.rules, r), append(set.fits, fit)
	set.targets[r.Target.ID] = r.Target
	body, _ := json.Marshal(r) // nothing in it can fail
	set.sum += hashBytes(body)
	for _, text := range r.Matchers {
		m, err := compile(text, s)
		if err != nil {
			continue
		}
		m.rule = k
		if m.asks {
			set.asking = append(set.asking, m)
		}
		if m.fixed {
			set.fixed[m.skel] = append(set.fixed[m.skel], m)
		} else {
			set.stars = append(set.stars, m)
		}
	}
}

// wins orders matchers: the most specific first, then the latest.
func (set *ruleSet) wins(a, b *matcher) int {
	return cmp.Or(cmp.Compare(b.constants, a.constants), cmp.Compare(b.rule, a.rule))
}

func (set *ruleSet) rank(list []*matcher) { slices.SortFunc(list, set.wins) }

// best returns the matcher that takes the scanned text, of which so much is known, or nil.
func (set *ruleSet) best(s *scanner, know telling) *matcher {
	if len(set.rules) == 0 {
		return nil
	}
	var at [maxTokens]uint8
	var found *matcher
	for _, m := range set.fixed[s.skel] {
		if m.match(s, know, &at) {
			found = m
			break
		}
	}
	for _, m := range set.stars {
		if found != nil && set.wins(found, m) < 0 {
			break
		}
		if m.match(s, know, &at) {
			return m
		}
	}
	return found
}

// ruled finds the rule that takes a message whose shape nobody has learnt.
func (ix *Index) ruled(s *scanner, message []byte, m *Match) bool {
	if len(ix.rules.rules) == 0 {
		return false
	}
	s.scan(message)
	know := telling{message: message}
	by := ix.rules.best(s, know)
	if by == nil {
		return false
	}
	if !by.asks {
		know = telling{} // as the library fits what it learns
	}
	var room [16]slotPlan
	m.Pattern = ix.rules.rules[by.rule].Target.ID
	m.take(s, ix.rules.fits[by.rule].fit(s, know, room[:0]))
	m.Confidence = min(0.99, 1-0.5*float64(len(s.tokens)-by.constants)/float64(max(len(s.tokens), 1)))
	return true
}

// Rules returns the rules that are in force, the earliest first. Those that a later one replaces are not among them.
func (l *Library) Rules() []Rule { return slices.Clone(l.rules.rules) }

// SetRules makes these the rules of the library, in whatever order they are given. It reads all shapes where a rule comes or goes
// that takes any number of tokens, else those with the same delimiters.
func (l *Library) SetRules(rules []Rule) Change {
	run := l.begin()
	run.ruled = true
	old := l.rules
	l.rules = newRuleSet(rules, &l.scan)
	keys, groups := map[uint64]struct{}{}, map[uint32]struct{}{}
	lost := map[uint32]bool{}
	for k, r := range old.rules {
		if i := old.places[k]; !l.rules.has(r.Target.ID) && !lost[i] {
			lost[i], run.dropped[i] = true, true
			l.patterns.edit(int(i)).origin = 0
			run.old[i], run.touched[i] = map[uint32]int{}, struct{}{}
		}
	}
	for _, r := range l.rules.rules {
		l.rules.places = append(l.rules.places, l.record(l.rules.targets[r.Target.ID], &run))
	}
	l.minedAs(lost, keys)
	for _, g := range l.affected(old) {
		l.reassign(g, keys, groups, &run)
	}
	l.settle(keys, renderings{}, groups, &run)
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		l.move(g, &run)
	}
	l.askAll(old)
	l.follow(&run)
	for i := range lost {
		if len(run.old[i]) == 0 && !l.patterns.at(int(i)).alive() {
			l.succeed(i, old, &run)
		}
	}
	l.retire(&run)
	slices.SortFunc(run.ch.Moved, func(a, b Move) int { return cmp.Compare(a.Shape, b.Shape) })
	return run.ch
}

// succeed finds who takes the id of a pattern that has lost its rule and had lost its shapes before, to other rules or by folding:
// those that hold what its rule would match.
func (l *Library) succeed(k uint32, old *ruleSet, run *learning) {
	id := l.patterns.at(int(k)).id()
	for j, r := range l.rules.rules {
		if slices.Contains(r.Replaces, id) {
			run.lost(k, l.rules.places[j], 1)
			return
		}
	}
	var forms []*matcher
	for _, list := range append(slices.Collect(maps.Values(old.fixed)), old.stars) {
		for _, m := range list {
			if old.places[m.rule] == k {
				forms = append(forms, m.widened())
			}
		}
	}
	var at [maxTokens]uint8
	var s scanner
	s.parse = true
	for i := range l.records.len() {
		r := l.records.at(i)
		if r.folded {
			continue
		}
		s.scan(l.texts.get(r.text))
		if slices.ContainsFunc(forms, func(m *matcher) bool { return m.match(&s, telling{any: true}, &at) }) {
			run.lost(k, r.pattern, 1)
		}
	}
}

func (set *ruleSet) has(id pattern.ID) bool {
	_, ok := set.targets[id]
	return ok
}

// minedAs collects the families whose pattern is one of those that lost their rule: their slots are the mined ones again.
func (l *Library) minedAs(patterns map[uint32]bool, keys map[uint64]struct{}) {
	if len(patterns) == 0 {
		return
	}
	for g := range l.groups.len() {
		view := *l.views.at(g)
		for c, ref := range l.groups.at(g).clusters {
			if patterns[view.clusters[c].pattern] {
				keys[l.familyKey(int(ref.family))] = struct{}{}
			}
		}
	}
}

// affected returns the groups that a rule may match that was not in force before, or is not any more.
func (l *Library) affected(old *ruleSet) (groups []uint32) {
	skels, all := map[uint64]bool{}, false
	for _, pair := range [][2]*ruleSet{{old, l.rules}, {l.rules, old}} {
		for k, r := range pair[0].rules {
			if slices.ContainsFunc(pair[1].rules, func(o Rule) bool {
				return o.Number == r.Number && o.Target.ID == r.Target.ID && slices.Equal(o.Matchers, r.Matchers)
			}) {
				continue
			}
			all = all || slices.ContainsFunc(pair[0].stars, func(m *matcher) bool { return m.rule == k })
			for skel, list := range pair[0].fixed {
				skels[skel] = skels[skel] || slices.ContainsFunc(list, func(m *matcher) bool { return m.rule == k })
			}
		}
	}
	for g := range l.groups.len() {
		if all || skels[(*l.views.at(g)).skel] {
			groups = append(groups, uint32(g))
		}
	}
	return groups
}

// reassign gives the shapes of a group to the rules now in force. keys collects the families that lost or won some.
func (l *Library) reassign(g uint32, keys map[uint64]struct{}, groups map[uint32]struct{}, run *learning) {
	grp := l.groups.at(int(g))
	before := make([]clusterView, len(grp.shapes))
	view := *l.views.at(int(g))
	for k, i := range grp.shapes {
		before[k] = view.clusters[l.records.at(int(i)).cluster]
	}
	mined := len(grp.clusters)
	over := l.overlay(g)
	if len(over) == 0 && len(view.clusters) == mined {
		return
	}
	view = l.ownView(g, run)
	view.clusters = append(view.clusters[:mined:mined], over...)
	for c, ref := range grp.clusters {
		for k, i := range grp.of(ref) {
			now := l.records.at(int(i)).cluster
			if before[int(ref.first)+k] != view.clusters[now] || int(now) == c {
				keys[l.familyKey(int(ref.family))] = struct{}{}
				break
			}
		}
	}
	groups[g] = struct{}{}
}

// overlay assigns the shapes of a group to the rules that match them, and returns the clusters that this makes, to stand behind
// the mined ones in the group's view.
func (l *Library) overlay(g uint32) (over []clusterView) {
	grp := l.groups.at(int(g))
	mined := uint32(len(grp.clusters))
	at := map[clusterView]uint32{}
	var s scanner
	s.parse = true
	for c, ref := range grp.clusters {
		for _, i := range grp.of(ref) {
			now := uint32(c)
			if by := l.bestOf(i, &s); by != nil {
				v := clusterView{pattern: l.rules.places[by.rule], plan: l.plan(l.rules.fits[by.rule].fit(&s, telling{}, nil))}
				k, ok := at[v]
				if !ok {
					k = uint32(len(over))
					at[v] = k
					over = append(over, v)
				}
				now = mined + k
			}
			if l.records.at(int(i)).cluster != now {
				l.records.edit(int(i)).cluster = now
			}
		}
	}
	return over
}

// bestOf scans the text of record i and returns the matcher that takes it, or nil.
func (l *Library) bestOf(i uint32, s *scanner) *matcher {
	if len(l.rules.rules) == 0 {
		return nil
	}
	r := l.records.at(int(i))
	s.scan(l.texts.get(r.text))
	return l.rules.best(s, telling{})
}

// inherit gives a mined cluster that lost all its shapes to rules the pattern that took most, so that a line with a new word
// is recognised as that.
func (l *Library) inherit(g uint32, run *learning) {
	grp := l.groups.at(int(g))
	mined := len(grp.clusters)
	if view := *l.views.at(int(g)); len(view.clusters) == mined {
		return
	}
	for c, ref := range grp.clusters {
		taken := map[clusterView]int{}
		for _, i := range grp.of(ref) {
			now := l.records.at(int(i)).cluster
			if int(now) < mined {
				taken = nil
				break
			}
			taken[(*l.views.at(int(g))).clusters[now]]++
		}
		if taken == nil {
			continue
		}
		heir := slices.MinFunc(slices.Collect(maps.Keys(taken)), func(a, b clusterView) int {
			return cmp.Or(cmp.Compare(taken[b], taken[a]), cmp.Compare(l.patterns.at(int(a.pattern)).id(), l.patterns.at(int(b.pattern)).id()), cmp.Compare(a.plan, b.plan))
		})
		if (*l.views.at(int(g))).clusters[c] != heir {
			l.ownView(g, run).clusters[c] = heir
		}
	}
}
