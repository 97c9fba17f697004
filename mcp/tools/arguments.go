package tools

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/tartan-ai/tartan/mcp/tools/jsonrpc"
)

// maxText bounds one string argument, in bytes, unless the field says otherwise.
const maxText = 1024

// An argument's type is string, int, bool, []string, or a parser of its own.
type parser interface {
	parse(value []byte) error // what is wrong, as "must be ..."
	schema() string           // the members of its JSON Schema, without braces
}

// arguments is how a tool's arguments are described and read: one field of a struct each. Tags: json is the name; doc the
// description, note more of it for the written reference; default, enum ("a|b"), min and max as in JSON Schema; required is "true".
type arguments struct {
	tool   string
	fields []field
}

type field struct {
	index     []int
	name, doc string
	note      string // for the written reference only: models do without
	kind      reflect.Kind
	fallback  string
	enum      []string
	low, high int64
	required  bool
	parser    parser // nil where the kind says how to read it
}

func argumentsOf[In any](tool string) *arguments {
	a := &arguments{tool: tool}
	t := reflect.TypeFor[In]()
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous {
			continue // its fields are arguments
		}
		get := f.Tag.Get
		out := field{index: f.Index, name: get("json"), doc: get("doc"), note: get("note"), kind: f.Type.Kind(), fallback: get("default"), required: get("required") == "true"}
		if get("enum") != "" {
			out.enum = strings.Split(get("enum"), "|")
		}
		out.low, out.high = bound(get("min"), 0), bound(get("max"), maxText)
		out.parser, _ = reflect.New(f.Type).Interface().(parser)
		if out.name == "" {
			panic("tools: argument without a name in " + t.String())
		}
		a.fields = append(a.fields, out)
	}
	return a
}

func bound(text string, otherwise int64) int64 {
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic("tools: bound " + text + " is not a number")
	}
	return n
}

// decode reads args into in, a pointer to the struct that a was made of.
func (a *arguments) decode(args []byte, in any) error {
	target := reflect.ValueOf(in).Elem()
	var seen uint64
	if len(args) > 0 && string(args) != "null" {
		err := jsonrpc.Members(args, func(name string, value []byte) error {
			i := slices.IndexFunc(a.fields, func(f field) bool { return f.name == name })
			if i < 0 {
				return a.unknown(name)
			}
			if seen&(1<<i) != 0 {
				return invalid("argument %q is given twice", name)
			}
			if string(value) == "null" {
				return nil
			}
			seen |= 1 << i
			return a.fields[i].set(target.FieldByIndex(a.fields[i].index), value)
		})
		if known(err) {
			return err
		}
		if err != nil {
			return invalid("arguments of %s: %v", a.tool, err)
		}
	}
	for i, f := range a.fields {
		if seen&(1<<i) != 0 {
			continue
		}
		if f.required {
			return invalid("%s needs the argument %q: %s", a.tool, f.name, f.doc)
		}
		if f.fallback != "" {
			f.preset(target.FieldByIndex(f.index))
		}
	}
	return nil
}

func (f *field) set(target reflect.Value, value []byte) error {
	if f.parser != nil {
		if err := target.Addr().Interface().(parser).parse(value); err != nil {
			return invalid("argument %q %v", f.name, err)
		}
		return nil
	}
	switch f.kind {
	case reflect.String:
		s, err := jsonrpc.Text(value)
		if err != nil {
			return f.wrong("text", value)
		}
		return f.setText(target, s)
	case reflect.Int:
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < f.low || n > f.high {
			return f.wrong(fmt.Sprintf("a whole number from %d to %d", f.low, f.high), value)
		}
		target.SetInt(n)
	case reflect.Bool:
		if s := string(value); s != "true" && s != "false" {
			return f.wrong("true or false", value)
		}
		target.SetBool(value[0] == 't')
	}
	return nil
}

func (f *field) setText(target reflect.Value, s string) error {
	if len(f.enum) > 0 && !slices.Contains(f.enum, s) {
		return invalid("argument %q must be one of %s, not %s", f.name, strings.Join(f.enum, ", "), short(s))
	}
	if int64(len(s)) > f.high {
		return invalid("argument %q is longer than %d bytes", f.name, f.high)
	}
	if strings.ContainsRune(s, 0) {
		return invalid("argument %q holds a NUL byte", f.name)
	}
	target.SetString(strings.ToValidUTF8(s, "\uFFFD"))
	return nil
}

func (f *field) wrong(want string, value []byte) error {
	return invalid("argument %q must be %s, not %s", f.name, want, short(string(value)))
}

func (f *field) preset(target reflect.Value) {
	switch f.kind {
	case reflect.Int:
		target.SetInt(bound(f.fallback, 0))
	case reflect.Bool:
		target.SetBool(f.fallback == "true")
	case reflect.String:
		target.SetString(f.fallback)
	}
}

func (a *arguments) unknown(name string) error {
	names := make([]string, len(a.fields))
	for i, f := range a.fields {
		names[i] = f.name
	}
	if near := nearest(name, names); near != "" {
		return invalid("unknown argument %s: did you mean %q?", short(name), near)
	}
	if len(names) == 0 {
		return invalid("unknown argument %s: %s takes none", short(name), a.tool)
	}
	return invalid("unknown argument %s: %s takes %s", short(name), a.tool, strings.Join(names, ", "))
}

// short quotes what a client sent, cut so that an error stays short.
func short(s string) string {
	if len(s) > 40 {
		s = s[:40] + "..."
	}
	return strconv.Quote(strings.ToValidUTF8(s, "\uFFFD"))
}

// nearest is the name that differs from got by at most two edits or only in case, or "".
func nearest(got string, names []string) string {
	best, at := "", 3
	if len(got) > 64 {
		return ""
	}
	for _, name := range names {
		if d := edits(strings.ToLower(got), name); d < at && d < len(name) {
			best, at = name, d
		}
	}
	return best
}

// edits is the Levenshtein distance of two short strings.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// schema renders the arguments as a closed JSON Schema, in the order of the fields. Bounds and defaults are left out: a model
// needs neither to call the tool, each costs tokens in every conversation, and an error names them.
func (a *arguments) schema() json.RawMessage {
	out := []byte(`{"type":"object","properties":{`)
	var required []byte
	for i, f := range a.fields {
		if i > 0 {
			out = append(out, ',')
		}
		out = jsonrpc.AppendString(out, f.name)
		out = append(out, ":{"...)
		out = append(out, f.schema()...)
		out = append(out, '}')
		if f.required {
			if required != nil {
				required = append(required, ',')
			}
			required = jsonrpc.AppendString(required, f.name)
		}
	}
	out = append(out, '}')
	if required != nil {
		out = append(append(append(out, `,"required":[`...), required...), ']')
	}
	return append(out, `,"additionalProperties":false}`...)
}

func (f *field) schema() string {
	var parts []string
	switch {
	case f.parser != nil:
		parts = append(parts, f.parser.schema())
	case f.kind == reflect.Int:
		parts = append(parts, `"type":"integer"`)
	case f.kind == reflect.Bool:
		parts = append(parts, `"type":"boolean"`)
	case len(f.enum) > 0:
		parts = append(parts, `"enum":`+string(must(json.Marshal(f.enum))))
	default:
		parts = append(parts, `"type":"string"`)
	}
	if f.doc != "" {
		parts = append(parts, `"description":`+string(jsonrpc.AppendString(nil, f.doc)))
	}
	return strings.Join(parts, ",")
}

// must is for values that are known when the program is written.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
