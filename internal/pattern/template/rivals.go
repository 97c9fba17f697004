package template

import (
	"slices"
	"strings"
)

// Alternatives that are the only difference between statements are two statements more often than not: opened and closed. But where
// the same words are alternatives in several tables, and there are three or more of them, they are the values of something:
//
//	recipe <*> loaded by ada    batch <*> aborted by bob
//	recipe <*> loaded by bob    batch <*> aborted by kim     -->  ada, bob and kim are values
//	recipe <*> loaded by kim    batch <*> aborted by ada
//
// So are those of one table that many constant words hold together: an author who had three things to say would not say them in so
// many equal words. Words in capitals are the states of something, of which statements speak one by one.
//
// And where a column takes each of its words whatever another column has, it is no part of the choice that the other is.

const (
	minRivals  = 3 // alternatives
	minTables  = 2 // in which a word must be one of them
	minAnchors = 2 // constant words that hold such a table together

	manyAnchors = 4 // constant words that hold a table together in which alternatives are values
)

// rival notes the words of a column as alternatives.
func (p *partitioner) rival(rows []row, c int) {
	if p.places[c] == placeFirst || p.places[c] == placeKey || p.places[c] == placeMessage {
		return
	}
	seen := map[uint64]struct{}{}
	for i := range rows {
		x := &rows[i].cells[c]
		if _, ok := seen[x.hash]; ok || x.bare {
			continue
		}
		seen[x.hash] = struct{}{}
		p.rivals = append(p.rivals, x.hash)
	}
}

// choice reports whether the n alternatives of a column in running text may be values: more than minRivals, or as many if not all of
// them are in capitals, or if all is.
func (p *partitioner) choice(rows []row, c, n int) bool {
	if p.places[c] != placeUsual || n < minRivals {
		return false
	}
	small := func(x *cell) bool { return x.kind == kindWord && strings.ToUpper(x.text) != x.text }
	if n > minRivals || slices.ContainsFunc(rows, func(r row) bool { return small(&r.cells[c]) }) {
		return true
	}
	for k := range rows[0].cells {
		if k != c && small(&rows[0].cells[k]) {
			return false
		}
	}
	return true
}

// free returns the undecided column with the most words, at least three, of those that vary freely against another: three in four of
// the pairs that the two could make were seen. It returns -1 if there is none.
func (p *partitioner) free(rows []row, open []int) int {
	best, most := -1, minRivals-1
	for i, c := range open {
		if p.places[c] == placeFirst || p.places[c] == placeKey || p.places[c] == placeMessage {
			continue
		}
		for k, d := range open {
			if i == k {
				continue
			}
			if n, m, pairs := pairings(rows, c, d); n > most && n >= m && n*m >= 2*minRivals && 4*pairs >= 3*n*m {
				best, most = c, n
			}
		}
	}
	return best
}

// pairings counts the words of two columns and the pairs of them.
func pairings(rows []row, c, d int) (n, m, pairs int) {
	one, other, both := map[uint64]struct{}{}, map[uint64]struct{}{}, map[[2]uint64]struct{}{}
	word := func(x *cell) uint64 {
		if x.bare {
			return 0
		}
		return x.hash
	}
	for i := range rows {
		a, b := word(&rows[i].cells[c]), word(&rows[i].cells[d])
		one[a], other[b], both[[2]uint64{a, b}] = struct{}{}, struct{}{}, struct{}{}
	}
	return len(one), len(other), len(both)
}
