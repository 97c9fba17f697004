package main

import (
	"go/token"
	"testing"
)

func TestEveryExceptionHasAReason(t *testing.T) {
	if _, err := parseExceptions(exceptionsText); err != nil {
		t.Fatal(err)
	}
	if _, err := parseExceptions("environment internal/x.go\n"); err == nil {
		t.Fatal("an exception without a reason was accepted")
	}
}

func TestExceptedPaths(t *testing.T) {
	fset := token.NewFileSet()
	f := fset.AddFile("/src/internal/postgres/history.go", -1, 10)
	for path, want := range map[string]bool{"internal/postgres/": true, "internal/postgres/history.go": true, "internal/feed/": false, "history": false} {
		if got := excepted(fset, f.Pos(0), []string{path}); got != want {
			t.Errorf("%s: excepted = %v, want %v", path, got, want)
		}
	}
}
