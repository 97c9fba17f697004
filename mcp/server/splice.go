package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
)

// spliceFrom is the size of a result from which it is worth splicing.
const spliceFrom = 256

// splice carries a tool's encoded result around mcp-go, which would check, copy and escape it twice: mcp-go is given a mark that cannot
// be guessed, and the mark is replaced where the answer is written. That halves the cost of a large answer and keeps "<*>" as it is.
type splice struct {
	mark    []byte // a JSON string, quotes included; nil where nothing is spliced
	payload []byte // JSON without line breaks
}

type spliceKey struct{}

// hide returns what to give mcp-go in place of structured.
func hide(ctx context.Context, structured json.RawMessage) json.RawMessage {
	s, ok := ctx.Value(spliceKey{}).(*splice)
	if !ok || len(structured) < spliceFrom {
		return structured
	}
	s.mark, s.payload = []byte(`"tartan-`+rand.Text()+`"`), structured
	return s.mark
}

// restore puts the payload in place of the mark.
func (s *splice) restore(text []byte) []byte {
	if s == nil || s.mark == nil {
		return text
	}
	at := bytes.Index(text, s.mark)
	if at < 0 {
		return text
	}
	out := make([]byte, 0, len(text)-len(s.mark)+len(s.payload))
	out = append(append(out, text[:at]...), s.payload...)
	return append(out, text[at+len(s.mark):]...)
}

// splicer restores what is written through it. mcp-go writes an answer with one call.
type splicer struct {
	http.ResponseWriter
	splice *splice
}

func (w *splicer) Write(p []byte) (int, error) {
	if _, err := w.ResponseWriter.Write(w.splice.restore(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush lets mcp-go stream through the splicer.
func (w *splicer) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// Unwrap is for http.ResponseController.
func (w *splicer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
