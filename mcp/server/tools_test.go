package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var sample = []string{
	"Accepted publickey for alice from 10.0.0.1 port 4242 ssh2",
	"Accepted publickey for bob from 10.0.0.2 port 4243 ssh2",
	"Accepted publickey for carol from 10.0.0.3 port 4244 ssh2",
	"Connection closed by 10.0.0.1 port 4242",
	"Connection closed by 10.0.0.9 port 4249",
	"disk sda1 is full",
}

type recognized struct {
	Library  string
	Revision int64
	Lines    int
	Known    int
	Unknown  int
	Patterns []struct {
		ID, Name, Template, At, Resource string
		Slots                            []string
		Lines                            int
	}
	Unknowns []struct {
		Lines   int
		At      string
		Example string
		Nearest *struct{ ID, Template string }
	}
	Results []struct {
		Pattern, Unknown *int
		Values           []string
	}
	Omitted int
}

func TestReadingToolsInBothEras(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	now := time.Now()
	k.learn(t, caller, "default", now.Add(-30*time.Hour), sample[:5]...)
	revision := k.learn(t, caller, "default", now.Add(-time.Hour), sample...)
	for _, modern := range []bool{false, true} {
		t.Run(fmt.Sprintf("modern %v", modern), func(t *testing.T) {
			c := k.client(t, caller, modern)
			var r recognized
			lines := string(must(json.Marshal(append(sample[:5:5], "something never seen before \xff at all"))))
			text := c.into(t, &r, "recognize", fmt.Sprintf(`{"lines":%s,"after_revision":%d}`, lines, revision))
			require.Equal(t, 6, r.Lines)
			require.Equal(t, 5, r.Known)
			require.Equal(t, 1, r.Unknown)
			require.Len(t, r.Results, 6)
			require.Contains(t, text, "6 lines: 5 known")
			first := r.Patterns[*r.Results[0].Pattern]
			require.Contains(t, r.Results[0].Values, "10.0.0.1")
			require.Len(t, r.Results[0].Values, len(first.Slots))
			require.Equal(t, "tartan://patterns/default/"+first.ID, first.Resource)
			require.Equal(t, 0, *r.Results[5].Unknown)
			require.Equal(t, "6", r.Unknowns[0].At)

			var list struct {
				Total    int64
				Patterns []struct {
					ID, Template string
					Lines        int64
				}
				Next string
			}
			c.into(t, &list, "list_patterns", `{"limit":1}`)
			require.Len(t, list.Patterns, 1)
			require.NotEmpty(t, list.Next)
			c.into(t, &list, "list_patterns", `{"limit":1,"after":"`+list.Next+`"}`)
			require.Len(t, list.Patterns, 1)

			var detail struct {
				ID       string
				Lines    int64
				Examples []struct{ Line string }
				Hours    []int64
				Held     []string
			}
			c.into(t, &detail, "get_pattern", `{"id":"`+first.ID+`"}`)
			require.Equal(t, first.ID, detail.ID)
			require.Len(t, detail.Hours, 24)
			require.NotEmpty(t, detail.Examples)
			require.Len(t, detail.Held, len(first.Slots))
			require.Contains(t, detail.Held[0], first.Slots[0]+": ")

			var held struct {
				ID    string
				Lines int64
				Slots []struct {
					Slot, Type      string
					Count, Distinct int64
					Top             []struct {
						Value string
						Count int64
						Share float64
					}
				}
			}
			text = c.into(t, &held, "get_values", `{"id":"`+first.ID+`"}`)
			require.Equal(t, detail.Lines, held.Lines)
			require.Len(t, held.Slots, len(first.Slots))
			require.Equal(t, held.Lines, held.Slots[0].Count)
			require.Contains(t, text, first.ID+": values of")
			c.into(t, &held, "get_values", `{"id":"`+first.ID+`","slot":"`+first.Slots[0]+`","from":"24h","limit":1}`)
			require.Len(t, held.Slots, 1)
			require.LessOrEqual(t, len(held.Slots[0].Top), 1)

			var compared struct {
				Changes []struct{ Kind, Template, Example, Resource string }
			}
			text = c.into(t, &compared, "compare_windows", `{}`)
			require.NotEmpty(t, compared.Changes)
			found := ""
			for _, ch := range compared.Changes {
				if ch.Kind == "new" {
					found = ch.Example
				}
			}
			require.Equal(t, "disk sda1 is full", found, text)

			var healthy struct {
				Workspace, Role, Database, Temporal string
				Libraries                           []struct{ Name string }
			}
			c.into(t, &healthy, "health", `{}`)
			require.Equal(t, "one", healthy.Workspace)
			require.Equal(t, "admin", healthy.Role)
			require.Equal(t, "ok", healthy.Database)
			require.Contains(t, healthy.Temporal, "not connected to Temporal")
			require.Len(t, healthy.Libraries, 1)

			a := c.call(t, "resources/read", `"uri":"`+first.Resource+`"`, first.Resource)
			require.Nil(t, a.Error)
			require.Contains(t, string(a.Result), first.ID)
		})
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	c := k.client(t, caller, true)
	for _, e := range []struct{ tool, args, want string }{
		{"recognize", `{"lines":["a"]}`, "workspace one has no library yet. Mine some logs first"},
		{"recognize", `{}`, `recognize needs the argument "lines"`},
		{"recognize", `{"lines":[]}`, "no lines given"},
		{"recognize", `{"lines":[1]}`, `argument "lines" must be an array of strings`},
		{"recognize", `{"lines":{"a":1}}`, `argument "lines" must be an array of strings`},
		{"recognize", `{"lins":["a"]}`, `unknown argument "lins": did you mean "lines"?`},
		{"recognize", `{"lines":["a"],"frobnicate":1}`, `unknown argument "frobnicate": recognize takes lines, library`},
		{"recognize", `{"lines":["a"],"detail":"all"}`, `argument "detail" must be one of lines, summary, explain, not "all"`},
		{"recognize", `{"lines":["a"],"header":"yes"}`, `argument "header" must be true or false`},
		{"recognize", `{"lines":["a"],"max_tokens":1}`, "whole number from 200 to 1000000"},
		{"recognize", `{"lines":["a"],"lines":["b"]}`, `argument "lines" is given twice`},
		{"recognize", `[]`, "arguments of recognize: not valid JSON: expected an object"},
		{"health", `{"x":1}`, "health takes none"},
		{"compare_windows", `{"from":"yesterday"}`, "must be a time such as"},
		{"compare_windows", `{"from":"1h","to":"2h"}`, "a window ends before it starts"},
		{"list_patterns", `{"library":"nope"}`, "no library yet"},
		{"get_workflow", `{"id":"nonsense"}`, `no workflow "nonsense". Find its id with list_workflows`},
		{"mine_patterns", `{"lines":["a"]}`, "not connected to Temporal"},
	} {
		r := c.tool(t, e.tool, e.args)
		require.True(t, r.IsError, "%s %s", e.tool, e.args)
		require.Contains(t, r.Content[0].Text, e.want)
		require.NotContains(t, r.Content[0].Text, "SQLSTATE")
	}
	k.learn(t, caller, "default", time.Now(), sample...)
	for _, e := range []struct{ tool, args, want string }{
		{"list_patterns", `{"library":"nope"}`, `no library "nope" in workspace one. There are: default`},
		{"list_patterns", `{"after":"garbage"}`, `"after" is not the next of a page`},
		{"get_pattern", `{"id":"p0000000000000000"}`, "Find its id with list_patterns"},
		{"get_values", `{"id":"p0000000000000000"}`, "Find its id with list_patterns"},
		{"get_values", `{"id":"p0000000000000000","from":"1h","to":"2h"}`, "the window ends before it starts"},
		{"recognize", `{"lines":["a"],"after_revision":99999}`, "did not reach revision 99999"},
	} {
		r := c.tool(t, e.tool, e.args)
		require.True(t, r.IsError, "%s %s", e.tool, e.args)
		require.Contains(t, r.Content[0].Text, e.want)
	}
}

func TestResultsKeepToTheirBudget(t *testing.T) {
	t.Parallel()
	k := newStack(t)
	caller := k.db.Workspace(t, "one")
	k.learn(t, caller, "default", time.Now(), sample...)
	c := k.client(t, caller, true)
	var lines []string
	for i := range 5000 {
		lines = append(lines, sample[i%len(sample)])
	}
	var r recognized
	res := c.tool(t, "recognize", `{"lines":`+string(must(json.Marshal(strings.Join(lines, "\n"))))+`}`)
	require.NoError(t, json.Unmarshal(res.Structured, &r))
	require.LessOrEqual(t, len(res.Structured), 4000*4+200)
	require.Equal(t, 5000, r.Lines)
	require.Equal(t, r.Lines, len(r.Results)+r.Omitted)
	require.Less(t, len(res.Content[0].Text), 300)
	c.into(t, &r, "recognize", `{"max_tokens":1000000,"lines":`+string(must(json.Marshal(lines)))+`}`)
	require.Len(t, r.Results, 5000)
	r = recognized{}
	c.into(t, &r, "recognize", `{"detail":"summary","lines":`+string(must(json.Marshal(lines)))+`}`)
	require.Empty(t, r.Results)
	total := 0
	for _, p := range r.Patterns {
		total += p.Lines
	}
	require.Equal(t, r.Known, total)
}
