package vault

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

// ErrLine is wrapped by the errors of lines that are no entry.
var ErrLine = errors.New("no line of an export")

// WriteLine writes an entry as a line of canonical JSON, {"document":{...},"slug":"..."}.
func WriteLine(w io.Writer, e Entry) error {
	if err := knowledge.CheckSlug(e.Slug); err != nil {
		return err
	}
	text, err := e.Document.Canonical()
	if err != nil {
		return fmt.Errorf("%s: %w", e.Slug, err)
	}
	slug, err := canonical(e.Slug)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Slug, err)
	}
	_, err = fmt.Fprintf(w, "{\"document\":%s,\"slug\":%s}\n", text, slug[1:len(slug)-1])
	return err
}

// ReadLines reads what WriteLine wrote; blank lines are passed over. The first error, which names its line, ends it.
func ReadLines(r io.Reader) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		for n := 1; ; n++ {
			line, err := in.ReadBytes('\n')
			if len(bytes.TrimSpace(line)) > 0 {
				e, err := parseLine(line)
				if err != nil {
					err = fmt.Errorf("%w: line %d: %w", ErrLine, n, err)
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
			if err == nil {
				continue
			}
			if !errors.Is(err, io.EOF) {
				yield(Entry{}, err)
			}
			return
		}
	}
}

func parseLine(text []byte) (e Entry, err error) {
	var line struct {
		Document json.RawMessage `json:"document"`
		Slug     string          `json:"slug"`
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&line); err != nil {
		return e, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return e, errors.New("there is something after the entry")
	}
	if err := knowledge.CheckSlug(line.Slug); err != nil {
		return e, err
	}
	if line.Document == nil {
		return e, fmt.Errorf("%s has no document", line.Slug)
	}
	e.Slug = line.Slug
	e.Document, err = knowledge.Parse(line.Document)
	return e, err
}
