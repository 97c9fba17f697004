package validate

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

//go:embed schemas/*.json
var builtIn embed.FS

// BuiltIn are the names of the types that every workspace has.
func BuiltIn() []string {
	files, err := fs.Glob(builtIn, "schemas/*.json")
	if err != nil {
		panic(err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(f, "schemas/"), ".json")
	}
	return files
}

// schema is one compiled type.
type schema struct{ *jsonschema.Schema }

// offline refuses references to other documents: a schema is whole, and nothing is fetched.
type offline struct{}

func (offline) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s: a schema may not refer to other documents", url)
}

const (
	maxSchemas     = 200
	maxSchemaBytes = 64 << 10
)

// compileSchemas compiles the built-in types and those of the workspace, which may not replace built-in ones.
func compileSchemas(own map[string][]byte) (map[string]schema, error) {
	if len(own) > maxSchemas {
		return nil, fmt.Errorf("policy: %d schemas; at most %d", len(own), maxSchemas)
	}
	out := map[string]schema{}
	for _, name := range BuiltIn() {
		text, err := builtIn.ReadFile("schemas/" + name + ".json")
		if err != nil {
			return nil, err
		}
		if out[name], err = compileSchema(name, text); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if _, there := out[name]; there {
			return nil, fmt.Errorf("schema %q: the name is of a built-in type; choose another", name)
		}
		s, err := compileSchema(name, own[name])
		if err != nil {
			return nil, err
		}
		out[name] = s
	}
	return out, nil
}

func compileSchema(name string, text []byte) (schema, error) {
	if len(text) > maxSchemaBytes {
		return schema{}, fmt.Errorf("schema %q: %d bytes; at most %d", name, len(text), maxSchemaBytes)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return schema{}, fmt.Errorf("schema %q: %w", name, err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(offline{})
	c.AssertFormat()
	url := "tartan:///" + name
	if err := c.AddResource(url, doc); err != nil {
		return schema{}, fmt.Errorf("schema %q: %w", name, err)
	}
	s, err := c.Compile(url)
	if err != nil {
		return schema{}, fmt.Errorf("schema %q: %w", name, err)
	}
	if n := applied(s, map[*jsonschema.Schema]int{}); n > maxApplied {
		return schema{}, fmt.Errorf("schema %q: allOf, anyOf, oneOf, if and $ref apply over %d schemas to one value; write it with fewer", name, maxApplied)
	}
	return schema{s}, nil
}

// maxApplied bounds how many schemas judge one value: each $ref that is followed twice doubles them.
const maxApplied = 10_000

// applied counts the schemas that judge the value that s judges, up to a little over maxApplied.
func applied(s *jsonschema.Schema, known map[*jsonschema.Schema]int) int {
	if s == nil {
		return 0
	}
	if n, ok := known[s]; ok {
		return n
	}
	known[s] = 0 // a cycle is refused where it is met
	n := 1
	for _, group := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, {s.Ref, s.Not, s.If, s.Then, s.Else}} {
		for _, sub := range group {
			n = min(n+applied(sub, known), maxApplied+1)
		}
	}
	for _, sub := range s.DependentSchemas {
		n = min(n+applied(sub, known), maxApplied+1)
	}
	known[s] = n
	return n
}

// schema: the document fits its type.
func (c *run) schema() {
	s, ok := c.v.schemas[c.p.Document.Schema]
	if !ok {
		c.add("schema.unknown", Block, "/schema", fmt.Sprintf("type %s; there are %s", quoted(c.p.Document.Schema),
			strings.Join(slices.Sorted(maps.Keys(c.v.schemas)), ", ")))
		return
	}
	canonical, err := c.p.Document.Canonical()
	if err != nil {
		c.add("schema.form", Block, "", err.Error())
		return
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(canonical))
	if err != nil {
		c.add("schema.form", Block, "", err.Error())
		return
	}
	var invalid *jsonschema.ValidationError
	if err := s.Validate(value); errors.As(err, &invalid) {
		for _, leaf := range leaves(nil, invalid) {
			path := ""
			for _, token := range leaf.InstanceLocation {
				path += "/" + pointer.Replace(token)
			}
			c.add("schema.form", Block, path, leaf.ErrorKind.LocalizedString(english))
		}
	} else if err != nil {
		c.add("schema.form", Block, "", err.Error())
	}
}

var english = message.NewPrinter(language.English)

// leaves are the errors that say something, without those that only hold others.
func leaves(out []*jsonschema.ValidationError, e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return append(out, e)
	}
	for _, cause := range e.Causes {
		out = leaves(out, cause)
	}
	return out
}
