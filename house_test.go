// Package house checks the house itself: what may import what, how packages are named and documented, how long files
// are, and that what the README and the documents say exists.
package house

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/config"
)

const module = "github.com/tartan-ai/tartan"

// update writes generated files instead of checking them: go test . -update
var update = flag.Bool("update", false, "write generated files")

// room says what a folder may import of ours, and what it may not import of others.
type room struct {
	ours   []string // folders, with what is under them; "*" is everything
	forbid []string // import paths, with what is under them
}

// pure is what a room may not import: it is told the time and given the bytes.
var pure = []string{"net", "net/http", "os", "os/exec", "syscall", "log", "github.com/jackc/pgx", "go.temporal.io", "github.com/mark3labs/mcp-go", "go.uber.org/zap", "gocloud.dev"}

// mcpLibrary belongs to mcp/ alone.
var mcpLibrary = []string{"github.com/mark3labs/mcp-go"}

// rooms is the import table. A package stands under the longest folder that holds it.
var rooms = map[string]room{
	"starter":                     {ours: []string{"*"}},
	"workers":                     {ours: []string{"workflows", "activities", "internal"}, forbid: mcpLibrary},
	"workflows":                   {ours: []string{"activities", "internal/access", "internal/pattern", "internal/knowledge", "internal/migration", "internal/routing"}, forbid: append(mcpLibrary, "github.com/jackc/pgx", "net/http", "os")},
	"activities":                  {ours: []string{"internal"}, forbid: mcpLibrary},
	"mcp/server":                  {ours: []string{"mcp/tools", "workflows", "internal"}},
	"mcp/tools":                   {ours: []string{"workflows", "internal"}},
	"bench":                       {ours: []string{"*"}},
	"migrations":                  {},
	"agents":                      {},
	"devserver":                   {},
	"deploy":                      {},
	"internal/pattern":            {ours: []string{"internal/pattern"}, forbid: pure},
	"internal/knowledge":          {ours: []string{"internal/knowledge", "internal/pattern"}, forbid: pure},
	"internal/migration":          {ours: []string{"internal/migration"}, forbid: pure},
	"internal/routing":            {ours: []string{"internal/routing"}, forbid: pure},
	"internal/access":             {forbid: pure},
	"internal/supabase":           {ours: []string{"internal/access"}, forbid: append(mcpLibrary, "go.temporal.io")},
	"internal/bucket":             {forbid: append(mcpLibrary, "go.temporal.io", "github.com/jackc/pgx")},
	"internal/postgres":           {ours: []string{"migrations", "internal/access", "internal/knowledge", "internal/migration", "internal/pattern", "internal/routing", "internal/telemetry"}, forbid: append(mcpLibrary, "go.temporal.io")},
	"internal/postgres/schemadoc": {ours: []string{"internal/postgres", "internal/testdb", "migrations"}},
	"internal/vet":                {ours: []string{"internal/access", "internal/bucket", "internal/knowledge", "internal/pattern", "internal/postgres"}, forbid: append(mcpLibrary, "go.temporal.io")},
	"internal/feed":               {ours: []string{"internal/access", "internal/knowledge", "internal/pattern", "internal/postgres", "internal/routing", "internal/telemetry"}, forbid: append(mcpLibrary, "go.temporal.io")},
	"internal/provider":           {ours: []string{"internal/pattern", "internal/routing"}, forbid: append(mcpLibrary, "go.temporal.io", "github.com/jackc/pgx")},
	"internal/completion":         {ours: []string{"internal/access", "internal/pattern", "internal/postgres", "internal/provider", "internal/routing", "internal/telemetry"}, forbid: append(mcpLibrary, "go.temporal.io")},
	"internal/gateway":            {ours: []string{"internal/access", "internal/completion", "internal/postgres", "internal/provider", "internal/routing", "internal/telemetry"}, forbid: append(mcpLibrary, "go.temporal.io")},
	"internal/local":              {ours: []string{"internal/config", "internal/telemetry", "devserver", "deploy"}, forbid: mcpLibrary},
	"internal/telemetry":          {forbid: append(mcpLibrary, "github.com/jackc/pgx")},
	"internal/config":             {forbid: append(mcpLibrary, "github.com/jackc/pgx")},
	"internal/e2e":                {ours: []string{"*"}},
	"internal/testdb":             {ours: []string{"migrations", "internal/access", "internal/knowledge", "internal/postgres", "internal/local"}, forbid: mcpLibrary},
}

var forbiddenNames = []string{"util", "utils", "common", "helper", "helpers", "base", "shared", "type", "types", "model", "models", "misc", "core"}

// longFiles are the files over 600 lines, each with the reason.
var longFiles = map[string]string{}

const maxLines = 600

type source struct {
	path, dir string
	file      *ast.File
	lines     int
	test      bool
}

// sources parses every Go file of the main module.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	fset := token.NewFileSet()
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		out = append(out, source{path, filepath.ToSlash(filepath.Dir(path)), f, strings.Count(string(text), "\n"), strings.HasSuffix(name, "_test.go")})
		return nil
	}))
	return out
}

func within(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return f == "*" || path == f || strings.HasPrefix(path, f+"/") })
}

