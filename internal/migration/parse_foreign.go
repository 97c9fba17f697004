package migration

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// readGoose reads files with the marks of goose.
func readGoose(p *Plan, files []File) error {
	files, err := byNumber(files)
	if err != nil {
		return err
	}
	for _, f := range files {
		s, err := gooseFile(f)
		if err != nil {
			return err
		}
		if len(s.Up) > 0 || len(s.Down) > 0 {
			p.Steps = append(p.Steps, s)
		}
	}
	return nil
}

var gooseWords = []string{"up", "down", "statementbegin", "statementend", "no transaction", "envsub on", "envsub off"}

// gooseFile goes line by line, as goose does: a statement ends with the line that ends in a semicolon, unless it stands between
// StatementBegin and StatementEnd. Within these two, and between the marks, the scanner of Postgres has the last word.
func gooseFile(f File) (Step, error) {
	s := Step{Name: strings.TrimSuffix(f.base(), ".sql"), Kind: KindSQL}
	var section *[]Statement
	var open int      // line of StatementBegin; 0 is none
	var text []string // lines of the part under way
	from := 1         // its first line
	flush := func() error {
		defer func() { text = nil }()
		part := strings.Join(text, "\n")
		if open > 0 {
			if st := strings.TrimRight(strings.TrimSpace(part), "; \t\r\n"); st != "" {
				lead := len(part) - len(strings.TrimLeft(part, " \t\r\n"))
				*section = append(*section, Statement{SQL: st, File: f.Name, Line: from + strings.Count(part[:lead], "\n")})
			}
			return nil
		}
		list, err := statements(File{f.Name, strings.Repeat("\n", from-1) + part})
		if err != nil {
			return err
		}
		if len(list) > 0 && section == nil {
			return &SyntaxError{f.Name, list[0].Line, "a statement stands before -- +goose Up"}
		}
		if section != nil {
			*section = append(*section, list...)
		}
		return nil
	}
	for i, line := range strings.Split(f.Text, "\n") {
		mark := gooseMark.FindString(line)
		if mark == "" {
			text = append(text, strings.TrimSuffix(line, "\r"))
			continue
		}
		word := strings.Join(strings.Fields(strings.ToLower(strings.TrimSpace(line)[len(strings.TrimSpace(mark)):])), " ")
		fail := func(m string) error { return &SyntaxError{f.Name, i + 1, m} }
		if open > 0 && word != "statementend" {
			return s, fail(fmt.Sprintf("-- +goose StatementBegin of line %d has no StatementEnd before this", open))
		}
		if err := flush(); err != nil {
			return s, err
		}
		from = i + 2
		switch word {
		case "up":
			if section != nil {
				return s, fail("a second -- +goose Up, or one after Down")
			}
			section = &s.Up
		case "down":
			if section == nil || section == &s.Down {
				return s, fail("-- +goose Down stands before Up, or twice")
			}
			section = &s.Down
		case "statementbegin":
			if section == nil {
				return s, fail("StatementBegin stands before -- +goose Up")
			}
			open = i + 1
		case "statementend":
			if open == 0 {
				return s, fail("StatementEnd without a StatementBegin")
			}
			open = 0
		case "no transaction":
			s.NoTransaction = true
		case "envsub off":
		case "envsub on":
			return s, fail("variables of the environment are not put into SQL here: write the values, or take ENVSUB ON out")
		default:
			return s, unknown(f, i+1, "mark of goose", word, gooseWords)
		}
	}
	if open > 0 {
		return s, &SyntaxError{f.Name, open, "StatementBegin has no StatementEnd"}
	}
	if err := flush(); err != nil {
		return s, err
	}
	if section == nil {
		return s, &SyntaxError{f.Name, 0, "there is no -- +goose Up"}
	}
	return s, nil
}

// byNumber orders files by the number that their names begin with.
func byNumber(files []File) ([]File, error) {
	type numbered struct {
		File
		n uint64
	}
	list := make([]numbered, len(files))
	for i, f := range files {
		digits := f.base()[:len(f.base())-len(strings.TrimLeft(f.base(), "0123456789"))]
		n, err := strconv.ParseUint(digits, 10, 64)
		if err != nil {
			if len(files) == 1 {
				return files, nil
			}
			return nil, &SyntaxError{f.Name, 0, "the name does not begin with a version number, so its place among the others is not known"}
		}
		list[i] = numbered{f, n}
	}
	slices.SortStableFunc(list, func(a, b numbered) int { return cmp.Compare(a.n, b.n) })
	out := make([]File, len(files))
	for i, f := range list {
		if i > 0 && f.n == list[i-1].n {
			return nil, &SyntaxError{f.Name, 0, fmt.Sprintf("it has the same version as %s", list[i-1].Name)}
		}
		out[i] = f.File
	}
	return out, nil
}

