package template

import (
	"cmp"
	"slices"
	"strings"
)

// Shapes with the same delimiters and number of tokens form a group, a table of tokens. A group is split top-down into
// clusters, each of which is one template:
//
//	session opened for user root        column 3 has few different words: split there
//	session closed for user root   -->  column 4 has many: a slot
//	session opened for user kim
//
// A column is a slot when the words in it weigh enough; words that look like identifiers and masked values weigh more
// than plain ones. A slot found high up stays one further down, provided that enough constant words hold the template together.

// cell is one token of a shape in a group.
type cell struct {
	hash uint64
	text string
	kind kind // kindWord for a plain word, also for one with a literal prefix
	bare bool // nothing but a slot
}

// row is one shape of a group.
type row struct {
	cells []cell
	shape uint32
}

// mask is a set of columns.
type mask [maxTokens / 64]uint64

func (m *mask) has(c int) bool { return m[c>>6]&(1<<(c&63)) != 0 }
func (m *mask) set(c int)      { m[c>>6] |= 1 << (c & 63) }
func (m *mask) unset(c int)    { m[c>>6] &^= 1 << (c & 63) }

// cluster is a set of rows that share a template; vars are the columns of words that are slots in it.
type cluster struct {
	rows []row
	vars mask
}

// Weights and thresholds are in half plain words: so many different words make a slot of a column.
const (
	weightWord  = 2
	weightIdent = 4
	weightKnown = 6 // the word is a value in other templates, or true or false
	weightSlot  = 10

	needUsual   = 12
	needFirst   = 32  // the first column often names what the message is about
	needNamed   = 6   // behind the word user or host
	needField   = 4   // a field of a record whose message says what happened, or alone in quotes or brackets
	needValue   = 6   // behind an = stands a value more often than not
	needOption  = 8   // the statement is there without the field as well
	needColon   = 6   // behind a colon stands a value if nothing but it stands there
	needMessage = 128 // behind msg= and event= stands what happened
	needKey     = 16  // in front of an = stands what distinguishes statements
)

var needAt = [...]int{needUsual, needFirst, needNamed, needField, needValue, needColon, needMessage, needKey}

// partitioner splits one group. Its first pass knows nothing of other groups and finds the words that are surely values or
// constants; the second pass knows what the first found in all groups.
type partitioner struct {
	known  func(word uint64) bool // nil in the first pass
	strong func(word uint64) bool
	told   func(word uint64) bool
	frame  surroundings
	places []place // of the columns
	prose  mask    // the columns whose constant words hold a template together
	option bool    // the column at hand is the value of a field that the statement also goes without
	out    []cluster
	counts map[uint64]struct{}
	// What the first pass found, by word hash.
	values, unsure map[uint64]struct{}
	fields         map[uint64]struct{}
	rivals         []uint64 // once for each table in which the word is one of several alternatives and nothing else differs
}

// partition splits the rows of a group. The result does not depend on the order of rows.
func (p *partitioner) partition(rows []row) []cluster {
	p.counts = map[uint64]struct{}{}
	p.out = nil
	for _, part := range p.frame.records(rows) {
		p.places = p.frame.places(part[0])
		p.prose = p.frame.prose(p.places, part[0])
		if p.fields != nil {
			p.tellFields(p.fields, part)
		}
		for _, part := range byFields(part, p.places) {
			p.split(part, mask{})
		}
	}
	return p.out
}

type colStat struct {
	distinct int
	weight   int
	slots    bool // some values are bare slots
	masked   bool // all values hold a slot
}

func (p *partitioner) stat(rows []row, c int) colStat {
	first := rows[0].cells[c]
	same := true
	for _, r := range rows[1:] {
		if r.cells[c].hash != first.hash && !(r.cells[c].bare && first.bare) {
			same = false
			break
		}
	}
	if same {
		return colStat{distinct: 1, slots: first.bare}
	}
	clear(p.counts)
	st := colStat{masked: true}
	for i := range rows {
		x := &rows[i].cells[c]
		h := x.hash
		if x.bare {
			h = 0
			st.slots = true
		}
		if _, seen := p.counts[h]; seen {
			continue
		}
		p.counts[h] = struct{}{}
		st.distinct++
		st.weight += p.weigh(x, p.places[c])
		st.masked = st.masked && x.kind != kindWord
	}
	return st
}

