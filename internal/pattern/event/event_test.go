package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/header"
	"github.com/tartan-ai/tartan/internal/pattern/template"
)

func TestFlatten(t *testing.T) {
	t.Parallel()
	for event, want := range map[string]string{
		`{"user":{"name":"Ada L.","id":7},"msg":"login of ada","tags":["a","b"],"ok":true,"items":[{"n":1},{"n":2}],"ip":null}`: `msg="login of ada" ip=null items.n="[ 1 2 ]" ok=true tags="[ a b ]" user.id=7 user.name="Ada L."`,
		` { "b" : -1.5e3 , "a" : "x" } `:                          `a="x" b=-1.5e3`,
		`{"event":"user.login","message":"hi","a":1}`:             `event="user.login" message="hi" a=1`,
		`{"a":[],"b":{},"c":[{}],"d":[[1,2],[3]],"e":""}`:         `a="[ ]" b={} c="[ {} ]" d="[ 1 2 3 ]" e=""`,
		`{"a":["x y","it's","true",true,"1",1,null,"é"]}`:         `a="[ 'x y' 'it\u0027s' 'true' true '1' 1 null é ]"`,
		`{"a":"f(x)","b":"a,b ","c":"-","d":"a.","e":"x=1"}`:      `a="f(x) " b="a,b\u0020" c="- " d="a. " e="x=1 "`,
		`{"u":"/a/b.c","v":"a@b.de","w":"10.0.0.1","x":"a..b"}`:   `u="/a/b.c" v="a@b.de" w="10.0.0.1" x="a..b "`,
		`{"a":"say \"hi\"\n\u0041\u00e9\/\ud83d\ude00\u0007"}`:    `a="say \"hi\"\nAé/😀\u0007"`,
		`{"a b":1,"":2,"x=y":{"z":3},"k\"":4}`:                    `""=2 "a b"=1 "k\""=4 "x=y.z"=3`,
		`{}`:                                                      ``,
		`[1,2]`:                                                   `value="[ 1 2 ]"`,
		`"hello"`:                                                 `value="hello"`,
		`12`:                                                      `value=12`,
		`{"a":{"b":{"c":[{"d":[{"e":1},{"e":"x"}]}]}}}`:           `a.b.c.d.e="[ 1 x ]"`,
		`{"a":1,"a":"two","a":[3],"a":[4]}`:                       `a=1 a="two" a="[ 3 4 ]"`,
		strings.Repeat("[", 40) + "1,2" + strings.Repeat("]", 40): `value="[ '[[[[[[[[1,2]]]]]]]]' ]"`,
	} {
		var f Flattener
		got, ok := f.Flatten([]byte(event))
		require.True(t, ok, event)
		require.Equal(t, want, string(got), event)
	}
	var f Flattener
	for _, bad := range []string{``, `{`, `{"a":}`, `{"a":1}}`, `{'a':1}`, `nope`, `{"a":NaN}`, "{\"a\":\"\n\"}"} {
		_, ok := f.Flatten([]byte(bad))
		require.False(t, ok, bad)
	}
}

func TestMessageOfALine(t *testing.T) {
	t.Parallel()
	p := header.NewParser(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	for line, want := range map[string]string{
		`{"time":"2026-11-24T10:00:00Z","level":"info","logger":"web","msg":"served","status":200}`:       `msg="served" status=200`,
		`2026-11-24T10:00:00Z INFO {"msg":"served","status":200}`:                                         `msg="served" status=200`,
		`{"log":"{\"msg\":\"served\",\"status\":200}\n","stream":"stdout","time":"2026-11-24T10:00:00Z"}`: `msg="served" status=200`,
		`{"time":"2026-11-24T10:00:00Z"}`:                                                                 `time="2026-11-24T10:00:00Z "`,
		`{"MESSAGE":"Started foo.","PRIORITY":"6","_PID":"12"}`:                                           `MESSAGE="Started foo." PRIORITY="6" _PID="12"`,
		`{"a":1,`:           `malformed=" {\"a\":1,"`,
		`plain "text"`:      `malformed=" plain \"text\""`,
		` `:                 ``,
		`[{"a":1},{"a":2}]`: `value.a="[ 1 2 ]"`,
	} {
		var f Flattener
		require.Equal(t, want, string(f.Message([]byte(line), p.Parse([]byte(line)))), line)
	}
}

func TestLongValuesAreCut(t *testing.T) {
	t.Parallel()
	var f Flattener
	for _, piece := range []string{"x", "é", `\"`, `\\`, `\u0001`, "😀", " "} {
		for shift := range 8 {
			text := strings.Repeat("y", shift) + strings.Repeat(piece, 3*maxValue)
			got, ok := f.Flatten([]byte(`{"a":"` + text + `","b":1}`))
			require.True(t, ok)
			require.Less(t, len(got), maxValue+100)
			fields := parse(t, string(got))
			require.Len(t, fields, 2)
			require.True(t, strings.HasPrefix(plain(t, `"`+text+`"`), strings.TrimSuffix(fields[0].value, " ")), "%q", got[len(got)-40:])
		}
	}
}

// one is a value as the message says it: of a string what it holds, of anything else how it is written.
type one struct {
	key, value    string
	text, element bool
}

func plain(t *testing.T, quoted string) (s string) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(quoted), &s), "%s", quoted)
	return s
}

