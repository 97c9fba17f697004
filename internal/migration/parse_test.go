package migration

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// folder reads the sample plan of a format.
func folder(t *testing.T, name string) (files []File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", name, "*.sql"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for i := len(paths) - 1; i >= 0; i-- { // not in order
		text, err := os.ReadFile(paths[i])
		require.NoError(t, err)
		files = append(files, File{filepath.ToSlash(paths[i]), string(text)})
	}
	return files
}

func TestFoldersOfEveryFormat(t *testing.T) {
	for _, format := range []Format{FormatTartan, FormatGoose, FormatGolangMigrate, FormatSupabase, FormatFlyway, FormatSQL} {
		t.Run(string(format), func(t *testing.T) {
			p, err := Parse(folder(t, string(format)))
			require.NoError(t, err)
			require.Equal(t, format, p.Format)
			got, err := json.MarshalIndent(p, "", "  ")
			require.NoError(t, err)
			golden := filepath.Join("testdata", string(format)+".golden.json")
			if *update {
				require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(got))
		})
	}
}

func TestPlanIsKnownByItsFiles(t *testing.T) {
	files := folder(t, "goose")
	a, err := Parse(files)
	require.NoError(t, err)
	files[0], files[1] = files[1], files[0]
	b, err := Parse(files)
	require.NoError(t, err)
	require.Equal(t, a.SHA256, b.SHA256, "the order in which files are given says nothing")
	files[0].Text += " "
	c, err := Parse(files)
	require.NoError(t, err)
	require.NotEqual(t, a.SHA256, c.SHA256)
}

func TestFaultsSayWhere(t *testing.T) {
	const plan = "-- tartan:plan p\n"
	for name, c := range map[string]struct {
		file, text, want string
	}{
		"unknown mark":       {"p.sql", plan + "-- tartan:stpe x\nselect 1;", `p.sql:2: mark "stpe" is not known; did you mean "step"?`},
		"unknown setting":    {"p.sql", plan + "-- tartan:set locktimeout = 1s", `p.sql:2: setting "locktimeout" is not known; did you mean "lock_timeout"?`},
		"bad duration":       {"p.sql", plan + "-- tartan:set soak = long", `p.sql:2: soak: "long" is no duration: write 500ms, 2s, 10m, 12h or 7d`},
		"unknown kind":       {"p.sql", plan + "-- tartan:step x [backfil]\nselect 1;", `p.sql:2: kind of step "backfil" is not known; did you mean "backfill"?`},
		"unknown attribute":  {"p.sql", plan + "-- tartan:step x [backfill row=1]\nselect 1;", `p.sql:2: attribute of a backfill step "row" is not known; did you mean "rows"?`},
		"no name":            {"p.sql", "-- tartan:step x\nselect 1;", `p.sql:1: -- tartan:plan NAME comes first`},
		"outside":            {"p.sql", plan + "select 1;", `p.sql:2: a statement stands outside of any step: begin one with -- tartan:step NAME`},
		"semicolon":          {"p.sql", plan + "-- tartan:step a\nselect 1\n-- tartan:step b\nselect 2;", `p.sql:4: -- tartan:step stands within the statement of line 3: its semicolon is missing`},
		"no batch":           {"p.sql", plan + "-- tartan:step a [backfill]\nupdate t set a = 1;", `p.sql:3: the UPDATE of a backfill needs :batch in its WHERE, which stands for the rows of one batch`},
		"check without":      {"p.sql", plan + "-- tartan:check c\n-- tartan:step a\nselect 1;", `p.sql:2: "c" has no statement`},
		"empty step":         {"p.sql", plan + "-- tartan:step a\n", `p.sql: step "a" has no statements`},
		"drop not last":      {"p.sql", plan + "-- tartan:step a [drop]\ndrop table t;\n-- tartan:step b\nselect 1;", `p.sql:5: step "b" stands behind "a", which drops: what drops comes last`},
		"twice":              {"p.sql", plan + "-- tartan:step a\nselect 1;\n-- tartan:step a\nselect 1;", `p.sql:5: a second step is called "a": names tell the steps apart`},
		"string":             {"p.sql", plan + "-- tartan:step a\nselect 'x;\n", `p.sql:3: the string that begins here has no end`},
		"comment":            {"p.sql", plan + "/* a /* b */\n", `p.sql:2: the comment that begins here has no end`},
		"copy":               {"p.sql", plan + "-- tartan:step a\ncopy t (a) from stdin;\n1\n\\.\n", `p.sql:3: COPY FROM STDIN has its rows in the text, which is no SQL: use a step of kind copy`},
		"psql":               {"p.sql", plan + "-- tartan:step a\n\\set x 1\n", `p.sql:3: a command of psql such as \d is not SQL: take it out`},
		"copy from":          {"p.sql", plan + "-- tartan:step a [copy table=t]", `p.sql:2: from= is missing: target:NAME, or the file or object that the rows come from`},
		"copy format":        {"p.sql", plan + "-- tartan:step a [copy from=x.xml table=t]", `p.sql:2: format "xml" is not known; known are postgres, csv, jsonl, parquet`},
		"goose down first":   {"1_x.sql", "-- +goose Down\nselect 1;", `1_x.sql:1: -- +goose Down stands before Up, or twice`},
		"goose unended":      {"1_x.sql", "-- +goose Up\n-- +goose StatementBegin\nselect 1;\n-- +goose Down", `1_x.sql:4: -- +goose StatementBegin of line 2 has no StatementEnd before this`},
		"goose envsub":       {"1_x.sql", "-- +goose ENVSUB ON\n-- +goose Up\nselect 1;", `1_x.sql:1: variables of the environment are not put into SQL here: write the values, or take ENVSUB ON out`},
		"goose word":         {"1_x.sql", "-- +goose Upp\nselect 1;", `1_x.sql:1: mark of goose "upp" is not known; did you mean "up"?`},
		"migrate no up":      {"1_x.down.sql", "select 1;", `1_x.down.sql: there is no up file of this version`},
		"flyway no version":  {"U2__x.sql", "select 1;", `U2__x.sql: there is no V file of the version that it undoes`},
		"nothing to be done": {"x.sql", "-- only words", `x.sql: the plan has no steps`},
		"no sql":             {"x.txt", "select 1", `there is no file whose name ends in .sql`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]File{{c.file, c.text}})
			require.EqualError(t, err, c.want)
		})
	}
	_, err := Parse([]File{{"1_a.up.sql", "select 1"}, {"V1__b.sql", "select 1"}})
	require.EqualError(t, err, "the files are of more than one format: 1_a.up.sql is of format golang-migrate, V1__b.sql is of format flyway")
}
