package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/event"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/multiline"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

const (
	// maxUnknowns bounds the groups of unknown lines that are looked at closely; finding the nearest pattern is slow.
	maxUnknowns = 20
	// waitForWrite bounds the wait for a revision that the caller knows to exist.
	waitForWrite = 5 * time.Second
)

type recognizeArgs struct {
	Lines   lineList `json:"lines" required:"true" note:"At most 50,000; longer ones than 64 KiB are cut"`
	Library string   `json:"library" default:"default"`
	Header  bool     `json:"header" default:"true" doc:"Strip it (default)" note:"Time, level, component and the like at the beginning of each line, and take a stack trace as one with the line before it; false takes each line as a bare message"`
	Detail  string   `json:"detail" enum:"lines|summary|explain" default:"lines" note:"summary leaves out the results of the single lines; explain adds for the first 5 which tokens matched, which slot took what, why, and the nearest other pattern"`
	After   int      `json:"after_revision" min:"0" max:"9007199254740991" note:"Wait up to 5 s for this revision of the library, to see your own write; get_workflow tells it"`
	Tokens  int      `json:"max_tokens" note:"A token is taken to be four bytes; lines that do not fit are counted in omitted" default:"4000" min:"200" max:"1000000"`
}

// recognized is the shape of the answer, which encodeRecognized writes by hand.
type recognized struct {
	Library  string            `json:"library"`
	Revision int64             `json:"revision"`
	Lines    int               `json:"lines"` // those that go on with the one before are neither known nor unknown
	Known    int               `json:"known"`
	Unknown  int               `json:"unknown"`
	Patterns []recognizedTable `json:"patterns"` // the most frequent first
	Unknowns []unknownGroup    `json:"unknowns,omitempty"`
	Results  []lineResult      `json:"results,omitempty"` // one a line, in order
	Omitted  int               `json:"omitted,omitempty"` // lines at the end that have no result here

	Explained []json.RawMessage `json:"explained,omitempty"` // an explainedLine each
}

type recognizedTable struct {
	ID       pattern.ID `json:"id"`
	Name     string     `json:"name,omitempty"`
	Note     string     `json:"note,omitempty"` // what people said: severity error; owner team; tags a, b; origin own; ignored
	Template string     `json:"template"`
	Slots    []string   `json:"slots"`
	Lines    int        `json:"lines"`
	At       string     `json:"at"` // line numbers from 1, such as 1-3,7
	Resource string     `json:"resource"`

	Knowledge json.RawMessage `json:"knowledge,omitempty"` // entries that link to it, the latest first: a knownEntry each
}

// knownEntry is an entry of the knowledge base that links to a pattern.
type knownEntry struct {
	Entry    string `json:"entry"`
	Title    string `json:"title"`
	Type     string `json:"type"`
	Relation string `json:"relation"` // explains, ...
	Revision int    `json:"revision"`
	By       string `json:"by"`
	At       string `json:"at"`
	Since    string `json:"valid_from,omitempty"`
	Until    string `json:"valid_to,omitempty"`
}

// maxKnown bounds the entries told of one pattern.
const maxKnown = 5

type unknownGroup struct {
	Lines   int          `json:"lines"`
	At      string       `json:"at"`
	Example string       `json:"example"`
	Nearest *nearPattern `json:"nearest,omitempty"`
}

type nearPattern struct {
	ID       pattern.ID `json:"id"`
	Template string     `json:"template"`
	Token    int        `json:"token"` // the first that differs, from 0
	Want     string     `json:"want"`
	Got      string     `json:"got"`
}

type lineResult struct {
	Pattern    *int     `json:"pattern,omitempty"`    // index in patterns; -1 where the table was cut
	Confidence float64  `json:"confidence,omitempty"` // absent when 1
	Values     []string `json:"values,omitempty"`
	Unknown    *int     `json:"unknown,omitempty"`   // index in unknowns; -1 where there were too many
	Continues  int      `json:"continues,omitempty"` // the line, from 1, that this one goes on with; it has the result
}

func (s *Suite) recognize() Tool {
	return defineRaw[recognizeArgs, recognized](Tool{
		Name: "recognize", Title: "Recognize", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "Which known pattern each log line is, its values, or the nearest one.",
	}, s.recognizeLines)
}

