package embed

import (
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// The table as agents/distill/distill.py writes it: tableMagic; the dimension, the number of rows and the bytes of the
// vocabulary as 32-bit numbers, little-endian; the vocabulary, a token a line; a float32 scale a row; the rows, a byte a
// component. It stays a string, so that its pages are the program's own.
//
//go:embed table.bin
var tableFile string

const tableMagic = "tartanv1"

type table struct {
	name      string
	dim       int
	tokenizer tokenizer
	scales    []float32
	rows      string
}

// readTable checks the frame of a table and indexes its vocabulary, whose strings share the memory of body.
func readTable(body string) (*table, error) {
	const header = len(tableMagic) + 12
	if len(body) < header || body[:len(tableMagic)] != tableMagic {
		return nil, errors.New("not a table of vectors")
	}
	number := func(at int) int { return int(binary.LittleEndian.Uint32([]byte(body[at : at+4]))) }
	dim, rows, letters := number(len(tableMagic)), number(len(tableMagic)+4), number(len(tableMagic)+8)
	if dim == 0 || dim > 1<<12 || rows > 1<<20 || letters > 1<<24 || len(body) != header+letters+4*rows+rows*dim {
		return nil, fmt.Errorf("%d bytes do not make %d rows of %d components", len(body), rows, dim)
	}
	sum := sha256.New()
	_, _ = io.Copy(sum, strings.NewReader(body))
	t := &table{name: "tartan-static-" + hex.EncodeToString(sum.Sum(nil)[:4]), dim: dim, scales: make([]float32, rows)}
	words := body[header : header+letters]
	if n := strings.Count(words, "\n") + 1; n != rows {
		return nil, fmt.Errorf("%d tokens for %d rows", n, rows)
	}
	t.tokenizer = tokenizer{first: pieces{text: words}, inner: pieces{text: words}}
	for id, at := 0, 0; id < rows; id++ {
		word, _, _ := strings.Cut(words[at:], "\n")
		if inner, ok := strings.CutPrefix(word, "##"); ok && inner != "" {
			t.tokenizer.inner.add(at+2, len(inner), int32(id))
		} else {
			t.tokenizer.first.add(at, len(word), int32(id))
		}
		t.tokenizer.long = max(t.tokenizer.long, len(word))
		at += len(word) + 1
	}
	at := header + letters
	for i := range t.scales {
		t.scales[i] = math.Float32frombits(binary.LittleEndian.Uint32([]byte(body[at+4*i : at+4*i+4])))
	}
	t.rows = body[at+4*rows:]
	return t, nil
}

// addRow adds the vector of a token to v.
func (t *table) addRow(v []float32, id int) {
	row, scale := t.rows[id*t.dim:(id+1)*t.dim], t.scales[id]
	v = v[:len(row)]
	for i := range v {
		v[i] += scale * float32(int8(row[i]))
	}
}
