package server_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patternOf is the id of the pattern that a line has.
func patternOf(t *testing.T, c *client, line string) string {
	t.Helper()
	var r recognized
	c.into(t, &r, "recognize", fmt.Sprintf(`{"lines":[%s]}`, string(must(json.Marshal(line)))))
	require.Len(t, r.Patterns, 1)
	return r.Patterns[0].ID
}

func TestExportPattern(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	k.learn(t, k.db.Workspace(t, "one"), "default", time.Now(), sample...)
	caller := k.db.Workspace(t, "two")
	k.learn(t, caller, "default", time.Now(), sample...)
	c := k.client(t, caller, true)
	id := patternOf(t, c, sample[0])
	var out struct {
		Text              string
		Groups            []string
		Matched, Examples int
	}
	c.into(t, &out, "export_pattern", `{"id":"`+id+`"}`)
	require.Equal(t, out.Examples, out.Matched)
	require.NotZero(t, out.Examples)
	re := regexp.MustCompile(out.Text)
	require.Equal(t, "10.0.0.1", re.FindStringSubmatch(sample[0])[re.SubexpIndex("ip")])
	require.False(t, re.MatchString(sample[3]))
	c.into(t, &out, "export_pattern", `{"id":"`+id+`","format":"grok"}`)
	require.Contains(t, out.Text, "%{IP:ip}")
	c.into(t, &out, "export_pattern", `{"id":"`+id+`","format":"otel"}`)
	require.Contains(t, out.Text, "tartan.pattern.id")
	require.YAMLEq(t, out.Text, out.Text)
	r := c.tool(t, "export_pattern", `{"id":"p0000000000000000"}`)
	require.True(t, r.IsError)
	require.Contains(t, r.Content[0].Text, "Find its id with list_patterns")
}

func TestDrawPattern(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	now := time.Now()
	for i := range 5 {
		k.learn(t, caller, "default", now.Add(-time.Duration(i)*time.Hour), sample...)
	}
	for _, modern := range []bool{false, true} {
		c := k.client(t, caller, modern)
		id := patternOf(t, c, sample[0])
		for args, want := range map[string]string{`{"id":"` + id + `"}`: "5 lines", `{"id":"` + id + `","kind":"sparkline"}`: "<desc", `{}`: "library default"} {
			a := c.call(t, "tools/call", `"name":"draw_pattern","arguments":`+args, "draw_pattern")
			require.Nil(t, a.Error)
			var r struct {
				Content []struct {
					Type     string
					Resource struct{ URI, MimeType, Text string }
				}
				StructuredContent struct{ Resource string }
			}
			require.NoError(t, json.Unmarshal(a.Result, &r))
			require.Len(t, r.Content, 2)
			require.Equal(t, "resource", r.Content[1].Type)
			require.Equal(t, "image/svg+xml", r.Content[1].Resource.MimeType)
			require.Contains(t, r.Content[1].Resource.Text, want)
			require.Equal(t, r.StructuredContent.Resource, r.Content[1].Resource.URI)
			read := c.call(t, "resources/read", `"uri":"`+r.StructuredContent.Resource+`"`, r.StructuredContent.Resource)
			require.Nil(t, read.Error)
			require.Contains(t, string(read.Result), "image/svg+xml")
			require.Contains(t, string(read.Result), "svg xmlns")
		}
		require.NotNil(t, c.call(t, "resources/read", `"uri":"tartan://patterns/default/p0000000000000000.svg"`, "tartan://patterns/default/p0000000000000000.svg").Error)
	}
}

