// Package agents renders the project of a new agent in Python: a template for each kind, and the kit beside it, so that the
// project runs with uv and nothing else. What it makes is files by name; where they go is not its affair.
package agents

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

//go:embed template
//go:embed kit/pyproject.toml kit/README.md kit/src/tartan_agent/*.py kit/src/tartan_agent/py.typed
var files embed.FS

// Kind is what an agent does.
type Kind struct {
	Name     string
	Does     string // in the manifest, of its activity
	Activity string // the part of the activity's name after the agent's
	Function string
	Scope    string
}

// Kinds are those that a project can be made of.
var Kinds = []Kind{
	{"features", "Features of windows of numbers.", "features", "describe", "features:write"},
	{"pattern", "Patterns of texts.", "patterns", "detect", "pattern:write"},
	{"knowledge", "Drafts of knowledge about a pattern.", "draft", "draft", "knowledge:propose"},
	{"router", "Scores of models for a prompt.", "score", "score", "router:read"},
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9-]{1,40}$`)

// reserved are the agents of Tartan itself.
var reserved = []string{"pattern", "features", "knowledge", "router", "migrate"}

// CheckName says what is wrong with the name of an agent, nil if nothing is.
func CheckName(name string) error {
	switch {
	case !nameForm.MatchString(name) || strings.HasSuffix(name, "-"):
		return fmt.Errorf("agent %q: a name has lower-case letters, digits and hyphens, 2 to 41 of them, a letter first", name)
	case slices.Contains(reserved, name):
		return fmt.Errorf("agent %q is one of Tartan's own", name)
	}
	return nil
}

// Project renders the files of a new agent by their paths in its folder.
func Project(name, kind string) (map[string][]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Name == kind })
	if i < 0 {
		return nil, fmt.Errorf("agents of the kind %q are not known: known are features, pattern, knowledge and router", kind)
	}
	k := Kinds[i]
	p := project{out: map[string][]byte{}, values: map[string]string{
		"Name": name, "Package": strings.ReplaceAll(name, "-", "_"), "Description": k.Does, "Does": k.Does, "Scope": k.Scope,
		"Activity": name + "." + k.Activity, "Function": k.Function,
	}}
	source := "src/" + p.values["Package"] + "/"
	for _, f := range [][2]string{
		{"project/pyproject.toml.tmpl", "pyproject.toml"},
		{"project/README.md.tmpl", "README.md"},
		{"project/python-version.tmpl", ".python-version"},
		{"project/gitignore.tmpl", ".gitignore"},
		{"project/agent.toml.tmpl", source + "agent.toml"},
		{"kinds/" + kind + "/activities.py.tmpl", source + "activities.py"},
		{"kinds/" + kind + "/fixture.json", "tests/fixture.json"},
		{"project/tests/test_contract.py.tmpl", "tests/test_contract.py"},
		{"project/tests/test_live.py.tmpl", "tests/test_live.py"},
	} {
		if err := p.render("template/"+f[0], f[1]); err != nil {
			return nil, err
		}
	}
	p.out[source+"__init__.py"] = fmt.Appendf(nil, "\"\"\"%s\"\"\"\n", k.Does)
	p.out[source+"py.typed"] = nil
	return p.out, p.vendor()
}

// Fixture is the contract of a kind: an input as Go sends it and an output as Go reads it.
func Fixture(kind string) ([]byte, error) {
	return files.ReadFile("template/kinds/" + kind + "/fixture.json")
}

type project struct {
	out    map[string][]byte
	values map[string]string
}

func (p *project) render(from, to string) error {
	text, err := files.ReadFile(from)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(from, ".tmpl") {
		p.out[to] = text
		return nil
	}
	t, err := template.New(from).Option("missingkey=error").Parse(string(text))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p.values); err != nil {
		return err
	}
	p.out[to] = b.Bytes()
	return nil
}

// vendor puts the kit into the project.
func (p *project) vendor() error {
	return fs.WalkDir(files, "kit", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := files.ReadFile(name)
		p.out["vendor/tartan-agent/"+strings.TrimPrefix(name, "kit/")] = text
		return err
	})
}
