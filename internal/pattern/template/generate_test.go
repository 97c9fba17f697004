package template

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// generator makes random logging statements with a random vocabulary and prints lines of them: the truth is known, and nothing
// in it was taken from any system.
type generator struct {
	rng   *rand.Rand
	words []string            // vocabulary of constants
	pools map[string][]string // values that are plain words or names
	stmts []statement
	cdf   []float64
	blank bool // slots print as wildcards
}

type statement struct {
	parts []func() string
	words []int           // of parts: the constant words
	tail  []func() string // printed with chance tailP
	tailP float64
}

var syllables = []string{"ba", "con", "der", "fe", "gra", "ho", "in", "ju", "ka", "lo", "mi", "ner", "or", "pre", "qua", "re", "sta", "ti", "un", "ver", "wi", "zo", "ment", "ing", "ed", "tion", "al", "is"}

var scripts = [][]string{
	{"под", "клю", "че", "ние", "зап", "рос", "оши", "бка", "сер", "вер"},
	{"连接", "请求", "失败", "用户", "服务", "启动", "错误", "完成"},
	{"é", "ñao", "über", "ção", "lé", "ßen", "øre"},
}

func newGenerator(seed uint64, statements int) *generator {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 77)), pools: map[string][]string{}}
	script := syllables
	if g.rng.IntN(5) == 0 {
		script = scripts[g.rng.IntN(len(scripts))]
	}
	for len(g.words) < 60+g.rng.IntN(300) {
		g.words = append(g.words, g.made(script, 1, 4))
	}
	pool := func(name string, n int, f func() string) {
		for range n {
			g.pools[name] = append(g.pools[name], f())
		}
	}
	pool("user", 4+g.rng.IntN(60), func() string {
		u := g.made(syllables, 1, 3)
		switch g.rng.IntN(6) {
		case 0:
			u += fmt.Sprint(g.rng.IntN(100))
		case 1:
			u += "." + g.made(syllables, 1, 2)
		}
		return u
	})
	pool("class", 5+g.rng.IntN(40), func() string {
		c := title(g.made(syllables, 1, 3)) + title(g.made(syllables, 1, 3))
		if g.rng.IntN(2) == 0 {
			c = "com." + g.made(syllables, 1, 2) + "." + g.made(syllables, 1, 2) + "." + c
		}
		return c
	})
	pool("ident", 5+g.rng.IntN(80), func() string {
		id := g.made(syllables, 1, 2) + []string{"_", "-"}[g.rng.IntN(2)] + g.made(syllables, 1, 2)
		if g.rng.IntN(2) == 0 {
			id += fmt.Sprintf("-%d", g.rng.IntN(50))
		}
		return id
	})
	pool("host", 5+g.rng.IntN(40), func() string {
		return g.made(syllables, 1, 2) + fmt.Sprintf("%d", g.rng.IntN(20)) + "." + g.made(syllables, 1, 2) + ".net"
	})
	pool("enum", 2+g.rng.IntN(4), func() string { return strings.ToUpper(g.made(syllables, 1, 2)) })
	for len(g.stmts) < statements {
		g.statement()
	}
	sum, s := 0.0, 0.6+g.rng.Float64()
	for i := range g.stmts {
		sum += math.Pow(float64(i+1), -s)
		g.cdf = append(g.cdf, sum)
	}
	g.rng.Shuffle(len(g.stmts), func(i, j int) { g.stmts[i], g.stmts[j] = g.stmts[j], g.stmts[i] })
	return g
}