func (s *Suite) recognizeLines(ctx context.Context, c Call, in recognizeArgs) (Result, error) {
	if len(in.Lines) == 0 {
		return Result{}, invalid("no lines given")
	}
	entry, err := s.entry(ctx, c, in.Library, int64(in.After))
	if errors.Is(err, errTexts) {
		return s.recognizeTexts(ctx, c, in)
	}
	if err != nil {
		return Result{}, err
	}
	r := recognitions.Get().(*recognition)
	defer r.release()
	r.run(entry, in)
	r.linked = s.linked(ctx, c, entry.Library, entry.Lives)
	structured := r.encode(in.Library, entry, in)
	return Result{Text: r.text(), Structured: structured}, nil
}

// linked is what the caller may know about the patterns of a library. Recognizing goes on without it.
func (s *Suite) linked(ctx context.Context, c Call, library postgres.Library, lives func(pattern.ID) bool) feed.Linked {
	if s.Libraries == nil {
		return feed.Linked{}
	}
	known, err := s.Libraries.Linked(ctx, c.Caller, library, lives)
	if err != nil && ctx.Err() == nil && s.Log != nil {
		s.Log.Warn("recognized without knowledge", zap.Error(err))
	}
	return known
}

// errTexts says that a library holds clusters of texts, of which the feed knows nothing.
var errTexts = errors.New("a library of texts")

// entry is the caller's library in memory, or errTexts. A library that was deleted and made again under its name is found again.
func (s *Suite) entry(ctx context.Context, c Call, library string, after int64) (*feed.Entry, error) {
	for try := 0; ; try++ {
		ref, err := s.libraryID(ctx, c, library)
		if err != nil {
			return nil, err
		}
		if ref.kind == kindOfTexts {
			return nil, errTexts
		}
		entry, err := s.entryByID(ctx, ref.id, after)
		if try > 0 || !errors.Is(err, postgres.ErrNotFound) {
			return entry, err
		}
		s.ids.Delete(libraryKey{c.Caller.WorkspaceID, library})
	}
}

func (s *Suite) entryByID(ctx context.Context, id uuid.UUID, after int64) (*feed.Entry, error) {
	if after == 0 {
		return s.Libraries.Entry(ctx, id)
	}
	wait, cancel := context.WithTimeout(ctx, waitForWrite)
	defer cancel()
	entry, err := s.Libraries.WaitFor(wait, id, after)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, unavailable("Check the number: it comes from get_workflow or an earlier result", "the library did not reach revision %d in %s", after, waitForWrite)
	}
	return entry, err
}

// recognition is the work of one call; it is pooled, since a call has many small parts.
type recognition struct {
	parser   *header.Parser
	events   event.Flattener
	record   multiline.Record
	match    template.Match
	index    map[pattern.ID]int
	patterns []tableRow
	unknown  map[template.ShapeID]int
	groups   []unknownRow
	lines    []lineRow
	spans    []template.Span
	known    int
	folded   int // lines that go on with the one before
	linked   feed.Linked
	buffer   []byte
	order    []int
}

type tableRow struct {
	pattern pattern.Pattern
	lines   int
	at      ranges
}

type unknownRow struct {
	lines   int
	at      ranges
	example []byte
	near    template.Near
	hasNear bool
}

type lineRow struct {
	message    []byte
	row        int // in patterns; -1 for unknown
	group      int // in groups; -1 where there are too many
	confidence float64
	from, to   int // in spans
	continues  int // number of the line that this one goes on with; 0 for none
}

var recognitions = sync.Pool{New: func() any {
	return &recognition{index: map[pattern.ID]int{}, unknown: map[template.ShapeID]int{}}
}}

func (r *recognition) release() {
	clear(r.index)
	clear(r.unknown)
	clear(r.patterns)
	clear(r.groups)
	clear(r.lines)
	r.patterns, r.groups, r.lines, r.spans, r.known, r.folded, r.linked = r.patterns[:0], r.groups[:0], r.lines[:0], r.spans[:0], 0, 0, feed.Linked{}
	if cap(r.buffer) > 1<<20 || cap(r.lines) > 10_000 {
		return // a rare large one is left to the collector
	}
	recognitions.Put(r)
}

