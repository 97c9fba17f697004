package lint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/migration"
)

// fixtureTexts takes the SQL out of the tests of squawk's own linter: strings that are given to it.
var fixtureTexts = regexp.MustCompile(`(?s)(?:let sql = |lint_ok\(|lint_errors\(|lint_ok_with\(|lint_errors_with\()\s*(?:r#"(.*?)"#|r"([^"]*)"|"((?:[^"\\]|\\.)*)")`)

// TestAgreesWithSquawk holds the rules against squawk on squawk's own fixtures. SQUAWK is its binary, SQUAWK_FIXTURES the folder
// of the sources of its linter (the crate squawk-linter of the same version).
func TestAgreesWithSquawk(t *testing.T) {
	squawk, sources := os.Getenv("SQUAWK"), os.Getenv("SQUAWK_FIXTURES")
	if squawk == "" || sources == "" {
		t.Skip("squawk is not there: set SQUAWK to its binary and SQUAWK_FIXTURES to the folder of the crate squawk-linter")
	}
	var texts []string
	paths, err := filepath.Glob(filepath.Join(sources, "src", "rules", "*.rs"))
	require.NoError(t, err)
	for _, extra := range []string{"ignore.rs", "lib.rs"} {
		paths = append(paths, filepath.Join(sources, "src", extra))
	}
	for _, p := range paths {
		source, err := os.ReadFile(p)
		require.NoError(t, err)
		for _, m := range fixtureTexts.FindAllStringSubmatch(string(source), -1) {
			text := m[1] + m[2] + strings.NewReplacer(`\n`, "\n", `\"`, `"`, `\\`, `\`).Replace(m[3])
			if strings.TrimSpace(text) != "" && !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	require.Greater(t, len(texts), 200)
	agree, refused := 0, 0
	var differ []string
	for i, text := range texts {
		want, syntax := squawkSays(t, squawk, text)
		found, err := Text(migration.File{Name: fmt.Sprintf("%d.sql", i), Text: text}, Options{})
		if err != nil || syntax {
			refused++
			t.Logf("one of the two does not parse it (ours: %v, squawk: %v):\n%s", err, syntax, text)
			continue
		}
		got := map[string]int{}
		for _, f := range found {
			got[f.Rule]++
		}
		if fmt.Sprint(got) == fmt.Sprint(want) {
			agree++
			continue
		}
		differ = append(differ, fmt.Sprintf("ours %v\nsquawk %v\n%s", got, want, text))
	}
	t.Logf("%d fixtures: %d agree rule by rule and in number, %d differ, %d are not parsed by one of the two:\n%s", len(texts), agree, len(differ), refused, strings.Join(differ, "\n----\n"))
	require.GreaterOrEqual(t, float64(agree)/float64(agree+len(differ)), 0.95)
}

func squawkSays(t *testing.T, binary, text string) (map[string]int, bool) {
	t.Helper()
	cmd := exec.Command(binary, "--reporter", "json", "--pg-version", "15.0")
	cmd.Stdin = strings.NewReader(text)
	cmd.Dir = t.TempDir()
	out, _ := cmd.Output() // it fails where it finds something
	var list []struct {
		Rule string `json:"rule_name"`
	}
	require.NoError(t, json.NewDecoder(bytes.NewReader(out)).Decode(&list), "%s", out)
	said := map[string]int{}
	for _, f := range list {
		if f.Rule == "syntax-error" {
			return nil, true
		}
		said[f.Rule]++
	}
	return said, false
}
