package windows

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
)

var (
	day      = 24 * time.Hour
	today    = Window{time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)}
	long     = today.From.Add(-300 * day)
	question = Question{Window: today, Base: day, Bucket: time.Minute}
	weeks4   = Question{Window: today, Base: 4 * day, Bucket: time.Minute}
)

func judge(t *testing.T, q Question, c Count) (Change, bool) {
	t.Helper()
	c.Pattern = "p"
	if c.First.IsZero() {
		c.First = long
	}
	if c.Ever == 0 {
		c.Ever = c.Window + c.Base + 1000
	}
	got := Judge(q, []Count{c})
	if len(got) == 0 {
		return Change{}, false
	}
	return got[0], true
}

func TestKinds(t *testing.T) {
	for name, c := range map[string]struct {
		q    Question
		c    Count
		want Kind // "" for no change
	}{
		"first seen today":                {question, Count{Window: 1, Ever: 1, First: today.From}, New},
		"seen long ago, much now":         {question, Count{Window: 80}, Up},
		"seen long ago, a little now":     {question, Count{Window: 8}, ""},
		"three lines in a year":           {question, Count{Window: 1, Ever: 3}, Rare},
		"three lines in three days":       {question, Count{Window: 1, Ever: 3, First: today.From.Add(-2 * day)}, ""},
		"steady":                          {question, Count{Base: 400, Window: 410}, ""},
		"significant but hardly more":     {question, Count{Base: 100000, Window: 120000}, ""},
		"six times more":                  {question, Count{Base: 50, Window: 300}, Up},
		"a tenth":                         {question, Count{Base: 300, Window: 30}, Down},
		"nothing left":                    {question, Count{Base: 200}, Gone},
		"two lines less":                  {question, Count{Base: 2}, ""},
		"below the floor":                 {question, Count{Base: 1, Window: 9}, ""},
		"the daily job did not run":       {weeks4, Count{Base: 4, Past: []int64{1, 1, 1, 1}}, Silent},
		"seen in two of two":              {Question{Window: today, Base: 2 * day, Bucket: time.Minute}, Count{Base: 2, Past: []int64{1, 1}}, ""},
		"the job that runs now and then":  {weeks4, Count{Base: 3, Past: []int64{1, 0, 1, 1}}, ""},
		"bursts explain it":               {weeks4, Count{Base: 560, Past: []int64{400, 20, 130, 10}, Window: 300}, ""},
		"nothing explains it":             {weeks4, Count{Base: 560, Past: []int64{140, 138, 150, 132}, Window: 300}, Up},
		"as on this weekday every week":   {weeks4, Count{Base: 4000, Past: []int64{1000, 990, 1010, 1000}, Window: 1005}, ""},
		"quiet for twice the longest gap": {question, Count{Base: 1440, Window: 720, Past: []int64{1440, 1440}, Last: today.From.Add(12 * time.Hour), Gaps: &Gaps{2000, time.Hour}}, Silent},
		"quiet as it was before":          {question, Count{Base: 90, Window: 80, Past: []int64{90, 90}, Last: today.From.Add(12 * time.Hour), Gaps: &Gaps{2000, 9 * time.Hour}}, ""},
	} {
		got, ok := judge(t, c.q, c.c)
		require.Equal(t, c.want != "", ok, "%s: %+v", name, got)
		if ok {
			require.Equal(t, c.want, got.Kind, name)
			require.GreaterOrEqual(t, got.Significance, 0., name)
			require.False(t, math.IsNaN(got.Significance+got.Expected+got.Spread+got.Ratio), "%s: %+v", name, got)
		}
	}
}

