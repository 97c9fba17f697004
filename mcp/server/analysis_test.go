package server_test

import (
	"encoding/json"
	"fmt"
	"regexp"
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
