package table

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/series"
)

func TestReadForms(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"tabs":   "1.0\t1.5\t-2e3\tNaN\n\n2\t0\t1\t2\r\n",
		"commas": "1,1.5,-2e3,\n2.00, 0,1 ,2",
		"json":   `{"class":1,"values":[1.5,-2e3,null]}` + "\n" + ` {"class":"2","values":[0,1,2]}`,
	} {
		got, err := Read(strings.NewReader(text), Limits{})
		require.NoError(t, err, name)
		require.Len(t, got, 2)
		require.Equal(t, "1", got[0].Class)
		require.Equal(t, []float64{1.5, -2000}, got[0].Values[:2])
		require.True(t, math.IsNaN(got[0].Values[2]))
		require.Equal(t, series.Example{Class: "2", Values: []float64{0, 1, 2}}, got[1])
	}
}

func TestReadErrorsNameTheLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                     "no examples",
		"a\t1\nb\t1\tx":                        `line 2: value 2: "x": want a finite number`,
		"a\t1\n\t1":                            "line 2: no class",
		"just words":                           "want a class, then values",
		"a\tinf":                               "finite",
		`{"class":"a"}`:                        `"values"`,
		`{"values":[1]}`:                       `"class"`,
		`{"class":"a","valu`:                   "line 1",
		`{"class":"a","values":[1]} {}`:        "more than one",
		"a\t" + strings.Repeat("1\t", maxLine): "longer than",
	} {
		_, err := Read(strings.NewReader(text), Limits{})
		require.ErrorContains(t, err, want)
	}
	_, err := Read(strings.NewReader("a,1\nb,2"), Limits{Examples: 1})
	require.ErrorContains(t, err, "more than 1 examples")
	_, err = Read(strings.NewReader("a,1,2\nb,2,3"), Limits{Values: 3})
	require.ErrorContains(t, err, "more than 3 values")
}

func TestSeries(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"1 2 NaN 4", "1\n2\n?\n4\n", "1,2,,4", "[1,2,null,4]"} {
		got, err := Series(strings.NewReader(text), 10)
		require.NoError(t, err)
		require.Len(t, got, 4, text)
		require.True(t, math.IsNaN(got[2]))
		require.Equal(t, 4.0, got[3])
	}
	for _, text := range []string{"", "1 two", "[1,", "1 2 3 4 5 6 7 8 9 10 11"} {
		_, err := Series(strings.NewReader(text), 10)
		require.Error(t, err, text)
	}
}

func TestWindows(t *testing.T) {
	t.Parallel()
	got, err := Windows(strings.NewReader("1 2 3\n[4,null]\n\n5,,7\n"), Limits{Examples: 3, Values: 8})
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.Equal(t, []float64{1, 2, 3}, got[0])
	require.True(t, math.IsNaN(got[1][1]))
	require.True(t, math.IsNaN(got[2][1]))
	for text, want := range map[string]string{"": "no windows", "1\nx": "line 2", "1\n2\n3\n4": "more than 3 windows", "1 2 3 4 5 6 7 8 9": "more than 8 values", "[1": "list of numbers"} {
		_, err := Windows(strings.NewReader(text), Limits{Examples: 3, Values: 8})
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzWindows(f *testing.F) {
	f.Add("1 2 NaN\n[3,null]\n4,,5")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := Windows(strings.NewReader(text), Limits{Examples: 10, Values: 100}); err == nil {
			require.NotEmpty(t, got)
			require.LessOrEqual(t, len(got), 10)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add("1\t1.5\tNaN\n2\t0\t1")
	f.Add("a,1,,?\nb,2")
	f.Add(`{"class":"a","values":[1,null,2e9]}`)
	f.Fuzz(func(t *testing.T, text string) {
		limits := Limits{Examples: 100, Values: 1000}
		got, err := Read(strings.NewReader(text), limits)
		if err != nil {
			require.Nil(t, got)
			return
		}
		require.NotEmpty(t, got)
		require.LessOrEqual(t, len(got), limits.Examples)
		for _, e := range got {
			require.NotEmpty(t, e.Class)
			for _, v := range e.Values {
				require.False(t, math.IsInf(v, 0))
			}
		}
	})
}

func FuzzSeries(f *testing.F) {
	f.Add("1 2 NaN\n3")
	f.Add("[1,null]")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := Series(strings.NewReader(text), 1000); err == nil {
			require.NotEmpty(t, got)
			require.LessOrEqual(t, len(got), 1000)
		}
	})
}
