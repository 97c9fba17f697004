package tools

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/mcp/tools/jsonrpc"
)

const (
	// maxExample cuts examples and values in answers.
	maxExample = 400
	maxValue   = 200
	// maxTable bounds the patterns listed; the most frequent are.
	maxTable = 200
)

// encode writes the answer as a recognized, within the tokens asked for: the tables first, cut to half of the room, then as many
// lines as fit. It is written by hand because it is most of what a call costs.
func (r *recognition) encode(library string, entry *feed.Entry, in recognizeArgs) []byte {
	room := in.Tokens * bytesPerToken
	b := r.buffer[:0]
	b = append(b, `{"library":`...)
	b = jsonrpc.AppendString(b, library)
	b = number(b, `,"revision":`, entry.Revision)
	b = number(b, `,"lines":`, int64(len(r.lines)))
	b = number(b, `,"known":`, int64(r.known))
	b = number(b, `,"unknown":`, int64(len(r.lines)-r.known-r.folded))
	b, position := r.encodePatterns(b, library, entry, room/2)
	b, groups := r.encodeUnknowns(b, room*3/4)
	if in.Detail != "summary" {
		b = r.encodeLines(b, position, groups, room)
	}
	if in.Detail == "explain" {
		b = r.encodeExplained(b, entry)
	}
	b = append(b, '}')
	r.buffer = b
	return append([]byte(nil), b...)
}

// encodePatterns also returns where each row of the table went, -1 for those that were left out.
func (r *recognition) encodePatterns(b []byte, library string, entry *feed.Entry, room int) (out []byte, position []int) {
	position = make([]int, len(r.patterns))
	b = append(b, `,"patterns":[`...)
	written := 0
	for _, at := range r.byCount() {
		if position[at] = -1; written == maxTable || (written > 0 && len(b) > room) {
			continue
		}
		if written > 0 {
			b = append(b, ',')
		}
		position[at] = written
		written++
		b = encodePattern(b, library, entry, &r.patterns[at])
		b = append(encodeKnown(b, r.linked.About(r.patterns[at].pattern.ID), room), '}')
	}
	return append(b, ']'), position
}

func encodePattern(b []byte, library string, entry *feed.Entry, row *tableRow) []byte {
	b = append(b, `{"id":`...)
	b = jsonrpc.AppendString(b, row.pattern.ID)
	if name := nameOf(entry, row.pattern.ID); name != "" {
		b = append(b, `,"name":`...)
		b = jsonrpc.AppendString(b, name)
	}
	b = encodeNote(b, entry, row.pattern)
	b = append(b, `,"template":`...)
	b = jsonrpc.AppendString(b, cut(row.pattern.Template, maxExample))
	b = append(b, `,"slots":[`...)
	for i, slot := range row.pattern.Slots {
		if i > 0 {
			b = append(b, ',')
		}
		b = jsonrpc.AppendString(b, slot.Name)
	}
	b = number(b, `],"lines":`, int64(row.lines))
	b = append(b, `,"at":`...)
	b = jsonrpc.AppendString(b, row.at.String())
	b = append(b, `,"resource":`...)
	return jsonrpc.AppendString(b, PatternURI(library, row.pattern.ID))
}

// encodeKnown writes the entries that are about a pattern, as long as there is room.
func encodeKnown(b []byte, about []*postgres.LinkedEntry, room int) []byte {
	for known := knownEntries(about); len(known) > 0; known = known[:len(known)-1] {
		text, err := json.Marshal(known)
		if err == nil && (len(b)+len(text) <= room || len(known) == 1) {
			return append(append(b, `,"knowledge":`...), text...)
		}
	}
	return b
}

// knownEntries are the first of the entries, as a caller is told of them.
func knownEntries(about []*postgres.LinkedEntry) (known []knownEntry) {
	for _, l := range about[:min(len(about), maxKnown)] {
		known = append(known, knownEntry{
			Entry: l.Address(), Title: cut(l.Title, maxValue), Type: l.Type, Relation: cut(l.Relation, 100), Revision: l.Number, By: l.Author.String(),
			At: stamp(l.RecordedAt), Since: until(l.ValidFrom), Until: until(l.ValidTo),
		})
	}
	return known
}

// encodeNote writes in a few words what people said of a pattern: it is for whoever meets a line of it, and short because the
// schema of the answer is.
func encodeNote(b []byte, entry *feed.Entry, p pattern.Pattern) []byte {
	var n postgres.Note
	if entry.Notes != nil {
		n = entry.Notes(p.ID)
	}
	var parts []string
	for _, f := range [][2]string{{"severity", n.Severity}, {"owner", n.Owner}, {"tags", strings.Join(n.Tags, ", ")}, {"origin", string(p.Origin)}} {
		if f[1] != "" {
			parts = append(parts, f[0]+" "+f[1])
		}
	}
	if n.Ignored {
		parts = append(parts, "ignored")
	}
	if len(parts) == 0 {
		return b
	}
	b = append(b, `,"note":`...)
	return jsonrpc.AppendString(b, strings.Join(parts, "; "))
}

