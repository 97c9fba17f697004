// Package house holds the rules of this house as analyzers: what may be called where. In come type-checked packages,
// out go diagnostics; it knows nothing of the layout beyond the folders named here.
package house

import (
	"go/ast"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
)

const module = "github.com/tartan-ai/tartan"

// rule forbids some functions of some packages outside the folders that may call them.
type rule struct {
	name, doc string
	forbids   map[string][]string // import path -> function names; none means all
	within    []string            // folders the rule holds in; none means all
	except    []string            // folders it does not hold in
	tests     bool                // also in test files
}

var rules = []rule{
	{
		name:    "globallogger",
		doc:     "loggers are fields given by main: zap.L and zap.S are hidden globals",
		forbids: map[string][]string{"go.uber.org/zap": {"L", "S", "ReplaceGlobals"}},
		tests:   true,
	},
	{
		name:    "environment",
		doc:     "only starter reads the environment, through internal/config",
		forbids: map[string][]string{"os": {"Getenv", "LookupEnv", "ExpandEnv"}},
		except:  []string{"starter", "tools"},
	},
	{
		name:    "stdout",
		doc:     "stdout carries data and the MCP protocol: only commands print",
		forbids: map[string][]string{"fmt": {"Print", "Printf", "Println"}},
		except:  []string{"starter", "tools"},
	},
	{
		name:    "require",
		doc:     "tests stop at the first broken expectation: use require",
		forbids: map[string][]string{"github.com/stretchr/testify/assert": nil},
		tests:   true,
	},
	{
		name:    "roomclock",
		doc:     "a room is told the time, it does not read it",
		forbids: map[string][]string{"time": {"Now", "Since", "Until", "Sleep", "After", "Tick", "NewTimer", "NewTicker"}},
		within:  []string{"internal/pattern", "internal/knowledge", "internal/migration", "internal/routing", "internal/access", "internal/audit", "internal/seal"},
	},
}

// Analyzers returns one analyzer per rule.
func Analyzers() []*analysis.Analyzer {
	var out []*analysis.Analyzer
	for _, r := range rules {
		out = append(out, &analysis.Analyzer{Name: r.name, Doc: r.doc, Run: r.run})
	}
	return out
}

func (r rule) run(pass *analysis.Pass) (any, error) {
	path := strings.TrimSuffix(strings.TrimSuffix(pass.Pkg.Path(), "_test"), ".test")
	dir, ours := strings.CutPrefix(path, module)
	dir = strings.TrimPrefix(dir, "/")
	if !ours || under(dir, r.except) || len(r.within) > 0 && !under(dir, r.within) {
		return nil, nil
	}
	for _, file := range pass.Files {
		if !r.tests && strings.HasSuffix(pass.Fset.Position(file.FileStart).Filename, "_test.go") {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				if fn, ok := pass.TypesInfo.Uses[id].(*types.Func); ok && r.forbidden(fn) {
					pass.Reportf(id.Pos(), "%s.%s: %s", fn.Pkg().Name(), fn.Name(), r.doc)
				}
			}
			return true
		})
	}
	return nil, nil
}

func (r rule) forbidden(fn *types.Func) bool {
	if fn.Pkg() == nil || fn.Signature().Recv() != nil {
		return false
	}
	names, ok := r.forbids[fn.Pkg().Path()]
	if !ok {
		return false
	}
	for _, n := range names {
		if n == fn.Name() {
			return true
		}
	}
	return names == nil
}

func under(dir string, folders []string) bool {
	for _, f := range folders {
		if dir == f || strings.HasPrefix(dir, f+"/") {
			return true
		}
	}
	return false
}
