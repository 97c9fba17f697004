package activities

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/cluster"
	"github.com/tartan-ai/tartan/internal/pattern/event"
	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/multiline"
	"github.com/tartan-ai/tartan/internal/pattern/series"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// sorted is a batch on its way: all is every row, and each becomes a fault, or good and then a match.
type sorted struct {
	lib     postgres.Library
	all     []postgres.Observation
	good    []observed
	faults  []postgres.ObservationFault
	matches []postgres.ObservationMatch
}

// observed is an observation that can be analysed.
type observed struct {
	row           postgres.Observation
	message, line []byte // of lines and events
	values        []float64
	text          string
	at            time.Time
}

func (s *sorted) fault(row postgres.Observation, code, format string, args ...any) {
	s.faults = append(s.faults, postgres.ObservationFault{Observation: row, Code: code, Reason: fmt.Sprintf(format, args...)})
}

// sort takes the rows apart, as the kind of the library asks for.
func (s *sorted) sort() {
	for _, row := range s.all {
		if s.refused(row) {
			continue
		}
		g := observed{row: row, at: row.ReceivedAt}
		if row.ObservedAt != nil {
			g.at = *row.ObservedAt
		}
		ok := false
		switch s.lib.Kind {
		case KindSeries:
			ok = s.window(&g)
		case KindText:
			g.text = cluster.Cut([]byte(*row.Body))
			if ok = g.text != ""; !ok {
				s.fault(row, "empty", "the body is blank: give a text")
			}
		case KindRecord:
			ok = s.event(&g)
		default:
			if ok = strings.TrimSpace(*row.Body) != ""; ok {
				s.lines(&g)
			} else {
				s.fault(row, "empty", "the body is blank: give a line")
			}
		}
		if ok {
			s.good = append(s.good, g)
		}
	}
}

// refused quarantines what is wrong whatever it says.
func (s *sorted) refused(row postgres.Observation) bool {
	column, has := "body", row.Body != nil
	switch s.lib.Kind {
	case KindSeries:
		column, has = "series", row.Series != nil
	case KindRecord:
		column, has = "record", row.Record != nil || row.Body != nil
	}
	switch {
	case row.Given != 1:
		s.fault(row, "not_one_body", "%d of body, record and series are given: give one", row.Given)
	case row.Fault == "too_large":
		s.fault(row, row.Fault, "too large: a body may have %d KiB, a record %d KiB and a series %d points", postgres.MaxObservedText>>10, postgres.MaxObservedRecord>>10, postgres.MaxObservedSeries)
	case row.Fault == "bad_time":
		s.fault(row, row.Fault, "observed_at is not between 1970 and 2200")
	case row.Fault == "not_an_object" && s.lib.Kind == KindRecord:
		s.fault(row, row.Fault, "the record is JSON, but no object: give {...}")
	case row.Fault == "not_a_list" && s.lib.Kind == KindSeries:
		s.fault(row, row.Fault, "the series is empty or has several dimensions: give a list of numbers")
	case !has:
		s.fault(row, "wrong_kind", "library %s is of kind %s: give a %s", s.lib.Name, s.lib.Kind, column)
	default:
		return false
	}
	return true
}

// lines reads a line and those that go on with it, as one.
func (s *sorted) lines(g *observed) {
	g.line = []byte(strings.TrimRight(*g.row.Body, "\r\n"))
	parts := bytes.Split(g.line, []byte{'\n'})
	parser := header.NewParser(g.row.ReceivedAt)
	h := parser.Parse(parts[0])
	g.message = slices.Clone(h.Message)
	g.timed(h)
	if len(parts) == 1 {
		return
	}
	var folder multiline.Folder
	var record multiline.Record
	text, head := multiline.LineOf(parts[0], h)
	folder.Continues(text, 0, head)
	record.Start(g.message, parts[0], 0)
	at := int64(len(parts[0]) + 1)
	for _, part := range parts[1:] {
		folder.Continues(part, at, multiline.Bare) // it does, by being here; what is asked for is the exception it names
		record.Add(part, folder.Exception(), at)
		at += int64(len(part)) + 1
	}
	g.message, g.line = slices.Clone(record.Message), slices.Clone(record.Text)
}

// event reads a JSON event: a record, or a body that holds one.
func (s *sorted) event(g *observed) bool {
	text := g.row.Record
	if text == nil {
		text = g.row.Body
	}
	var events event.Flattener
	g.line = []byte(strings.TrimSpace(*text))
	if _, ok := events.Flatten(g.line); !ok || g.line[0] != '{' {
		s.fault(g.row, "not_an_object", "the body is no JSON object: give {...}, or use a library of kind lines")
		return false
	}
	h := header.NewParser(g.row.ReceivedAt).Parse(g.line)
	g.message = slices.Clone(events.Message(g.line, h))
	g.timed(h)
	return true
}

// timed takes the time of the line where none was given.
func (g *observed) timed(h header.Header) {
	if h.HasTime && g.row.ObservedAt == nil {
		g.at = time.Unix(0, h.Time).UTC()
	}
}

// window reads numbers, of which those missing are NaN.
func (s *sorted) window(g *observed) bool {
	g.values = make([]float64, len(g.row.Series))
	for i, v := range g.row.Series {
		switch {
		case v == nil:
			g.values[i] = math.NaN()
		case math.IsNaN(*v) || math.IsInf(*v, 0):
			s.fault(g.row, "not_finite", "point %d of the series is %v: give finite numbers, and null for what is missing", i+1, *v)
			return false
		default:
			g.values[i] = *v
		}
	}
	return true
}

