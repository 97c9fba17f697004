package validate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

// SourceKey is what the stored text of a source is looked up by: its hash, or its URI where it has none.
func SourceKey(s knowledge.Source) string {
	if s.Hash != "" {
		return strings.ToLower(s.Hash)
	}
	return s.URI
}

// citations: a quote stands in its source, and types that need a source have one.
func (c *run) citations() {
	quoted, normal := false, map[string]string{}
	for i, s := range c.p.Document.Sources {
		at := fmt.Sprintf("/sources/%d", i)
		quote := quoteForm(s.Quote)
		quoted = quoted || quote != "" && s.URI != ""
		if quote == "" {
			continue
		}
		key := SourceKey(s)
		stored, ok := c.w.Sources[key]
		if !ok {
			c.add("citation.unchecked", Warn, at+"/quote", "no text is stored of "+excerpt(key, 80))
			continue
		}
		if s.Hash != "" {
			if sum := sha256.Sum256([]byte(stored)); hex.EncodeToString(sum[:]) != key {
				c.add("citation.hash", Block, at+"/hash", "the stored text has another hash")
				continue
			}
		}
		if _, ok := normal[key]; !ok {
			normal[key] = quoteForm(stored)
		}
		if !occurs(normal[key], quote) {
			c.add("citation.quote", Block, at+"/quote", excerpt(s.Quote, 80))
		}
	}
	if slices.Contains(c.v.policy.NeedSources, c.p.Document.Schema) && !quoted {
		c.add("citation.missing", Block, "/sources", fmt.Sprintf("type %s, %d sources, none with a URI and a quote", c.p.Document.Schema, len(c.p.Document.Sources)))
	}
}

// occurs says whether the parts of a quote stand in a text, in order: "..." and "[...]" leave out.
func occurs(text, quote string) bool {
	found := false
	for _, part := range strings.Split(strings.ReplaceAll(quote, "[...]", "..."), "...") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text, found = text[i+len(part):], true
	}
	return found
}

// quoteForm is the form in which quotes are compared.
func quoteForm(s string) string {
	s = cases.Fold().String(norm.NFKC.String(s))
	s = strings.Map(func(r rune) rune {
		switch r {
		case '‘', '’', '‚', '‛', '`', '´', '′':
			return '\''
		case '“', '”', '„', '‟', '«', '»', '″':
			return '"'
		case '‐', '‑', '‒', '–', '—', '―', '−':
			return '-'
		case '\u00ad', '\u200b', '\u200c', '\u200d', '\u2060', '\ufeff':
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
