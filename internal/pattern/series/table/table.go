// Package table reads named windows and long series from text. In come bytes, out go examples; what is malformed is an
// error that names the line and the value. It opens no file.
package table

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/tartan-ai/tartan/internal/pattern/series"
)

// maxLine bounds one line: a window of series.MaxValues numbers of full precision.
const maxLine = 4 << 20

// Limits bound what is read; zero means no bound.
type Limits struct {
	// Examples is the most windows.
	Examples int
	// Values is the most numbers of all windows together.
	Values int
}

// Read reads one example a line, in one of three forms, told apart by the first line that is not empty:
//
//	class<TAB>1.5<TAB>2<TAB>NaN      tab-separated, as in the UCR archive
//	class,1.5,2,                     comma-separated
//	{"class":"up","values":[1.5,2,null]}
//
// NaN in any case, ?, null and nothing are missing values; those at the end of a line are padding. A class that is a
// number is written in its shortest form, so that 1 and 1.0 are one class. Errors name the line; Limits passed is one.
func Read(r io.Reader, limits Limits) ([]series.Example, error) {
	var (
		out    []series.Example
		values int
		parse  func(line []byte) (series.Example, error)
	)
	err := lines(r, func(n int, line []byte) error {
		if parse == nil {
			parse = form(line)
		}
		e, err := parse(line)
		if err != nil {
			return err
		}
		out = append(out, e)
		values += len(e.Values)
		if limits.Examples > 0 && len(out) > limits.Examples {
			return fmt.Errorf("more than %d examples", limits.Examples)
		}
		if limits.Values > 0 && values > limits.Values {
			return fmt.Errorf("more than %d values in all", limits.Values)
		}
		return nil
	})
	if err == nil && len(out) == 0 {
		err = errors.New("no examples: want one a line, the class first")
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// lines calls each with every line that is not empty, and puts the number of the line before its errors.
func lines(r io.Reader, each func(n int, line []byte) error) error {
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, maxLine)
	n := 0
	for scan.Scan() {
		n++
		if line := bytes.TrimRight(scan.Bytes(), "\r"); len(bytes.TrimSpace(line)) > 0 {
			if err := each(n, line); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
	}
	if errors.Is(scan.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d: longer than %d bytes", n+1, maxLine)
	}
	return scan.Err()
}

// form is the parser for lines like the first.
func form(first []byte) func([]byte) (series.Example, error) {
	switch {
	case bytes.TrimSpace(first)[0] == '{':
		return parseJSON
	case bytes.IndexByte(first, '\t') >= 0:
		return separated('\t')
	}
	return separated(',')
}

func separated(by byte) func([]byte) (series.Example, error) {
	return func(line []byte) (series.Example, error) {
		fields := strings.Split(string(line), string(by))
		class := strings.TrimSpace(fields[0])
		if class == "" {
			return series.Example{}, errors.New("no class: want it first, then the values")
		}
		if len(fields) < 2 {
			return series.Example{}, fmt.Errorf("%q: want a class, then values separated by tabs or commas", clip(class))
		}
		e := series.Example{Class: className(class), Values: make([]float64, len(fields)-1)}
		for i, f := range fields[1:] {
			v, err := number(f)
			if err != nil {
				return series.Example{}, fmt.Errorf("value %d: %w", i+1, err)
			}
			e.Values[i] = v
		}
		return e, nil
	}
}

func parseJSON(line []byte) (series.Example, error) {
	var in struct {
		Class  any        `json:"class"`
		Values []*float64 `json:"values"`
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&in); err != nil {
		return series.Example{}, fmt.Errorf(`want {"class":"name","values":[1,2,null]}: %w`, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return series.Example{}, errors.New("more than one JSON value in the line")
	}
	class := ""
	switch c := in.Class.(type) {
	case string:
		class = strings.TrimSpace(c)
	case json.Number:
		class = c.String()
	}
	if class == "" || len(in.Values) == 0 {
		return series.Example{}, errors.New(`want "class", a name or number, and "values", a list of numbers`)
	}
	return series.Example{Class: className(class), Values: Optional(in.Values)}, nil
}

// Optional turns a list with nulls into values, NaN for null.
func Optional(in []*float64) []float64 {
	out := make([]float64, len(in))
	for i, v := range in {
		out[i] = math.NaN()
		if v != nil {
			out[i] = *v
		}
	}
	return out
}

// className writes a number in its shortest form.
func className(s string) string {
	if v, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return s
}

// number reads one value.
func number(s string) (float64, error) {
	s = strings.TrimSpace(s)
	switch strings.ToLower(s) {
	case "", "?", "nan", "null", "na":
		return math.NaN(), nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q: want a finite number, or NaN, ? or nothing where one is missing", clip(s))
	}
	return v, nil
}

func clip(s string) string { return s[:min(len(s), 40)] }

// Windows reads one window without a class from each line: numbers separated by white space or commas, missing ones as
// in Read, or a JSON list. Errors name the line; Limits passed is one.
func Windows(r io.Reader, limits Limits) ([][]float64, error) {
	var out [][]float64
	values := 0
	err := lines(r, func(_ int, line []byte) error {
		window, err := row(line)
		if err != nil {
			return err
		}
		out = append(out, window)
		values += len(window)
		if limits.Examples > 0 && len(out) > limits.Examples {
			return fmt.Errorf("more than %d windows", limits.Examples)
		}
		if limits.Values > 0 && values > limits.Values {
			return fmt.Errorf("more than %d values in all", limits.Values)
		}
		return nil
	})
	if err == nil && len(out) == 0 {
		err = errors.New("no windows: want one a line, numbers separated by spaces or commas")
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// row reads the numbers of one line.
func row(line []byte) ([]float64, error) {
	text := bytes.TrimSpace(line)
	if text[0] == '[' {
		var list []*float64
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, fmt.Errorf("want a list of numbers: %w", err)
		}
		return Optional(list), nil
	}
	var out []float64
	for _, f := range fields(string(text)) {
		v, err := number(f)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Series reads one long series: numbers separated by white space, commas or lines, missing ones as in Read, or a JSON
// list. Empty lines are none. It returns an error that names the line, and one when there are more than most numbers.
func Series(r io.Reader, most int) ([]float64, error) {
	var out []float64
	err := lines(r, func(_ int, line []byte) error {
		values, err := row(line)
		if err != nil {
			return err
		}
		out = append(out, values...)
		if len(out) > most {
			return fmt.Errorf("more than %d values", most)
		}
		return nil
	})
	if err == nil && len(out) == 0 {
		err = errors.New("no values: want numbers separated by spaces, commas or lines")
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// fields splits at commas where there are any, so that nothing between two is a missing value; else at white space.
func fields(s string) []string {
	if strings.ContainsRune(s, ',') {
		return strings.Split(s, ",")
	}
	return strings.Fields(s)
}
