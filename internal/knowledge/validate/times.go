package validate

import (
	"fmt"
	"time"
)

// times: what can be read, what has passed, and what was read long ago.
func (c *run) times() {
	at := map[string]time.Time{}
	for _, name := range []string{"valid_from", "valid_to", "review_by"} {
		v, there := c.p.Document.Metadata[name]
		if !there || v == nil {
			continue
		}
		s, _ := v.(string)
		t, ok := ParseTime(s)
		if !ok {
			c.add("time.form", Block, "/metadata/"+name, fmt.Sprintf("%s is no time", excerpt(fmt.Sprint(v), 40)))
			continue
		}
		at[name] = t
	}
	from, to, review := at["valid_from"], at["valid_to"], at["review_by"]
	if !to.IsZero() {
		if !from.IsZero() && !from.Before(to) {
			c.add("time.form", Block, "/metadata/valid_to", "the end is not after the start")
		} else if !to.After(c.w.Now) {
			c.add("stale.validity", Warn, "/metadata/valid_to", "it ended at "+to.Format(time.RFC3339))
		}
	}
	if !review.IsZero() && !review.After(c.w.Now) {
		c.add("stale.review", Warn, "/metadata/review_by", "due at "+review.Format(time.RFC3339))
	}
	for i, s := range c.p.Document.Sources {
		path := fmt.Sprintf("/sources/%d/retrieved_at", i)
		if s.RetrievedAt == "" {
			continue
		}
		t, ok := ParseTime(s.RetrievedAt)
		switch {
		case !ok:
			c.add("time.form", Block, path, fmt.Sprintf("%s is no time", excerpt(s.RetrievedAt, 40)))
		case t.After(c.w.Now.Add(clockSkew)):
			c.add("time.form", Block, path, "in the future: "+t.Format(time.RFC3339))
		case c.w.Now.Sub(t) > c.v.policy.StaleAfter:
			c.add("stale.source", Warn, path, fmt.Sprintf("read %d days ago", int(c.w.Now.Sub(t).Hours()/24)))
		}
	}
}

// clockSkew is how far the clock of who read a source may be ahead. A date alone may be of a day ahead of UTC.
const clockSkew = 24 * time.Hour
