package template

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// Merging, splitting and pinning begin from the shapes that a pattern has. What is a slot in all of them is one in the rule's
// matchers, token for token, so that a rule takes exactly the shapes that were meant, and later ones that differ only in slots.

// block is shapes of one group that belong to one pattern in the same way.
type block struct {
	shapes []uint32
	vars   mask
	plan   []slotPlan
}

// blocks returns the shapes of a pattern.
func (l *Library) blocks(k uint32) (out []block) {
	for g := range l.groups.len() {
		grp := l.groups.at(g)
		view := *l.views.at(g)
		for c, v := range view.clusters {
			if v.pattern != k {
				continue
			}
			b := block{plan: *l.plans.at(int(v.plan))}
			if c < len(grp.clusters) {
				b.vars = l.masks[grp.clusters[c].vars]
			}
			for _, i := range grp.shapes {
				if int(l.records.at(int(i)).cluster) == c {
					b.shapes = append(b.shapes, i)
				}
			}
			if len(b.shapes) > 0 {
				out = append(out, b)
			}
		}
	}
	return out
}

// patternNumber returns the place of a living pattern.
func (l *Library) patternNumber(id pattern.ID) (uint32, error) {
	k := findPattern(&l.byName, &l.patterns, id)
	if k < 0 || !l.patterns.at(k).alive() {
		return 0, refuse("there is no pattern %s now; find it with list_patterns or tartan patterns list", id)
	}
	return uint32(k), nil
}

// ruleOf returns the rules in force whose target is the pattern.
func (l *Library) rulesOf(id pattern.ID) (rules []Rule) {
	for _, r := range l.rules.rules {
		if r.Target.ID == id {
			rules = append(rules, r)
		}
	}
	return rules
}

// Pin makes the rule that freezes a mined pattern: its template stays, and so do its shapes. The error wraps ErrRule.
func (l *Library) Pin(id pattern.ID) (Rule, error) {
	k, err := l.patternNumber(id)
	if err != nil {
		return Rule{}, err
	}
	p := l.patterns.at(int(k)).pattern()
	if p.Origin != pattern.Mined {
		return Rule{}, refuse("pattern %s is %s: it does not change by mining", id, p.Origin)
	}
	p.Origin = pattern.Pinned
	r := Rule{Target: p, Matchers: l.matchersOf(k)}
	return r, r.readable()
}

// readable says why the target's template cannot be a rule's: it must tell its slots from its words.
func (r *Rule) readable() error {
	var s scanner
	fit, err := compile(starred(r.Target.Template), &s)
	if err != nil || fit.slots() != len(r.Target.Slots) {
		return refuse("the template %q cannot be read back; give another one", r.Target.Template)
	}
	return nil
}

