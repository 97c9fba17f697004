package template

// maxKeys is how many different keys in one place are those of different statements. Where there are more, they are values: names of
// users, say, with a number for each.
const maxKeys = 64

// byFields splits the rows of a table of records, which are key=value from their first word on, by their keys: records with other
// fields come from other statements, however many there are and however much their keys look like names.
func byFields(rows []row, places []place) [][]row {
	parts := [][]row{rows}
	if len(places) == 0 || places[0] != placeKey {
		return parts
	}
	for c, at := range places {
		if at != placeKey || !constantKeys(rows, c) {
			continue
		}
		var finer [][]row
		for _, part := range parts {
			finer = append(finer, splitBy(part, c)...)
		}
		parts = finer
	}
	return parts
}

// constantKeys reports whether a column holds words only, and not too many different ones.
func constantKeys(rows []row, c int) bool {
	seen := map[uint64]struct{}{}
	for i := range rows {
		x := &rows[i].cells[c]
		if x.kind != kindWord {
			return false
		}
		if seen[x.hash] = struct{}{}; len(seen) > maxKeys {
			return false
		}
	}
	return true
}

// isCauseKey reports whether the value of a key is the kind of thing that went wrong, which tells statements apart: package
// multiline writes the exceptions of a stack trace so.
func isCauseKey(key string) bool { return key == "exception" || key == "cause" }