// parse reads a message back.
func parse(t *testing.T, message string) (out []one) {
	t.Helper()
	b := []byte(message)
	for i := 0; i < len(b); {
		var x one
		if b[i] == '"' {
			e := stringEnd(b, i)
			x.key, i = plain(t, message[i:e]), e
		} else {
			e := i + bytes.IndexByte(b[i:], '=')
			x.key, i = message[i:e], e
		}
		require.Equal(t, byte('='), b[i], "%s", message)
		i++
		if b[i] != '"' {
			e := i
			for e < len(b) && b[e] != ' ' {
				e++
			}
			x.value, i = message[i:e], e+1
			out = append(out, x)
			continue
		}
		e := stringEnd(b, i)
		inner := message[i+1 : e-1]
		i = e + 1
		if strings.HasPrefix(inner, "[ ") && strings.HasSuffix(inner, " ]") {
			out = append(out, list(t, x.key, inner)...)
			continue
		}
		inner = strings.TrimSuffix(inner, " ")
		x.value, x.text = plain(t, `"`+inner+`"`), true
		out = append(out, x)
	}
	return out
}

func list(t *testing.T, key, inner string) (out []one) {
	t.Helper()
	for i := 2; i < len(inner)-1; i++ {
		x := one{key: key, element: true}
		if inner[i] == '\'' {
			e := i + 1 + strings.IndexByte(inner[i+1:], '\'')
			x.value, x.text = plain(t, `"`+inner[i+1:e]+`"`), true
			i = e + 1
		} else {
			e := i + strings.IndexByte(inner[i:], ' ')
			x.value = inner[i:e]
			x.text = word([]byte(x.value))
			i = e
		}
		out = append(out, x)
	}
	return out
}

// reference flattens by encoding/json alone, in order of the event.
func reference(t *testing.T, event []byte) (out []one) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(event))
	d.UseNumber()
	var value func(path string, depth int, element bool)
	value = func(path string, depth int, element bool) {
		token, err := d.Token()
		require.NoError(t, err)
		switch v := token.(type) {
		case json.Delim:
			n := 0
			for ; d.More(); n++ {
				if v == '[' {
					value(path, depth+1, true)
					continue
				}
				key, err := d.Token()
				require.NoError(t, err)
				inner := key.(string)
				if path != "" {
					inner = path + "." + inner
				}
				value(inner, depth+1, element)
			}
			_, err = d.Token()
			require.NoError(t, err)
			if n == 0 && v == '{' && depth > 0 {
				out = append(out, one{path, "{}", false, element})
			}
		case string:
			out = append(out, one{path, v, true, element})
		case nil:
			out = append(out, one{path, "null", false, element})
		default:
			out = append(out, one{path, fmt.Sprint(v), false, element})
		}
	}
	first := ""
	if event[skip(event, 0)] != '{' {
		first = "value"
	}
	value(first, 0, false)
	return out
}

func checkRoundTrip(t *testing.T, event []byte) {
	t.Helper()
	var f, again Flattener
	message, ok := f.Flatten(event)
	require.Equal(t, json.Valid(event), ok)
	if !ok {
		return
	}
	want := reference(t, event)
	if len(want) > maxWhole || slices.ContainsFunc(want, func(x one) bool { return strings.HasPrefix(x.value, "[ ") && strings.HasSuffix(x.value, " ]") }) {
		return // a string that looks like a list is one that cannot be told from it
	}
	slices.SortStableFunc(want, func(a, b one) int {
		if x, y := header.IsMessageKey([]byte(a.key)), header.IsMessageKey([]byte(b.key)); x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(a.key, b.key)
	})
	got := parse(t, string(message))
	for i := range got { // encoding/json replaces what is no UTF-8
		got[i].key, got[i].value = string([]rune(got[i].key)), string([]rune(got[i].value))
	}
	require.Equal(t, want, got, "%s\n%s", event, message)
	twice, _ := again.Flatten(event)
	require.Equal(t, string(message), string(twice))
}

