package template

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// ErrRule is wrapped by the errors that say why a rule cannot be made as asked. Their text is for the person who asked.
var ErrRule = errors.New("this cannot be done")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRule, fmt.Sprintf(format, args...))
}

// slotMark is a slot as people write it: <*>, <name> or <name:type>; a backslash before it makes it literal text.
var slotMark = regexp.MustCompile(`\\?<(\*|[A-Za-z_][A-Za-z0-9_.-]{0,63})(:[a-z]+)?>`)

// starred is the canonical text of a template: every slot takes one token or more.
func starred(template string) string {
	return strings.ReplaceAll(template, pattern.Wildcard, string(rune(kindStar)))
}

// Define makes the rule of a template that a person wrote: text with slots. <*> and <name> take one token or more, <name:type>
// one token that looks like the type. It reads no library. The error wraps ErrRule and says what is wrong.
func Define(text string) (Rule, error) {
	p, m, err := readTemplate(text)
	if err != nil {
		return Rule{}, err
	}
	p.Origin = pattern.Own
	return Rule{Target: p, Matchers: []string{m.text()}}, nil
}

// readTemplate reads a template that a person wrote.
func readTemplate(text string) (p pattern.Pattern, m *matcher, err error) {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return p, nil, refuse("the template must be one line of UTF-8 text")
	}
	if len(text) > maxText {
		return p, nil, refuse("the template is longer than %d bytes", maxText)
	}
	var names []string
	var unknown error
	canonical := slotMark.ReplaceAllStringFunc(text, func(mark string) string {
		if mark[0] == '\\' {
			return mark[1:]
		}
		name, typ, typed := strings.Cut(mark[1:len(mark)-1], ":")
		k := kindStar
		if typed {
			var ok bool
			if k, ok = kindOf[pattern.Type(typ)]; !ok {
				unknown = refuse("%s: there is no slot type %q; use %s", mark, typ, typeNames)
			}
		}
		names = append(names, strings.TrimPrefix(name, "*"))
		return string(rune(k))
	})
	if unknown != nil {
		return p, nil, unknown
	}
	var s scanner
	if m, err = compile(canonical, &s); errors.Is(err, errLong) {
		return p, nil, refuse("the template has more than %d words", maxTokens-1)
	} else if err != nil {
		return p, nil, refuse("a slot ends where its word ends: write a blank or punctuation behind it, or leave out what follows")
	}
	if m.constants == 0 {
		return p, nil, refuse("the template needs a word besides its slots, or it takes every line")
	}
	template := m.template()
	if strings.Count(template, pattern.Wildcard) != len(names) {
		return p, nil, refuse(`the template has %s as literal text, which no line can have`, pattern.Wildcard)
	}
	if err := m.askValues(&s); err != nil {
		return p, nil, err
	}
	slots, err := m.named(names)
	return pattern.New(template, slots), m, err
}

var typeNames = func() string {
	var names []string
	for t := range kindOf {
		names = append(names, string(t))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}()

// template returns the text of the pattern that the form is.
func (m *matcher) template() string {
	var b strings.Builder
	for i := range m.items {
		it := &m.items[i]
		b.WriteString(plainGap(it.gap))
		b.WriteString(it.word)
		b.WriteString(it.value)
		if it.slot() {
			b.WriteString(pattern.Wildcard)
		}
	}
	b.WriteString(m.tail)
	return b.String()
}

// named types and names the slots; those without a name get their key or type.
func (m *matcher) named(names []string) (slots []pattern.Slot, err error) {
	for i := range m.items {
		it := &m.items[i]
		if !it.slot() {
			continue
		}
		s := pattern.Slot{Name: names[len(slots)], Type: pattern.Text}
		if t, ok := typeOf[it.kind]; ok {
			s.Type = t
		}
		if s.Name == "" {
			s.Name = unused(m.key(i, s.Type), slots)
		} else if slices.ContainsFunc(slots, func(o pattern.Slot) bool { return o.Name == s.Name }) {
			return nil, refuse("two slots have the name %s", s.Name)
		}
		slots = append(slots, s)
	}
	return slots, nil
}

// key returns the key of key=value where item i is the value, or else the name of its type.
func (m *matcher) key(i int, t pattern.Type) string {
	if i > 0 && m.items[i-1].kind == kindWord && strings.HasPrefix(m.items[i].gap, "=") && keyWord(m.items[i-1].word) && len(m.items[i-1].word) <= 64 {
		return m.items[i-1].word
	}
	return string(t)
}

// askValues makes a value of each literal word of the form that lines have masked in their shapes.
func (m *matcher) askValues(s *scanner) error {
	var b []byte
	for i := range m.items {
		b = append(append(b, plainGap(m.items[i].gap)...), m.items[i].word...)
		if m.items[i].slot() {
			b = append(b, "something"...)
		}
	}
	b = append(b, m.tail...)
	s.parse = false
	s.scan(b)
	for i := range m.items {
		it := &m.items[i]
		if it.kind != kindWord {
			continue
		}
		if i < len(s.tokens) && s.tokens[i].kind == kindEmpty {
			break
		}
		if i >= len(s.tokens) || string(b[s.tokens[i].start:s.tokens[i].end]) != it.word {
			return refuse("%q is a part of what lines have as one value, such as a time or a list. Write a slot for the whole value, such as <*> or <when:time>", it.word)
		}
		if s.tokens[i].kind != kindWord {
			m.ask(i, it.word)
		}
	}
	if len(s.tokens) != len(m.items) {
		return refuse("a part of the template is nothing where lines have a value, such as [] or key= with nothing behind it: write a slot for it")
	}
	return nil
}
