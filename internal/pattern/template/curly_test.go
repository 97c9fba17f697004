package template

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// curly is a fourth maker of logging statements, kept to the end: braces name slots, and the words are made of consonants and vowels.
type curly struct {
	r     *rand.Rand
	stmts []string
	pools map[string][]string
}

func newCurly(seed uint64, statements int) *curly {
	c := &curly{r: rand.New(rand.NewPCG(seed, 31337)), pools: map[string][]string{}}
	pool := func(name string, lo, hi int, f func() string) {
		for range lo + c.r.IntN(hi-lo+1) {
			c.pools[name] = append(c.pools[name], f())
		}
	}
	pool("word", 50, 250, func() string { return c.word(2, 4) })
	pool("user", 5, 50, func() string { return c.word(2, 3) + c.one("", "", "_"+c.word(1, 1), fmt.Sprint(c.r.IntN(99))) })
	pool("class", 5, 30, func() string {
		return c.one("", "com."+c.word(1, 2)+".") + title(c.word(2, 2)) + c.one("Handler", "Service", "Task", title(c.word(2, 2)))
	})
	pool("ident", 8, 60, func() string { return c.word(1, 2) + c.one("_", "-", ":") + c.word(1, 2) + c.one("", "_"+c.word(1, 1)) })
	pool("node", 4, 25, func() string { return c.one("node", "host-", "srv", "db") + fmt.Sprint(1+c.r.IntN(40)) })
	seen := map[string]bool{}
	for len(c.stmts) < statements {
		s := c.statement()
		if seen[s] {
			continue
		}
		seen[s] = true
		c.stmts = append(c.stmts, s)
		if ws := strings.Fields(s); c.r.IntN(6) == 0 && len(ws) > 3 {
			k := 1 + c.r.IntN(len(ws)-1)
			if !strings.ContainsAny(ws[k], `{}"=`) {
				ws[k] = c.one(c.pools["word"]...)
				if twin := strings.Join(ws, " "); !seen[twin] {
					seen[twin] = true
					c.stmts = append(c.stmts, twin)
				}
			}
		}
	}
	c.r.Shuffle(len(c.stmts), func(i, j int) { c.stmts[i], c.stmts[j] = c.stmts[j], c.stmts[i] })
	return c
}

func (c *curly) one(xs ...string) string { return xs[c.r.IntN(len(xs))] }

func (c *curly) word(lo, hi int) string {
	s := ""
	for range lo + c.r.IntN(hi-lo+1) {
		s += string("bcdfghjklmnprstvz"[c.r.IntN(17)]) + string("aeiou"[c.r.IntN(5)]) + c.one("", "", "n", "r")
	}
	return s
}

func (c *curly) slot() string {
	return "{" + c.one("int", "int", "int", "float", "hex", "uuid", "ip", "ipport", "path", "url", "class", "ident", "user", "user", "node", "dur", "size", "date", "bool", "email", "version") + "}"
}

func (c *curly) statement() string {
	word := func() string { return c.one(c.pools["word"]...) }
	switch c.r.IntN(10) {
	case 0:
		var kv []string
		for range 2 + c.r.IntN(4) {
			kv = append(kv, word()+"="+c.slot())
		}
		return "level=info msg=\"" + word() + " " + word() + "\" " + strings.Join(kv, " ")
	case 1:
		var kv []string
		for range 2 + c.r.IntN(4) {
			if s := c.slot(); s == "{int}" || s == "{float}" || s == "{bool}" {
				kv = append(kv, `"`+word()+`": `+s)
			} else {
				kv = append(kv, `"`+word()+`": "`+s+`"`)
			}
		}
		return `{"msg": "` + word() + " " + word() + `", ` + strings.Join(kv, ", ") + "}"
	case 2:
		return word() + "." + word() + "(" + c.slot() + ", " + c.slot() + ") = " + c.slot()
	}
	var xs []string
	n := 3 + c.r.IntN(7)
	for i := range n {
		switch {
		case i == 0 || c.r.IntN(5) < 3:
			xs = append(xs, word())
		case c.r.IntN(8) == 0:
			xs = append(xs, "[{list}]")
		case c.r.IntN(4) == 0:
			xs = append(xs, c.one("id=", "(", "'", "[", "<", word()+":")+c.slot())
			last := xs[len(xs)-1]
			xs[len(xs)-1] += map[byte]string{'(': ")", '\'': "'", '[': "]", '<': ">"}[last[0]]
		default:
			xs = append(xs, c.slot())
		}
	}
	if !strings.Contains(xs[0], "{") && c.r.IntN(2) == 0 {
		xs[0] = title(xs[0])
	}
	s := strings.Join(xs, " ")
	if c.r.IntN(10) == 0 {
		s += "?" + " " + word() + " " + word() + " {int}"
	}
	return s
}

