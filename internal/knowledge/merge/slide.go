package merge

// run is a run of changed lines of a file, [start, end), empty where two lines that stay follow each other. The runs of
// two compared files correspond one to one: between the same lines that stay.
type run struct {
	*file
	start, end int
}

func firstRun(f *file) run {
	r := run{file: f}
	r.grow()
	return r
}

// grow takes in the changed lines that follow.
func (r *run) grow() {
	for r.end < len(r.changed) && r.changed[r.end] {
		r.end++
	}
}

// growBack takes in the changed lines before.
func (r *run) growBack() {
	for r.start > 0 && r.changed[r.start-1] {
		r.start--
	}
}

func (r *run) empty() bool { return r.start == r.end }

// next goes to the run behind the next line that stays, and reports whether there was one.
func (r *run) next() bool {
	if r.end == len(r.lines) {
		return false
	}
	r.start, r.end = r.end+1, r.end+1
	r.grow()
	return true
}

// previous goes to the run before the last line that stays.
func (r *run) previous() {
	r.start, r.end = r.start-1, r.start-1
	r.growBack()
}

// up moves the run by a line to the front, where the line before it is its last one, and joins it with what it meets.
func (r *run) up() bool {
	if r.start == 0 || r.lines[r.start-1] != r.lines[r.end-1] {
		return false
	}
	r.start, r.end = r.start-1, r.end-1
	r.changed[r.start], r.changed[r.end] = true, false
	r.growBack()
	return true
}

// down moves the run by a line to the back, where the line behind it is its first one, and joins it with what it meets.
func (r *run) down() bool {
	if r.end == len(r.lines) || r.lines[r.start] != r.lines[r.end] {
		return false
	}
	r.changed[r.start], r.changed[r.end] = false, true
	r.start, r.end = r.start+1, r.end+1
	r.grow()
	return true
}

// slide moves every run of f that may lie in several places to the last place where the other file has a change too, or,
// where there is none, down as far as it goes. Runs that meet become one.
func slide(f, other *file) {
	r, o := firstRun(f), firstRun(other)
	for {
		if !r.empty() {
			slideRun(&r, &o)
		}
		if !r.next() {
			return
		}
		o.next()
	}
}

func slideRun(r, o *run) {
	for {
		size := r.end - r.start
		for r.up() {
			o.previous()
		}
		first, meets := r.end, !o.empty()
		for r.down() {
			o.next()
			meets = meets || !o.empty()
		}
		if size != r.end-r.start {
			continue // it has met another run
		}
		if r.end != first && meets {
			for o.empty() {
				r.up()
				o.previous()
			}
		}
		return
	}
}
