package lint

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/migration"
)

var update = flag.Bool("update", false, "write the table of rules")

// found returns the names of the rules that are found in a text as it stands.
func found(t *testing.T, sql string) (out []string) {
	t.Helper()
	list, err := Text(migration.File{Name: "f.sql", Text: sql}, Options{Schema: true})
	require.NoError(t, err, sql)
	for _, f := range list {
		require.NotEmpty(t, f.Message)
		require.NotEmpty(t, f.Why)
		require.Equal(t, "f.sql", f.File)
		out = append(out, f.Rule)
	}
	return out
}

// TestEveryRule has for each rule what it finds and what it lets pass.
func TestEveryRule(t *testing.T) {
	long := strings.Repeat("n", 64)
	cases := map[string][2][]string{ // bad, good
		"adding-field-with-default":     {{"alter table s.t add column a uuid default gen_random_uuid()", "alter table s.t add column a int generated always as (b + 1) stored", "alter table s.t add column a timestamptz default clock_timestamp()"}, {"alter table s.t add column a int default 1 + 2", "alter table s.t add column a timestamptz default now()", "alter table s.t add column a text[] default array[]::text[]"}},
		"adding-foreign-key-constraint": {{"alter table s.t add constraint f foreign key (a) references s.u", "alter table s.t add column a bigint references s.u"}, {"alter table s.t add constraint f foreign key (a) references s.u not valid", "begin; create table s.t (a int); alter table s.t add constraint f foreign key (a) references s.u; commit"}},
		"adding-not-nullable-field": {{"alter table s.t alter column a set not null"}, {
			"alter table s.t add constraint c check (a is not null) not valid; alter table s.t validate constraint c; alter table s.t alter column a set not null",
		}},
		"adding-required-field":                        {{"alter table s.t add column a int not null"}, {"alter table s.t add column a int not null default 0", "alter table s.t add column a int"}},
		"adding-serial-primary-key-field":              {{"alter table s.t add primary key (a)", "alter table s.t add column a bigint primary key"}, {"alter table s.t add constraint p primary key using index i"}},
		"ban-alter-domain-with-add-constraint":         {{"alter domain d add constraint c check (value > 0)"}, {"alter domain d set default 1"}},
		"ban-char-field":                               {{"create table s.t (a char(3))", "alter table s.t add column a character"}, {"create table s.t (a text)"}},
		"ban-concurrent-index-creation-in-transaction": {{"begin; create index concurrently i on s.t (a); commit"}, {"create index concurrently i on s.t (a)", "begin; select 1; commit; create index concurrently i on s.t (a)"}},
		"ban-create-domain-with-constraint":            {{"create domain d as int check (value > 0)", "create domain d as int not null"}, {"create domain d as int", "create domain d as text collate \"C\""}},
		"ban-drop-column":                              {{"alter table s.t drop column a"}, {"alter table s.t drop constraint c"}},
		"ban-drop-database":                            {{"drop database d"}, {"drop schema d"}},
		"ban-drop-not-null":                            {{"alter table s.t alter column a drop not null"}, {"alter table s.t alter column a drop default"}},
		"ban-drop-table":                               {{"drop table if exists s.t"}, {"drop view s.t"}},
		"ban-duplicate-column-assignments":             {{"update s.t set a = 1, a = 2", "insert into s.t (a, a) values (1, 2)", "create table s.t (a int, a text)"}, {"update s.t set a = 1, b = 2", "update s.t set a[1] = 1, a[2] = 2"}},
		"ban-truncate-cascade":                         {{"truncate s.t cascade"}, {"truncate s.t, s.u"}},
		"ban-uncommitted-transaction":                  {{"begin; select 1"}, {"begin; select 1; commit"}},
		"changing-column-type":                         {{"alter table s.t alter column a type bigint"}, {"alter table s.t alter column a set default 1"}},
		"constraint-missing-not-valid":                 {{"alter table s.t add constraint c check (a > 0)", "begin; alter table s.t add constraint c check (a > 0) not valid; alter table s.t validate constraint c; commit"}, {"alter table s.t add constraint c check (a > 0) not valid", "alter table s.t add constraint c unique using index i"}},
		"disallowed-unique-constraint":                 {{"alter table s.t add unique (a)", "alter table s.t add column a int unique"}, {"alter table s.t add constraint c unique using index i"}},
		"identifier-too-long":                          {{"create table s." + long + " (a int)", `create table s."` + long + `" (a int)`}, {"create table s." + long[1:] + " (a int)", "select '" + long + "'"}},
		"prefer-bigint-over-int":                       {{"create table s.t (a int)", "create table s.t (a serial)", "alter table s.t add column a integer[]"}, {"create table s.t (a bigint)", "select 1::int"}},
		"prefer-bigint-over-smallint":                  {{"create table s.t (a smallint)"}, {"create table s.t (a int8)"}},
		"prefer-identity":                              {{"create table s.t (a bigserial)"}, {"create table s.t (a bigint generated by default as identity)"}},
		"prefer-robust-stmts":                          {{"create table s.t (a bigint)", "alter table s.t add column a bigint", "drop table s.t", "alter table s.t drop constraint c", "create index concurrently i on s.t (a)"}, {"create table if not exists s.t (a bigint)", "begin; create table s.t (a bigint); commit", "alter table s.t add column if not exists a bigint"}},
		"prefer-text-field":                            {{"create table s.t (a varchar(10))"}, {"create table s.t (a varchar, b text)"}},
		"prefer-timestamp-tz":                          {{"create table s.t (a timestamp)"}, {"create table s.t (a timestamptz, b date)"}},
		"renaming-column":                              {{"alter table s.t rename column a to b"}, {"alter table s.t rename constraint a to b", "alter view s.v rename column a to b"}},
		"renaming-table":                               {{"alter table s.t rename to u"}, {"alter index s.t rename to u"}},
		"require-concurrent-index-creation":            {{"create index i on s.t (a)"}, {"create index concurrently i on s.t (a)", "begin; create table s.t (a int); create index i on s.t (a); commit"}},
		"require-concurrent-index-deletion":            {{"drop index i"}, {"drop index concurrently i"}},
		"require-concurrent-partition-detach":          {{"alter table s.t detach partition s.p"}, {"alter table s.t detach partition s.p concurrently"}},
		"require-concurrent-reindex":                   {{"reindex index i", "reindex (concurrently false) index i"}, {"reindex index concurrently i"}},
		"require-enum-value-ordering":                  {{"alter type e add value 'x'"}, {"alter type e add value 'x' after 'y'", "alter type e rename value 'x' to 'y'"}},
		"require-lock-timeout":                         {{"alter table s.t add column a bigint"}, {"set lock_timeout = '1s'; alter table s.t add column a bigint", "update s.t set a = 1"}},
		"require-statement-timeout":                    {{"alter table s.t add column a bigint"}, {"set local statement_timeout = '1s'; alter table s.t add column a bigint", "create table s.t (a bigint)"}},
		"require-table-schema":                         {{"create table t (a bigint)", "alter table t add column a bigint", "drop table t"}, {"create table s.t (a bigint)", "create temp table t (a bigint)"}},
		"transaction-nesting":                          {{"begin; begin; commit", "commit"}, {"begin; commit; begin; rollback"}},
	}
	for _, r := range rules {
		c, ok := cases[r.Name]
		if r.Name == "drop-outside-contract" || r.Name == "irreversible-step" {
			continue // of plans; below
		}
		require.True(t, ok && len(c[0]) > 0 && len(c[1]) > 0, "no cases of rule %s", r.Name)
		for _, bad := range c[0] {
			require.Contains(t, found(t, bad), r.Name, bad)
		}
		for _, good := range c[1] {
			require.NotContains(t, found(t, good), r.Name, good)
		}
	}
}

