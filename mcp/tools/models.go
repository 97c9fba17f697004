package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/routing"
)

const (
	// bytesOfToken is what a token of a prompt is taken to be where it was not counted.
	bytesOfToken = 4
	maxRanked    = 10
	// exploreCost is what a decision may cost more in order to learn, in micro-dollars; one in ten at most does.
	exploreCost = 1000
)

// router is the caller's workspace's, from memory.
func (s *Suite) router(ctx context.Context, c Call) (*feed.Router, error) {
	if s.Pool == nil {
		return nil, unavailable("", "this server has no database")
	}
	s.routersOnce.Do(func() {
		if s.routers = s.Libraries; s.routers == nil {
			s.routers = feed.NewLibraries(s.Pool, zap.NewNop())
		}
	})
	r, err := s.routers.Router(ctx, c.Caller.WorkspaceID)
	if err != nil && postgres.Unavailable(err) {
		return nil, unavailable("Try again in a moment", "the database is not reachable")
	}
	return r, err
}

type routeArgs struct {
	Prompt    string `json:"prompt" max:"65536" note:"The prompt or its start. It is kept as hashes of its words only"`
	Task      string `json:"task" max:"200" note:"Kind of work. A stable name, as summarize_incident: what is learned is learned by task first"`
	Pattern   string `json:"pattern" max:"200" note:"Id of the pattern it is about"`
	Needs     string `json:"needs" doc:"tools,json,vision,embed" note:"Names with commas between them. chat is needed unless embed is"`
	MaxOutput int    `json:"max_output" max:"1000000" note:"Tokens"`
	MaxCost   int    `json:"max_cost" max:"1000000000000" doc:"Micro-dollars" note:"Of the worst case"`
	Dial      int    `json:"dial" max:"100" default:"70" doc:"0 cheap, 100 best"`
}

type routed struct {
	Decision string        `json:"decision"`
	Model    string        `json:"model"`
	Reason   string        `json:"reason"`
	Explored bool          `json:"explored,omitempty"`
	Unlike   bool          `json:"out_of_domain,omitempty"`
	Ranked   []rankedModel `json:"ranked"`
	Refused  []refused     `json:"refused,omitempty"`
}

type rankedModel struct {
	Model    string  `json:"model"`
	Score    float64 `json:"score"`
	Quality  float64 `json:"quality"`
	Spread   float64 `json:"spread"`
	Cost     int64   `json:"cost"` // micro-dollars
	Worst    int64   `json:"worst_cost"`
	Latency  int64   `json:"latency_ms,omitempty"`
	Outcomes int     `json:"outcomes"`
}

type refused struct {
	Model  string `json:"model"`
	Reason string `json:"reason"`
}

func (s *Suite) routeModel() Tool {
	return define[routeArgs, routed](Tool{
		Name: "route_model", Title: "Choose a model", Role: editor,
		Description: "Which model should answer, and why. Calls none.",
	}, func(ctx context.Context, c Call, in routeArgs) (routed, string, error) {
		req, err := in.request()
		if err != nil {
			return routed{}, "", err
		}
		r, err := s.router(ctx, c)
		if err != nil {
			return routed{}, "", err
		}
		d := r.Decide(&req, time.Now())
		if len(d.Ranked) == 0 {
			return routed{}, "", notFound("List them with list_models, or ask for less", "%s", d.Reason)
		}
		err = s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
			return postgres.SaveDecision(ctx, tx, c.Caller.WorkspaceID, &req, &d)
		})
		return routedOf(&d), strings.TrimSpace(d.Explain()), err
	})
}

func (in routeArgs) request() (routing.Request, error) {
	needs, err := routing.ParseCapabilities(strings.FieldsFunc(in.Needs, func(r rune) bool { return r == ',' || r == ' ' }))
	if err != nil {
		return routing.Request{}, invalid("%v", err)
	}
	if !needs.Has(routing.Embed) {
		needs |= routing.Chat
	}
	return routing.Request{
		ID: uuid.NewString(), Task: in.Task, Pattern: in.Pattern, Features: routing.Featurize(in.Prompt), InputTokens: len(in.Prompt)/bytesOfToken + 1,
		MaxOutput: in.MaxOutput, Needs: needs, MaxCost: routing.Money(in.MaxCost), Dial: float64(in.Dial) / 100, Explore: exploreCost,
	}, nil
}

func routedOf(d *routing.Decision) routed {
	out := routed{Decision: d.ID, Model: d.Ranked[0].Model, Reason: d.Reason, Explored: d.Explored, Unlike: d.OutOfDomain, Ranked: []rankedModel{}}
	for _, m := range d.Ranked[:min(len(d.Ranked), maxRanked)] {
		out.Ranked = append(out.Ranked, rankedModel{m.Model, rounded(m.Score), rounded(m.Quality), rounded(m.Spread), int64(m.Cost), int64(m.Worst), m.Latency.Milliseconds(), m.Outcomes})
	}
	for _, r := range d.Refused[:min(len(d.Refused), maxRanked)] {
		out.Refused = append(out.Refused, refused(r))
	}
	return out
}

type outcomeArgs struct {
	Decision string `json:"decision" required:"true" doc:"Its id"`
	Model    string `json:"model" max:"300" note:"The one that answered; the first chosen unless given"`
	Quality  int    `json:"quality" min:"-1" max:"100" default:"-1" doc:"0 to 100" note:"-1 is not judged"`
	Source   string `json:"source" enum:"reported|schema|test|review|feedback" default:"reported"`
	Failed   string `json:"failed" max:"20" doc:"As throttled" note:"transient, throttled, silent, context_length, content_filter, auth, quota, bad_request or cancelled"`
	Latency  int    `json:"latency_ms" max:"86400000"`
}