func (c *curly) value(name string) string {
	r := c.r
	switch name {
	case "int":
		return fmt.Sprint(r.IntN(1 << (1 + r.IntN(30))))
	case "float":
		return fmt.Sprintf("%.2f", r.Float64()*100)
	case "hex":
		return fmt.Sprintf("0x%08x", r.Uint32())
	case "uuid":
		return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", r.Uint32(), r.IntN(65536), r.IntN(65536), r.IntN(65536), r.Uint64()>>16)
	case "ip":
		return fmt.Sprintf("%d.%d.%d.%d", 1+r.IntN(250), r.IntN(256), r.IntN(256), r.IntN(256))
	case "ipport":
		return fmt.Sprintf("%d.%d.%d.%d:%d", 1+r.IntN(250), r.IntN(256), r.IntN(256), r.IntN(256), 80+r.IntN(60000))
	case "path":
		return "/" + c.word(1, 2) + "/" + c.word(1, 2) + c.one("", "/"+c.word(1, 2)+".log", fmt.Sprintf("/%d", r.IntN(100)))
	case "url":
		return c.one("http", "https") + "://" + c.word(2, 2) + ".com/" + c.word(1, 2)
	case "dur":
		return fmt.Sprintf("%d%s", r.IntN(1000), c.one("ms", "s"))
	case "size":
		return fmt.Sprintf("%d%s", r.IntN(1000), c.one("KB", "MB", "GB"))
	case "date":
		return fmt.Sprintf("2025-%02d-%02d", 1+r.IntN(12), 1+r.IntN(28))
	case "bool":
		return c.one("true", "false")
	case "email":
		return c.one(c.pools["user"]...) + "@" + c.word(2, 2) + ".org"
	case "version":
		return fmt.Sprintf("v%d.%d.%d", r.IntN(5), r.IntN(20), r.IntN(50))
	case "list":
		var xs []string
		kind := c.one("int", "ident", "ip", "user")
		for range 1 + r.IntN(4) {
			xs = append(xs, c.value(kind))
		}
		return strings.Join(xs, ", ")
	}
	return c.one(c.pools[name]...)
}

func (c *curly) line() (text string, stmt int) {
	stmt = int(float64(len(c.stmts)) * c.r.Float64() * c.r.Float64())
	s := c.stmts[stmt]
	if k := strings.Index(s, "?"); k >= 0 {
		if c.r.IntN(2) == 0 {
			s = s[:k]
		} else {
			s = s[:k] + s[k+1:]
		}
	}
	c.each(s, func(lit, slot string) {
		text += lit
		if slot != "" {
			text += c.value(slot)
		}
	})
	return text, stmt
}

// each cuts a statement into literal text and the names of slots.
func (c *curly) each(s string, fn func(lit, slot string)) {
	for s != "" {
		a := strings.Index(s, "{")
		for a >= 0 && (a+1 >= len(s) || s[a+1] == '"') {
			next := strings.Index(s[a+1:], "{")
			if next < 0 {
				a = -1
				break
			}
			a += 1 + next
		}
		if a < 0 {
			fn(s, "")
			return
		}
		b := a + strings.Index(s[a:], "}")
		fn(s[:a], s[a+1:b])
		s = s[b+1:]
	}
}

// truth returns the template text of a statement.
func (c *curly) truth(stmt int) string {
	s, tail := c.stmts[stmt], ""
	if k := strings.Index(s, "?"); k >= 0 {
		s, tail = s[:k], " <*>"
	}
	out := ""
	c.each(s, func(lit, slot string) {
		out += lit
		if slot != "" {
			out += "<*>"
		}
	})
	return out + tail
}
