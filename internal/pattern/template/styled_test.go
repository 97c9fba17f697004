package template

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// styled is a second maker of random logging statements, with the conventions of many authors: what generate_test.go prints in
// one way it prints in twenty. Its truth is a template text for each statement.
type styled struct {
	r      *rand.Rand
	letter []string // syllables of its language
	glue   string   // between words: nothing in scripts without blanks
	words  []string
	users  []string
	hosts  []string
	states []string
	stmts  []styledStatement
	cdf    []float64
}

type styledStatement struct {
	parts []styledPart
}

// styledPart is constant text, or a slot with a printer of values, which may be left out.
type styledPart struct {
	text string
	slot func() string
	skip float64 // chance of leaving it out
}

func (p *styledPart) truth() string {
	if p.slot != nil {
		return "<*>"
	}
	return p.text
}

var languages = []struct {
	letters string
	glue    string
}{
	{"ar bel cor dun es fil gan hol im jot ker lam mon nev ol pit quor rus sil tam ur vex wol yar zen", " "},
	{"ar bel cor dun es fil gan hol im jot ker lam mon nev ol pit quor rus sil tam ur vex wol yar zen", " "},
	{"ge ver schlüs ung fähr stö lei mög zu ab bruch tät keit für ände", " "},
	{"pro ción más está ñe gar lle vía año ser cio mé to do", " "},
	{"про вер ка соб ыти об нов ле ние тре бу ет мо дуль шиб от каз", " "},
	{"任 务 数 据 库 端 口 超 时 重 试 节 点 队 列 缓 存 写 入 读 取 完 毕 开 始 停 止", ""},
	{"サ ー バ 接 続 失 敗 再 試 行 処 理 完 了", ""},
	{"서 버 연 결 실 패 요 청 처 리", " "},
}

func newStyled(seed uint64, statements int) *styled {
	g := &styled{r: rand.New(rand.NewPCG(seed, 0x57e1))}
	lang := languages[g.r.IntN(len(languages))]
	g.letter, g.glue = strings.Fields(lang.letters), lang.glue
	for range 80 + g.r.IntN(400) {
		g.words = append(g.words, g.make(g.letter, 1, 3))
	}
	latin := strings.Fields(languages[0].letters)
	for range 2 + g.r.IntN([]int{3, 12, 60}[g.r.IntN(3)]) {
		g.users = append(g.users, g.make(latin, 2, 3))
	}
	for range 2 + g.r.IntN(20) {
		g.hosts = append(g.hosts, g.make(latin, 1, 2)+fmt.Sprintf("-%02d", g.r.IntN(40)))
	}
	upper := g.r.IntN(2) == 0
	for range 2 + g.r.IntN(3) {
		s := g.make(latin, 2, 3)
		if upper {
			s = strings.ToUpper(s)
		}
		g.states = append(g.states, s)
	}
	for len(g.stmts) < statements {
		g.statement()
	}
	sum, s := 0.0, 0.3+1.2*g.r.Float64()
	for i := range g.stmts {
		sum += math.Pow(float64(i+1), -s)
		g.cdf = append(g.cdf, sum)
	}
	g.r.Shuffle(len(g.stmts), func(i, j int) { g.stmts[i], g.stmts[j] = g.stmts[j], g.stmts[i] })
	return g
}

func (g *styled) make(from []string, lo, hi int) string {
	var b strings.Builder
	for range lo + g.r.IntN(hi-lo+1) {
		b.WriteString(from[g.r.IntN(len(from))])
	}
	return b.String()
}

func (g *styled) of(xs ...string) string { return xs[g.r.IntN(len(xs))] }

func (g *styled) word() string { return g.of(g.words...) }

func (g *styled) key() string {
	latin := strings.Fields(languages[0].letters)
	return g.make(latin, 1, 2) + g.of("", "", "_"+g.make(latin, 1, 1), "."+g.make(latin, 1, 1), title(g.make(latin, 1, 1)))
}

func konst(s string) styledPart { return styledPart{text: s} }