// readGolangMigrate reads pairs of files VERSION_title.up.sql and VERSION_title.down.sql.
func readGolangMigrate(p *Plan, files []File) error {
	up, down := map[uint64]File{}, map[uint64]File{}
	var versions []uint64
	for _, f := range files {
		m := migrateUp.FindStringSubmatch(f.base())
		if m == nil {
			return &SyntaxError{f.Name, 0, "the name is not VERSION_title.up.sql or VERSION_title.down.sql, as those of the other files are"}
		}
		v, err := strconv.ParseUint(m[1], 10, 64)
		if err != nil {
			return &SyntaxError{f.Name, 0, "the version is too great a number"}
		}
		side := up
		if m[3] == "down" {
			side = down
		} else {
			versions = append(versions, v)
		}
		if other, ok := side[v]; ok {
			return &SyntaxError{f.Name, 0, fmt.Sprintf("it has the same version as %s", other.Name)}
		}
		side[v] = f
	}
	for v, f := range down {
		if _, ok := up[v]; !ok {
			return &SyntaxError{f.Name, 0, "there is no up file of this version"}
		}
	}
	slices.Sort(versions)
	for _, v := range versions {
		s := Step{Name: strings.TrimSuffix(up[v].base(), ".up.sql"), Kind: KindSQL}
		var err error
		if s.Up, err = statements(up[v]); err != nil {
			return err
		}
		if f, ok := down[v]; ok {
			if s.Down, err = statements(f); err != nil {
				return err
			}
			s.Down = unwrapped(s.Down)
		}
		s.Up = unwrapped(s.Up)
		p.add(s)
	}
	return nil
}

// add leaves out migrations that do nothing.
func (p *Plan) add(s Step) {
	if len(s.Up) > 0 || len(s.Down) > 0 {
		p.Steps = append(p.Steps, s)
	}
}

// unwrapped takes the BEGIN and COMMIT away that stand around all statements: a step is a transaction as it is.
func unwrapped(list []Statement) []Statement {
	if len(list) < 2 {
		return list
	}
	first, last := words(list[0].SQL), words(list[len(list)-1].SQL)
	if !slices.Contains([]string{"begin", "begin transaction", "begin work", "start transaction"}, first) ||
		!slices.Contains([]string{"commit", "commit transaction", "commit work", "end", "end transaction", "end work"}, last) {
		return list
	}
	return list[1 : len(list)-1]
}

func words(sql string) string { return strings.ToLower(strings.Join(strings.Fields(sql), " ")) }

// readFlyway reads V1.2__title.sql, with U1.2__title.sql as the way back, and R__title.sql after all of them.
func readFlyway(p *Plan, files []File) error {
	type version struct {
		parts []uint64
		name  string
	}
	var versions []version
	var repeatable []File
	up, down := map[string]File{}, map[string]File{}
	for _, f := range files {
		m := flywayName.FindStringSubmatch(f.base())
		if m == nil {
			return &SyntaxError{f.Name, 0, "the name is not V1__title.sql, U1__title.sql or R__title.sql, as those of the other files are"}
		}
		if m[1] == "" {
			repeatable = append(repeatable, f)
			continue
		}
		parts, err := flywayVersion(m[2])
		if err != nil {
			return &SyntaxError{f.Name, 0, err.Error()}
		}
		key, side := fmt.Sprint(parts), up
		if m[1] == "U" {
			side = down
		} else {
			versions = append(versions, version{parts, key})
		}
		if other, ok := side[key]; ok {
			return &SyntaxError{f.Name, 0, fmt.Sprintf("it has the same version as %s", other.Name)}
		}
		side[key] = f
	}
	for v, f := range down {
		if _, ok := up[v]; !ok {
			return &SyntaxError{f.Name, 0, "there is no V file of the version that it undoes"}
		}
	}
	slices.SortFunc(versions, func(a, b version) int { return slices.Compare(a.parts, b.parts) })
	for _, v := range versions {
		s, err := plainStep(up[v.name])
		if err != nil {
			return err
		}
		if f, ok := down[v.name]; ok {
			if s.Down, err = statements(f); err != nil {
				return err
			}
			s.Down = unwrapped(s.Down)
		}
		p.add(s)
	}
	slices.SortFunc(repeatable, func(a, b File) int { return cmp.Compare(a.base(), b.base()) })
	for _, f := range repeatable {
		s, err := plainStep(f)
		if err != nil {
			return err
		}
		p.add(s)
	}
	return nil
}

// flywayVersion reads 1, 1.2 or 1_2; zeros at the end do not count.
func flywayVersion(text string) (out []uint64, err error) {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == '.' || r == '_' }) {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q of the version is no number", part)
		}
		out = append(out, n)
	}
	for len(out) > 1 && out[len(out)-1] == 0 {
		out = out[:len(out)-1]
	}
	return out, nil
}

// readPlain reads the folder of the Supabase CLI, and files without any mark: one step each, in the order of their names.
func readPlain(p *Plan, files []File) error {
	for _, f := range files {
		s, err := plainStep(f)
		if err != nil {
			return err
		}
		p.add(s)
	}
	return nil
}

func plainStep(f File) (Step, error) {
	list, err := statements(f)
	return Step{Name: strings.TrimSuffix(f.base(), path.Ext(f.base())), Kind: KindSQL, Up: unwrapped(list)}, err
}
