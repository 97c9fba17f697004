package export_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/export"
)

var login = []string{
	"User ada logged in from 10.0.0.1:22 after 12ms status=200 trace_id=0af7651916cd43dd8448eb211c80319c",
	"User bob7 logged in from 10.0.0.2:4222 after 3ms status=200 trace_id=1af7651916cd43dd8448eb211c80319c",
	"User kim.x logged in from 10.0.0.3:22 after 900ms status=503 trace_id=2af7651916cd43dd8448eb211c80319c",
	"User eve99 logged in from 10.0.0.4:22 after 1ms status=404 trace_id=3af7651916cd43dd8448eb211c80319c",
}

func one(t *testing.T, lines []string) (pattern.Pattern, []export.Line) {
	t.Helper()
	byID, ix := mined(t, lines)
	require.Len(t, byID, 1)
	for id, of := range byID {
		p, _ := ix.Pattern(id)
		return p, of
	}
	panic("none")
}

func TestGrok(t *testing.T) {
	p, lines := one(t, login)
	e := export.Grok(p, lines)
	require.Equal(t, `^\s*User\s+%{NOTSPACE:identifier}\s+logged\s+in\s+from\s+%{HOSTPORT:ip}\s+after\s+%{NOTSPACE:duration}\s+status=%{NUMBER:status}\s+trace_id=%{BASE16NUM:trace_id}\s*$`, e.Text)
	re := regexp.MustCompile(export.GrokExpression(e.Text))
	for _, l := range lines {
		m := re.FindStringSubmatch(l.Message)
		require.NotNil(t, m, l.Message)
		require.Equal(t, l.Values, m[1:])
	}
}

func TestGrokTakesItsLines(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	lines, missed := 0, 0
	g := newStatements(seed, 60)
	var all []string
	for range 4000 {
		all = append(all, g.line())
	}
	byID, ix := mined(t, all)
	for id, of := range byID {
		p, _ := ix.Pattern(id)
		e := export.Grok(p, of)
		re, err := regexp.Compile("(?s)" + export.GrokExpression(e.Text))
		require.NoError(t, err, e.Text)
		for _, l := range of {
			lines++
			if !re.MatchString(l.Message) {
				missed++
				t.Logf("%s misses %q", e.Text, l.Message)
			}
		}
	}
	t.Logf("%d of %d lines missed", missed, lines)
	require.Zero(t, missed)
}

func TestOpenTelemetry(t *testing.T) {
	p, lines := one(t, login)
	c := export.OpenTelemetry(p, lines)
	require.Equal(t, len(lines), c.Matched)
	require.Contains(t, c.Attributes, export.Attribute{Name: "tartan.pattern.id", Value: string(p.ID)})
	require.Contains(t, c.Attributes, export.Attribute{Name: "log.template", Value: p.Template})
	require.Contains(t, c.Attributes, export.Attribute{Name: "trace_id", Slot: "trace_id", Group: "trace_id"}, "OpenTelemetry's own name")
	require.Contains(t, c.Attributes, export.Attribute{Name: "tartan.slot.ip", Slot: "ip", Group: "ip"}, "whose address it is nobody knows")
	require.YAMLEq(t, c.YAML, c.YAML)
	const golden = "testdata/login.yaml"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(c.YAML), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err, "write it with UPDATE_GOLDEN=1")
	require.Equal(t, string(want), c.YAML)
}

func TestAttributeNames(t *testing.T) {
	for name, want := range map[string]string{
		"user": "tartan.slot.user", "client.address": "client.address", "Odd Key": "tartan.slot.odd_key", "é": "tartan.slot.", "x.y": "tartan.slot.x.y", "path_2": "tartan.slot.path_2",
	} {
		require.Equal(t, want, export.AttributeName(pattern.Slot{Name: name}))
	}
	p := pattern.New("a <*> b <*> c <*>", []pattern.Slot{{Name: "é"}, {Name: "X"}, {Name: "x"}})
	seen := map[string]bool{}
	for _, a := range export.OpenTelemetry(p, nil).Attributes {
		require.False(t, seen[a.Name], a.Name)
		require.NotEqual(t, byte('.'), a.Name[len(a.Name)-1])
		seen[a.Name] = true
	}
}

// Whatever stands in a template, the configuration stays YAML.
func FuzzOpenTelemetry(f *testing.F) {
	f.Add("it's \"quoted\": <*> #x", "k")
	f.Add("\x00\xff\u2028\u0085 <*>", "é")
	f.Add("\uffff\ufffe\ufeff", "0")
	f.Fuzz(func(t *testing.T, template, name string) {
		if len(template) > 1024 {
			return
		}
		c := export.OpenTelemetry(pattern.New(template, []pattern.Slot{{Name: name}}), nil)
		require.YAMLEq(t, c.YAML, c.YAML, fmt.Sprintf("%q", template))
		require.False(t, strings.Contains(c.YAML, "\x00"))
	})
}
