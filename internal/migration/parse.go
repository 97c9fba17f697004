package migration

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// File is a file of a plan. Its name is the path that people know it by; the last part of it counts.
type File struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

func (f File) base() string { return path.Base(strings.ReplaceAll(f.Name, `\`, "/")) }

// Parse reads a plan from its files, in the format that they show: marks in comments for tartan and goose, names of files for
// golang-migrate, Flyway and the Supabase CLI. The files may come in any order. The error is a SyntaxError, or several joined.
func Parse(files []File) (*Plan, error) {
	files = slices.DeleteFunc(slices.Clone(files), func(f File) bool { return strings.ToLower(path.Ext(f.base())) != ".sql" })
	if len(files) == 0 {
		return nil, &SyntaxError{Message: "there is no file whose name ends in .sql"}
	}
	slices.SortStableFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	format, err := detect(files)
	if err != nil {
		return nil, err
	}
	p := &Plan{Format: format, SHA256: checksum(files)}
	switch format {
	case FormatTartan:
		err = readTartan(p, files)
	case FormatGoose:
		err = readGoose(p, files)
	case FormatGolangMigrate:
		err = readGolangMigrate(p, files)
	case FormatFlyway:
		err = readFlyway(p, files)
	default:
		err = readPlain(p, files)
	}
	if err != nil {
		return nil, err
	}
	if p.Name == "" {
		p.Name = folderName(files)
	}
	return p, check(p, files[0].Name)
}

// checksum covers names and texts, so that a file that was renamed, split or moved counts as changed.
func checksum(files []File) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s\x00%d\x00%s", f.base(), len(f.Text), f.Text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func folderName(files []File) string {
	if dir := path.Base(path.Dir(strings.ReplaceAll(files[0].Name, `\`, "/"))); len(files) > 1 && dir != "." && dir != "/" {
		return dir
	}
	return strings.TrimSuffix(files[0].base(), path.Ext(files[0].base()))
}

var (
	tartanMark = regexp.MustCompile(`(?m)^[ \t]*--[ \t]*tartan:`)
	gooseMark  = regexp.MustCompile(`(?mi)^[ \t]*--[ \t]*\+goose\b`)
	migrateUp  = regexp.MustCompile(`^([0-9]+)_(.*)\.(up|down)\.sql$`)
	flywayName = regexp.MustCompile(`^(?:([VU])([0-9][0-9._]*)|R)__(.+)\.sql$`)
	supabase   = regexp.MustCompile(`^([0-9]{8,14})_(.+)\.sql$`)
)

// detect finds the one format that all files have.
func detect(files []File) (Format, error) {
	found := map[Format]string{}
	for _, f := range files {
		is := formatOf(f)
		if _, ok := found[is]; !ok {
			found[is] = f.Name
		}
	}
	if _, ok := found[FormatTartan]; ok {
		delete(found, FormatSQL) // a file of a plan that has no mark is told of where it is read
		delete(found, FormatSupabase)
	}
	if len(found) > 1 {
		var list []string
		for f, name := range found {
			list = append(list, fmt.Sprintf("%s is of format %s", name, f))
		}
		slices.Sort(list)
		return "", &SyntaxError{Message: "the files are of more than one format: " + strings.Join(list, ", ")}
	}
	for f := range found {
		return f, nil
	}
	return "", errors.New("no files")
}

func formatOf(f File) Format {
	switch name := f.base(); {
	case gooseMark.MatchString(f.Text):
		return FormatGoose
	case migrateUp.MatchString(name):
		return FormatGolangMigrate
	case flywayName.MatchString(name):
		return FormatFlyway
	case tartanMark.MatchString(f.Text) && !onlyAllows(f.Text):
		return FormatTartan
	case supabase.MatchString(name):
		return FormatSupabase
	}
	return FormatSQL
}

// onlyAllows reports that the only marks are those that lint reads, which may stand in files of any format.
func onlyAllows(text string) bool {
	return len(tartanMark.FindAllString(text, -1)) == len(allowMark.FindAllString(text, -1))
}

var allowMark = regexp.MustCompile(`(?m)^[ \t]*--[ \t]*tartan:allow\b`)

// check refuses what no format may have.
func check(p *Plan, file string) error {
	if len(p.Steps) == 0 {
		return &SyntaxError{File: file, Message: "the plan has no steps"}
	}
	seen := map[string]bool{}
	for _, s := range p.Steps {
		if seen[s.Name] {
			return &SyntaxError{file, lineOf(s), fmt.Sprintf("a second step is called %q: names tell the steps apart", s.Name)}
		}
		seen[s.Name] = true
	}
	return nil
}

func lineOf(s Step) int {
	if len(s.Up) > 0 {
		return s.Up[0].Line
	}
	return 0
}

// statements reads all statements of a file.
func statements(f File) ([]Statement, error) {
	pieces, err := Scan(f.Text)
	if err != nil {
		return nil, InFile(f, err)
	}
	var out []Statement
	for _, p := range pieces {
		if p.Statement {
			out = append(out, statement(f, p))
		}
	}
	return out, nil
}

func statement(f File, p Piece) Statement {
	return Statement{SQL: strings.TrimRight(p.Text, " \t\r\n\f\v"), File: f.Name, Line: p.Line}
}

// InFile puts the name of a file into a SyntaxError that has none; other errors are as they were.
func InFile(f File, err error) error {
	var s *SyntaxError
	if errors.As(err, &s) && s.File == "" {
		return &SyntaxError{f.Name, s.Line, s.Message}
	}
	return err
}

// nearest returns the word of a list that a misspelt one was meant to be, or "".
func nearest(word string, list []string) string {
	best, found := 1+len(word)/2, ""
	for _, w := range list {
		if d := distance(strings.ToLower(word), w); d < best {
			best, found = d, w
		}
	}
	return found
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// unknown says which word is not known, and which one it may have been.
func unknown(f File, line int, what, word string, list []string) error {
	hint := "; known are " + strings.Join(list, ", ")
	if n := nearest(word, list); n != "" {
		hint = fmt.Sprintf("; did you mean %q?", n)
	}
	return &SyntaxError{f.Name, line, fmt.Sprintf("%s %q is not known%s", what, word, hint)}
}
