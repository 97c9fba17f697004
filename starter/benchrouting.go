package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/routing"
)

// routingBench is how a router is measured.
type routingBench struct {
	seeds, folds, labels int
	noTask               bool
}

func (a *app) benchRoutingCommand() *cobra.Command {
	var b routingBench
	c := &cobra.Command{
		Use:   "routing FILE",
		Short: "Measure how well models are chosen, from prompts with known outcomes",
		Long: "Read FILE, one JSON object a line: prompt, score (quality by model, 0 to 1), and where known group (the task, where\n" +
			"tested prompts share it with those learned from), cost (US dollars of\n" +
			"the call by model) or cost_per_mtok, and split (train or test). The router learns the outcomes one by one, as it does in use, and\n" +
			"then chooses for prompts it has not seen: those of split test, or each fifth of the file in turn. All is done again for each seed,\n" +
			"which orders and draws the prompts.\n" +
			"accuracy is of taking the model of highest expected quality, gain is what that is above the best single model. CPT50, CPT80 and APGR\n" +
			"are between the weakest and the strongest model as RouteLLM computes them; aiq is RouterBench's, by cost, and zero_aiq that of mixing\n" +
			"single models. p50_ms is of one decision, reading the prompt included.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%s wants one FILE, got %d", c.CommandPath(), len(args))
			}
			if b.seeds < 1 || b.folds < 2 || b.labels < 0 {
				return fmt.Errorf("--seeds is at least 1, --folds at least 2, --labels at least 0")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.benchRouting(c.Context(), args[0], b) },
	}
	c.Flags().IntVar(&b.seeds, "seeds", 10, "how often to measure, each time with other draws")
	c.Flags().IntVar(&b.folds, "folds", 5, "parts of a file without split")
	c.Flags().IntVar(&b.labels, "labels", 0, "prompts to learn from; 0 is all that are not tested")
	c.Flags().BoolVar(&b.noTask, "no-task", false, "do not tell the router the group of a prompt")
	return c
}

// outcomeRow is one prompt with its outcomes.
type outcomeRow struct {
	Prompt string             `json:"prompt"`
	Group  string             `json:"group"`
	Split  string             `json:"split"`
	Score  map[string]float64 `json:"score"`
	Cost   map[string]float64 `json:"cost"`
	PerTok map[string]float64 `json:"cost_per_mtok"`
}

// spreadOf is a mean over seeds and the standard deviation.
type spreadOf struct {
	Mean   float64 `json:"mean"`
	Spread float64 `json:"spread"`
}

// routingScores is what --output json prints. Shares and qualities are 0..1.
type routingScores struct {
	Prompts    int       `json:"prompts"`
	Models     []string  `json:"models"`
	Weak       string    `json:"weak"`
	Strong     string    `json:"strong"`
	Labels     int       `json:"labels"` // prompts learned from, in one fold
	Seeds      int       `json:"seeds"`
	BestSingle spreadOf  `json:"best_single"`
	Accuracy   spreadOf  `json:"accuracy"`
	Gain       spreadOf  `json:"gain"`
	CPT50      spreadOf  `json:"cpt50"`
	CPT80      spreadOf  `json:"cpt80"`
	APGR       spreadOf  `json:"apgr"`
	AIQ        *spreadOf `json:"aiq,omitempty"` // where the file has costs
	ZeroAIQ    *spreadOf `json:"zero_aiq,omitempty"`
	P50        float64   `json:"p50_ms"`
}

