package export

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// Attribute is an attribute that a record of the pattern carries.
type Attribute struct {
	Name  string // in OpenTelemetry form
	Slot  string // of the pattern; empty where Value is the same in every record
	Group string // of the regular expression
	Value string
}

// Collector is configuration for an OpenTelemetry collector.
type Collector struct {
	YAML       string // a transform processor, and the same as operators of a filelog receiver
	Attributes []Attribute
	Matched    int // of the lines given
}

// conventional are the names that OpenTelemetry's semantic conventions and its log data model define and that logging statements use as
// keys themselves. A slot with such a name is that attribute; of any other name it cannot be known what it means.
var conventional = func() map[string]bool {
	m := map[string]bool{}
	for name := range strings.FieldsSeq(`trace_id span_id trace_flags client.address client.port server.address server.port source.address source.port
		destination.address destination.port network.peer.address network.peer.port network.protocol.name network.transport http.request.method
		http.response.status_code http.route url.full url.path url.query url.scheme user_agent.original error.type exception.type exception.message
		service.name service.version service.instance.id host.name host.id process.pid thread.id thread.name user.id user.name session.id enduser.id
		db.system.name db.namespace db.collection.name db.operation.name messaging.system messaging.destination.name messaging.message.id rpc.service
		rpc.method k8s.pod.name k8s.namespace.name k8s.node.name container.id container.name file.path code.function.name code.file.path`) {
		m[name] = true
	}
	return m
}()

// AttributeName returns the attribute of a slot: its own name where that is one of OpenTelemetry's, and else tartan.slot.<name>, lower
// case, with underscores for what a name may not have. What the value means is never guessed from its type.
func AttributeName(s pattern.Slot) string {
	if conventional[s.Name] {
		return s.Name
	}
	return "tartan.slot." + strings.Trim(strings.ToLower(attributeForm.Replace(plainAttribute(s.Name))), "_.")
}

var attributeForm = strings.NewReplacer("__", "_", "..", ".")

func plainAttribute(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '.' || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' {
			return r
		}
		return '_'
	}, s)
}

// OpenTelemetry returns configuration that recognises the pattern in the body of a record, and puts its id, its template and its values
// into attributes.
func OpenTelemetry(p pattern.Pattern, lines []Line) Collector {
	e := Regex(p, lines)
	out := Collector{Matched: e.Matched, Attributes: []Attribute{
		{Name: "log.template", Value: strings.ToValidUTF8(p.Template, "\uFFFD")}, {Name: "tartan.pattern.id", Value: string(p.ID)},
	}}
	used := map[string]bool{}
	for i, s := range p.Slots[:len(e.Names)] {
		out.Attributes = append(out.Attributes, Attribute{Name: unused(AttributeName(s), used), Slot: s.Name, Group: e.Names[i]})
	}
	var b strings.Builder
	transform(&b, e.Text, out.Attributes)
	b.WriteByte('\n')
	operators(&b, e.Text, out.Attributes)
	out.YAML = b.String()
	return out
}

// unused returns the name, with a number where it is taken or nothing stands behind its last dot, and takes it.
func unused(name string, used map[string]bool) string {
	try := name
	if strings.HasSuffix(name, ".") {
		try = name + "1"
	}
	for n := 2; used[try]; n++ {
		try = strings.TrimSuffix(name, ".") + "_" + strconv.Itoa(n)
	}
	used[try] = true
	return try
}

// transform writes statements of OTTL.
func transform(b *strings.Builder, expression string, attributes []Attribute) {
	b.WriteString("processors:\n  transform/tartan:\n    error_mode: ignore\n    log_statements:\n      - context: log\n        conditions:\n")
	statement := func(parts ...string) { b.WriteString("          - " + single(strings.Join(parts, "")) + "\n") }
	statement("IsMatch(body, ", ottl(expression), ")")
	b.WriteString("        statements:\n")
	if len(attributes) > 2 {
		statement("merge_maps(cache, ExtractPatterns(body, ", ottl(expression), `), "upsert")`)
	}
	for _, a := range attributes {
		if a.Slot == "" {
			statement("set(attributes[", ottl(a.Name), "], ", ottl(a.Value), ")")
		} else {
			statement("set(attributes[", ottl(a.Name), "], cache[", ottl(a.Group), "])")
		}
	}
}

// operators writes the same for a receiver that reads files. The expression is tried once; what follows goes by the id.
func operators(b *strings.Builder, expression string, attributes []Attribute) {
	b.WriteString("receivers:\n  filelog/tartan:\n    operators:\n")
	condition := "body matches " + ottl(expression)
	operator := func(kind string, more ...string) {
		b.WriteString("      - type: " + kind + "\n        if: " + single(condition) + "\n")
		for i := 0; i < len(more); i += 2 {
			b.WriteString("        " + more[i] + ": " + single(more[i+1]) + "\n")
		}
	}
	template, id := attributes[0], attributes[1]
	operator("add", "field", "attributes["+ottl(id.Name)+"]", "value", id.Value)
	condition = "attributes[" + ottl(id.Name) + "] == " + ottl(id.Value)
	operator("add", "field", "attributes["+ottl(template.Name)+"]", "value", template.Value)
	if len(attributes) == 2 {
		return
	}
	operator("regex_parser", "parse_from", "body", "parse_to", "attributes", "regex", expression)
	for _, a := range attributes[2:] {
		if a.Group != a.Name {
			operator("move", "from", "attributes."+a.Group, "to", "attributes["+ottl(a.Name)+"]")
		}
	}
}

// ottl writes a string of OTTL or of an operator's expression.
func ottl(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + `"`
}

// single writes a string of YAML on one line: in single quotes, or in double ones where it has characters that single quotes cannot hold.
func single(s string) string {
	for _, r := range s {
		if r == '\uFFFD' || escaped(r) {
			return double(s)
		}
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// escaped reports whether YAML holds the character as an escape only: what it does not print, and what it takes as a line break.
func escaped(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xFEFF || r == 0xFFFE || r == 0xFFFF
}

func double(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case escaped(r) && r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case escaped(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}