// randomEvent makes an event of random fields; shuffle changes the order of fields and nothing else.
func randomValue(rnd *rand.Rand, depth int) any {
	texts := []string{"", " ", "a", "a b", "f(x)", "true", "12", "é\u0000\u2028", `say "hi"`, "a\\b", "it's", "[ x ]x", "https://a.b/c?d=e,f", "/var/log/x", "a..b", "-", "x ", "line\nline", "a=b", "<*>", "😀"}
	switch n := rnd.IntN(9); {
	case n < 3:
		return texts[rnd.IntN(len(texts))]
	case n == 3:
		return rnd.IntN(1000)
	case n == 4:
		return rnd.Float64()
	case n == 5:
		return []any{true, false, nil}[rnd.IntN(3)]
	case depth == 0:
		return "leaf"
	case n == 6:
		out := []any{}
		for range rnd.IntN(4) {
			out = append(out, randomValue(rnd, depth-1))
		}
		return out
	}
	keys := []string{"id", "name", "msg", "user", "http.status", "a b", "", "x=y", "type", "é"}
	out := map[string]any{}
	for range rnd.IntN(5) {
		out[keys[rnd.IntN(len(keys))]] = randomValue(rnd, depth-1)
	}
	return out
}

func TestRandomEventsRoundTrip(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 3000 {
		body, err := json.Marshal(randomValue(rnd, 4))
		require.NoError(t, err)
		checkRoundTrip(t, body)
	}
}

// Events with the same fields are one pattern, whatever their values, the length of their lists, and the order of fields.
func TestSameFieldsAreOnePattern(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	mined := template.NewOffline(template.TallyOptions{})
	var f Flattener
	word := func() string {
		b := make([]byte, 3+rnd.IntN(6))
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyz"[rnd.IntN(26)]
		}
		return string(b)
	}
	texts := []func() string{word, func() string { return word() + " " + word() }, func() string { return word() + "(" + word() + "," + word() + ")" }, func() string { return "-" }, func() string { return word() + "." }, func() string { return "" }, func() string { return word() + "='" + word() + `"` }}
	const n = 500
	for i := range n {
		fields := []string{
			fmt.Sprintf(`"msg":"order of %s placed"`, word()), fmt.Sprintf(`"user":{"id":%d,"name":%q}`, rnd.IntN(1000), texts[rnd.IntN(len(texts))]()),
			fmt.Sprintf(`"ok":%t`, rnd.IntN(2) == 0), fmt.Sprintf(`"note":%q`, texts[rnd.IntN(len(texts))]()), fmt.Sprintf(`"url":"https://%s.test/%s?q=%d,%s"`, word(), word(), i, word()),
		}
		var items, tags []string
		for range 1 + rnd.IntN(5) {
			items = append(items, fmt.Sprintf(`{"sku":%q,"n":%d}`, word(), rnd.IntN(9)))
			tags = append(tags, fmt.Sprintf("%q", texts[rnd.IntN(len(texts))]()))
		}
		fields = append(fields, `"items":[`+strings.Join(items, ",")+`]`, `"tags":[`+strings.Join(tags[rnd.IntN(len(tags)):], ",")+`]`)
		rnd.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		message, ok := f.Flatten([]byte("{" + strings.Join(fields, ",") + "}"))
		require.True(t, ok)
		mined.Add(message, message, int64(i))
	}
	of := mined.Assign()
	id, text := of(0)
	for i := range n {
		other, otherText := of(i)
		require.Equal(t, id, other, "seed %d\n%s\n%s", seed, text, otherText)
	}
	p, _ := mined.Library().Pattern(id)
	var names []string
	for _, s := range p.Slots {
		names = append(names, s.Name)
	}
	require.Subset(t, names, []string{"items.n", "items.sku", "note", "ok", "tags", "url", "user.id", "user.name"}, "%s", text)
	require.Contains(t, text, `order of <*> placed`)
}

func FuzzFlatten(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"a":{"b":[1,"x y",{"c":null}]},"msg":"hi \"you\" \ud83d\ude00"}`, `[1,"a",{}]`, `{"a b":"f(x)","":"-"}`, `{"a":"x `, "{\"a\":\"\xff\"}", `"\ud800\u0041"`} {
		f.Add([]byte(s))
	}
	p := header.NewParser(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	f.Fuzz(func(t *testing.T, event []byte) {
		if len(event) > maxValue/2 || bytes.Count(event, []byte("["))+bytes.Count(event, []byte("{")) > maxDepth {
			return
		}
		checkRoundTrip(t, event)
		var f Flattener
		message := f.Message(event, p.Parse(event))
		tally := template.NewTally(template.TallyOptions{})
		tally.Add(message, event, 1)
		require.EqualValues(t, 1, tally.Lines())
	})
}

func BenchmarkMessage(b *testing.B) {
	line := []byte(`{"time":"2026-11-24T10:00:00.123Z","level":"info","msg":"request served","http":{"method":"GET","path":"/api/orders/17","status":200},"user":{"id":17,"name":"ada"},"tags":["a","b"],"took_ms":12.5}`)
	p := header.NewParser(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	var f Flattener
	b.ReportAllocs()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		f.Message(line, p.Parse(line))
	}
}
