package template_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

// TestStatements says in examples what is a value, what is constant, and how slots are named.
func TestStatements(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		lines    []string
		template string
		slots    []pattern.Slot
	}{
		{
			"values",
			[]string{"read 17 bytes of /var/x.log from 10.0.0.7:22 in 12ms"},
			"read <*> bytes of <*> from <*> in <*>",
			[]pattern.Slot{{Name: "number", Type: pattern.Number}, {Name: "path", Type: pattern.Path}, {Name: "ip", Type: pattern.IP}, {Name: "duration", Type: pattern.Duration}},
		},
		{
			"a literal prefix",
			[]string{"stored blk_-1608999687919862906", "stored blk_77"},
			"stored blk_<*>",
			[]pattern.Slot{{Name: "number", Type: pattern.Number}},
		},
		{
			"ids",
			[]string{"job 550e8400-e29b-41d4-a716-446655440000 has digest 9e107d9d372bb6826bd81d3542a419d6"},
			"job <*> has digest <*>",
			[]pattern.Slot{{Name: "uuid", Type: pattern.UUID}, {Name: "hex", Type: pattern.Hex}},
		},
		{
			"keys name slots",
			[]string{`msg="request done" status=200 took=12ms`, `msg="request done" status=404 took=1.5s`},
			`msg="request done" status=<*> took=<*>`,
			[]pattern.Slot{{Name: "status", Type: pattern.Number}, {Name: "took", Type: pattern.Duration}},
		},
		{
			"a quoted value",
			[]string{`msg="cannot open" err="no route to host"`, `msg="cannot open" err="timed out after 3 s"`},
			`msg="cannot open" err="<*>"`,
			[]pattern.Slot{{Name: "err", Type: pattern.Quoted}},
		},
		{
			"prose of any length",
			[]string{
				"order 17 cancelled by customer 3: out of stock", "order 18 cancelled by customer 4: declined",
				"order 19 cancelled by customer 5: connection refused by peer", "order 20 cancelled by customer 6: timed out",
				"order 21 cancelled by customer 7: nobody knows why",
			},
			"order <*> cancelled by customer <*>: <*>",
			[]pattern.Slot{{Name: "number", Type: pattern.Number}, {Name: "number_2", Type: pattern.Number}, {Name: "text", Type: pattern.Text}},
		},
		{
			"prose in quotes in brackets",
			[]string{
				"task 17 raised unexpected error('out of stock')", "task 18 raised unexpected error('declined')",
				"task 19 raised unexpected error('refused by peer')", "task 20 raised unexpected error('timed out')",
				"task 21 raised unexpected error('nobody knows why')",
			},
			"task <*> raised unexpected error('<*>')",
			[]pattern.Slot{{Name: "number", Type: pattern.Number}, {Name: "text", Type: pattern.Text}},
		},
		{
			"prose in quotes in front",
			[]string{`Quest "The Lost Caravan" left by 7`, `Quest "Rats!" left by 8`, `Quest "Into the Deep" left by 9`},
			`Quest "<*>" left by <*>`,
			[]pattern.Slot{{Name: "text", Type: pattern.Text}, {Name: "number", Type: pattern.Number}},
		},
		{
			"names of two words in brackets",
			[]string{"logon of user(3) name(Ada Lovelace) refused", "logon of user(4) name(Grace Hopper) refused", "logon of user(5) name(Kim) refused"},
			"logon of user(<*>) name(<*>) refused",
			[]pattern.Slot{{Name: "number", Type: pattern.Number}, {Name: "text", Type: pattern.Text}},
		},
		{
			"a name of several words where others have one",
			[]string{
				"batch 1 sent to ada as 7", "batch 2 sent to bob as 8", "batch 3 sent to eve as 9", "batch 4 sent to kim as 1", "batch 5 sent to max as 1",
				"batch 6 sent to sue as 1", "batch 7 sent to Ada and Sons as 3",
			},
			"batch <*> sent to <*> as <*>",
			[]pattern.Slot{{Name: "number", Type: pattern.Number}, {Name: "word", Type: pattern.Text}, {Name: "number_2", Type: pattern.Number}},
		},
		{
			"three words behind a key",
			[]string{"fix by provider=gps after 3", "fix by provider=wifi after 4", "fix by provider=cell after 5"},
			"fix by provider=<*> after <*>",
			[]pattern.Slot{{Name: "provider", Type: pattern.Word}, {Name: "number", Type: pattern.Number}},
		},
		{
			"three alternatives that many words hold together",
			[]string{"job 1 was sent to partition long", "job 2 was sent to partition fast", "job 3 was sent to partition big"},
			"job <*> was sent to partition <*>",
			[]pattern.Slot{{Name: "number", Type: pattern.Number}, {Name: "word", Type: pattern.Word}},
		},
		{
			"JSON",
			[]string{`{"msg":"worker started","n":3,"ok":true,"why":"it was asked to"}`, `{"msg":"worker started","n":44,"ok":false,"why":"nobody knows"}`},
			`{"msg":"worker started","n":<*>,"ok":<*>,"why":"<*>"}`,
			[]pattern.Slot{{Name: "n", Type: pattern.Number}, {Name: "ok", Type: pattern.Identifier}, {Name: "why", Type: pattern.Quoted}},
		},
		{
			"an empty value",
			[]string{"auth failed; user= host=10.0.0.1", "auth failed; user=7 host=10.0.0.2"},
			"auth failed; user=<*> host=<*>",
			[]pattern.Slot{{Name: "user", Type: pattern.Text}, {Name: "host", Type: pattern.IP}},
		},
		{
			"a list",
			[]string{"waiting for [3]", "waiting for [3, 4]", "waiting for [3, 4, 5]", "waiting for []"},
			"waiting for [<*>]",
			[]pattern.Slot{{Name: "text", Type: pattern.Text}},
		},
		{
			"a date in words",
			[]string{"restarted at Mon Jul  9 22:53:22 2005 by hand"},
			"restarted at <*> by hand",
			[]pattern.Slot{{Name: "time", Type: pattern.Time}},
		},
		{
			"names",
			[]string{"login of ada ok", "login of bob ok", "login of eve ok", "login of kim ok", "login of max ok", "login of sue ok"},
			"login of <*> ok",
			[]pattern.Slot{{Name: "word", Type: pattern.Word}},
		},
		{
			"a tail",
			[]string{"renewed lease of 7", "renewed lease of 8 after 3 tries"},
			"renewed lease of <*> <*>",
			[]pattern.Slot{{Name: "number", Type: pattern.Number}, {Name: "tail", Type: pattern.Text}},
		},
		{
			"a word with a digit that is always there",
			[]string{"login of 7 over ssh2", "login of 8 over ssh2 "},
			"login of <*> over ssh2",
			[]pattern.Slot{{Name: "number", Type: pattern.Number}},
		},
		{
			"a word with a number that changes",
			[]string{"job 7 runs on node3", "job 7 runs on node11"},
			"job <*> runs on node<*>",
			[]pattern.Slot{{Name: "number", Type: pattern.Number}, {Name: "number_2", Type: pattern.Number}},
		},
		{
			"nothing where never anything was",
			[]string{"auth failed; logname= host=10.0.0.1 list=[]", "auth failed; logname= host=10.0.0.2 list=[]"},
			"auth failed; logname= host=<*> list=[]",
			[]pattern.Slot{{Name: "host", Type: pattern.IP}},
		},
		{
			"a unit that varies",
			[]string{"freed 12 KB of 3 MB", "freed 310 B of 3 MB"},
			"freed <*> of <*>",
			[]pattern.Slot{{Name: "size", Type: pattern.Size}, {Name: "size_2", Type: pattern.Size}},
		},
		{
			"a script without blanks",
			[]string{"用户ada登录耗时12毫秒", "用户bob登录耗时7毫秒", "用户eve登录耗时7毫秒", "用户kim登录耗时7毫秒", "用户max登录耗时7毫秒", "用户sue登录耗时7毫秒"},
			"用户<*>登录耗时<*>毫秒",
			[]pattern.Slot{{Name: "word", Type: pattern.Word}, {Name: "number", Type: pattern.Number}},
		},
		{
			"arguments",
			[]string{"moveTo(3, 4) done", "moveTo(5, 66) done"},
			"moveTo(<*>, <*>) done",
			[]pattern.Slot{{Name: "number", Type: pattern.Number}, {Name: "number_2", Type: pattern.Number}},
		},
		{
			"a field of a record",
			[]string{`msg="lease renewed" owner=ada took=7`, `msg="lease renewed" owner=bob took=8`},
			`msg="lease renewed" owner=<*> took=<*>`,
			[]pattern.Slot{{Name: "owner", Type: pattern.Word}, {Name: "took", Type: pattern.Number}},
		},
		{
			"values with delimiters of their own",
			[]string{"pulled a-1 for [eve, 3]", "pulled b_c for [kim]", "pulled d-e for [ada]", "pulled f_g for [bob, 4]", "pulled for:ada for [x (y), z]"},
			"pulled <*> for [<*>]",
			[]pattern.Slot{{Name: "identifier", Type: pattern.Text}, {Name: "text", Type: pattern.Text}},
		},
		{"a wildcard in a line", []string{"printed <*> today"}, "printed <<*>> today", []pattern.Slot{{Name: "text", Type: pattern.Text}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lib := template.NewLibrary(template.Options{})
			lib.Learn(shapesOf(tally(c.lines...)))
			require.Equal(t, []pattern.Pattern{pattern.New(c.template, c.slots)}, lib.Patterns())
		})
	}
}