// The numbers are worked by hand from the formula in Judge.
func TestSignificance(t *testing.T) {
	got, ok := judge(t, question, Count{Base: 300, Window: 30})
	require.True(t, ok)
	require.InDelta(t, 2*(math.Sqrt(300.375)-math.Sqrt(30.375))/math.Sqrt(2), got.Significance, 1e-9)
	require.InDelta(t, 0.1, got.Ratio, 1e-9)
	require.InDelta(t, math.Sqrt(600), got.Spread, 1e-9)
	// Four weeks: r = 1/4. Past 90, 100, 110, 100 has the mean 100 and the variance 200/3, less than Poisson's, so d = 1.
	got, ok = judge(t, weeks4, Count{Base: 400, Past: []int64{90, 100, 110, 100}, Window: 200})
	require.True(t, ok)
	require.InDelta(t, 100, got.Expected, 1e-9)
	z := 2 * (math.Sqrt(200.375) - math.Sqrt(400.375/4)) / math.Sqrt(1.25)
	require.InDelta(t, 57./59*math.Sqrt(7*math.Log1p(z*z/7)), got.Significance, 1e-9)
	require.InDelta(t, 1.96, quantile(0.025), 1e-3)
	// Wallace's approximation against a table: the 99.5 % point of t with 7 degrees of freedom is 3.499, of the normal 2.576.
	require.InDelta(t, 2.576, normal(3.499, 7), 0.02)
}

func TestSeasons(t *testing.T) {
	past := Seasonal(Window{today.From.Add(8 * time.Hour), today.From.Add(10 * time.Hour)}, 2)
	require.Equal(t, today.From.Add(8*time.Hour-7*day), past[0].From)
	require.Equal(t, today.From.Add(10*time.Hour-14*day), past[1].To)
	require.Equal(t, today.From.Add(-14*day), Seasonal(Window{today.From, today.From.Add(8 * day)}, 1)[0].From, "no overlap")
	require.Equal(t, []Window{today, today.back(day)}, Preceding(today, 2))
}

// What changed by chance is hardly ever reported, and what changed threefold nearly always, whether counts are Poisson or bursty.
func TestChanceIsQuietAndChangeIsNot(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, alpha := range []float64{0, 0.02, 0.05} {
		const patterns, changed = 2000, 100
		var counts []Count
		for i := range patterns {
			mean := math.Exp(rng.Float64()*7 + 2.5) // 12 to 13,000
			c := Count{Pattern: pattern.ID(fmt.Sprintf("p%04d", i)), First: long, Ever: 1 << 40}
			for range 4 {
				c.Past = append(c.Past, draw(rng, mean, alpha))
				c.Base += c.Past[len(c.Past)-1]
			}
			if i < changed {
				mean *= 4
			}
			c.Window = draw(rng, mean, alpha)
			counts = append(counts, c)
		}
		found, alarms := 0, 0
		for _, c := range Judge(weeks4, counts) {
			if c.Pattern < "p0100" {
				found++
			} else {
				alarms++
			}
		}
		t.Logf("alpha %.2f: %d of %d changes found, %d false alarms of %d", alpha, found, changed, alarms, patterns-changed)
		require.Less(t, alarms, (patterns-changed)/100, "seed %d", seed)
		require.Greater(t, found, changed*8/10, "seed %d", seed)
	}
}

// draw returns a negative binomial count (Poisson for alpha 0), by a normal approximation that is good at these means.
func draw(rng *rand.Rand, mean, alpha float64) int64 {
	return int64(max(0, math.Round(mean+rng.NormFloat64()*math.Sqrt(mean+alpha*mean*mean))))
}

func TestRankIsTotal(t *testing.T) {
	counts := []Count{
		{Pattern: "pb", Window: 5, Ever: 5, First: today.From}, {Pattern: "pa", Window: 5, Ever: 5, First: today.From}, {Pattern: "pc", Window: 50, Ever: 50, First: today.From},
	}
	var ids []pattern.ID
	for _, c := range Judge(question, counts) {
		ids = append(ids, c.Pattern)
	}
	require.Equal(t, []pattern.ID{"pc", "pa", "pb"}, ids)
}