func (a *app) benchRouting(ctx context.Context, path string, b routingBench) error {
	rows, err := readOutcomes(path)
	if err != nil {
		return err
	}
	m := newRoutingMeasure(rows, b)
	out := routingScores{Prompts: len(rows), Models: m.models, Weak: m.models[m.weak], Strong: m.models[m.strong], Seeds: b.seeds}
	values := map[*spreadOf][]float64{}
	put := func(to *spreadOf, v float64) {
		if !math.IsNaN(v) {
			values[to] = append(values[to], v)
		}
	}
	if m.costs {
		out.AIQ, out.ZeroAIQ = &spreadOf{}, &spreadOf{}
	}
	for seed := range b.seeds {
		cases, err := m.run(ctx, uint64(seed))
		if err != nil {
			return err
		}
		accuracy, single := routedQuality(cases)
		best := slices.Max(single)
		put(&out.BestSingle, best)
		put(&out.Accuracy, accuracy)
		put(&out.Gain, accuracy-best)
		curve := routing.Curve(cases, m.weak, m.strong)
		put(&out.CPT50, routing.CPT(curve, single[m.weak], single[m.strong], 0.5))
		put(&out.CPT80, routing.CPT(curve, single[m.weak], single[m.strong], 0.8))
		put(&out.APGR, routing.APGR(curve, single[m.weak], single[m.strong]))
		if m.costs {
			router, zero := aiq(cases)
			put(out.AIQ, router)
			put(out.ZeroAIQ, zero)
		}
	}
	for to, v := range values {
		to.Mean, to.Spread = routing.MeanSpread(v)
	}
	slices.Sort(m.times)
	out.P50, out.Labels = float64(m.times[len(m.times)/2].Microseconds())/1e3, m.learned
	if a.json() {
		return a.printJSON(out)
	}
	fmt.Fprintf(a.out, "%d prompts, %d models, learned from %d prompts at a time, %d seeds; weak %s, strong %s\n", out.Prompts, len(out.Models), out.Labels, b.seeds, out.Weak, out.Strong)
	table := [][]string{{"MEASURE", "MEAN", "SPREAD"}}
	for _, l := range []struct {
		name string
		v    *spreadOf
	}{{"best single", &out.BestSingle}, {"accuracy", &out.Accuracy}, {"gain", &out.Gain}, {"CPT50", &out.CPT50}, {"CPT80", &out.CPT80}, {"APGR", &out.APGR}, {"AIQ", out.AIQ}, {"zero AIQ", out.ZeroAIQ}} {
		if l.v != nil {
			table = append(table, []string{l.name, fmt.Sprintf("%.4f", l.v.Mean), fmt.Sprintf("%.4f", l.v.Spread)})
		}
	}
	table = append(table, []string{"p50 ms", fmt.Sprintf("%.3f", out.P50), ""})
	return a.table(table)
}

