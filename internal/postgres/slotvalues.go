package postgres

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/pattern/values"
)

// periodKey names a row of slot_values in its library.
type periodKey struct {
	shape, span, start int64
}

func (k periodKey) compare(o periodKey) int {
	return cmp.Or(cmp.Compare(k.shape, o.shape), cmp.Compare(k.span, o.span), cmp.Compare(k.start, o.start))
}

// held is what shapes held, to be added to what is stored.
type held map[int64][]values.Period

// saveValues adds the slot values of a tally. Shapes, their texts and last lines must be stored before.
func saveValues(ctx context.Context, tx pgx.Tx, lib Library, counts []template.Counted, assigned []template.Assignment) error {
	to := make(map[template.ShapeID]template.ShapeID, len(assigned))
	for _, a := range assigned {
		to[a.Given] = a.Shape
	}
	in, wide := held{}, map[int64]string{}
	for _, c := range counts {
		if id := to[c.ID]; id != template.Other && len(c.Values) > 0 {
			in[int64(id)] = nil
			if id != c.ID {
				wide[int64(id)] = ""
			}
		}
	}
	if len(in) == 0 {
		return nil
	}
	err := shapeTexts(ctx, tx, lib, wide)
	if err != nil {
		return err
	}
	for _, c := range counts {
		id, periods := int64(to[c.ID]), c.Values
		if id == int64(template.Other) || len(periods) == 0 {
			continue
		}
		if id != int64(c.ID) {
			if periods, err = opened(periods); err != nil {
				return fmt.Errorf("values of shape %x: %w", uint64(c.ID), err)
			}
			periods = template.WidenValues(periods, c.Text, wide[id])
		}
		in[id] = append(in[id], periods...)
	}
	return in.save(ctx, tx, lib)
}

func opened(periods []values.Period) ([]values.Period, error) {
	for i := range periods {
		if err := periods[i].Open(); err != nil {
			return nil, err
		}
	}
	return periods, nil
}

// foldValues moves what shapes held into the wider shapes that took them.
func foldValues(ctx context.Context, tx pgx.Tx, lib Library, from, to []int64) error {
	if len(from) == 0 {
		return nil
	}
	rows, _ := tx.Query(ctx, `delete from tartan.slot_values where library_id = $1 and shape_id = any ($2)
		returning shape_id, span, start, lines, body`, lib.ID, from)
	gone, err := collectPeriods(rows)
	if err != nil || len(gone) == 0 {
		return err
	}
	texts := map[int64]string{}
	for i := range from {
		texts[from[i]], texts[to[i]] = "", ""
	}
	if err := shapeTexts(ctx, tx, lib, texts); err != nil {
		return err
	}
	in := held{}
	for i := range from {
		if periods := gone[from[i]]; len(periods) > 0 && to[i] != int64(template.Other) {
			in[to[i]] = append(in[to[i]], template.WidenValues(periods, texts[from[i]], texts[to[i]])...)
		}
	}
	return in.save(ctx, tx, lib)
}

// shapeTexts fills in the texts of the shapes.
func shapeTexts(ctx context.Context, tx pgx.Tx, lib Library, texts map[int64]string) error {
	if len(texts) == 0 {
		return nil
	}
	rows, _ := tx.Query(ctx, `select id, text from tartan.shapes where library_id = $1 and id = any ($2)`, lib.ID, slices.Collect(maps.Keys(texts)))
	var id int64
	var text string
	_, err := pgx.ForEachRow(rows, []any{&id, &text}, func() error {
		texts[id] = plain(text)
		return nil
	})
	return err
}

// collectPeriods reads rows of shape_id, span, start, lines and body, by shape.
func collectPeriods(rows pgx.Rows) (held, error) {
	out := held{}
	var id int64
	var p values.Period
	var start time.Time
	var body []byte
	_, err := pgx.ForEachRow(rows, []any{&id, &p.Span, &start, &p.Lines, &body}, func() error {
		p.Start = start.Unix()
		if err := p.ReadBody(body); err != nil {
			return fmt.Errorf("values of shape %x at %s: %w", uint64(id), start.UTC().Format(time.RFC3339), err)
		}
		out[id] = append(out[id], p)
		return nil
	})
	return out, err
}

// save merges what is held with the rows that there are for the same periods, and with those that are now old enough to be part of a longer
// period, which are deleted.
func (in held) save(ctx context.Context, tx pgx.Tx, lib Library) error {
	last, err := in.lastLines(ctx, tx, lib)
	if err != nil {
		return err
	}
	old, err := in.due(ctx, tx, lib, last)
	if err != nil {
		return err
	}
	sums := map[periodKey]*values.Period{}
	for id, periods := range in {
		periods, err := values.Coarsen(periods, last[id])
		if err != nil {
			return fmt.Errorf("values of shape %x: %w", uint64(id), err)
		}
		for i := range periods {
			sums[periodKey{id, periods[i].Span, periods[i].Start}] = &periods[i]
		}
	}
	for _, k := range old {
		if k = k.placed(last); sums[k] == nil {
			sums[k] = &values.Period{Span: k.span, Start: k.start}
		}
	}
	stored, err := periodsAt(ctx, tx, lib, slices.Concat(old, slices.SortedFunc(maps.Keys(sums), periodKey.compare)))
	if err != nil {
		return err
	}
	for id, periods := range stored {
		for i := range periods {
			p := &periods[i]
			at := periodKey{id, p.Span, p.Start}.placed(last)
			if err := sums[at].Open(); err != nil {
				return fmt.Errorf("values of shape %x: %w", uint64(id), err)
			}
			p.Merge(sums[at]) // into what was just read, because what came in may be shared
			p.Span, p.Start = at.span, at.start
			sums[at] = p
		}
	}
	return write(ctx, tx, lib, sums, old)
}