func check(t *testing.T, p *migration.Plan, text string) Report {
	t.Helper()
	r, err := Check(p, []migration.File{{Name: "p.sql", Text: "-- tartan:plan p\n" + text}}, Options{})
	require.NoError(t, err)
	return r
}

func TestPlansHavePhasesAndWaysBack(t *testing.T) {
	names := func(text string) (out []string) {
		for _, f := range check(t, plan(t, text), text).Findings {
			out = append(out, f.Rule+" "+string(f.Severity))
		}
		return out
	}
	require.Contains(t, names("-- tartan:step a\nalter table s.t drop column a;"), "drop-outside-contract error")
	require.Empty(t, names("-- tartan:step a [drop]\nalter table s.t drop column a;"))
	require.Empty(t, names("-- tartan:step a [switch]\nalter table s.t rename column a to b;"))
	require.Equal(t, []string{"irreversible-step error"}, names("-- tartan:step a\ninsert into s.t values (1);"))
	require.Equal(t, []string{"irreversible-step info"}, names("-- tartan:step a [irreversible=yes]\ninsert into s.t values (1);"))
	require.Empty(t, names("-- tartan:step a\ninsert into s.t values (1);\n-- tartan:down\ndelete from s.t where a = 1;"))
	require.Empty(t, names("-- tartan:step a\nalter table s.t add column a text;"), "timeouts and transactions are the engine's affair")
	require.Equal(t, []string{"constraint-missing-not-valid error"}, names("-- tartan:step a\nalter table s.t add constraint c check (a > 0) not valid; alter table s.t validate constraint c;"))
	require.Empty(t, names("-- tartan:step a\nalter table s.t add constraint c check (a is not null) not valid;\n-- tartan:step b [validate]\nalter table s.t validate constraint c;\n-- tartan:step c\nalter table s.t alter column a set not null;"))
}