func (g *generator) made(from []string, lo, hi int) string {
	var b strings.Builder
	for range lo + g.rng.IntN(hi-lo+1) {
		b.WriteString(from[g.rng.IntN(len(from))])
	}
	return b.String()
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (g *generator) word() string { return g.words[g.rng.IntN(len(g.words))] }

func (g *generator) pick(pool string) func() string {
	p := g.pools[pool]
	return func() string { return p[int(float64(len(p))*math.Pow(g.rng.Float64(), 1.5))] }
}

func fixed(s string) func() string { return func() string { return s } }

// slot returns a printer of values of a random type.
func (g *generator) slot() func() string { return g.blankable(g.value()) }

func (g *generator) blankable(f func() string) func() string {
	return func() string {
		if g.blank {
			return "<*>"
		}
		return f()
	}
}

func (g *generator) value() func() string {
	r := g.rng
	switch r.IntN(16) {
	case 0, 1, 2:
		top := []int{5, 100, 100000, 1 << 40}[r.IntN(4)]
		return func() string { return fmt.Sprint(r.IntN(top)) }
	case 3:
		return func() string { return fmt.Sprintf("0x%x", r.Uint32()) }
	case 4:
		n := []int{8, 12, 32, 40}[r.IntN(4)]
		return func() string { return fmt.Sprintf("%x%x%x", r.Uint64(), r.Uint64()|1<<63, r.Uint64()|1<<63)[:n] }
	case 5:
		return func() string {
			return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<16), r.IntN(1<<16), r.Uint64()>>16)
		}
	case 6:
		return func() string { return fmt.Sprintf("10.%d.%d.%d", r.IntN(256), r.IntN(256), r.IntN(256)) }
	case 7:
		return func() string { return fmt.Sprintf("192.168.%d.%d:%d", r.IntN(256), r.IntN(256), r.IntN(65536)) }
	case 8:
		return func() string {
			p := ""
			for range 1 + r.IntN(4) {
				p += "/" + g.word()
			}
			return p + []string{"", ".log", ".tmp", "/" + fmt.Sprint(r.IntN(1000))}[r.IntN(4)]
		}
	case 9:
		host := g.pick("host")
		return func() string { return "https://" + host() + "/" + g.word() + "?q=" + fmt.Sprint(r.IntN(1000)) }
	case 10:
		return func() string { return fmt.Sprintf("%d%s", 1+r.IntN(900), []string{"ms", "s", "us"}[r.IntN(3)]) }
	case 11:
		return g.pick("class")
	case 12:
		return g.pick("ident")
	case 13:
		return g.pick("host")
	}
	return g.pick("user")
}

// list returns a printer of lists of varying length.
func (g *generator) list() func() string {
	item, sep := g.slot(), []string{", ", ",", " "}[g.rng.IntN(3)]
	open, shut := "[", "]"
	if g.rng.IntN(3) == 0 {
		open, shut = "", ""
		sep = ", "
	}
	return func() string {
		if g.blank {
			return open + item() + shut
		}
		var xs []string
		for range 1 + g.rng.IntN(5) {
			xs = append(xs, item())
		}
		return open + strings.Join(xs, sep) + shut
	}
}

func (g *generator) statement() {
	var st statement
	switch g.rng.IntN(10) {
	case 0:
		st = g.logfmt()
	case 1:
		st = g.json()
	case 2:
		st = g.call()
	default:
		st = g.prose(2 + g.rng.IntN(9))
	}
	if g.rng.IntN(8) == 0 {
		st.tail = g.prose(2 + g.rng.IntN(3)).parts
		if first := st.tail[0]; g.rng.IntN(3) == 0 {
			last := st.tail[len(st.tail)-1]
			st.tail[0] = func() string { return "(" + first() }
			st.tail[len(st.tail)-1] = func() string { return last() + ")" }
		}
		st.tailP = 0.2 + 0.6*g.rng.Float64()
	}
	g.stmts = append(g.stmts, st)
	for g.rng.IntN(5) == 0 && len(st.words) > 1 {
		// A near twin differs in one constant word.
		twin := st
		twin.parts = append([]func() string(nil), st.parts...)
		k := st.words[g.rng.IntN(len(st.words))]
		w := g.word()
		if strings.Trim(st.parts[k](), ":,") == w {
			break
		}
		twin.parts[k] = fixed(w)
		g.stmts = append(g.stmts, twin)
	}
}

