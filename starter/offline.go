package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// maxLine is how much of one line is read; the rest of a longer one is dropped and the line counted as truncated.
const maxLine = 64 << 10

// offlineValues is how many values of a slot are printed.
const offlineValues = 8

// offline mines a file in process, without a server.
type offline struct {
	noHeader    bool
	observe     observing
	assignments string
	limit       int
	values      bool
}

// offlineResult is what --output json prints.
type offlineResult struct {
	Lines      int64         `json:"lines"`     // observations
	Continued  int64         `json:"continued"` // lines that go on with the one before
	Truncated  int64         `json:"truncated"`
	Untimed    int64         `json:"untimed"`
	OtherLines int64         `json:"other_lines"`
	Shapes     int           `json:"shapes"`
	Distinct   int           `json:"distinct_patterns"` // also of those that --limit leaves out
	Seconds    float64       `json:"seconds"`
	Patterns   []patternView `json:"patterns"`
}

func (o offline) run(a *app, files []string) error {
	if o.assignments != "" && len(files) != 1 {
		return usage("--assignments wants one FILE, got %d", len(files))
	}
	begun := time.Now()
	var result offlineResult
	mined := template.NewOffline(template.TallyOptions{Values: o.values})
	reader := newOfflineReader(mined, o, begun)
	for _, name := range files {
		in, done, err := a.open(name)
		if err == nil {
			err = reader.read(in)
			done()
		}
		if err != nil {
			return readFailure(name, err)
		}
	}
	result.Continued, result.Truncated, result.Untimed = reader.continued, reader.truncated, reader.untimed
	assign := mined.Assign()
	if o.assignments != "" {
		if err := writeAssignments(o.assignments, reader.rows, assign); err != nil {
			return fmt.Errorf("write the assignments: %w", err)
		}
	}
	result.Lines = mined.Tally().Lines()
	result.Seconds = time.Since(begun).Seconds()
	result.collect(mined, o.limit)
	if o.values {
		held := mined.Values()
		for i := range result.Patterns {
			result.Patterns[i].Values = slotViews(held[result.Patterns[i].ID], offlineValues)
		}
	}
	return a.printOffline(result)
}

