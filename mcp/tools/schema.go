package tools

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/tartan-ai/tartan/mcp/tools/jsonrpc"
)

// outputSchema describes an answer by its struct: names and types, and which members are always there at the top.
func outputSchema[Out any]() json.RawMessage {
	return appendObject(nil, reflect.TypeFor[Out](), true)
}

func appendSchema(out []byte, t reflect.Type) []byte {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return append(out, `{"type":"string","format":"date-time"}`...)
	case t == reflect.TypeFor[json.RawMessage]():
		return append(out, `{}`...)
	}
	switch t.Kind() {
	case reflect.Struct:
		return appendObject(out, t, false)
	case reflect.Slice:
		out = append(out, `{"type":"array","items":`...)
		return append(appendSchema(out, t.Elem()), '}')
	case reflect.Map:
		return append(out, `{"type":"object"}`...)
	case reflect.Bool:
		return append(out, `{"type":"boolean"}`...)
	case reflect.Float64:
		return append(out, `{"type":"number"}`...)
	case reflect.String:
		return append(out, `{"type":"string"}`...)
	default:
		return append(out, `{"type":"integer"}`...)
	}
}

func appendObject(out []byte, t reflect.Type, top bool) []byte {
	out = append(out, `{"type":"object","properties":{`...)
	var required []byte
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous {
			continue // its fields are the struct's
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		out = append(jsonrpc.AppendString(out, name), ':')
		if f.Tag.Get("schema") == "brief" { // of the arrays of an answer that several tools give
			out = append(out, `{"type":"array"}`...)
		} else {
			out = appendSchema(out, f.Type)
		}
		if top && !strings.Contains(options, "omit") {
			if required != nil {
				required = append(required, ',')
			}
			required = jsonrpc.AppendString(required, name)
		}
	}
	out = append(out, '}')
	if required != nil {
		out = append(append(append(out, `,"required":[`...), required...), ']')
	}
	return append(out, '}')
}