func (p *partitioner) weigh(x *cell, at place) int {
	switch {
	case x.kind == kindAny:
		return needFirst
	case x.bare:
		return weightSlot
	case sizeUnit(x.text):
		return weightKnown
	case p.known != nil && p.known(x.hash) && (at == placeUsual || at == placeColon || at == placeValue && !p.option), x.weak(), truthWord(x.text):
		return weightKnown
	case x.kind != kindWord || identLike(x.text) || strings.IndexByte(x.text, '-') > 0:
		if at == placeFirst || at == placeKey {
			return weightIdent
		}
		if at == placeColon && camelOnly(x) {
			return weightWord
		}
		return weightKnown
	}
	return weightWord
}

// camelOnly reports whether a word is words of a language run together: the name of a state as often as that of a thing.
func camelOnly(x *cell) bool { return x.kind == kindWord && !strings.ContainsAny(x.text, "-_.") }

// weak reports whether a word is letters with a small number behind them.
func (x *cell) weak() bool { return x.kind == kindWord && stemOf(x.text) > 0 }

// sizeUnit reports whether a word is a unit that is printed as fits: 1.2 KB, 310 B.
func sizeUnit(w string) bool {
	switch w {
	case "B", "KB", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB":
		return true
	}
	return false
}

func truthWord(w string) bool {
	switch w {
	case "true", "false", "null", "nil", "True", "False", "None", "TRUE", "FALSE", "NULL":
		return true
	}
	return false
}

// identLike reports whether a word looks like a name made by a program rather than one of a language.
func identLike(w string) bool {
	lower, upper, camel := 0, 0, false
	for i := range len(w) {
		c := classOf[w[i]]
		switch {
		case c&isSep != 0 && i > 0 && i < len(w)-1 && w[i] != '-':
			return true
		case c&isUpper != 0:
			if i > 0 && classOf[w[i-1]]&isUpper == 0 {
				camel = true
			}
			upper++
		case c&(isHexAlpha|isOtherAlpha) != 0:
			lower++
		}
	}
	return camel && lower > 0
}

// namesValue reports whether a word says that the name of somebody or something follows.
func namesValue(w string) bool {
	switch w {
	case "user", "User", "username", "host", "Host", "hostname":
		return true
	}
	return false
}

func (p *partitioner) split(rows []row, inherited mask) {
	cols := len(rows[0].cells)
	if len(rows) == 1 {
		p.emit(rows, inherited)
		return
	}
	vars := inherited
	anchors, varCols, unsure := 0, 0, 0
	best, bestVar := -1, -1
	var bestStat, bestVarStat colStat
	var fresh, open []int
	for c := range cols {
		p.option = p.places[c] == placeValue && !allSame(rows, c) && p.optional(&rows[0], c)
		st := p.stat(rows, c)
		if st.distinct == 1 {
			if !st.slots && !vars.has(c) && p.prose.has(c) {
				anchors++
			}
			continue
		}
		need := needAt[p.places[c]]
		if p.places[c] == placeUsual && namesValue(rows[0].cells[c-1].text) {
			need = needNamed
		}
		if p.option {
			need = needOption
		}
		if inherited.has(c) || st.masked || st.weight >= need {
			vars.set(c)
			if p.prose.has(c) {
				varCols++
			}
			if !inherited.has(c) {
				fresh = append(fresh, c)
			}
			if !inherited.has(c) && (bestVar < 0 || p.before(c, st, bestVar, bestVarStat)) {
				bestVar, bestVarStat = c, st
			}
			continue
		}
		unsure++
		open = append(open, c)
		p.note(p.unsure, rows, c)
		if best < 0 || st.distinct < bestStat.distinct {
			best, bestStat = c, st
		}
	}
	if c := p.free(rows, open); c >= 0 {
		vars.set(c)
		p.split(rows, vars)
		return
	}
	if p.values != nil && unsure == 1 && anchors >= minAnchors && bestStat.distinct >= minRivals && !bestStat.slots {
		p.rival(rows, best)
	}
	if unsure == 1 && anchors >= manyAnchors && !bestStat.slots && p.choice(rows, best, bestStat.distinct) {
		vars.set(best)
		p.split(rows, vars)
		return
	}
	held := anchors > 0 && anchors >= varCols && anchors >= unsure
	if held {
		for _, c := range fresh {
			if !p.frame.quoted[c] {
				p.note(p.values, rows, c)
			}
		}
	}
	if best < 0 {
		if anchors > 0 && 2*anchors >= varCols || bestVar < 0 {
			p.emit(rows, vars)
			return
		}
		best = bestVar
	}
	if !held {
		vars = inherited
	}
	parts := splitBy(rows, best)
	for _, c := range fresh {
		if len(parts) > 2 && changesWith(parts, c) {
			vars.unset(c)
		}
	}
	for _, part := range parts {
		p.split(part, vars)
	}
}

