package tools

import (
	"context"
	"fmt"
	"math"

	"github.com/tartan-ai/tartan/internal/pattern/series/survey"
)

type findMotifsArgs struct {
	Values windowList `json:"values" required:"true" doc:"Numbers of one series; null is missing"`
	Window int        `json:"window" min:"0" max:"10000" doc:"Points of a shape; chosen if absent"`
	Top    int        `json:"top" min:"1" max:"10" default:"3"`
}

func (s *Suite) findMotifs() Tool {
	return define[findMotifsArgs, survey.Report](Tool{
		Name: "find_motifs", Title: "Find motifs", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "In a long series: shapes that recur, windows unlike all others, and points where it changes.",
	}, func(_ context.Context, _ Call, in findMotifsArgs) (survey.Report, string, error) {
		if len(in.Values) != 1 {
			return survey.Report{}, "", invalid("argument \"values\" must be one list of numbers")
		}
		out, err := survey.Of(in.Values[0], survey.Options{Window: in.Window, Top: in.Top})
		if err != nil {
			return out, "", invalid("%v", err)
		}
		return out, motifsText(out), nil
	})
}

func motifsText(r survey.Report) string {
	text := fmt.Sprintf("window %d: %s, %s, %s", r.Window, plural(len(r.Motifs), "motif"), plural(len(r.Discords), "discord"), plural(len(r.Changes), "change"))
	for _, m := range r.Motifs {
		text += fmt.Sprintf("\nmotif at %v, likeness %.2f", m.Starts, m.Likeness)
	}
	for _, d := range r.Discords {
		text += fmt.Sprintf("\ndiscord at %d, likeness to its nearest %.2f", d.Start, d.Likeness)
	}
	for _, c := range r.Changes {
		text += fmt.Sprintf("\nchange at %d: median %s to %s, deviation %s to %s", c.At, digits(c.Median[0]), digits(c.Median[1]), digits(c.Deviation[0]), digits(c.Deviation[1]))
	}
	return text
}

// digits writes four significant digits.
func digits(v float64) string {
	if math.Abs(v) < 1e-12 {
		return "0"
	}
	return fmt.Sprintf("%.4g", v)
}
