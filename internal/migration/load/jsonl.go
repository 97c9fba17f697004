package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// peeked is how many bytes of a file are looked at for the keys of its records.
const peeked = 1 << 20

// jsonReader reads one JSON object a line. Strings are their text, null and absent fields are null, and everything else is as it stands.
type jsonReader struct {
	window
	names  []string
	want   []string
	only   map[string]bool // nil: fields that are not wanted are left out
	values []Value
}

func newJSONL(in io.Reader, options map[string]string) (*jsonReader, error) {
	if err := known(options); err != nil {
		return nil, err
	}
	j := &jsonReader{window: newWindow(in, Position{Line: 1})}
	// A first record that is longer is looked at whole: else the fields of all would be unknown.
	for n := 0; n < peeked || n <= MaxRecord && bytes.IndexByte(j.rest(), '\n') < 0; n = j.end - j.start {
		if err := j.fill(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
	}
	if bytes.HasPrefix(j.rest(), []byte("\xef\xbb\xbf")) {
		j.use(3, 0)
	}
	seen := map[string]bool{}
	looked := 0
	for line := range bytes.Lines(j.rest()) {
		if looked >= peeked {
			break
		}
		looked += len(line)
		var fields map[string]json.RawMessage
		if json.Unmarshal(line, &fields) != nil {
			continue
		}
		for name := range fields {
			if !seen[name] {
				seen[name] = true
				j.names = append(j.names, name)
			}
		}
	}
	slices.Sort(j.names)
	return j, nil
}

func (j *jsonReader) moveTo(in io.Reader, at Position) { j.window = newWindow(in, at) }

func (j *jsonReader) Names() []string { return j.names }

func (j *jsonReader) Position() Position { return j.at }

// Select with all names makes a field that is not among them a fault of its record, because it would be lost.
func (j *jsonReader) Select(names []string) error {
	j.want, j.values, j.only = names, make([]Value, len(names)), nil
	all := map[string]bool{}
	for _, name := range names {
		if len(j.names) > 0 && !slices.Contains(j.names, name) {
			return fmt.Errorf("no record at the start of the file has the field %q: they have %s", name, strings.Join(j.names, ", "))
		}
		all[name] = true
	}
	for _, name := range j.names {
		if !all[name] {
			return nil
		}
	}
	j.only = all
	return nil
}

func (j *jsonReader) Next() (Record, error) {
	for {
		n, err := j.line()
		if errors.Is(err, errTooLong) {
			return j.tooLong()
		}
		if err != nil {
			return Record{}, err
		}
		r := Record{Position: j.at, Raw: withoutEnd(j.rest()[:n])}
		j.use(n, 1)
		if len(bytes.TrimSpace(r.Raw)) == 0 {
			continue
		}
		if r.Bad = unfit(r.Raw); r.Bad == "" {
			r.Bad = j.read(r.Raw)
		}
		if r.Bad == "" {
			r.Values = j.values
		}
		return r, nil
	}
}

// read takes the values out of an object and says why it cannot.
func (j *jsonReader) read(raw []byte) string {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fmt.Sprintf("not JSON at byte %d of the record: %s", syntax.Offset, syntax.Error())
		}
		return "not a JSON object"
	}
	if fields == nil {
		return "not a JSON object"
	}
	if j.only != nil {
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if !j.only[name] {
				return fmt.Sprintf("the field %q is in no earlier record and has no column", name)
			}
		}
	}
	for i, name := range j.want {
		field, ok := fields[name]
		if !ok || string(field) == "null" {
			j.values[i] = Value{Null: true}
			continue
		}
		if field[0] != '"' {
			j.values[i] = Value{Text: field}
			continue
		}
		var text string
		if err := json.Unmarshal(field, &text); err != nil {
			return fmt.Sprintf("the field %q is not a string: %s", name, err)
		}
		if strings.IndexByte(text, 0) >= 0 {
			return fmt.Sprintf("the field %q has a zero character, which Postgres has no text for", name)
		}
		if strings.ContainsRune(text, utf8.RuneError) && !bytes.ContainsRune(field, utf8.RuneError) && !bytes.Contains(bytes.ToLower(field), []byte(`\ufffd`)) {
			return fmt.Sprintf("the field %q has half a character (a lone surrogate)", name)
		}
		j.values[i] = Value{Text: []byte(text)}
	}
	return ""
}