// open opens a file, or stdin for "-".
func (a *app) open(name string) (io.Reader, func(), error) {
	if name == "-" {
		return a.in, func() {}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	return f, func() { f.Close() }, nil
}

// openPlain opens a file, or stdin for "-", and decompresses it.
func (a *app) openPlain(name string) (io.Reader, func(), error) {
	in, done, err := a.open(name)
	if err != nil {
		return nil, nil, err
	}
	plain, _, err := lines.Decompress(in)
	if err != nil {
		done()
		return nil, nil, err
	}
	return plain, func() { plain.Close(); done() }, nil
}

// collect turns the counts per shape into counts per pattern, the most frequent first.
func (r *offlineResult) collect(mined *template.Offline, limit int) {
	lib := mined.Library()
	byID := map[pattern.ID]*patternView{}
	histograms := map[pattern.ID]map[int64]int64{}
	for _, c := range mined.Tally().Counted() {
		r.Shapes++
		id, ok := mined.PatternOf(c.ID)
		if !ok {
			r.OtherLines += c.Lines
			continue
		}
		v := byID[id]
		if v == nil {
			p, _ := lib.Pattern(id)
			v = &patternView{ID: id, Template: p.Template, Slots: p.Slots}
			byID[id], histograms[id] = v, map[int64]int64{}
		}
		v.add(c)
		for _, b := range c.Buckets {
			histograms[id][b.Start] += b.Lines
		}
	}
	r.Patterns = make([]patternView, 0, len(byID))
	for id, v := range byID {
		v.Histogram = rebucket(histograms[id], *v.FirstSeen, *v.LastSeen, sparkWidth)
		r.Patterns = append(r.Patterns, *v)
	}
	slices.SortFunc(r.Patterns, func(x, y patternView) int {
		if x.Lines != y.Lines {
			return int(min(max(y.Lines-x.Lines, -1), 1))
		}
		return strings.Compare(string(x.ID), string(y.ID))
	})
	r.Distinct = len(r.Patterns)
	if limit > 0 && len(r.Patterns) > limit {
		r.Patterns = r.Patterns[:limit]
	}
}

// add counts one shape under the pattern.
func (v *patternView) add(c template.Counted) {
	first, last := time.Unix(0, c.First).UTC(), time.Unix(0, c.Last).UTC()
	if v.FirstSeen == nil || first.Before(*v.FirstSeen) {
		v.FirstSeen = &first
		v.Examples = []exampleView{{Line: c.Example, At: first}}
	}
	if v.LastSeen == nil || last.After(*v.LastSeen) {
		v.LastSeen = &last
	}
	v.Lines += c.Lines
}

// rebucket spreads counts over at most n equal spans between from and to, none shorter than a minute.
func rebucket(counts map[int64]int64, from, to time.Time, n int) []bucketView {
	span := max(to.Sub(from)/time.Duration(n)+1, time.Minute)
	n = int(to.Sub(from)/span) + 1
	out := make([]bucketView, n)
	for i := range out {
		out[i].Start = from.Add(time.Duration(i) * span).Truncate(time.Second)
	}
	for start, lines := range counts {
		i := int(time.Unix(start, 0).Sub(from) / span)
		out[min(max(i, 0), n-1)].Lines += lines
	}
	return out
}

// writeAssignments writes a line per input line: the pattern's id, a tab, its template.
func writeAssignments(path string, rows []int32, assign func(i int) (pattern.ID, string)) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for _, i := range rows {
		id, text := assign(int(i))
		w.WriteString(string(id))
		w.WriteByte('\t')
		w.WriteString(text)
		w.WriteByte('\n') // a failed write is kept by the writer and reported by Flush
	}
	if err := w.Flush(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func (a *app) printOffline(r offlineResult) error {
	if a.json() {
		return a.printJSON(r)
	}
	table := [][]string{{"PATTERN", "LINES", "OVER TIME", "TEMPLATE"}}
	room := max(width(a.out, 160)-60, 30)
	for _, v := range r.Patterns {
		counts := make([]int64, len(v.Histogram))
		for i, b := range v.Histogram {
			counts[i] = b.Lines
		}
		table = append(table, []string{string(v.ID), count(v.Lines), sparkline(counts), clip(v.Template, room)})
		for _, s := range v.Values {
			table = append(table, []string{"", "", "", clip("  "+s.Slot+": "+s.Line(), room)})
		}
	}
	if err := a.table(table); err != nil {
		return err
	}
	a.say("%s lines, %s patterns of %s shapes, %.2f s (%s lines/s)%s", count(r.Lines), count(int64(r.Distinct)), count(int64(r.Shapes)),
		r.Seconds, count(int64(float64(r.Lines)/max(r.Seconds, 1e-9))), r.remarks())
	return nil
}

// remarks says what a reader should know about the counts.
func (r offlineResult) remarks() string {
	var b strings.Builder
	if r.Untimed > 0 && r.Untimed < r.Lines {
		fmt.Fprintf(&b, "; %s lines took their neighbour's time", count(r.Untimed))
	} else if r.Untimed > 0 {
		b.WriteString("; no line has a time, so all count at the time of arrival")
	}
	if r.Continued > 0 {
		fmt.Fprintf(&b, "; %s more lines go on with the one before, as stack traces do", count(r.Continued))
	}
	if r.Truncated > 0 {
		fmt.Fprintf(&b, "; %s lines were too long and were cut", count(r.Truncated))
	}
	if r.OtherLines > 0 {
		fmt.Fprintf(&b, "; %s lines are under no pattern (empty, or past the bound on shapes)", count(r.OtherLines))
	}
	return b.String()
}

// readFailure says which file could not be read and why.
func readFailure(name string, err error) error {
	f := classify(err, true)
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // it names the file once more
	}
	return &failure{code: f.code, what: "read " + name, why: err}
}