// placed is where a period belongs, given the last lines of shapes.
func (k periodKey) placed(last map[int64]int64) periodKey {
	if span, start := values.Place(k.start, last[k.shape]); span > k.span {
		return periodKey{k.shape, span, start}
	}
	return k
}

// lastLines returns the time of the last line of each shape in Unix seconds.
func (in held) lastLines(ctx context.Context, tx pgx.Tx, lib Library) (map[int64]int64, error) {
	out := make(map[int64]int64, len(in))
	rows, _ := tx.Query(ctx, `select id, last_seen from tartan.shapes where library_id = $1 and id = any ($2) and last_seen is not null`,
		lib.ID, slices.Collect(maps.Keys(in)))
	var id int64
	var last time.Time
	_, err := pgx.ForEachRow(rows, []any{&id, &last}, func() error {
		out[id] = last.Unix()
		return nil
	})
	for id, periods := range in {
		for i := range periods {
			if _, ok := out[id]; !ok { // of a shape that is folded into before anything of it is counted
				out[id] = periods[i].Start
			}
			out[id] = max(out[id], periods[i].Start)
		}
	}
	return out, err
}

// due returns the keys of the rows that are to become part of a longer period.
func (in held) due(ctx context.Context, tx pgx.Tx, lib Library, last map[int64]int64) ([]periodKey, error) {
	ids := slices.Sorted(maps.Keys(in))
	hours, days := make([]time.Time, len(ids)), make([]time.Time, len(ids))
	for i, id := range ids {
		h, d := values.Horizons(last[id])
		hours[i], days[i] = time.Unix(h, 0).UTC(), time.Unix(d, 0).UTC()
	}
	rows, _ := tx.Query(ctx, `
		select h.id, v.span, extract(epoch from v.start)::bigint from unnest($2::bigint[], $3::timestamptz[], $4::timestamptz[]) h (id, hours, days),
		lateral (select span, start from tartan.slot_values where library_id = $1 and shape_id = h.id and span = `+hour+` and start < h.hours
			union all select span, start from tartan.slot_values where library_id = $1 and shape_id = h.id and span = `+day+` and start < h.days) v`,
		lib.ID, ids, hours, days)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (k periodKey, err error) {
		err = row.Scan(&k.shape, &k.span, &k.start)
		return k, err
	})
}

// periodsAt reads the rows with the keys, as far as there are any.
func periodsAt(ctx context.Context, tx pgx.Tx, lib Library, keys []periodKey) (held, error) {
	shapes, spans, starts := keyColumns(keys)
	rows, _ := tx.Query(ctx, `
		select v.shape_id, v.span, v.start, v.lines, v.body from unnest($2::bigint[], $3::int[], $4::timestamptz[]) k (id, span, start)
		join tartan.slot_values v on v.library_id = $1 and v.shape_id = k.id and v.span = k.span and v.start = k.start`,
		lib.ID, shapes, spans, starts)
	return collectPeriods(rows)
}

// The spans as SQL.
const (
	hour = "3600"
	day  = "86400"
)

func keyColumns(keys []periodKey) (shapes []int64, spans []int32, starts []time.Time) {
	for _, k := range keys {
		shapes, spans, starts = append(shapes, k.shape), append(spans, int32(k.span)), append(starts, time.Unix(k.start, 0).UTC())
	}
	return shapes, spans, starts
}

// write replaces the rows of the sums and deletes the old ones.
func write(ctx context.Context, tx pgx.Tx, lib Library, sums map[periodKey]*values.Period, old []periodKey) error {
	b := &pgx.Batch{}
	if len(old) > 0 {
		shapes, spans, starts := keyColumns(old)
		b.Queue(`delete from tartan.slot_values v using unnest($2::bigint[], $3::int[], $4::timestamptz[]) k (id, span, start)
			where v.library_id = $1 and v.shape_id = k.id and v.span = k.span and v.start = k.start`, lib.ID, shapes, spans, starts)
	}
	keys := slices.SortedFunc(maps.Keys(sums), periodKey.compare)
	shapes, spans, starts := keyColumns(keys)
	lines, bodies := make([]int64, len(keys)), make([][]byte, len(keys))
	for i, k := range keys {
		lines[i], bodies[i] = sums[k].Lines, sums[k].AppendBody(nil)
	}
	b.Queue(`insert into tartan.slot_values (workspace_id, library_id, shape_id, span, start, lines, body)
		select $1, $2, u.id, u.span, u.start, u.lines, u.body
		from unnest($3::bigint[], $4::int[], $5::timestamptz[], $6::bigint[], $7::bytea[]) u (id, span, start, lines, body)
		on conflict (library_id, shape_id, span, start) do update set lines = excluded.lines, body = excluded.body`,
		lib.WorkspaceID, lib.ID, shapes, spans, starts, lines, bodies)
	return tx.SendBatch(ctx, b).Close()
}