// value returns a printer of values of a random type, and the literal text before and after them.
func (g *styled) value() (before string, f func() string, after string) {
	r := g.r
	latin := strings.Fields(languages[0].letters)
	few := func(n int, mk func() string) func() string {
		var xs []string
		for range n {
			xs = append(xs, mk())
		}
		return func() string { return xs[int(float64(n)*math.Pow(r.Float64(), 1.3))] }
	}
	switch r.IntN(32) {
	case 0, 1, 2:
		top := []int{3, 60, 5000, 1 << 30}[r.IntN(4)]
		return "", func() string { return fmt.Sprint(r.IntN(top)) }, ""
	case 3:
		return "", func() string { return fmt.Sprintf("%.*f", 1+r.IntN(4), 1000*r.Float64()) }, ""
	case 4:
		return "", func() string { return fmt.Sprint(r.IntN(900) - 450) }, ""
	case 5:
		x := g.of("0x", "")
		return "", func() string { return x + fmt.Sprintf("%012x", r.Uint64()>>16) }, ""
	case 6:
		return "", func() string {
			return fmt.Sprintf("%08X-%04X-%04X-%04X-%012X", r.Uint32(), r.IntN(1<<16), r.IntN(1<<16), r.IntN(1<<16), r.Uint64()>>16)
		}, ""
	case 7:
		return "", func() string { return fmt.Sprintf("172.16.%d.%d", r.IntN(256), r.IntN(256)) }, ""
	case 8:
		return "", func() string {
			return fmt.Sprintf("%s%d.%d.%d.%d:%d", "", 1+r.IntN(220), r.IntN(256), r.IntN(256), r.IntN(256), 1024+r.IntN(60000))
		}, ""
	case 9:
		return "", func() string { return fmt.Sprintf("fe80::%x:%x:%x", r.IntN(1<<16), r.IntN(1<<16), r.IntN(1<<16)) }, ""
	case 10:
		return "", func() string {
			p := g.of("/srv", "/opt", "/home/"+g.of(g.users...))
			for range 1 + r.IntN(3) {
				p += "/" + g.make(latin, 1, 2)
			}
			return p + g.of("", ".txt", ".gz", fmt.Sprint(".", r.IntN(9)))
		}, ""
	case 11:
		return "", func() string { return `D:\` + g.make(latin, 1, 2) + `\` + g.make(latin, 1, 2) + ".dat" }, ""
	case 12:
		return "", func() string {
			return "http://" + g.of(g.hosts...) + ".example.org:8080/" + g.make(latin, 1, 2) + g.of("", "?id="+fmt.Sprint(r.IntN(99)))
		}, ""
	case 13:
		return "", func() string { return g.of(g.users...) + "@" + g.make(latin, 1, 2) + ".com" }, ""
	case 14:
		unit, after := g.of("ms", "s", ""), ""
		if unit == "" {
			after = g.of(" ms", " seconds", "%", " %")
		}
		return "", func() string { return fmt.Sprintf("%d.%d%s", r.IntN(100), r.IntN(1000), unit) }, after
	case 15:
		unit := g.of("KB", "B", "MiB", "")
		if unit == "" {
			return "", func() string { return fmt.Sprint(1 + r.IntN(4000)) }, g.of(" bytes", " MiB", " KB")
		}
		return "", func() string { return fmt.Sprint(1+r.IntN(4000)) + unit }, ""
	case 16:
		return "", func() string {
			return fmt.Sprintf("2023-%02d-%02dT%02d:%02d:%02d.%03dZ", 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1000))
		}, ""
	case 17:
		return "", func() string {
			return fmt.Sprintf("2023-%02d-%02d %02d:%02d:%02d", 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
		}, ""
	case 18:
		return "", few(2+r.IntN(12), func() string {
			return "org." + g.make(latin, 1, 2) + "." + title(g.make(latin, 1, 2)) + title(g.make(latin, 1, 2))
		}), ""
	case 19:
		return "", few(2+r.IntN(12), func() string { return title(g.make(latin, 1, 2)) + title(g.make(latin, 1, 2)) }), ""
	case 20:
		return "", few(2+r.IntN(30), func() string { return g.make(latin, 1, 2) + "-" + g.make(latin, 1, 2) }), ""
	case 21:
		return "", few(2+r.IntN(30), func() string { return g.make(latin, 1, 2) + "_" + g.make(latin, 1, 2) }), ""
	case 22:
		return "", func() string { return g.of("true", "false") }, ""
	case 23:
		return g.of("task_", "worker-", "shard", "node", "#", "v", "job/", "txn:"), func() string { return fmt.Sprint(r.IntN(60)) }, ""
	case 24:
		return g.make(latin, 1, 2) + "-", func() string { return fmt.Sprintf("%06x", r.IntN(1<<24)) }, ""
	case 25:
		return "", func() string { return fmt.Sprintf("%d.%d.%d", r.IntN(9), r.IntN(30), r.IntN(100)) }, ""
	case 26:
		return "", func() string { return g.of(g.hosts...) }, ""
	case 30, 31:
		return "", func() string { return g.of(g.states...) }, ""
	}
	return "", func() string { return g.of(g.users...) }, ""
}

// slotted returns a value with what its author puts around it.
func (g *styled) slotted() []styledPart {
	before, f, after := g.value()
	open, shut := "", ""
	switch g.r.IntN(14) {
	case 0:
		open, shut = "[", "]"
	case 1:
		open, shut = "(", ")"
	case 2:
		open, shut = "'", "'"
	case 3:
		open, shut = `"`, `"`
	case 4:
		open, shut = "<", ">"
	case 5:
		open = g.key() + "="
	case 6:
		open = g.key() + ": "
	case 7:
		open, shut = "["+g.key()+"=", "]"
	case 8:
		open, shut = "("+g.key()+": ", ")"
	}
	ps := []styledPart{{slot: f}}
	if open+before != "" {
		ps = append([]styledPart{konst(open + before)}, ps...)
	}
	if after+shut != "" {
		ps = append(ps, konst(after+shut))
	}
	return ps
}

func (g *styled) list() []styledPart {
	_, f, _ := g.value()
	sep := g.of(", ", ",", "; ", " ", "|")
	open, shut := "[", "]"
	if g.r.IntN(3) == 0 {
		open, shut = "{", "}"
	}
	return []styledPart{konst(open), {slot: func() string {
		xs := []string{f()}
		for g.r.IntN(3) > 0 && len(xs) < 7 {
			xs = append(xs, f())
		}
		return strings.Join(xs, sep)
	}}, konst(shut)}
}

// prose alternates runs of words and slots.
func (g *styled) prose(n int) []styledPart {
	var ps []styledPart
	add := func(more ...styledPart) {
		if len(ps) > 0 {
			ps = append(ps, konst(g.glue))
		}
		ps = append(ps, more...)
	}
	last := false
	for i := range n {
		if i > 0 && !last && g.r.IntN(5) < 2 {
			last = true
			if g.r.IntN(12) == 0 {
				add(g.list()...)
			} else {
				add(g.slotted()...)
			}
			if g.r.IntN(8) == 0 {
				ps = append(ps, konst(g.of(",", ":", ";", ".")))
			}
			continue
		}
		last = false
		w := g.word()
		if g.r.IntN(25) == 0 {
			w = g.of("amd64", "IPv4", "utf8", "sha256", "x86_64", "HTTP/1.1", "tls1", "L2")
		}
		if i == 0 && w[0] < 0x80 && g.r.IntN(2) == 0 {
			w = title(w)
		}
		if g.r.IntN(14) == 0 {
			w += g.of(",", ":", "...", " -")
		}
		add(konst(w))
	}
	return ps
}

func (g *styled) phrase() string {
	var ws []string
	for range 2 + g.r.IntN(3) {
		ws = append(ws, g.word())
	}
	return strings.Join(ws, g.glue)
}

func (g *styled) logfmt() []styledPart {
	ps := []styledPart{konst(g.of("level=info ", "", "ts=1 ")[:0] + g.of("msg", "message", "event") + `="` + g.phrase() + `"`)}
	for range 1 + g.r.IntN(5) {
		before, f, _ := g.value()
		k := " " + g.key() + "="
		if g.r.IntN(4) == 0 {
			ps = append(ps, konst(k+`"`+before), styledPart{slot: f}, konst(`"`))
			continue
		}
		ps = append(ps, konst(k+before), styledPart{slot: f})
	}
	return ps
}

func (g *styled) json() []styledPart {
	sp := g.of("", " ")
	ps := []styledPart{konst(`{"` + g.of("msg", "event", "message") + `":` + sp + `"` + g.phrase() + `"`)}
	deep := false
	for range 1 + g.r.IntN(4) {
		ps = append(ps, konst(","+sp+`"`+g.key()+`":`+sp))
		if !deep && g.r.IntN(6) == 0 {
			deep = true
			ps = append(ps, konst(`{"`+g.key()+`":`+sp))
		}
		if g.r.IntN(3) == 0 {
			ps = append(ps, styledPart{slot: func() string { return fmt.Sprint(g.r.IntN(10000)) }})
			continue
		}
		_, f, _ := g.value()
		ps = append(ps, konst(`"`), styledPart{slot: func() string { return strings.ReplaceAll(f(), `\`, `\\`) }}, konst(`"`))
	}
	if deep {
		ps = append(ps, konst("}"))
	}
	return append(ps, konst("}"))
}

func (g *styled) call() []styledPart {
	latin := strings.Fields(languages[0].letters)
	ps := []styledPart{konst(g.make(latin, 1, 2) + g.of(".", "::", "") + title(g.make(latin, 1, 2)) + "(")}
	for i := range 1 + g.r.IntN(3) {
		before, f, after := g.value()
		if i > 0 {
			ps = append(ps, konst(", "))
		}
		ps = append(ps, konst(g.of("", g.key()+"=")+before), styledPart{slot: f}, konst(after))
	}
	ps = append(ps, konst(g.of(")", ") -> ", ") returned ", "): ")))
	return append(ps, g.prose(1+g.r.IntN(4))...)
}

// pairs is key: value, key: value.
func (g *styled) pairs() []styledPart {
	ps := []styledPart{konst(g.phrase() + g.of(": ", " - ", " "))}
	sep := g.of(", ", "; ", " ", " | ")
	kv := g.of(": ", "=", ":", " = ")
	for i := range 1 + g.r.IntN(4) {
		before, f, after := g.value()
		k := g.key() + kv + before
		if i > 0 {
			k = sep + k
		}
		ps = append(ps, konst(k), styledPart{slot: f}, konst(after))
	}
	return ps
}

func (g *styled) bracketed() []styledPart {
	var ps []styledPart
	for range 1 + g.r.IntN(2) {
		before, f, _ := g.value()
		ps = append(ps, konst("["+g.of("", "", g.key()+" ")+before), styledPart{slot: f}, konst("] "))
	}
	return append(ps, g.prose(2+g.r.IntN(5))...)
}

func (g *styled) statement() {
	var ps []styledPart
	switch g.r.IntN(14) {
	case 0, 1:
		ps = g.logfmt()
	case 2, 3:
		ps = g.json()
	case 4:
		ps = g.call()
	case 5:
		ps = g.pairs()
	case 6:
		ps = g.bracketed()
	default:
		ps = g.prose(3 + g.r.IntN(8))
	}
	if g.r.IntN(12) == 0 {
		for _, p := range g.prose(2 + g.r.IntN(3)) {
			p.skip = 1
			ps = append(ps, p)
		}
	}
	g.stmts = append(g.stmts, styledStatement{ps})
	for g.r.IntN(6) == 0 {
		var at []int
		for i, p := range ps {
			if p.slot == nil && len(p.text) > 2 && strings.Trim(p.text, " :,.-") == p.text && !strings.ContainsAny(p.text, `={["(<'`) {
				at = append(at, i)
			}
		}
		if len(at) == 0 {
			return
		}
		twin := append([]styledPart(nil), ps...)
		twin[at[g.r.IntN(len(at))]].text = g.word()
		g.stmts = append(g.stmts, styledStatement{twin})
	}
}

func (g *styled) line() (text string, stmt int) {
	u := g.r.Float64() * g.cdf[len(g.cdf)-1]
	for stmt = 0; stmt < len(g.cdf)-1 && g.cdf[stmt] < u; stmt++ {
	}
	var b strings.Builder
	short := g.r.IntN(2) == 0
	for i, p := range g.stmts[stmt].parts {
		switch {
		case p.skip > 0 && short:
		case p.slot != nil:
			b.WriteString(p.slot())
		default:
			if p.skip > 0 && i > 0 && g.stmts[stmt].parts[i-1].skip == 0 {
				b.WriteString(" ")
			}
			b.WriteString(p.text)
		}
	}
	return strings.TrimRight(b.String(), " "), stmt
}

// truth returns the template text of a statement.
func (g *styled) truth(stmt int) string {
	var b strings.Builder
	for _, p := range g.stmts[stmt].parts {
		if p.skip > 0 {
			return strings.TrimRight(b.String(), " ") + " <*>"
		}
		b.WriteString(p.truth())
	}
	return strings.TrimRight(b.String(), " ")
}
