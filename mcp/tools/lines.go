package tools

import (
	"bytes"
	"errors"

	"github.com/tartan-ai/tartan/mcp/tools/jsonrpc"
)

const (
	// maxLines bounds the lines of one call.
	maxLines = 50_000
	// maxLine is where longer lines are cut, as in mining.
	maxLine = 64 << 10
)

// lineList is an argument of log lines: an array of strings, or one string with line breaks. The lines are slices of the request.
type lineList [][]byte

func (l *lineList) schema() string { return `"type":["array","string"],"items":{"type":"string"}` }

func (l *lineList) parse(value []byte) error {
	switch value[0] {
	case '"':
		return l.split(value)
	case '[':
		*l = make([][]byte, 0, 128)
		return jsonrpc.Elements(value, func(element []byte) error {
			line, err := jsonrpc.Bytes(element)
			if err != nil {
				return errors.New("must be an array of strings, or one string with line breaks")
			}
			return l.add(line)
		})
	}
	return errors.New("must be an array of strings, or one string with line breaks")
}

func (l *lineList) split(value []byte) error {
	text, err := jsonrpc.Bytes(value)
	if err != nil {
		return errors.New("is not a valid string")
	}
	for line := range bytes.Lines(text) {
		if err := l.add(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return err
		}
	}
	return nil
}

func (l *lineList) add(line []byte) error {
	if len(*l) == maxLines {
		return errors.New("has more than 50000 lines; send fewer at a time, or mine them with mine_patterns")
	}
	line = bytes.TrimSuffix(line, []byte("\r"))
	*l = append(*l, line[:min(len(line), maxLine)])
	return nil
}