// maxSlot bounds the value of a slot that is kept with a match, and maxSlots how many are.
const (
	maxSlot  = 1 << 10
	maxSlots = 64
)

func (s *sorted) add(g observed, id pattern.ID, isNew bool, confidence float64) *postgres.ObservationMatch {
	verdict := "known"
	switch {
	case id == "":
		verdict = "unknown"
	case isNew:
		verdict = "new"
	}
	s.matches = append(s.matches, postgres.ObservationMatch{
		ObservationID: g.row.ID, LibraryID: s.lib.ID, SessionKey: g.row.SessionKey, Key: g.row.Key,
		Verdict: verdict, Pattern: string(id), Confidence: confidence, ObservedAt: g.at,
	})
	return &s.matches[len(s.matches)-1]
}

// match recognises lines and events with the library that has learnt them. What it was too full to learn is unknown.
func (s *sorted) match(index *template.Index, fresh map[pattern.ID]bool) {
	s.matches = s.matches[:0]
	var m template.Match
	for _, g := range s.good {
		if !index.Recognise(g.message, &m) {
			s.add(g, "", false, 0)
			continue
		}
		match := s.add(g, m.Pattern, fresh[m.Pattern], m.Confidence)
		for _, v := range m.Values[:min(len(m.Values), maxSlots)] {
			match.Slots = append(match.Slots, strings.ToValidUTF8(string(g.message[v.Start:min(v.End, v.Start+maxSlot)]), ""))
		}
	}
}

// recognizeSeries matches windows with the recogniser that the library answers with.
func (o *Observations) recognizeSeries(ctx context.Context, s *sorted) error {
	var model postgres.SeriesModel
	err := postgres.ReadAsService(ctx, o.Pool, func(tx pgx.Tx) (err error) {
		model, err = postgres.SeriesModelInUse(ctx, tx, s.lib.ID)
		return err
	})
	var r *series.Recogniser
	if err == nil {
		r, err = o.models.Get(model.ModelKey, func() ([]byte, error) { return o.Bucket.ReadAll(ctx, model.ModelKey, series.MaxEncoded) })
	}
	if errors.Is(err, postgres.ErrNotFound) || errors.Is(err, bucket.ErrNotFound) || errors.Is(err, series.ErrVersion) {
		s.untrained()
		return nil
	}
	if err != nil {
		return err
	}
	for _, g := range s.good {
		got, err := r.Recognise(g.values)
		switch {
		case err != nil:
			s.fault(g.row, "not_a_window", "%s", err)
		case got.Known:
			s.add(g, pattern.Fingerprint(got.Class), false, got.Confidence).Version = model.Version
		default:
			s.add(g, "", false, got.Confidence)
		}
	}
	return nil
}

func (s *sorted) untrained() {
	for _, g := range s.good {
		s.fault(g.row, "untrained", "library %s has no recogniser that can be used: train it with tartan series train, then retry", s.lib.Name)
	}
}

// clusterObserved puts texts into the clusters of the library, or makes clusters of them.
func (o *Observations) clusterObserved(ctx context.Context, in AnalyzeInput, s *sorted) (*Analyzed, error) {
	t := &Texts{Pool: o.Pool, Bucket: o.Bucket, Embedder: o.Embedder}
	counts := map[string]int64{}
	for _, g := range s.good {
		counts[g.text]++
	}
	texts, embedder, err := t.vectors(ctx, counts)
	if err != nil {
		return nil, typed("embed texts", err)
	}
	return o.finishWith(ctx, in, s, func(tx pgx.Tx) (c postgres.Counted, err error) {
		lib, err := postgres.LockLibrary(ctx, tx, s.lib.ID)
		if err != nil {
			return c, err
		}
		known, err := t.known(ctx, tx, lib, embedder)
		if err != nil {
			return c, err
		}
		grouped := bounded(cluster.Assign(known, texts, TextOptions{}.threshold()), len(known))
		change, counted := countTexts(texts, grouped, time.Now())
		fresh, revision, err := learned(ctx, tx, lib, counted, change, uuid.Nil)
		if err != nil {
			return c, err
		}
		s.matchTexts(texts, grouped, fresh)
		return postgres.Counted{Library: lib.ID, NewPatterns: len(fresh)}, postgres.SaveTextClusters(ctx, tx, lib, revision, embedder, touched(grouped))
	})
}

// matchTexts says which cluster each text was put into; the confidence is the cosine to its centre.
func (s *sorted) matchTexts(texts []cluster.Text, grouped cluster.Result, fresh map[pattern.ID]bool) {
	s.matches = s.matches[:0]
	of := make(map[string]int, len(texts))
	for i, t := range texts {
		of[t.Text] = i
	}
	for _, g := range s.good {
		i := of[g.text]
		c := grouped.Of[i]
		if c < 0 {
			s.add(g, "", false, 0)
			continue
		}
		k, near := grouped.Clusters[c], 0.0
		for d, v := range texts[i].Vector {
			near += float64(v) * float64(k.Centre[d])
		}
		s.add(g, k.Pattern, fresh[k.Pattern], min(1, max(0, near)))
	}
}