// roomOf finds the longest folder of the table that holds dir.
func roomOf(dir string) (string, bool) {
	for d := dir; d != "."; d = filepath.ToSlash(filepath.Dir(d)) {
		if _, ok := rooms[d]; ok {
			return d, true
		}
	}
	return "", false
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir == "." || s.dir == "tools" || strings.HasPrefix(s.dir, "tools/") || s.test {
			continue
		}
		name, ok := roomOf(s.dir)
		require.True(t, ok, "%s is in no room: add its folder to the table in house_test.go and to docs/architecture.md", s.path)
		r := rooms[name]
		for _, imp := range s.file.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			require.NoError(t, err)
			if dir, ours := strings.CutPrefix(path, module+"/"); ours {
				require.True(t, dir == name || within(dir, append(r.ours, name)), "%s imports %s, which %s may not", s.path, path, name)
				continue
			}
			require.False(t, slices.ContainsFunc(r.forbid, func(f string) bool {
				return path == f || strings.Contains(f, ".") && strings.HasPrefix(path, f)
			}), "%s imports %s, which %s may not", s.path, path, name)
		}
	}
}

func TestPackageNamesAndDocs(t *testing.T) {
	docs, seen := map[string][]string{}, map[string]bool{}
	for _, s := range sources(t) {
		require.NotContains(t, forbiddenNames, s.file.Name.Name, "%s: a package is named after what it holds", s.path)
		if s.test && s.dir != "." {
			continue
		}
		seen[s.dir] = true
		if s.file.Doc != nil {
			docs[s.dir] = append(docs[s.dir], s.path)
		}
	}
	for dir := range seen {
		require.Len(t, docs[dir], 1, "%s: want the package documented once, in one file", dir)
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, s := range sources(t) {
		if _, ok := longFiles[s.path]; !ok && !strings.HasPrefix(s.path, "devserver/ui") {
			require.LessOrEqual(t, s.lines, maxLines, "%s has %d lines: split it, or list it with a reason", s.path, s.lines)
		}
	}
}

func TestEnvironmentExample(t *testing.T) {
	if *update {
		require.NoError(t, os.WriteFile(".env.example", []byte(config.Example()), 0o644))
	}
	got, err := os.ReadFile(".env.example")
	require.NoError(t, err)
	require.Equal(t, config.Example(), string(got), "run: make generate")
}

func TestChangelogHasUnreleased(t *testing.T) {
	text, err := os.ReadFile("CHANGELOG.md")
	require.NoError(t, err)
	require.Contains(t, string(text), "## [Unreleased]")
}

// command finds what a shell line in the README runs: make targets and tartan commands.
var (
	makeCommand   = regexp.MustCompile(`\bmake ([a-z-]+)`)
	tartanCommand = regexp.MustCompile(`\btartan ([a-z][a-z-]*(?: [a-z][a-z-]*)*)`)
)

// TestReadmeCommandsExist reads the shell blocks of the README.
func TestReadmeCommandsExist(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	docs, err := os.ReadFile("docs/cli.md")
	require.NoError(t, err)
	found := 0
	for i, block := range strings.Split(string(readme), "```") {
		if code, ok := strings.CutPrefix(block, "sh\n"); ok && i%2 == 1 {
			for _, line := range strings.Split(code, "\n") {
				line, _, _ = strings.Cut(line, "#")
				for _, m := range makeCommand.FindAllStringSubmatch(line, -1) {
					require.True(t, strings.Contains(string(makefile), "\n"+m[1]+":"), "README: make %s is no target", m[1])
					found++
				}
				for _, m := range tartanCommand.FindAllStringSubmatch(line, -1) {
					require.True(t, strings.Contains(string(docs), "\n## tartan "+m[1]+"\n"), "README: tartan %s is no command", m[1])
					found++
				}
			}
		}
	}
	require.Greater(t, found, 5)
}

// TestDocumentsAreLinked finds links in the documents that lead nowhere.
func TestDocumentsAreLinked(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	files, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	decisions, err := filepath.Glob("docs/decisions/*.md")
	require.NoError(t, err)
	for _, path := range append(append(files, decisions...), "README.md", "CHANGELOG.md") {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			require.FileExists(t, filepath.Join(filepath.Dir(path), m[1]), "%s links to it", path)
		}
	}
}

// TestLogKeys holds log fields to the keys of internal/telemetry: zap.String("pattern_id", ...) and no other spelling.
func TestLogKeys(t *testing.T) {
	known := map[string]bool{}
	all := sources(t)
	for _, s := range all {
		if s.path == "internal/telemetry/keys.go" {
			ast.Inspect(s.file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if v, err := strconv.Unquote(lit.Value); err == nil {
						known[v] = true
					}
				}
				return true
			})
		}
	}
	require.NotEmpty(t, known)
	var strange []string
	for _, s := range all {
		if s.test || strings.HasPrefix(s.dir, "tools") || strings.HasPrefix(s.dir, "devserver") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); !ok || pkg.Name != "zap" {
				return true
			}
			if lit, ok := call.Args[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				key, err := strconv.Unquote(lit.Value)
				require.NoError(t, err)
				if !known[key] {
					strange = append(strange, s.path+": "+key)
				}
			}
			return true
		})
	}
	require.Empty(t, strange, "log keys that are not in internal/telemetry/keys.go")
}
