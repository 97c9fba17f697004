package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/values"
	"github.com/tartan-ai/tartan/internal/postgres"
)

type getValuesArgs struct {
	ID      string  `json:"id" required:"true" doc:"Pattern id"`
	Slot    string  `json:"slot" note:"Name of one slot; all if not given"`
	From    instant `json:"from" doc:"RFC 3339 or age, like 24h" note:"All there is if not given"`
	To      instant `json:"to"`
	Library string  `json:"library" default:"default"`
	Limit   int     `json:"limit" min:"0" max:"32" default:"8" note:"Top values of each slot"`
}

type slotValues struct {
	Pattern  pattern.ID   `json:"id"`
	Library  string       `json:"library"`
	From     string       `json:"from,omitempty"` // what the stored periods cover: whole hours, days when older, then spans of 30 days
	To       string       `json:"to,omitempty"`
	Lines    int64        `json:"lines"`              // whose values are summed up
	Unplaced int64        `json:"unplaced,omitempty"` // lines left out because the library changed just now
	Slots    []slotDigest `json:"slots"`
}

type slotDigest struct {
	Slot string       `json:"slot"`
	Type pattern.Type `json:"type"`
	values.Digest
}

func (s *Suite) getValues() Tool {
	return define[getValuesArgs, slotValues](Tool{
		Name: "get_values", Title: "Get slot values", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "What a pattern's slots held: distinct count, top values, quantiles at 0 .05 .25 .5 .75 .95 .99 1.",
	}, func(ctx context.Context, c Call, in getValuesArgs) (slotValues, string, error) {
		now := time.Now()
		from, to := in.From.from(now), in.To.from(now)
		if !from.IsZero() && !to.IsZero() && !from.Before(to) {
			return slotValues{}, "", invalid("the window ends before it starts: from %s to %s", stamp(from), stamp(to))
		}
		entry, err := s.entry(ctx, c, in.Library, 0)
		if err != nil {
			return slotValues{}, "", err
		}
		out := slotValues{Library: in.Library, Slots: []slotDigest{}}
		err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
			r, err := postgres.SlotValues(ctx, tx, entry.Index, entry.Library.ID, pattern.ID(in.ID), from, to)
			if errors.Is(err, postgres.ErrNotFound) {
				return notFound("Find its id with list_patterns", "no pattern %s in library %s", short(in.ID), short(in.Library))
			}
			if err != nil {
				return err
			}
			return out.fill(r, in)
		})
		return out, out.text(), err
	})
}

func (v *slotValues) fill(r *postgres.SlotReport, in getValuesArgs) error {
	v.Pattern, v.From, v.To, v.Lines, v.Unplaced = r.Pattern.ID, stamp(r.From), stamp(r.To), r.Lines, r.Unplaced
	names := []string{}
	for _, s := range r.Slots {
		names = append(names, s.Name)
	}
	if in.Slot != "" && !slices.Contains(names, in.Slot) {
		return notFound("It has: "+cut(strings.Join(names, ", "), 400), "no slot %s in pattern %s", short(in.Slot), r.Pattern.ID)
	}
	for _, s := range r.Slots {
		if in.Slot == "" || s.Name == in.Slot {
			v.Slots = append(v.Slots, slotDigest{s.Name, s.Type, s.Digest(in.Limit)})
		}
	}
	return nil
}

func (v *slotValues) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: values of %s", v.Pattern, plural(int(v.Lines), "line"))
	for _, s := range v.Slots {
		fmt.Fprintf(&b, "\n%s (%s): %s", s.Slot, s.Type, s.Line())
		if s.Numeric() {
			b.WriteString(" " + s.Spark)
		}
	}
	return b.String()
}

// addHeld says in a line each what the slots held in the hours of the detail.
func (s *Suite) addHeld(ctx context.Context, c Call, out *patternDetail) error {
	last, err := time.Parse(time.RFC3339, out.LastSeen)
	if err != nil || len(out.Slots) == 0 {
		return nil
	}
	entry, err := s.entry(ctx, c, out.Library, 0)
	if err != nil {
		return err
	}
	until := last.Truncate(time.Hour).Add(time.Hour)
	return s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
		r, err := postgres.SlotValues(ctx, tx, entry.Index, entry.Library.ID, out.ID, until.Add(-histogramSpan), until)
		if err != nil || r.Lines == 0 {
			return err
		}
		for _, slot := range r.Slots {
			out.Held = append(out.Held, slot.Name+": "+slot.Digest(5).Line())
		}
		return nil
	})
}
