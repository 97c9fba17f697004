package tools

import (
	"errors"
	"math"
	"strconv"

	"github.com/tartan-ai/tartan/mcp/tools/jsonrpc"
)

const (
	// maxNumbers bounds the numbers of one call.
	maxNumbers = 200_000
	// maxWindows bounds the windows of one call.
	maxWindows = 200
)

// windowList is an argument of numbers: one list, or a list of lists; null is a missing value, NaN here.
type windowList [][]float64

func (l *windowList) schema() string {
	return `"type":"array","items":{"type":["number","null","array"]}`
}

func (l *windowList) parse(value []byte) error {
	wrong := errors.New("must be a list of numbers, or of lists of numbers; null is a missing value")
	if value[0] != '[' {
		return wrong
	}
	var flat []float64
	total := 0
	err := jsonrpc.Elements(value, func(element []byte) error {
		if element[0] != '[' {
			return appendNumber(&flat, element, &total)
		}
		var window []float64
		if len(*l) == maxWindows {
			return errors.New("has more than 200 windows; send fewer at a time")
		}
		if err := jsonrpc.Elements(element, func(e []byte) error { return appendNumber(&window, e, &total) }); err != nil {
			return err
		}
		*l = append(*l, window)
		return nil
	})
	switch {
	case errors.Is(err, jsonrpc.ErrSyntax), errors.Is(err, errNumber), err == nil && flat != nil && *l != nil:
		return wrong
	case flat != nil:
		*l = windowList{flat}
	}
	return err
}

var errNumber = errors.New("not a number")

func appendNumber(to *[]float64, value []byte, total *int) error {
	if *total++; *total > maxNumbers {
		return errors.New("has more than 200000 numbers; send fewer at a time")
	}
	if string(value) == "null" {
		*to = append(*to, math.NaN())
		return nil
	}
	v, err := strconv.ParseFloat(string(value), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return errNumber
	}
	*to = append(*to, v)
	return nil
}
