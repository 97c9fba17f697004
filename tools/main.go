// Command lint checks Tartan's Go code: staticcheck's analyzers, errorlint, rowserrcheck, Temporal's workflowcheck and
// the rules of this house. It speaks the protocol of go vet, so that results are cached by package:
//
//	go vet -vettool=bin/lint ./...
//
// "lint -fmt DIR" lists the files under DIR that gofumpt would change, and fails when there are any; "lint -fmt-write DIR"
// changes them.
package main

import (
	_ "embed"
	"fmt"
	"go/token"
	"os"
	"strings"

	"github.com/jingyugao/rowserrcheck/passes/rowserr"
	"github.com/polyfloyd/go-errorlint/errorlint"
	"go.temporal.io/sdk/contrib/tools/workflowcheck/workflow"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/unitchecker"
	"honnef.co/go/tools/simple"
	"honnef.co/go/tools/staticcheck"
	"honnef.co/go/tools/stylecheck"

	"github.com/tartan-ai/tartan/tools/house"
)

//go:embed exceptions.txt
var exceptionsText string

// style is what of stylecheck is kept: the rules on errors, receivers and naming that have few false alarms.
var style = map[string]bool{"ST1005": true, "ST1006": true, "ST1008": true, "ST1012": true, "ST1013": true, "ST1016": true, "ST1017": true, "ST1019": true}

func main() {
	if len(os.Args) == 3 && (os.Args[1] == "-fmt" || os.Args[1] == "-fmt-write") {
		os.Exit(checkFormat(os.Args[2], os.Args[1] == "-fmt-write"))
	}
	exceptions, err := parseExceptions(exceptionsText)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lint:", err)
		os.Exit(2)
	}
	var all []*analysis.Analyzer
	for _, a := range staticcheck.Analyzers {
		all = append(all, a.Analyzer)
	}
	for _, a := range simple.Analyzers {
		all = append(all, a.Analyzer)
	}
	for _, a := range stylecheck.Analyzers {
		if style[a.Analyzer.Name] {
			all = append(all, a.Analyzer)
		}
	}
	all = append(all,
		errorlint.NewAnalyzer(),
		rowserr.NewAnalyzer("github.com/jackc/pgx/v5"),
		workflow.NewChecker(workflow.Config{SingleLine: true}).NewAnalyzer(),
	)
	all = append(all, house.Analyzers()...)
	for _, a := range all {
		exceptions.apply(a)
	}
	unitchecker.Main(all...)
}

// exceptions maps a check to the path suffixes in which it is silent.
type exceptions map[string][]string

// parseExceptions reads lines "check path reason"; a line without a reason is an error.
func parseExceptions(text string) (exceptions, error) {
	out := exceptions{}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		if len(f) < 5 {
			return nil, fmt.Errorf("exceptions.txt:%d: want: check path reason (three words or more), got %q", i+1, line)
		}
		out[f[0]] = append(out[f[0]], f[1])
	}
	return out, nil
}

// apply silences a in the files that are excepted from it.
func (e exceptions) apply(a *analysis.Analyzer) {
	run, paths := a.Run, e[a.Name]
	if len(paths) == 0 {
		return
	}
	a.Run = func(pass *analysis.Pass) (any, error) {
		report := pass.Report
		pass.Report = func(d analysis.Diagnostic) {
			if !excepted(pass.Fset, d.Pos, paths) {
				report(d)
			}
		}
		return run(pass)
	}
}

func excepted(fset *token.FileSet, pos token.Pos, paths []string) bool {
	file := fset.Position(pos).Filename
	for _, p := range paths {
		if strings.HasSuffix(p, "/") && strings.Contains(file, "/"+p) || strings.HasSuffix(file, "/"+p) {
			return true
		}
	}
	return false
}
