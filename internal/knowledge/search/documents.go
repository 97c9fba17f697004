package search

import "hash/maphash"

// document is what is known of a version of an entry.
type document struct {
	slug     string
	revision int64
	from, to int64 // recorded, µs since 1970; to is forever while it is live, and 0 for a dead one that no search needs
	valid    *validity
	body     uint32 // position at which the body begins
	tags     uint32 // position at which the tags begin
	length   uint32
	language uint8
}

// validity is a time for which a version says that it is true, of those that say so; µs since 1970.
type validity struct{ from, to int64 }

// documents are those of a segment, a column a property, since there are many and their properties are small.
type documents struct {
	names    []byte   // slugs, one after the other
	ends     []uint32 // of the slugs in names
	revision []int64
	from     []int64
	body     []uint32
	tags     []uint32
	length   []uint32
	code     []uint8 // of the length
	language []uint8
	died     map[uint32]int64    // to, of the dead
	valid    map[uint32]validity // of those that say so
}

func (d *documents) len() int { return len(d.ends) }

// add appends a document and returns its number.
func (d *documents) add(x document) uint32 {
	number := uint32(len(d.ends))
	d.names = append(d.names, x.slug...)
	d.ends = append(d.ends, uint32(len(d.names)))
	d.revision, d.from = append(d.revision, x.revision), append(d.from, x.from)
	d.body, d.tags, d.length = append(d.body, x.body), append(d.tags, x.tags), append(d.length, x.length)
	d.code, d.language = append(d.code, lengthCode(int(x.length))), append(d.language, x.language)
	if x.to != forever {
		d.kill(number, x.to)
	}
	if x.valid != nil {
		if d.valid == nil {
			d.valid = map[uint32]validity{}
		}
		d.valid[number] = *x.valid
	}
	return number
}

func (d *documents) get(doc uint32) document {
	x := document{
		slug: string(d.slug(doc)), revision: d.revision[doc], from: d.from[doc], to: d.to(doc),
		body: d.body[doc], tags: d.tags[doc], length: d.length[doc], language: d.language[doc],
	}
	if v, ok := d.valid[doc]; ok {
		x.valid = &v
	}
	return x
}

func (d *documents) slug(doc uint32) []byte {
	from := uint32(0)
	if doc > 0 {
		from = d.ends[doc-1]
	}
	return d.names[from:d.ends[doc]]
}

func (d *documents) to(doc uint32) int64 {
	if at, ok := d.died[doc]; ok {
		return at
	}
	return forever
}

// kill sets the moment at which a document died.
func (d *documents) kill(doc uint32, at int64) {
	if d.died == nil {
		d.died = map[uint32]int64{}
	}
	d.died[doc] = at
}

// holds says whether a version says that it is true at a moment, or says nothing of it.
func (d *documents) holds(doc uint32, moment int64) bool {
	v, ok := d.valid[doc]
	return !ok || (moment >= v.from && moment < v.to)
}

// clip gives back what is left over of growing.
func (d *documents) clip() {
	d.names, d.ends, d.revision, d.from = clone(d.names), clone(d.ends), clone(d.revision), clone(d.from)
	d.body, d.tags, d.length, d.code, d.language = clone(d.body), clone(d.tags), clone(d.length), clone(d.code), clone(d.language)
}

// slugTable finds live documents by their slugs: a table of their numbers plus one, probed one place after the other.
type slugTable struct {
	places []uint32
	n      int
}

var slugSeed = maphash.MakeSeed()

// place is where a slug is, or would be put.
func (t *slugTable) place(d *documents, slug []byte) int {
	i := int(maphash.Bytes(slugSeed, slug)) & (len(t.places) - 1)
	for t.places[i] != 0 && string(d.slug(t.places[i]-1)) != string(slug) {
		i = (i + 1) & (len(t.places) - 1)
	}
	return i
}

// add takes in a document whose slug is not there.
func (t *slugTable) add(d *documents, doc uint32) {
	if 4*(t.n+1) > 3*len(t.places) {
		old := t.places
		t.places = make([]uint32, max(16, 2*len(old)))
		for _, p := range old {
			if p != 0 {
				t.places[t.place(d, d.slug(p-1))] = p
			}
		}
	}
	t.places[t.place(d, d.slug(doc))] = doc + 1
	t.n++
}

// get returns the document of a slug.
func (t *slugTable) get(d *documents, slug string) (doc uint32, ok bool) {
	if t.n == 0 {
		return 0, false
	}
	p := t.places[t.place(d, []byte(slug))]
	return p - 1, p != 0
}

// remove takes a slug out, and returns its document if it was there.
func (t *slugTable) remove(d *documents, slug string) (doc uint32, ok bool) {
	if t.n == 0 {
		return 0, false
	}
	i := t.place(d, []byte(slug))
	if t.places[i] == 0 {
		return 0, false
	}
	doc = t.places[i] - 1
	t.places[i] = 0
	t.n--
	// What was pushed on by it, or by those after it, moves up.
	for i = (i + 1) & (len(t.places) - 1); t.places[i] != 0; i = (i + 1) & (len(t.places) - 1) {
		p := t.places[i]
		t.places[i] = 0
		t.places[t.place(d, d.slug(p-1))] = p
	}
	return doc, true
}