func (r *recognition) run(entry *feed.Entry, in recognizeArgs) {
	if in.Header {
		r.parser = header.NewParser(time.Now().UTC())
	}
	events := entry.Library.Kind == workflows.KindRecord
	var folder multiline.Folder
	first := 0                        // the first line of the record being read
	firstAt, at := int64(0), int64(0) // where that line and this one start
	for i, line := range in.Lines {
		h := header.Header{Message: line}
		if in.Header {
			h = r.parser.Parse(line)
		}
		text, head := multiline.LineOf(line, h)
		if in.Header && !events && folder.Continues(text, at, head) {
			if i == first+1 {
				r.record.Start(r.lines[first].message, in.Lines[first], firstAt)
			}
			r.record.Add(line, folder.Exception(), at)
			r.lines = append(r.lines, lineRow{row: -1, group: -1, continues: first + 1})
			r.folded++
		} else {
			r.close(entry, first)
			first, firstAt = i, at
			message := h.Message
			if events {
				message = r.events.Message(line, h)
			}
			// A header that is folded into one object (journald, Docker) is decoded into the parser's own buffer.
			r.lines = append(r.lines, lineRow{message: own(line, message)})
		}
		at += int64(len(line)) + 1
	}
	r.close(entry, first)
}

// close recognises the record whose first line is given, once all its lines are there.
func (r *recognition) close(entry *feed.Entry, first int) {
	if first == len(r.lines) {
		return
	}
	row := &r.lines[first]
	if first < len(r.lines)-1 && len(r.record.Message) > len(row.message) { // the trace names exceptions
		row.message = slices.Clone(r.record.Message)
	}
	row.row, row.group, row.from = -1, -1, len(r.spans)
	if entry.Index.Recognise(row.message, &r.match) {
		row.row = r.patternRow(entry, r.match.Pattern)
		row.confidence = r.match.Confidence
		r.spans = append(r.spans, r.match.Values...)
		p := &r.patterns[row.row]
		p.lines++
		p.at.add(first + 1)
		r.known++
	} else if row.group = r.unknownRow(entry, row.message); row.group >= 0 {
		g := &r.groups[row.group]
		g.lines++
		g.at.add(first + 1)
	}
	row.to = len(r.spans)
}

// own is message as a part of line where it is one, and a copy where it is not.
func own(line, message []byte) []byte {
	if len(message) == 0 {
		return nil
	}
	if at := cap(line) - cap(message); at >= 0 && at+len(message) <= len(line) && &line[at] == &message[0] {
		return message
	}
	return slices.Clone(message)
}

func (r *recognition) patternRow(entry *feed.Entry, id pattern.ID) int {
	if row, ok := r.index[id]; ok {
		return row
	}
	p, _ := entry.Index.Pattern(id)
	r.index[id] = len(r.patterns)
	r.patterns = append(r.patterns, tableRow{pattern: p})
	return len(r.patterns) - 1
}

func (r *recognition) unknownRow(entry *feed.Entry, message []byte) int {
	if row, ok := r.unknown[r.match.Shape]; ok && r.match.Shape != template.Other {
		return row
	}
	if len(r.groups) == maxUnknowns {
		return -1
	}
	g := unknownRow{example: message}
	g.near, g.hasNear = entry.Index.Nearest(message)
	r.unknown[r.match.Shape] = len(r.groups)
	r.groups = append(r.groups, g)
	return len(r.groups) - 1
}

// text is the answer for people: one short line.
func (r *recognition) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d known in %s", plural(len(r.lines), "line"), r.known, plural(len(r.patterns), "pattern"))
	for i, at := range r.byCount() {
		if i == 3 {
			b.WriteString(", ...")
			break
		}
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s x%d", sep, r.patterns[at].pattern.ID, r.patterns[at].lines)
	}
	if n := len(r.lines) - r.known - r.folded; n > 0 {
		fmt.Fprintf(&b, "; %d unknown", n)
	}
	if r.folded > 0 {
		fmt.Fprintf(&b, "; %d go on with the one before", r.folded)
	}
	return b.String()
}

// byCount is the order of the patterns in the answer: the most frequent first.
func (r *recognition) byCount() []int {
	r.order = r.order[:0]
	for i := range r.patterns {
		r.order = append(r.order, i)
	}
	slices.SortStableFunc(r.order, func(a, b int) int { return r.patterns[b].lines - r.patterns[a].lines })
	return r.order
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