func TestTwinsStayApart(t *testing.T) {
	t.Parallel()
	lib := template.NewLibrary(template.Options{})
	lib.Learn(shapesOf(tally("session opened for 7 at 10.0.0.1", "session closed for 7 at 10.0.0.1", "session opened for 8 at 10.0.0.2")))
	require.Len(t, lib.Patterns(), 2)

	lib = template.NewLibrary(template.Options{})
	lib.Learn(shapesOf(tally("node 3 status is now: NodeReady", "node 4 status is now: NodeNotReady")))
	require.Len(t, lib.Patterns(), 2)
}

func TestRecogniseFillsValues(t *testing.T) {
	t.Parallel()
	lib := template.NewLibrary(template.Options{})
	lib.Learn(shapesOf(tally("login of ada ok", "login of bob ok", "login of eve ok", "login of kim ok", "login of max ok", "login of sue ok", "renewed lease of 7", "renewed lease of 8 after 3 tries",
		"task 1 raised error('out of stock')", "task 2 raised error('declined')", "task 3 raised error('refused by peer')",
		"task 4 raised error('timed out')", "task 5 raised error('nobody knows why')")))
	ix := lib.Index()
	for line, want := range map[string][]string{
		"login of  somebody_new  ok":       {"somebody_new"},
		"renewed lease of 9":               {"9", ""},
		"renewed lease of 9 after 2 tries": {"9", "after 2 tries"},
		"task 9 raised error('timed out')": {"9", "timed out"},
	} {
		var m template.Match
		require.True(t, ix.Recognise([]byte(line), &m), line)
		var got []string
		for _, v := range m.Values {
			got = append(got, line[v.Start:v.End])
		}
		require.Equal(t, want, got, line)
	}
	var m template.Match
	require.True(t, ix.Recognise([]byte("login of ada ok"), &m))
	require.Equal(t, 1.0, m.Confidence)
	require.True(t, ix.Recognise([]byte("login of zoe ok"), &m))
	require.Less(t, m.Confidence, 1.0)
	require.False(t, ix.Recognise([]byte("logout of ada ok"), &m))

	near, ok := ix.Nearest([]byte("login of ada failed"))
	require.True(t, ok)
	require.Equal(t, template.Near{Pattern: pattern.Fingerprint("login of <*> ok"), Template: "login of <*> ok", Token: 3, Want: "ok", Got: "failed", Score: 0.75}, near)
}

