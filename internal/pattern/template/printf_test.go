package template

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// printf is a third maker of logging statements, which nothing was tuned on: English sentences with printf verbs, as services
// write them. %x stands for a value of the kind that its letter names.
type printf struct {
	r       *rand.Rand
	formats []string
	weight  []float64
	names   map[byte][]string
}

var (
	printfVerbs = strings.Fields("started stopped opened closed created deleted updated loaded flushed rejected accepted received sent scheduled assigned released failed expired renewed elected synced skipped promoted evicted mounted")
	printfNouns = strings.Fields("session region segment replica queue broker tablet volume lease token cache checkpoint snapshot leader follower partition topic bucket object image container pod job stage task shard commit log index table")
	printfMore  = strings.Fields("stale local remote pending current initial invalid unknown empty missing primary temporary default slow")
	printfTies  = strings.Fields("for on from to by with in at after because during via of")
)

func newPrintf(seed uint64, statements int) *printf {
	p := &printf{r: rand.New(rand.NewPCG(seed, 0xf0f0)), names: map[byte][]string{}}
	letters := strings.Fields("al be cho da en fi go hu is ka lu mo ne ol pe ra su ti vo we")
	name := func() string {
		s := ""
		for range 2 + p.r.IntN(2) {
			s += letters[p.r.IntN(len(letters))]
		}
		return s
	}
	fill := func(kind byte, n int, f func() string) {
		for range n {
			p.names[kind] = append(p.names[kind], f())
		}
	}
	fill('u', 3+p.r.IntN(40), name)
	fill('c', 3+p.r.IntN(15), func() string { return title(name()) + title(name()) + "Manager" })
	fill('q', 3+p.r.IntN(15), func() string { return "io." + name() + "." + title(name()) })
	fill('i', 4+p.r.IntN(40), func() string { return name() + "-" + name() + "-" + fmt.Sprint(p.r.IntN(5)) })
	fill('s', 2+p.r.IntN(3), func() string { return strings.ToUpper(name()) })
	fill('h', 3+p.r.IntN(20), func() string {
		return name() + fmt.Sprint(p.r.IntN(30)) + ".dc" + fmt.Sprint(p.r.IntN(3)) + ".internal"
	})
	for len(p.formats) < statements {
		f := p.format()
		if !slices.Contains(p.formats, f) {
			p.formats = append(p.formats, f)
			p.weight = append(p.weight, 1/(0.05+p.r.Float64()*p.r.Float64()*4))
		}
	}
	return p
}

func (p *printf) any(xs []string) string { return xs[p.r.IntN(len(xs))] }

func (p *printf) verb() string { return "%" + string("ddddfxxgUkkpPwemtucqishn"[p.r.IntN(24)]) }

func (p *printf) noun() string {
	if p.r.IntN(4) == 0 {
		return p.any(printfMore) + " " + p.any(printfNouns)
	}
	return p.any(printfNouns)
}

func (p *printf) format() string {
	r := p.r
	act := p.any(printfVerbs)
	if r.IntN(2) == 0 {
		act = title(act)
	}
	switch r.IntN(9) {
	case 0:
		f := fmt.Sprintf("action=%s_%s", p.any(printfNouns), act)
		for range 1 + r.IntN(4) {
			f += " " + p.any(printfNouns) + "=" + p.verb()
		}
		return f
	case 1:
		f := fmt.Sprintf(`{"event": "%s %s", "level": "info"`, act, p.noun())
		for range 1 + r.IntN(3) {
			v := p.verb()
			if v != "%d" && v != "%f" {
				v = `"` + v + `"`
			}
			f += fmt.Sprintf(`, "%s": %s`, p.any(printfNouns), v)
		}
		return f + "}"
	case 2:
		return fmt.Sprintf("[%s] %s: %s %s %s", p.verb(), title(p.noun()), act, p.any(printfTies), p.verb())
	case 3:
		return fmt.Sprintf("%s%s(%s, %s): %s %s", p.any(printfNouns), title(act), p.verb(), p.verb(), p.noun(), p.any(printfVerbs))
	case 4:
		return fmt.Sprintf("%s %s, %s=[%%l], took %%dms", act, p.noun(), p.any(printfNouns))
	}
	f := act + " " + p.noun()
	for range r.IntN(3) + 1 {
		switch r.IntN(5) {
		case 0:
			f += " " + p.any(printfTies) + " " + p.noun()
		case 1:
			f += " " + p.any(printfNouns) + "=" + p.verb()
		case 2:
			f += " (" + p.any(printfNouns) + " " + p.verb() + ")"
		default:
			f += " " + p.any(printfTies) + " " + p.any(printfNouns) + " " + p.verb()
		}
	}
	return f
}

func (p *printf) print(verb byte) string {
	r := p.r
	switch verb {
	case 'd':
		return fmt.Sprint(r.IntN([]int{10, 1000, 1e7}[r.IntN(3)]))
	case 'f':
		return fmt.Sprintf("%.3f", 50*r.Float64())
	case 'x':
		return fmt.Sprintf("%016x", r.Uint64()|1<<63)
	case 'g':
		return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", r.Uint32(), r.IntN(65536), r.IntN(4096), r.IntN(4096), r.Uint64()>>16)
	case 'U':
		return fmt.Sprintf("https://api.%s/v1/%s/%d", p.any(p.names['h']), p.any(printfNouns), r.IntN(1000))
	case 'k':
		return fmt.Sprintf("10.%d.%d.%d", r.IntN(20), r.IntN(256), 1+r.IntN(250))
	case 'p':
		return fmt.Sprintf("/var/lib/%s/%s-%d.dat", p.any(printfNouns), p.any(p.names['u']), r.IntN(100))
	case 'P':
		return fmt.Sprintf("10.0.%d.%d:%d", r.IntN(256), r.IntN(256), 1024+r.IntN(60000))
	case 'w':
		return fmt.Sprintf("%d%s", 1+r.IntN(999), p.any([]string{"ms", "s", "us"}))
	case 'e':
		return fmt.Sprintf("%s@%s.com", p.any(p.names['u']), p.any(printfNouns))
	case 'm':
		return fmt.Sprintf("%d%s", 1+r.IntN(999), p.any([]string{"KB", "MB", "B"}))
	case 't':
		return fmt.Sprintf("2024-05-%02dT%02d:%02d:%02dZ", 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
	case 'n':
		return p.any([]string{"true", "false"})
	case 'l':
		var xs []string
		for range 1 + r.IntN(4) {
			xs = append(xs, p.any(p.names['i']))
		}
		return strings.Join(xs, ", ")
	}
	return p.any(p.names[verb])
}

func (p *printf) line() (text string, stmt int) {
	total := 0.0
	for _, w := range p.weight {
		total += w
	}
	u := p.r.Float64() * total
	for stmt = 0; stmt < len(p.weight)-1 && u > p.weight[stmt]; stmt++ {
		u -= p.weight[stmt]
	}
	var b strings.Builder
	f := p.formats[stmt]
	for i := 0; i < len(f); i++ {
		if f[i] == '%' {
			i++
			b.WriteString(p.print(f[i]))
			continue
		}
		b.WriteByte(f[i])
	}
	return b.String(), stmt
}

// truth returns the template text of a statement: every verb is a slot, with what the format has around it.
func (p *printf) truth(stmt int) string {
	var b strings.Builder
	f := p.formats[stmt]
	for i := 0; i < len(f); i++ {
		if f[i] == '%' {
			i++
			b.WriteString("<*>")
			continue
		}
		b.WriteByte(f[i])
	}
	return b.String()
}
