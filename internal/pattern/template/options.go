package template

// Three words behind an = are the values of a field, but not where the statement is also there without the field:
//
//	failure; uid=▒ rhost=▒
//	failure; uid=▒ rhost=▒ user=root      what adds the field adds what is said by it
//	failure; uid=▒ rhost=▒ user=guest
//
// Shapes with another number of fields are other tables. So each table tells the wordbook which fields its statements have, as a word
// that no message has.

// fieldsOf returns the word that stands for the statements with the first word and the keys of a row, but for the key in column
// without; 0 if there are not two others.
func (p *partitioner) fieldsOf(r *row, without int) uint64 {
	h, n := uint64(k3), 0
	if len(r.cells) > 0 && !r.cells[0].bare {
		h ^= r.cells[0].hash
	}
	for c := range r.cells {
		if p.places[c] == placeKey && c != without {
			h = (h ^ r.cells[c].hash) * k2
			h ^= h >> 31
			n++
		}
	}
	if n < 2 {
		return 0
	}
	return h
}

// tellFields adds the fields of the statements of a table.
func (p *partitioner) tellFields(into map[uint64]struct{}, rows []row) {
	for i := range rows {
		if h := p.fieldsOf(&rows[i], -1); h != 0 {
			into[h] = struct{}{}
		}
	}
}

// optional reports whether the statement of a row is also there without the field that column c is the value of. The first pass does not
// know, and takes it to be.
func (p *partitioner) optional(r *row, c int) bool {
	h := p.fieldsOf(r, c-1)
	if h == 0 {
		return false
	}
	if p.told == nil {
		p.unsure[h] = struct{}{}
		return true
	}
	return p.told(h)
}