func TestRecognizeExplains(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	k.learn(t, caller, "default", time.Now(), sample...)
	c := k.client(t, caller, true)
	var out struct {
		Explained []struct {
			Known        bool
			Pattern, Why string
			Tokens       []struct{ Text, Role, Slot, Type, Want string }
			Next         *struct{ ID, Want, Got string }
		}
	}
	c.into(t, &out, "recognize", `{"detail":"explain","lines":["Connection closed by 10.9.9.9 port 1","Connection opened by 10.0.0.1 port 4242"]}`)
	require.Len(t, out.Explained, 2)
	require.True(t, out.Explained[0].Known)
	require.Equal(t, "value", out.Explained[0].Tokens[3].Role)
	require.Equal(t, "ip", out.Explained[0].Tokens[3].Slot)
	require.False(t, out.Explained[1].Known)
	require.Equal(t, "differs", out.Explained[1].Tokens[1].Role)
	require.Equal(t, "closed", out.Explained[1].Tokens[1].Want)
	require.NotNil(t, out.Explained[1].Next)
	require.NotEqual(t, out.Explained[1].Pattern, out.Explained[1].Next.ID)
}

// requestLines are 60 requests one after the other; the 30th goes wrong.
func requestLines() (lines []string) {
	at := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	for i := range 60 {
		steps := []string{"request opened", "row read", "request closed"}
		if i == 30 {
			steps[1] = "permission refused"
		}
		for _, step := range steps {
			at = at.Add(time.Second)
			lines = append(lines, fmt.Sprintf("%s %s trace_id=%032x in %dms", at.Format(time.RFC3339), step, 7919*(i+1), i))
		}
	}
	return lines
}

type sequencesFound struct {
	SessionKey       string `json:"session_key"`
	WorkflowID       string `json:"workflow_id"`
	Sessions, Events int64
	Next, Found      string
	Breaks           []struct{ From, To, Usual, Text, Session string }
	Habits           []struct{ From, To string }
}

func TestFindSequencesOfLines(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	lines := requestLines()
	k.learn(t, caller, "default", time.Now(), lines...)
	c := k.client(t, caller, true)
	var out sequencesFound
	c.into(t, &out, "find_sequences", `{"lines":`+string(must(json.Marshal(lines)))+`}`)
	require.Equal(t, "trace_id", out.SessionKey)
	require.EqualValues(t, 60, out.Sessions)
	require.EqualValues(t, 180, out.Events)
	require.Len(t, out.Breaks, 1)
	require.Contains(t, out.Breaks[0].Text, "permission refused")
	require.Equal(t, fmt.Sprintf("%032x", 7919*31), out.Breaks[0].Session)
	require.NotEmpty(t, out.Habits)
	r := c.tool(t, "find_sequences", `{}`)
	require.True(t, r.IsError)
	require.Contains(t, r.Content[0].Text, "not connected to Temporal")
}

func TestTryPatterns(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	c := k.client(t, caller, true)
	var out struct {
		Lines, Total int
		Patterns     []struct {
			Template, Known, Nearest, Differs, At string
			Lines                                 int
		}
	}
	lines := string(must(json.Marshal(append(sample[3:5:5], "Connection opened by 10.0.0.1 port 4242"))))
	c.into(t, &out, "try_patterns", `{"lines":`+lines+`}`)
	require.Equal(t, 2, out.Total, "without any library")
	require.Empty(t, out.Patterns[0].Known)
	k.learn(t, caller, "default", time.Now(), sample...)
	var before, after struct{ Total, Revision int64 }
	c.into(t, &before, "list_patterns", `{}`)
	c.into(t, &out, "try_patterns", `{"lines":`+lines+`}`)
	c.into(t, &after, "list_patterns", `{}`)
	require.Equal(t, before, after, "nothing was stored")
	require.Equal(t, "1-2", out.Patterns[0].At)
	require.NotEmpty(t, out.Patterns[0].Known)
	require.Equal(t, out.Patterns[0].Known, out.Patterns[1].Nearest)
	require.Equal(t, `"opened" where it has "closed"`, out.Patterns[1].Differs)
	r := c.tool(t, "try_patterns", `{"lines":`+string(must(json.Marshal(strings.Repeat("a\n", 5001))))+`}`)
	require.Contains(t, r.Content[0].Text, "send fewer")
}
