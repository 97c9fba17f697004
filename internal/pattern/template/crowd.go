package template

import "slices"

// amount says how many members a family has.
type amount uint8

const (
	none amount = iota
	single
	several
)

// crowds are the members of the families with several.
type crowds struct {
	lists [][]member
	free  []uint32
}

func (c *crowds) of(f *family) []member {
	switch f.has {
	case several:
		return c.lists[f.one[0].group]
	case single:
		return f.one[:]
	}
	return nil
}

func (c *crowds) add(f *family, m member) {
	switch f.has {
	case several:
		list := &c.lists[f.one[0].group]
		*list = append(*list, m)
	case single:
		list := []member{f.one[0], m}
		f.has = several
		if n := len(c.free); n > 0 {
			f.one[0].group, c.free = c.free[n-1], c.free[:n-1]
			c.lists[f.one[0].group] = list
		} else {
			f.one[0].group = uint32(len(c.lists))
			c.lists = append(c.lists, list)
		}
	default:
		f.one[0], f.has = m, single
	}
}

func (c *crowds) remove(f *family, m member) {
	switch f.has {
	case several:
		at := f.one[0].group
		list := slices.DeleteFunc(c.lists[at], func(x member) bool { return x == m })
		c.lists[at] = list
		if len(list) == 1 {
			f.one[0], f.has, c.lists[at] = list[0], single, nil
			c.free = append(c.free, at)
		}
	case single:
		if f.one[0] == m {
			f.has = none
		}
	}
}