type reported struct {
	Model string `json:"model"`
	New   bool   `json:"new"` // false: the source has told of it before
}

func (s *Suite) reportOutcome() Tool {
	return define[outcomeArgs, reported](Tool{
		Name: "report_outcome", Title: "Report outcome", Role: editor, Idempotent: true,
		Description: "How an answer was. Choices learn from it.",
	}, func(ctx context.Context, c Call, in outcomeArgs) (reported, string, error) {
		if in.Quality < 0 && in.Failed == "" && in.Latency == 0 {
			return reported{}, "", invalid("there is nothing to learn: give quality, failed or latency_ms")
		}
		if !routing.Class(in.Failed).Known() {
			return reported{}, "", invalid("failed is %s, and must be one of %s", short(in.Failed), strings.Join(routing.Classes(), ", "))
		}
		out := reported{Model: in.Model}
		err := s.inWorkspace(ctx, c, func(tx pgx.Tx) error {
			d, err := postgres.DecisionByID(ctx, tx, c.Caller.WorkspaceID, in.Decision)
			if errors.Is(err, postgres.ErrNotFound) {
				return notFound("Ask route_model first", "no decision %s in workspace %s", short(in.Decision), c.Workspace)
			}
			if err != nil {
				return err
			}
			if out.Model == "" && len(d.Ranked) > 0 {
				out.Model = d.Ranked[0].Model
			}
			if !slices.ContainsFunc(d.Ranked, func(m routing.Choice) bool { return m.Model == out.Model }) {
				return invalid("model %s was not among the choices of this decision", short(out.Model))
			}
			o := routing.Outcome{
				Decision: d.ID, Model: out.Model, Source: in.Source, Class: routing.Class(in.Failed), Latency: time.Duration(in.Latency) * time.Millisecond,
				Judged: in.Quality >= 0, Quality: float64(max(in.Quality, 0)) / 100,
			}
			out.New, err = postgres.AddOutcome(ctx, tx, c.Caller.WorkspaceID, &o)
			return err
		})
		text := "Learned about " + out.Model + "."
		if !out.New {
			text = fmt.Sprintf("%s was known about %s already.", in.Source, out.Model)
		}
		return out, text, err
	})
}

type listModelsArgs struct {
	Days int `json:"days" min:"1" max:"365" default:"30" doc:"Of outcomes to sum up"`
}

type modelList struct {
	Models []listedModel `json:"models"`
}

type listedModel struct {
	Model    string       `json:"model"`
	Can      []string     `json:"can"`
	Context  int          `json:"context_tokens,omitempty"`
	Input    int64        `json:"input_per_mtok"` // micro-dollars
	Output   int64        `json:"output_per_mtok"`
	State    string       `json:"state"` // closed, half_open, open, disabled
	Latency  int64        `json:"latency_ms,omitempty"`
	Tasks    []modelTally `json:"tasks,omitempty"`
	Failures int64        `json:"failures,omitempty"`
}

type modelTally struct {
	Task    string  `json:"task,omitempty"`
	Calls   int64   `json:"calls"`
	Judged  int64   `json:"judged"`
	Quality float64 `json:"quality"`
	Cost    int64   `json:"cost"` // micro-dollars
}

func (s *Suite) listModels() Tool {
	return define[listModelsArgs, modelList](Tool{
		Name: "list_models", Title: "List models", Role: viewer, ReadOnly: true, Idempotent: true,
		Description: "The models, their prices and health, and how they did by task.",
	}, func(ctx context.Context, c Call, in listModelsArgs) (modelList, string, error) {
		out := modelList{Models: []listedModel{}}
		r, err := s.router(ctx, c)
		if err != nil {
			return out, "", err
		}
		now := time.Now()
		var stats []postgres.ModelStats
		var models []routing.Model
		err = s.inWorkspace(ctx, c, func(tx pgx.Tx) (err error) {
			if models, err = postgres.Models(ctx, tx, c.Caller.WorkspaceID); err != nil {
				return err
			}
			stats, err = postgres.StatsOfModels(ctx, tx, c.Caller.WorkspaceID, now.AddDate(0, 0, -in.Days))
			return err
		})
		_, health := r.Models()
		for _, m := range models {
			h := health[m.ID]
			l := listedModel{
				Model: m.ID, Can: m.Capabilities.Names(), Context: m.ContextTokens, Input: int64(m.Price.InputPerMTok), Output: int64(m.Price.OutputPerMTok),
				State: string(h.Breaker.State(now)), Latency: h.Latency.Milliseconds(),
			}
			if m.Disabled {
				l.State = "disabled"
			}
			for _, t := range stats {
				if t.Model == m.ID {
					l.Failures += t.Failures
					l.Tasks = append(l.Tasks, modelTally{t.Task, t.Calls, t.Judged, rounded(t.Quality), int64(t.Cost)})
				}
			}
			out.Models = append(out.Models, l)
		}
		return out, out.text(), err
	})
}

func (l modelList) text() string {
	var b strings.Builder
	b.WriteString(plural(len(l.Models), "model"))
	for _, m := range l.Models {
		fmt.Fprintf(&b, "\n%s %s  %s", m.Model, m.State, strings.Join(m.Can, ","))
		for _, t := range m.Tasks {
			fmt.Fprintf(&b, "  %s %.2f (%d)", cmp.Or(t.Task, "no task"), t.Quality, t.Judged)
		}
	}
	return b.String()
}