// before reports whether column c, which looks like values, is better to split on than column d: where no value is expected first.
func (p *partitioner) before(c int, st colStat, d int, best colStat) bool {
	values := func(c int) bool {
		return p.places[c] >= placeField && p.places[c] <= placeColon || !p.prose.has(c) && p.places[c] != placeKey
	}
	if v := values(c); v != values(d) {
		return !v
	}
	return st.distinct < best.distinct
}

// unitsToo makes slots of all columns of units behind numbers if one is: what is small now will be large one day.
func (p *partitioner) unitsToo(rows []row, vars *mask) {
	cells := rows[0].cells
	unit := func(c int) bool { return cells[c].kind == kindWord && cells[c-1].bare && sizeUnit(cells[c].text) }
	found := false
	for c := 1; c < len(cells) && !found; c++ {
		found = vars.has(c) && unit(c)
	}
	for c := 1; c < len(cells) && found; c++ {
		if unit(c) {
			vars.set(c)
		}
	}
}

// plainShare is how many constant words a template needs for each plain word of running text that is a slot in it because it is a value
// wherever else it stands, if there is more than one. Where there are fewer, the words of values are those of statements, and say
// nothing.
const plainShare = 3

// emit adds a cluster. A word that is constant in it but a value wherever else it stands is a slot here as well.
func (p *partitioner) emit(rows []row, vars mask) {
	if p.strong != nil {
		anchors := 0
		also := vars
		var plain []int
		for c, x := range rows[0].cells {
			if x.bare || vars.has(c) {
				continue
			}
			strong := p.places[c] < placeMessage && p.strong(x.hash) && allSame(rows, c)
			switch {
			case strong && p.places[c] == placeUsual && x.kind == kindWord && !nameLike(x.text):
				plain = append(plain, c)
			case strong, p.field(rows, c) && allSame(rows, c):
				also.set(c)
			default:
				anchors++
			}
		}
		if len(plain) == 1 || plainShare*len(plain) <= anchors {
			for _, c := range plain {
				also.set(c)
			}
		} else {
			anchors += len(plain)
		}
		if anchors > 0 {
			vars = also
		}
	}
	p.unitsToo(rows, &vars)
	p.out = append(p.out, cluster{rows: rows, vars: vars})
}

// field reports whether a constant word is the value of a field of a record and looks like a name that a program made.
func (p *partitioner) field(rows []row, c int) bool {
	x := &rows[0].cells[c]
	return c > 0 && p.places[c] == placeField && p.places[c-1] == placeKey && x.kind == kindWord && identLike(x.text)
}

// changesWith reports whether a column has one word in each part: what changes together is one choice.
func changesWith(parts [][]row, c int) bool {
	for _, part := range parts {
		if !allSame(part, c) {
			return false
		}
	}
	return true
}

func allSame(rows []row, c int) bool {
	for i := range rows[1:] {
		if rows[i+1].cells[c].hash != rows[0].cells[c].hash {
			return false
		}
	}
	return true
}

// note collects the words of a column, if the pass wants them.
func (p *partitioner) note(into map[uint64]struct{}, rows []row, c int) {
	if into == nil {
		return
	}
	for i := range rows {
		if x := &rows[i].cells[c]; !x.bare {
			into[x.hash] = struct{}{}
		}
	}
}

func splitBy(rows []row, c int) [][]row {
	key := func(r row) uint64 {
		if r.cells[c].bare {
			return 0
		}
		return r.cells[c].hash
	}
	sorted := slices.Clone(rows)
	slices.SortStableFunc(sorted, func(a, b row) int { return cmp.Compare(key(a), key(b)) })
	var parts [][]row
	from := 0
	for i := 1; i <= len(sorted); i++ {
		if i == len(sorted) || key(sorted[i]) != key(sorted[from]) {
			parts = append(parts, sorted[from:i])
			from = i
		}
	}
	return parts
}
