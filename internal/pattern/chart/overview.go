package chart

import "fmt"

const (
	sparkWidth, sparkHeight = 160, 28
	rowHeight, overviewTop  = 36, 60
	sparkLeft               = width - right - sparkWidth
)

// Sparkline draws counts without axes, 160 by 28.
func Sparkline(title string, points []Point) []byte {
	total, most, at := sum(points)
	c := begin(sparkWidth, sparkHeight, title, described(total, most, at, points))
	spark(c, 2, 2, sparkWidth-4, sparkHeight-4, points)
	return c.end()
}

// spark draws bars in a box.
func spark(c *canvas, x, y, w, h float64, points []Point) {
	_, most, _ := sum(points)
	fmt.Fprintf(c, `<path class="grid" d="M%s %sh%s"/>`+"\n", px(x), px(y+h), px(w))
	if most == 0 {
		return
	}
	one := w / float64(len(points))
	fmt.Fprint(c, `<path class="mark" d="`)
	for i, p := range points {
		if p.Lines > 0 {
			high := max(1, h*float64(p.Lines)/float64(most))
			fmt.Fprintf(c, "M%s %sh%sv-%sh-%sz", px(x+float64(i)*one), px(y+h), px(one*0.8), px(high), px(one*0.8))
		}
	}
	fmt.Fprint(c, "\"/>\n")
}

// Row is a pattern in an overview.
type Row struct {
	Name     string // "" is the template
	Template string
	Points   []Point // the same times in each row
}

// Overview draws rows with a sparkline each, each to its own scale, below a title.
func Overview(title string, rows []Row) []byte {
	var all int64
	for _, r := range rows {
		total, _, _ := sum(r.Points)
		all += total
	}
	about := fmt.Sprintf("%d patterns, %s lines", len(rows), Count(all))
	if len(rows) > 0 && len(rows[0].Points) > 0 {
		points := rows[0].Points
		about += ", " + stamp(points[0].Start) + " to " + stamp(points[len(points)-1].Start.Add(step(points)))
	}
	c := begin(width, overviewTop+rowHeight*max(1, len(rows))+12, title, about+".")
	c.text(right, 26, ` class="code" font-weight="600"`, clipped(title, 90))
	c.text(right, 46, "", about)
	if len(rows) == 0 {
		c.text(right, overviewTop+22, "", "no patterns")
	}
	for i, r := range rows {
		y := float64(overviewTop + i*rowHeight)
		text := r.Template
		if r.Name != "" {
			text = r.Name
		}
		total, _, _ := sum(r.Points)
		c.text(right, y+23, ` class="code"`, clipped(text, 62))
		c.text(sparkLeft-12, y+23, ` text-anchor="end"`, Count(total))
		spark(c, sparkLeft, y+4, sparkWidth, sparkHeight, r.Points)
	}
	return c.end()
}
