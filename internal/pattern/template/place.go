package template

import (
	"slices"
	"strings"
)

// place says what may stand in a column, judged by the delimiters around it and by its key.
type place byte

const (
	placeUsual place = iota
	placeFirst
	placeNamed
	placeField
	placeValue
	placeColon
	placeMessage
	placeKey
)

// surroundings are the delimiters before each token of a group, and those behind the last; and of each token whether it stands
// in brackets, and whether it stands in quotes with others.
type surroundings struct {
	gaps   []string
	inside []bool
	quoted []bool
}

func surround(text string, tokens []token) surroundings {
	s := surroundings{gaps: make([]string, len(tokens)+1), inside: make([]bool, len(tokens))}
	end, depth := 0, 0
	for c := range tokens {
		s.gaps[c] = text[end:tokens[c].textStart]
		end = int(tokens[c].textEnd)
		for i := range len(s.gaps[c]) {
			switch s.gaps[c][i] {
			case '(', '[':
				depth++
			case ')', ']':
				depth = max(0, depth-1)
			}
		}
		s.inside[c] = depth > 0
	}
	s.gaps[len(tokens)] = text[end:]
	s.quoted = s.inQuotes()
	return s
}

// inQuotes tells the tokens that stand in double quotes with others: they are prose that somebody else wrote.
func (s *surroundings) inQuotes() []bool {
	out := make([]bool, len(s.inside))
	open := -1
	for c, gap := range s.gaps {
		for range strings.Count(gap, `"`) {
			if open < 0 {
				open = c
				continue
			}
			for k := open; c-open > 1 && k < c; k++ {
				out[k] = true
			}
			open = -1
		}
	}
	return out
}

// records splits rows by which of their columns are keys whose value says what happened, and keeps their order.
func (s *surroundings) records(rows []row) [][]row {
	keys := make([]int, 0, 8)
	for c := range s.inside {
		if s.place(c) == placeKey {
			keys = append(keys, c)
		}
	}
	says := func(r *row) (m mask) {
		for _, c := range keys {
			if isMessageKey([]byte(r.cells[c].text)) {
				m.set(c)
			}
		}
		return m
	}
	of := make([]mask, len(rows))
	same := true
	for i := range rows {
		of[i] = says(&rows[i])
		same = same && of[i] == of[0]
	}
	if same {
		return [][]row{rows}
	}
	kinds := slices.Clone(of)
	slices.SortFunc(kinds, compareMasks)
	var out [][]row
	for _, kind := range slices.Compact(kinds) {
		var part []row
		for i := range rows {
			if of[i] == kind {
				part = append(part, rows[i])
			}
		}
		out = append(out, part)
	}
	return out
}

// prose returns which columns hold together what a record says: the words of the value of its message key, or all if it has none.
func (s *surroundings) prose(places []place, r row) (m mask) {
	found := false
	for c := range places {
		if places[c] != placeKey || !isMessageKey([]byte(r.cells[c].text)) {
			continue
		}
		for k := c + 1; k < len(places) && places[k] != placeKey; k++ {
			m.set(k)
			found = true
		}
	}
	for c := range places {
		if !found {
			m.set(c)
		}
	}
	return m
}

// places says where each column stands, given one of the rows that records put together.
func (s *surroundings) places(r row) []place {
	out := make([]place, len(s.inside))
	record := false
	for c := range out {
		out[c] = s.place(c)
		if out[c] == placeKey && isMessageKey([]byte(r.cells[c].text)) {
			record = true
		}
		if c > 0 && out[c-1] == placeKey && (out[c] == placeField || out[c] == placeValue) &&
			(isMessageKey([]byte(r.cells[c-1].text)) || isCauseKey(r.cells[c-1].text)) {
			out[c] = placeMessage
		}
	}
	for c := range out {
		if record && out[c] == placeValue {
			out[c] = placeField
		}
	}
	return out
}

func (s *surroundings) place(c int) place {
	before, after := s.gaps[c], s.gaps[c+1]
	if strings.HasPrefix(after, "=") || strings.HasPrefix(after, `":`) || strings.HasPrefix(after, "':") {
		return placeKey
	}
	if before != "" {
		if p := s.inner(c, before, after); p != placeUsual {
			return p
		}
	}
	if c == 0 {
		return placeFirst
	}
	return placeUsual
}

// inner is the place of a column with delimiters before it.
func (s *surroundings) inner(c int, before, after string) place {
	last, next := before[len(before)-1], byte(0)
	if after != "" {
		next = after[0]
	}
	field := strings.HasPrefix(before, `":`) || strings.HasPrefix(before, "':")
	keyed := c > 0 && (field || strings.HasSuffix(strings.TrimRight(before, `"' `), "="))
	switch {
	case keyed && (last == '=' || last == ' ' || next == 0 || next == last):
		if field {
			return placeField
		}
		return placeValue
	case last == '"' || last == '\'':
		if next == last {
			return placeField
		}
	case last == '[' || last == '(' || last == '<':
		if next == closing(last) || next == ',' {
			return placeField
		}
	case before == ", " || before == ",":
		if s.inside[c] && (next == ')' || next == ']' || next == ',') {
			return placeField
		}
	case c > 0 && (before == ": " || before == ":"):
		if next == 0 || strings.IndexByte(",;)]|", next) >= 0 {
			return placeColon
		}
	}
	return placeUsual
}
