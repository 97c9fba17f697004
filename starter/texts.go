package main

import (
	"bufio"
	"context"
	"errors"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/cluster"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
)

// errTexts says that a library holds clusters of texts.
var errTexts = errors.New("a library of texts")

// textAnswers is what recognize answers, as far as the command shows it.
type textAnswers struct {
	Patterns []struct {
		ID       pattern.ID `json:"id"`
		Name     string     `json:"name"`
		Template string     `json:"template"`
	} `json:"patterns"`
	Unknowns []struct {
		Nearest *struct {
			ID       pattern.ID `json:"id"`
			Template string     `json:"template"`
		} `json:"nearest"`
	} `json:"unknowns"`
	Results []struct {
		Pattern    *int     `json:"pattern"`
		Confidence *float64 `json:"confidence"`
		Unknown    *int     `json:"unknown"`
	} `json:"results"`
}

// textsAtOnce is how many texts one call recognises. Every cluster and unknown text of a call is then in its tables.
const textsAtOnce = 20

// recognizeTexts answers at most textsAtOnce texts by the tool that does so for agents.
func (a *app) recognizeTexts(ctx context.Context, library string, texts []string) (out []answer, err error) {
	if len(texts) == 0 {
		return nil, nil
	}
	var got textAnswers
	if err := a.tool(ctx, "recognize", map[string]any{"library": library, "lines": texts, "header": false, "max_tokens": 1_000_000}, &got); err != nil {
		return nil, err
	}
	for i, r := range got.Results {
		ans := answer{Line: texts[i]}
		switch {
		case r.Pattern != nil && *r.Pattern >= 0:
			p := got.Patterns[*r.Pattern]
			ans.Known, ans.PatternID, ans.Name, ans.Template, ans.Confidence = true, p.ID, p.Name, p.Template, 1
			if r.Confidence != nil {
				ans.Confidence = *r.Confidence
			}
		case r.Unknown != nil && *r.Unknown >= 0 && got.Unknowns[*r.Unknown].Nearest != nil:
			n := got.Unknowns[*r.Unknown].Nearest
			ans.Nearest = &nearest{PatternID: n.ID, Template: n.Template}
		}
		out = append(out, ans)
	}
	return out, nil
}

// recognizeFile answers the texts of a file, a text a line.
func (a *app) recognizeFile(ctx context.Context, library, name string) error {
	plain, done, err := a.openPlain(name)
	if err != nil {
		return readFailure(name, err)
	}
	defer done()
	out, r := bufio.NewWriter(a.out), lines.NewReader(plain, maxLine)
	for more := true; more; {
		var texts []string
		for len(texts) < textsAtOnce && more {
			var line []byte
			if line, more = r.Next(); more {
				texts = append(texts, cluster.Cut(line))
			}
		}
		answers, err := a.recognizeTexts(ctx, library, texts)
		if err != nil {
			return err
		}
		for _, ans := range answers {
			if err := a.printAnswer(out, ans); err != nil {
				return err
			}
		}
	}
	if err := r.Err(); err != nil {
		return readFailure(name, err)
	}
	return out.Flush()
}