func TestReadTallyRefusesDamage(t *testing.T) {
	t.Parallel()
	b, err := tally("a 1", "b 2").MarshalBinary()
	require.NoError(t, err)
	for i := range b {
		broken := append([]byte(nil), b...)
		broken[i] ^= 0x20
		_, err := template.ReadTally(broken)
		require.ErrorIs(t, err, template.ErrTally)
		_, err = template.ReadTally(b[:i])
		require.ErrorIs(t, err, template.ErrTally)
	}
}

func TestTallyRoundTrip(t *testing.T) {
	t.Parallel()
	tl := template.NewTally(template.TallyOptions{})
	for i, at := range []int64{5e9, -3e9, 5e9, 130e9} {
		tl.Add([]byte("a 1"), []byte{'a' + byte(i)}, at)
	}
	b, err := tl.MarshalBinary()
	require.NoError(t, err)
	got, err := template.ReadTally(b)
	require.NoError(t, err)
	require.Equal(t, tl.Counted(), got)
	require.Equal(t, []template.Bucket{{Start: -60, Lines: 1}, {Start: 0, Lines: 2}, {Start: 120, Lines: 1}}, got[0].Buckets)
	require.Equal(t, int64(-3e9), got[0].First)
	require.Equal(t, "b", got[0].Example)
}

// What tells statements apart stays, whatever looks like a value.
func TestStatementsThatStayApart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		lines    []string
		patterns int
	}{
		{
			"a field that the statement also goes without",
			[]string{"failure; uid=1 tty=2 rhost=3", "failure; uid=1 tty=2 rhost=3 user=root", "failure; uid=1 tty=2 rhost=3 user=guest", "failure; uid=1 tty=2 rhost=3 user=test"},
			4,
		},
		{
			"statements about one subject",
			[]string{
				"bus usb 1: new device found", "bus usb 1: reset", "bus usb 2: link lost again", "bus usb 1: waiting for host", "bus usb 3: over current",
				"bus usb 3: speed is 480 now",
			},
			6,
		},
		{
			"something more in front of a value",
			[]string{
				"password for ada sent", "password for bob sent", "password for eve sent", "password for kim sent", "password for max sent",
				"password for sue sent", "password for invalid user 7 sent",
			},
			2,
		},
		{"a few reasons", []string{"cannot open file 1: no such file", "cannot open file 2: permission denied", "cannot open file 3: disk is full"}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lib := template.NewLibrary(template.Options{})
			lib.Learn(shapesOf(tally(c.lines...)))
			require.Len(t, lib.Patterns(), c.patterns)
		})
	}
}

// The value of a slot for prose is all of it.
func TestValuesOfProse(t *testing.T) {
	t.Parallel()
	lib := template.NewLibrary(template.Options{})
	lines := []string{`Quest "The Lost Caravan" left by 7`, `Quest "Rats!" left by 8`, `Quest "Into the Deep" left by 9`}
	lib.Learn(shapesOf(tally(lines...)))
	for i, want := range []string{"The Lost Caravan", "Rats", "Into the Deep"} {
		var m template.Match
		require.True(t, lib.Index().Recognise([]byte(lines[i]), &m))
		require.Len(t, m.Values, 2)
		require.Equal(t, want, lines[i][m.Values[0].Start:m.Values[0].End])
	}
}
