package house

import (
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"
)

// TestRules runs all rules as one over packages whose comments say what is found where.
func TestRules(t *testing.T) {
	all := &analysis.Analyzer{Name: "house", Doc: "all rules", Run: func(pass *analysis.Pass) (any, error) {
		for _, a := range Analyzers() {
			if _, err := a.Run(pass); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}}
	analysistest.Run(t, analysistest.TestData(), all,
		module+"/internal/access", module+"/internal/postgres", module+"/starter")
}