// matchersOf returns matchers of all that a pattern takes: those of its rules, and of its mined shapes.
func (l *Library) matchersOf(k uint32) (out []string) {
	rules := l.rulesOf(l.patterns.at(int(k)).id())
	for _, r := range rules {
		out = append(out, r.Matchers...)
	}
	for _, b := range l.blocks(k) {
		if len(rules) > 0 {
			b.shapes = slices.DeleteFunc(b.shapes, func(i uint32) bool { return l.bestOf(i, new(scanner)) != nil })
		}
		if len(b.shapes) > 0 {
			out = append(out, l.matchersFor(b, -1, "", k)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// matchersFor returns matchers of the shapes of a block, with column c literal if it is not negative. They take no shape that
// belongs to another pattern: where one form would, there is one for each shape.
func (l *Library) matchersFor(b block, c int, word string, k uint32) []string {
	var s scanner
	form := l.form(b, c, word)
	if m, err := compile(form, &s); err == nil && l.takesOnly(m, b, k) {
		return []string{form}
	}
	var out []string
	for _, i := range b.shapes {
		out = append(out, l.form(block{shapes: []uint32{i}}, -1, ""))
	}
	return out
}

// form is the canonical text that the shapes of a block have in common.
func (l *Library) form(b block, c int, word string) string {
	var s scanner
	s.parse = true
	first := l.text(b.shapes[0])
	s.scan([]byte(first))
	tokens := slices.Clone(s.tokens)
	same, bare := make([]bool, len(tokens)), make([]bool, len(tokens))
	for j := range tokens {
		same[j], bare[j] = true, true
	}
	for _, i := range b.shapes {
		text := l.text(i)
		s.scan([]byte(text))
		for j := range s.tokens {
			t := &s.tokens[j]
			same[j] = same[j] && text[t.textStart:t.textEnd] == first[tokens[j].textStart:tokens[j].textEnd]
			bare[j] = bare[j] && t.kind != kindWord && !t.prefixed
		}
	}
	var out strings.Builder
	end := int32(0)
	for j, t := range tokens {
		out.WriteString(first[end:t.textStart])
		end = t.textEnd
		switch text := first[t.textStart:t.textEnd]; {
		case j == c:
			out.WriteString(word)
		case bare[j]:
			out.WriteByte(byte(kindMasked))
		case !same[j] || b.vars.has(j):
			out.WriteByte(byte(kindOne))
		case t.kind != kindWord:
			out.WriteString(text[:len(text)-1])
			out.WriteByte(byte(kindMasked))
		default:
			out.WriteString(text)
		}
	}
	out.WriteString(first[end:])
	return out.String()
}

// takesOnly reports whether a later rule with the matcher takes the shapes of the block and none of another pattern than k.
func (l *Library) takesOnly(m *matcher, b block, k uint32) bool {
	var at [maxTokens]uint8
	var s scanner
	s.parse = true
	mine := map[uint32]bool{}
	for _, i := range b.shapes {
		mine[i] = true
	}
	for _, i := range l.groups.at(int(l.records.at(int(b.shapes[0])).group)).shapes {
		by := l.bestOf(i, &s)
		if by == nil {
			s.scan([]byte(l.text(i)))
		}
		taken := m.match(&s, telling{any: true}, &at)
		if mine[i] && !taken {
			return false
		}
		if taken && l.records.at(int(i)).pattern != k && (by == nil || by.constants <= m.constants) {
			return false
		}
	}
	return true
}

var idForm = regexp.MustCompile(`^p[0-9a-f]{16}$`)

// Merge makes the rule by which patterns are one. into is the template of that one, the id of a pattern, which is then one of
// them, or "" for what the templates have in common. The error wraps ErrRule.
func (l *Library) Merge(ids []pattern.ID, into string) (Rule, error) {
	if idForm.MatchString(into) {
		ids = append(slices.Clone(ids), pattern.ID(into))
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) == 0 || len(ids) == 1 && (into == "" || idForm.MatchString(into)) {
		return Rule{}, refuse("merging needs at least two patterns")
	}
	r := Rule{Replaces: ids}
	var sources []pattern.Pattern
	for _, id := range ids {
		k, err := l.patternNumber(id)
		if err != nil {
			return Rule{}, err
		}
		sources = append(sources, l.patterns.at(int(k)).pattern())
		r.Matchers = append(r.Matchers, l.matchersOf(k)...)
	}
	slices.Sort(r.Matchers)
	r.Matchers = slices.Compact(r.Matchers)
	var err error
	switch {
	case idForm.MatchString(into):
		r.Target, _ = l.Pattern(pattern.ID(into))
	case into != "":
		var m *matcher
		if r.Target, m, err = readTemplate(into); err == nil {
			r.Matchers = append(r.Matchers, m.text()) // what the person wrote is a pattern too
		}
	default:
		r.Target, err = generalise(sources)
	}
	r.Target.Origin = pattern.Merged
	if err == nil {
		err = r.readable()
	}
	return r, err
}

// generalise returns the pattern of what templates have in common, with slots for all else.
func generalise(sources []pattern.Pattern) (pattern.Pattern, error) {
	var s scanner
	whole, err := compile(starred(sources[0].Template), &s)
	if err != nil {
		return pattern.Pattern{}, refuse("the template of %s cannot be read back: give the template that it is to have", sources[0].ID)
	}
	names := slices.Clone(sources[0].Slots)
	for _, p := range sources[1:] {
		next, err := compile(starred(p.Template), &s)
		if err != nil {
			return pattern.Pattern{}, refuse("the template of %s cannot be read back: give the template that it is to have", p.ID)
		}
		whole, names = blend(whole, names, next, p.Slots)
	}
	if whole.constants == 0 {
		return pattern.Pattern{}, refuse("the patterns have no word in common: give the template that it is to have")
	}
	return pattern.New(whole.template(), names), nil
}

// blend aligns two forms by their literal tokens; what is between becomes slots. Slots that meet keep the name of the first.
func blend(a *matcher, names []pattern.Slot, b *matcher, others []pattern.Slot) (*matcher, []pattern.Slot) {
	same := func(i, j int) bool {
		x, y := &a.items[i], &b.items[j]
		return x.word == y.word && (x.kind == kindWord) == (y.kind == kindWord)
	}
	pairs := append(common(len(a.items), len(b.items), same), [2]int{len(a.items), len(b.items)})
	out := &matcher{tail: a.tail}
	var slots []pattern.Slot
	next := [2]int{} // slots passed in a and b
	i, j := 0, 0
	for _, p := range pairs {
		if i < p[0] || j < p[1] {
			slot := pattern.Slot{Type: pattern.Text}
			if p[0]-i <= 1 && p[1]-j <= 1 && passed(a, i, p[0])+passed(b, j, p[1]) == 0 {
				slot.Type = pattern.Word
			}
			it := item{kind: kindStar}
			if i < p[0] {
				it.gap = a.items[i].gap
			}
			if j < p[1] && it.gap == "" {
				it.gap = b.items[j].gap
			}
			if it.gap == "" && len(out.items) > 0 {
				it.gap = " "
			}
			slot.Name = unused(string(slot.Type), slots)
			next[0] += passed(a, i, p[0])
			next[1] += passed(b, j, p[1])
			if n := len(out.items); n == 0 || out.items[n-1].kind == kindWord || it.gap != " " {
				out.items, slots = append(out.items, it), append(slots, slot)
			} else {
				slots[len(slots)-1].Type = pattern.Text
			}
		}
		if p[0] == len(a.items) {
			break
		}
		it := a.items[p[0]]
		if it.kind != kindWord {
			slot := names[next[0]]
			if slot.Type != others[next[1]].Type {
				slot.Type = pattern.Text
			}
			slot.Name = unused(slot.Name, slots)
			next[0]++
			next[1]++
			if n := len(out.items); n > 0 && out.items[n-1].kind != kindWord && it.gap == " " && it.word == "" {
				slots[len(slots)-1].Type = pattern.Text
				i, j = p[0]+1, p[1]+1
				continue
			}
			slots = append(slots, slot)
		} else {
			out.constants++
		}
		if it.gap == "" && len(out.items) > 0 { // it was the first
			if it.gap = b.items[p[1]].gap; it.gap == "" {
				it.gap = " "
			}
		}
		out.items = append(out.items, it)
		i, j = p[0]+1, p[1]+1
	}
	return out, slots
}

// passed counts the slots among items.
func passed(m *matcher, from, to int) (n int) {
	for i := from; i < to; i++ {
		if m.items[i].kind != kindWord {
			n++
		}
	}
	return n
}

// maxSplit bounds the patterns that a slot is split into at a time.
const maxSplit = 64

// Split makes the rules by which the shapes of a pattern are told apart by the words in one of its slots: a pattern for each of
// the words, or for each word that the slot has shown if none are given. The rest, and words to come, stay with the pattern.
// Words may be values that are masked in shapes, such as numbers: lines are told apart by those from the time on at which the rules are
// set. The error wraps ErrRule.
func (l *Library) Split(id pattern.ID, slot string, words []string) ([]Rule, error) {
	k, err := l.patternNumber(id)
	if err != nil {
		return nil, err
	}
	p := l.patterns.at(int(k)).pattern()
	n := slices.IndexFunc(p.Slots, func(s pattern.Slot) bool { return s.Name == slot })
	if n < 0 {
		return nil, refuse("pattern %s has no slot %q; its slots are %s", id, slot, slotNames(p))
	}
	blocks := l.blocks(k)
	shown, masked := map[string]bool{}, false
	for _, b := range blocks {
		l.wordsOf(b, n, shown, &masked)
	}
	if len(words) == 0 {
		words = slices.Sorted(maps.Keys(shown))
		switch {
		case len(words) == 0 && masked:
			return nil, refuse("slot %s holds values (numbers, ids, paths): name those to split off; get_values or tartan patterns values shows the frequent ones", slot)
		case len(words) == 0:
			return nil, refuse("slot %s has shown no single word to tell lines apart by", slot)
		case len(words) > maxSplit:
			return nil, refuse("slot %s has shown %d words; name up to %d to split off", slot, len(words), maxSplit)
		}
	}
	words = slices.Compact(slices.Sorted(slices.Values(words)))
	if len(words) > maxSplit {
		return nil, refuse("name up to %d words to split off", maxSplit)
	}
	var out []Rule
	for _, w := range words {
		masked := !plainWord(w) || isTruth([]byte(w))
		if masked && !oneValue(w) {
			return nil, refuse("%q is not one word or value: lines are told apart by what stands without blanks, colons and brackets", w)
		}
		r := Rule{Target: splitTarget(p, n, w), Matchers: l.splitMatchers(k, blocks, n, w, masked)}
		if len(r.Matchers) == 0 {
			return nil, refuse("slot %s takes more than one word or is cut off, so lines cannot be told apart by it", slot)
		}
		if err := r.readable(); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func slotNames(p pattern.Pattern) string {
	names := make([]string, len(p.Slots))
	for i, s := range p.Slots {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

// plainWord reports whether a word stays as it is in a shape.
func plainWord(w string) bool {
	var s scanner
	s.scan([]byte(w))
	return len(s.tokens) == 1 && s.tokens[0].kind == kindWord && string(s.text) == w && !strings.ContainsFunc(w, func(r rune) bool { return r <= ' ' })
}

// oneValue reports whether text is one token of canonical text, as the values that rules ask for must be.
func oneValue(w string) bool {
	s := scanner{parse: true}
	s.scan([]byte(w))
	return len(s.tokens) == 1 && len(w) <= maxWord && string(s.text) == w && int(s.tokens[0].textEnd) == len(w) && s.tokens[0].textStart == 0 &&
		s.tokens[0].kind == kindWord && utf8.ValidString(w)
}

func splitTarget(p pattern.Pattern, n int, word string) pattern.Pattern {
	parts := strings.Split(p.Template, pattern.Wildcard)
	text := strings.Join(parts[:n+1], pattern.Wildcard) + word + strings.Join(parts[n+1:], pattern.Wildcard)
	out := pattern.New(text, slices.Delete(slices.Clone(p.Slots), n, n+1))
	out.Origin = pattern.Split
	return out
}

// column returns the token that holds slot n alone, behind skip bytes of literal text, or -1.
func (b *block) column(n int) (c, skip int) {
	if n >= len(b.plan) {
		return -1, 0
	}
	if p := b.plan[n]; !p.tail && p.first == p.last {
		return int(p.first), int(p.skip)
	}
	return -1, 0
}

// wordsOf collects the words that slot n has in the shapes of a block.
func (l *Library) wordsOf(b block, n int, shown map[string]bool, masked *bool) {
	c, skip := b.column(n)
	if c < 0 || skip > 0 {
		return
	}
	var s scanner
	s.parse = true
	for _, i := range b.shapes {
		s.scan([]byte(l.text(i)))
		if t := &s.tokens[c]; t.kind == kindWord {
			shown[string(s.text[t.textStart:t.textEnd])] = true
		} else {
			*masked = true
		}
	}
}

// splitMatchers returns the matchers of a pattern with a word in the place of slot n, which may be one that shapes mask.
func (l *Library) splitMatchers(k uint32, blocks []block, n int, word string, masked bool) (out []string) {
	var s scanner
	s.parse = true
	for _, r := range l.rulesOf(l.patterns.at(int(k)).id()) {
		for _, text := range r.Matchers {
			if m, err := compile(text, &s); err == nil && m.slots() == len(r.Target.Slots) && m.template() == r.Target.Template {
				out = append(out, m.with(n, word, masked))
			}
		}
	}
	s.parse = true
	for _, b := range blocks {
		c, skip := b.column(n)
		if masked && c >= 0 {
			out = append(out, l.askMatchers(b, c, skip, word, k)...)
		}
		if c < 0 || skip > 0 || masked {
			continue
		}
		has := b
		has.shapes = slices.DeleteFunc(slices.Clone(b.shapes), func(i uint32) bool {
			s.scan([]byte(l.text(i)))
			t := &s.tokens[c]
			return string(s.text[t.textStart:t.textEnd]) != word
		})
		if len(has.shapes) > 0 {
			out = append(out, l.matchersFor(has, c, word, k)...)
		} else {
			out = append(out, l.form(b, c, word))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// askMatchers returns matchers of the shapes of a block that have a value in column c, behind skip bytes of literal text, and ask for it.
func (l *Library) askMatchers(b block, c, skip int, value string, k uint32) (out []string) {
	var s scanner
	s.parse = true
	by := map[string][]uint32{} // the literal text before the value
	for _, i := range b.shapes {
		text := l.text(i)
		s.scan([]byte(text))
		if t := &s.tokens[c]; t.kind != kindWord && (t.prefixed || skip == 0) {
			prefix := text[t.textStart:t.textEnd]
			by[prefix[:min(skip, len(prefix)-1)]] = append(by[prefix[:min(skip, len(prefix)-1)]], i)
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(by)) {
		has := block{shapes: by[prefix], vars: b.vars}
		told := []ask{newAsk(c, prefix+value)}
		form := l.form(has, c, string(rune(kindMasked)))
		if m, err := compile(string(appendTold([]byte(form), told)), &s); err == nil && l.takesOnly(m, has, k) {
			out = append(out, m.text())
			continue
		}
		for _, i := range has.shapes {
			out = append(out, string(appendTold([]byte(l.form(block{shapes: []uint32{i}}, c, string(rune(kindMasked)))), told)))
		}
	}
	return out
}

// with returns the canonical text with a word in the place of slot n, which may be one that shapes mask.
func (m *matcher) with(n int, word string, masked bool) string {
	c := *m
	c.items = slices.Clone(m.items)
	for i := range c.items {
		if !c.items[i].slot() {
			continue
		}
		if n == 0 {
			c.items[i].word, c.items[i].kind = c.items[i].word+word, kindWord
			if masked {
				c.ask(i, c.items[i].word)
			}
			break
		}
		n--
	}
	return c.text()
}