// readOutcomes reads a file of outcomes. The error names the line.
func readOutcomes(path string) ([]outcomeRow, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var rows []outcomeRow
	r := bufio.NewReaderSize(f, 1<<20)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if len(line) > 1 {
			var row outcomeRow
			if err := json.Unmarshal(line, &row); err != nil {
				return nil, fmt.Errorf("%s line %d: %w", path, n, err)
			}
			if len(row.Score) < 2 || len(rows) > 0 && len(row.Score) != len(rows[0].Score) {
				return nil, fmt.Errorf("%s line %d: score has %d models; each line needs the same two or more", path, n, len(row.Score))
			}
			for model, s := range row.Score {
				if s < 0 || s > 1 {
					return nil, fmt.Errorf("%s line %d: the score of %s is %v, and must be from 0 to 1", path, n, model, s)
				}
				if len(rows) > 0 {
					if _, ok := rows[0].Score[model]; !ok {
						return nil, fmt.Errorf("%s line %d: %s has no score on the first line", path, n, model)
					}
				}
			}
			rows = append(rows, row)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if len(rows) < 10 {
		return nil, fmt.Errorf("%s has %d prompts; at least 10 are needed", path, len(rows))
	}
	return rows, nil
}

// routingMeasure holds a file while it is measured.
type routingMeasure struct {
	routingBench
	rows         []outcomeRow
	features     []routing.Features
	models       []string // the weakest first
	registry     []routing.Model
	weak, strong int
	costs        bool
	test         []int // of split test
	rest         []int
	times        []time.Duration
	learned      int
	tasks        map[string]bool // groups that are tasks
}

func newRoutingMeasure(rows []outcomeRow, b routingBench) *routingMeasure {
	m := &routingMeasure{routingBench: b, rows: rows, features: make([]routing.Features, len(rows))}
	sums := map[string]float64{}
	m.costs = true
	for i, r := range rows {
		m.features[i] = routing.Featurize(r.Prompt)
		for model, s := range r.Score {
			sums[model] += s
			_, call := r.Cost[model]
			_, token := r.PerTok[model]
			m.costs = m.costs && (call || token)
		}
		if r.Split == "test" {
			m.test = append(m.test, i)
		} else {
			m.rest = append(m.rest, i)
		}
	}
	for model := range sums {
		m.models = append(m.models, model)
	}
	slices.SortFunc(m.models, func(a, b string) int { return cmp.Or(cmp.Compare(sums[a], sums[b]), cmp.Compare(a, b)) })
	m.strong = len(m.models) - 1
	m.findTasks()
	for _, id := range m.models {
		m.registry = append(m.registry, routing.Model{ID: id, Capabilities: routing.Chat})
	}
	return m
}

// run measures with one seed: all prompts that are tested, with what was expected of each model.
func (m *routingMeasure) run(ctx context.Context, seed uint64) ([]routing.Case, error) {
	random := rand.New(rand.NewPCG(seed, 0x6265))
	if len(m.test) > 0 {
		train := slices.Clone(m.rest)
		random.Shuffle(len(train), func(i, j int) { train[i], train[j] = train[j], train[i] })
		return m.fold(ctx, seed, train, m.test)
	}
	order := random.Perm(len(m.rows))
	var cases []routing.Case
	for f := range m.folds {
		var train, test []int
		for k, i := range order {
			if k%m.folds == f {
				test = append(test, i)
			} else {
				train = append(train, i)
			}
		}
		c, err := m.fold(ctx, seed, train, test)
		if err != nil {
			return nil, err
		}
		cases = append(cases, c...)
	}
	return cases, nil
}

func (m *routingMeasure) fold(ctx context.Context, seed uint64, train, test []int) ([]routing.Case, error) {
	if m.labels > 0 && m.labels < len(train) {
		train = train[:m.labels]
	}
	m.learned = len(train)
	learner := routing.NewLearner(seed)
	for _, i := range train {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, model := range m.models {
			learner.Learn(&routing.Outcome{Decision: strconv.Itoa(i), Model: model, Task: m.task(i), Features: m.features[i], Quality: m.rows[i].Score[model], Judged: true})
		}
	}
	s := routing.Snapshot{Models: m.registry, Quality: learner, Seed: seed}
	cases := make([]routing.Case, 0, len(test))
	for _, i := range test {
		r := &m.rows[i]
		start := time.Now()
		req := routing.Request{Needs: routing.Chat, Task: m.task(i), Features: routing.Featurize(r.Prompt), Dial: 1}
		d := routing.Decide(&s, &req, start)
		m.times = append(m.times, time.Since(start))
		c := routing.Case{Quality: make([]float64, len(m.models)), Cost: make([]float64, len(m.models)), Expected: make([]float64, len(m.models))}
		for _, choice := range d.Ranked {
			at := slices.Index(m.models, choice.Model)
			c.Quality[at], c.Expected[at] = r.Score[choice.Model], choice.Quality
			if dollars, ok := r.Cost[choice.Model]; ok {
				c.Cost[at] = dollars
			} else {
				c.Cost[at] = r.PerTok[choice.Model]
			}
		}
		cases = append(cases, c)
	}
	return cases, nil
}

// task is the group of a prompt, where groups are told when deciding as they were when learning. One that only prompts
// for training have is no task that a caller could name.
func (m *routingMeasure) task(i int) string {
	if m.noTask || !m.tasks[m.rows[i].Group] {
		return ""
	}
	return m.rows[i].Group
}

// findTasks notes the groups that prompts to learn from and prompts to test share.
func (m *routingMeasure) findTasks() {
	m.tasks = map[string]bool{}
	learned := map[string]bool{}
	for _, i := range m.rest {
		learned[m.rows[i].Group] = true
		m.tasks[m.rows[i].Group] = len(m.test) == 0
	}
	for _, i := range m.test {
		if g := m.rows[i].Group; learned[g] {
			m.tasks[g] = true
		}
	}
}

// routedQuality is the mean quality of the models expected to be best, and of each model.
func routedQuality(cases []routing.Case) (routed float64, single []float64) {
	single = make([]float64, len(cases[0].Quality))
	for _, c := range cases {
		best := 0
		for m, q := range c.Quality {
			single[m] += q / float64(len(cases))
			if c.Expected[m] > c.Expected[best] {
				best = m
			}
		}
		routed += c.Quality[best] / float64(len(cases))
	}
	return routed, single
}

// aiq is that of a router that weighs quality against cost, over forty prices of quality, and that of single models. A model's
// cost is expected to be its mean.
func aiq(cases []routing.Case) (router, zero float64) {
	n := float64(len(cases))
	models := len(cases[0].Quality)
	means := make([]routing.Point, models)
	for _, c := range cases {
		for m := range models {
			means[m].Cost += c.Cost[m] / n
			means[m].Quality += c.Quality[m] / n
		}
	}
	lowest, highest := math.Inf(1), 0.0
	for _, p := range means {
		lowest, highest = min(lowest, p.Cost), max(highest, p.Cost)
	}
	var points []routing.Point
	for step := range 41 {
		price := math.Pow(10, float64(step-30)/10) / highest
		if step == 0 {
			price = 0
		}
		var p routing.Point
		for _, c := range cases {
			best := 0
			for m := range models {
				if c.Expected[m]-price*means[m].Cost > c.Expected[best]-price*means[best].Cost {
					best = m
				}
			}
			p.Cost += c.Cost[best] / n
			p.Quality += c.Quality[best] / n
		}
		points = append(points, p)
	}
	return routing.AIQ(points, lowest, highest), routing.AIQ(means, lowest, highest)
}