func TestCommentsLetPass(t *testing.T) {
	for _, text := range []string{
		"-- squawk-ignore ban-drop-table\ndrop table if exists s.t;", "-- tartan:allow ban-drop-table it was never used\ndrop table if exists s.t;",
		"drop table if exists s.t; -- squawk-ignore ban-drop-table", "-- squawk-ignore\ndrop table if exists s.t;",
		"-- squawk-ignore-file ban-drop-table\nselect 1;\n\ndrop table if exists s.t;",
	} {
		require.NotContains(t, found(t, text), "ban-drop-table", text)
	}
	for _, text := range []string{"-- squawk-ignore ban-drop-column\ndrop table if exists s.t;", "-- squawk-ignore ban-drop-table\nselect 1;\ndrop table if exists s.t;", "select 'squawk-ignore'; drop table if exists s.t;"} {
		require.Contains(t, found(t, text), "ban-drop-table", text)
	}
	require.Contains(t, found(t, "-- squawk-ignore ban-drop-tabel\ndrop table if exists s.t;"), "unused-ignore")
}

func TestLocksAndDurations(t *testing.T) {
	gb := map[string]Statistics{"s.t": {Rows: 10_000_000, Bytes: 1_000_000_000}}
	for sql, want := range map[string]Work{
		"alter table s.t add column a int":                                              {Lock: accessExclusive},
		"alter table s.t add column a uuid default gen_random_uuid()":                   {Lock: accessExclusive, Rewrites: true, Scans: true, Duration: 25e9}, // 1 GB at 200 MB/s and 50 MB/s
		"alter table s.t validate constraint c":                                         {Lock: shareUpdateExclusive, Scans: true, Duration: 5e9},
		"alter table s.t add constraint c foreign key (a) references s.u not valid":     {Lock: shareRowExclusive},
		"alter table s.t alter column a set statistics 10, alter column a drop default": {Lock: accessExclusive},
		"create index i on s.t (a)":                                                     {Lock: share, Scans: true, Duration: 38333e6}, // 5 s and 10 million at 300,000/s
		"update s.t set a = 1":                                                          {Lock: rowExclusive, Scans: true, Duration: 5e9},
		"lock table s.t in share mode":                                                  {Lock: share},
		"drop trigger g on s.t":                                                         {Lock: accessExclusive},
		"truncate s.t":                                                                  {Lock: accessExclusive},
	} {
		p := plan(t, "-- tartan:step a\n"+sql+";")
		r, err := Check(p, nil, Options{Statistics: gb})
		require.NoError(t, err)
		want.Table, want.Rows, want.Line, want.File, want.Step, want.Blocks = "s.t", 10_000_000, 3, "p.sql", "a", Blocks(want.Lock)
		require.Equal(t, []Work{want}, r.Statements, sql)
	}
}

// TestRulesAreDocumented holds the table of the handbook against the rules: go test -run RulesAreDocumented -update writes it.
func TestRulesAreDocumented(t *testing.T) {
	const path, from, to = "../../../docs/migrations.md", "<!-- rules -->\n", "<!-- end of rules -->"
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var b strings.Builder
	b.WriteString("| rule | severity | why | looked for |\n| --- | --- | --- | --- |\n")
	list := Rules()
	slices.SortFunc(list, func(a, b [4]string) int { return strings.Compare(a[0], b[0]) })
	for _, r := range list {
		fmt.Fprintf(&b, "| <a id=\"%s\"></a>`%s` | %s | %s | %s |\n", r[0], r[0], r[1], r[2], r[3])
	}
	before, rest, ok := strings.Cut(string(text), from)
	require.True(t, ok)
	table, after, ok := strings.Cut(rest, to)
	require.True(t, ok)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(before+from+b.String()+to+after), 0o644))
		return
	}
	require.Equal(t, b.String(), table)
}