// prose makes words with slots between them; at least half are words, the first one always.
func (g *generator) prose(n int) statement {
	var st statement
	slots := 0
	for i := range n {
		switch {
		case i > 0 && slots*2 < i && g.rng.IntN(3) == 0:
			slots++
			if g.rng.IntN(10) == 0 {
				st.parts = append(st.parts, g.list())
				continue
			}
			f := g.slot()
			switch g.rng.IntN(8) {
			case 0:
				st.parts = append(st.parts, func() string { return "[" + f() + "]" })
			case 1:
				k := g.word()
				st.parts = append(st.parts, func() string { return k + "=" + f() })
			case 2:
				st.parts = append(st.parts, func() string { return "(" + f() + ")" })
			default:
				st.parts = append(st.parts, f)
			}
		default:
			w := g.word()
			switch g.rng.IntN(10) {
			case 0:
				w += ":"
			case 1:
				w += ","
			}
			if i == 0 {
				if g.rng.IntN(3) > 0 && w[0] < 0x80 {
					w = title(w)
				}
			}
			st.words = append(st.words, len(st.parts))
			st.parts = append(st.parts, fixed(w))
		}
	}
	return st
}

func (g *generator) logfmt() statement {
	msg := g.word() + " " + g.word() + " " + g.word()
	st := statement{parts: []func() string{fixed(fmt.Sprintf("msg=%q", msg))}}
	for range 1 + g.rng.IntN(5) {
		k, f := g.word(), g.slot()
		st.parts = append(st.parts, func() string { return k + "=" + f() })
	}
	return st
}

func (g *generator) json() statement {
	msg := g.word() + " " + g.word() + " " + g.word()
	type field struct {
		k string
		f func() string
	}
	var fs []field
	for range 1 + g.rng.IntN(4) {
		fs = append(fs, field{g.word(), g.slot()})
	}
	return statement{parts: []func() string{func() string {
		var b strings.Builder
		fmt.Fprintf(&b, `{"msg":%q`, msg)
		for _, x := range fs {
			fmt.Fprintf(&b, `,%q:%q`, x.k, x.f())
		}
		return b.String() + "}"
	}}}
}

func (g *generator) call() statement {
	name, n := g.word()+title(g.made(syllables, 1, 2)), 1+g.rng.IntN(3)
	var fs []func() string
	for range n {
		fs = append(fs, g.slot())
	}
	rest := g.prose(1 + g.rng.IntN(4))
	call := func() string {
		var xs []string
		for _, f := range fs {
			xs = append(xs, f())
		}
		return name + "(" + strings.Join(xs, ", ") + ")"
	}
	return statement{parts: append([]func() string{call}, rest.parts...)}
}

// line prints one line and says which statement made it.
func (g *generator) line() (text string, stmt int) {
	u := g.rng.Float64() * g.cdf[len(g.cdf)-1]
	for stmt = 0; stmt < len(g.cdf)-1 && g.cdf[stmt] < u; stmt++ {
	}
	return g.print(stmt), stmt
}

// print prints a line of a statement.
func (g *generator) print(stmt int) string {
	st := &g.stmts[stmt]
	var xs []string
	for _, f := range st.parts {
		xs = append(xs, f())
	}
	if st.tail != nil && g.rng.Float64() < st.tailP {
		for _, f := range st.tail {
			xs = append(xs, f())
		}
	}
	return strings.Join(xs, " ")
}

// truth returns the template text of a statement.
func (g *generator) truth(stmt int) string {
	g.blank = true
	defer func() { g.blank = false }()
	st := &g.stmts[stmt]
	var xs []string
	for _, f := range st.parts {
		xs = append(xs, f())
	}
	if st.tail != nil {
		xs = append(xs, "<*>")
	}
	return strings.Join(xs, " ")
}
