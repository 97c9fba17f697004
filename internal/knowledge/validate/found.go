package validate

import (
	"fmt"
	"html"
	"strings"

	"github.com/tartan-ai/tartan/internal/knowledge/validate/injection"
	"github.com/tartan-ai/tartan/internal/knowledge/validate/personal"
)

// plainEntities reads HTML entities, which hide schemes.
func plainEntities(s string) string { return html.UnescapeString(s) }

// secrets: in every text, and in what is encoded in it.
func (c *run) secrets() {
	for _, t := range c.texts {
		found := c.v.secrets.Find(t.value)
		for _, f := range found {
			c.secret = append(c.secret, t.value[f.Start:f.End])
			c.add("secret.found", Block, t.at(f.Start), fmt.Sprintf("%s: %d characters. %s", f.Rule, f.End-f.Start, f.What))
		}
		for _, d := range t.decoded {
			for _, f := range c.v.secrets.Find(d.Text) {
				c.secret = append(c.secret, d.Text[f.Start:f.End], t.value[d.Start:d.End])
				c.add("secret.found", Block, t.at(d.Start), fmt.Sprintf("%s in %s: %d characters. %s", f.Rule, d.Encoding, f.End-f.Start, f.What))
			}
		}
	}
}

// personal data, by policy.
func (c *run) personal() {
	for _, t := range c.texts {
		if strings.HasPrefix(t.path, "/links/") || t.path == "/schema" {
			continue
		}
		for _, f := range personal.Find(t.value) {
			severity, ok := c.v.policy.Personal[f.Kind].severity()
			if !ok {
				continue
			}
			c.secret = append(c.secret, t.value[f.Start:f.End])
			form := ""
			if f.Form != "" {
				form = " (" + f.Form + ")"
			}
			c.add("personal."+string(f.Kind), severity, t.at(f.Start), fmt.Sprintf("%d characters%s", f.End-f.Start, form))
		}
	}
}

// injection: in every text.
func (c *run) injection() {
	for _, t := range c.texts {
		for _, f := range injection.Find(t.value, t.decoded) {
			c.add("injection."+string(f.Kind), Quarantine, t.at(f.Start), f.Rule+": "+excerpt(t.value[f.Start:f.End], 120))
		}
		if tags := untag(t.value); len(tags) > 3 {
			for _, f := range injection.Find(tags, injection.Decoded(tags)) {
				c.add("injection."+string(f.Kind), Quarantine, t.path, f.Rule+" in tag characters: "+excerpt(tags[f.Start:f.End], 120))
			}
		}
	}
}