func nameOf(entry *feed.Entry, id pattern.ID) string {
	if entry.Names == nil {
		return ""
	}
	return entry.Names(id)
}

func (r *recognition) encodeUnknowns(b []byte, room int) (out []byte, written int) {
	if len(r.groups) == 0 {
		return b, 0
	}
	b = append(b, `,"unknowns":[`...)
	for i := range r.groups {
		if written > 0 && len(b) > room {
			break
		}
		if written > 0 {
			b = append(b, ',')
		}
		written++
		g := &r.groups[i]
		b = number(b, `{"lines":`, int64(g.lines))
		b = append(b, `,"at":`...)
		b = jsonrpc.AppendString(b, g.at.String())
		b = append(b, `,"example":`...)
		b = jsonrpc.AppendString(b, cut(g.example, maxExample))
		if g.hasNear {
			b = encodeNear(b, g.near)
		}
		b = append(b, '}')
	}
	return append(b, ']'), written
}

func encodeNear(b []byte, n template.Near) []byte {
	b = append(b, `,"nearest":{"id":`...)
	b = jsonrpc.AppendString(b, n.Pattern)
	b = append(b, `,"template":`...)
	b = jsonrpc.AppendString(b, cut(n.Template, maxExample))
	b = number(b, `,"token":`, int64(n.Token))
	b = append(b, `,"want":`...)
	b = jsonrpc.AppendString(b, cut(n.Want, maxValue))
	b = append(b, `,"got":`...)
	b = jsonrpc.AppendString(b, cut(n.Got, maxValue))
	return append(b, '}')
}

func (r *recognition) encodeLines(b []byte, position []int, groups, room int) []byte {
	b = append(b, `,"results":[`...)
	for i := range r.lines {
		if i > 0 && len(b) > room {
			return number(append(b, ']'), `,"omitted":`, int64(len(r.lines)-i))
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = r.encodeLine(b, &r.lines[i], position, groups)
	}
	return append(b, ']')
}

func (r *recognition) encodeLine(b []byte, line *lineRow, position []int, groups int) []byte {
	if line.continues > 0 {
		return append(number(b, `{"continues":`, int64(line.continues)), '}')
	}
	if line.row < 0 {
		if line.group < 0 || line.group >= groups {
			return append(b, `{"unknown":-1}`...)
		}
		return append(number(b, `{"unknown":`, int64(line.group)), '}')
	}
	if at := position[line.row]; at >= 0 {
		b = number(b, `{"pattern":`, int64(at))
	} else {
		b = append(b, `{"pattern":-1`...)
	}
	if line.confidence < 1 {
		b = append(b, `,"confidence":`...)
		b = strconv.AppendFloat(b, round(line.confidence), 'f', -1, 64)
	}
	if line.to > line.from {
		b = append(b, `,"values":`...)
		sep := byte('[')
		for _, span := range r.spans[line.from:line.to] {
			b = append(b, sep)
			b = jsonrpc.AppendString(b, cut(line.message[span.Start:span.End], maxValue))
			sep = ','
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func number(b []byte, key string, n int64) []byte {
	return strconv.AppendInt(append(b, key...), n, 10)
}

// round keeps two digits after the point.
func round(f float64) float64 { return math.Round(f*100) / 100 }

// cut shortens text to n bytes, at the end, with dots in place of what is gone.
func cut[T ~string | ~[]byte](s T, n int) T {
	if len(s) <= n {
		return s
	}
	// Cutting inside a character leaves bytes that the encoder shows as U+FFFD, so step back to its start.
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return T(append([]byte(s[:n]), "..."...))
}

// maxRanges bounds a list of line numbers.
const maxRanges = 12

// ranges collects ascending line numbers as "1-3,7".
type ranges struct {
	text        []byte
	first, last int
	count       int
}

func (r *ranges) add(n int) {
	if n == r.last+1 && r.last > 0 {
		r.last = n
		return
	}
	r.flush()
	r.first, r.last = n, n
}

func (r *ranges) flush() {
	if r.first == 0 {
		return
	}
	if r.count++; r.count > maxRanges {
		return
	}
	if len(r.text) > 0 {
		r.text = append(r.text, ',')
	}
	r.text = strconv.AppendInt(r.text, int64(r.first), 10)
	if r.last > r.first {
		r.text = strconv.AppendInt(append(r.text, '-'), int64(r.last), 10)
	}
}

// String ends the collection; "..." stands for the rest where there are many.
func (r *ranges) String() string {
	r.flush()
	r.first = 0
	if r.count > maxRanges {
		r.text = append(r.text, ",..."...)
	}
	return string(r.text)
}
