package validate

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

type targetKind int

const (
	noTarget targetKind = iota
	internalTarget
	externalTarget
	dangerousTarget
)

// kindOf says what the target of a link is.
func kindOf(target string) targetKind {
	if pattern, ok := strings.CutPrefix(target, "pattern:"); ok {
		library, id, _ := strings.Cut(pattern, "/")
		if library == "" || id == "" || strings.ContainsFunc(target, isBlank) {
			return noTarget
		}
		return internalTarget
	}
	if scheme, rest, ok := strings.Cut(target, ":"); ok {
		switch s := schemeOf(scheme); {
		case s == "":
			return noTarget
		case !safeSchemes[s]:
			return dangerousTarget
		case s == "mailto":
			return externalTarget
		default:
			if u, err := url.Parse(s + ":" + rest); err != nil || u.Host == "" {
				return noTarget
			}
			return externalTarget
		}
	}
	space, slug, ok := strings.Cut(target, "/")
	if !ok || knowledge.CheckSlug(space) != nil || knowledge.CheckSlug(slug) != nil {
		return noTarget
	}
	return internalTarget
}

// safeSchemes lead somewhere without running or reading anything here.
var safeSchemes = map[string]bool{"http": true, "https": true, "mailto": true}

// schemeOf reads a scheme as browsers do, which overlook control characters and blanks; "" is none.
func schemeOf(s string) string {
	s = strings.ToLower(strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || isInvisible(r) {
			return -1
		}
		return r
	}, s))
	if !schemeForm.MatchString(s) {
		return ""
	}
	return s
}

var (
	schemeForm = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)
	// bodyTarget is where a Markdown link, image or definition, an autolink or an HTML attribute leads.
	bodyTarget = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)|(?m:^ {0,3}\[[^\]\n]+\]:\s*<?(\S+))|<([A-Za-z][A-Za-z0-9+.-]*:[^\s<>]+)>|(?i:\b(?:href|src|action|formaction|data|poster)\s*=\s*["']?([^"'\s>]+))`)
	// dangerous run or read something where they are followed. data: is a matter of the check of hidden text.
	dangerous = map[string]bool{"javascript": true, "vbscript": true, "file": true, "jar": true, "blob": true, "filesystem": true, "view-source": true, "ms-msdt": true, "search-ms": true, "livescript": true, "mocha": true}
)

// links: their form, what they lead to, and the schemes of addresses in the body.
func (c *run) links() {
	seen := map[knowledge.Link]bool{}
	for i, l := range c.p.Document.Links {
		at := fmt.Sprintf("/links/%d", i)
		if seen[l] {
			c.add("link.duplicate", Info, at, excerpt(l.Target, 80))
			continue
		}
		seen[l] = true
		if strings.TrimSpace(l.Relation) == "" {
			c.add("link.form", Block, at+"/relation", "no relation")
		}
		switch kindOf(l.Target) {
		case noTarget:
			c.add("link.form", Block, at+"/target", excerpt(l.Target, 80))
		case dangerousTarget:
			c.add("link.scheme", Block, at+"/target", excerpt(l.Target, 80))
		case internalTarget:
			c.target(at+"/target", l.Target)
		}
	}
	body := text{path: "/body", value: c.p.Document.Body}
	for _, m := range bodyTarget.FindAllStringSubmatchIndex(body.value, -1) {
		for g := 2; g < len(m); g += 2 {
			if m[g] < 0 {
				continue
			}
			target := plainEntities(body.value[m[g]:m[g+1]])
			if scheme, _, ok := strings.Cut(target, ":"); ok && dangerous[schemeOf(scheme)] {
				c.add("link.scheme", Block, body.at(m[g]), excerpt(target, 80))
			}
		}
	}
}

func (c *run) target(path, target string) {
	if target == c.p.Address() {
		c.add("link.self", Warn, path, excerpt(target, 80))
		return
	}
	severity, ok := c.v.policy.DanglingLinks.severity()
	if !ok {
		return
	}
	switch c.w.Targets[target] {
	case Missing:
		c.add("link.missing", severity, path, excerpt(target, 80))
	case Tombstone:
		c.add("link.tombstone", severity, path, excerpt(target, 80))
	}
}

// inbound: nothing is deleted that others link to.
func (c *run) inbound() {
	inbound := slices.Sorted(slices.Values(c.w.Inbound))
	inbound = slices.DeleteFunc(slices.Compact(inbound), func(a string) bool { return a == c.p.Address() })
	if len(inbound) > 0 {
		shown := strings.Join(inbound[:min(5, len(inbound))], ", ")
		c.add("link.inbound", Block, "", fmt.Sprintf("%d entries link here: %s", len(inbound), shown))
	}
}
