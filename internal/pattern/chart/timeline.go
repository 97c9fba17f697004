package chart

import (
	"fmt"
	"time"
)

// Timeline draws counts over time with axes, below a name, which may be empty, and a template. Points are equally long and in order.
func Timeline(name, template string, points []Point) []byte {
	total, most, at := sum(points)
	heading := template
	if name != "" {
		heading = name
	}
	c := begin(width, height, heading, described(total, most, at, points))
	c.text(left, 26, ` class="code" font-weight="600"`, clipped(heading, 90))
	c.text(left, 46, "", summary(total, most, points))
	if total == 0 {
		c.text(width/2, height/2+16, ` text-anchor="middle"`, "no lines in this time")
		return c.end()
	}
	p := plot{from: points[0].Start, step: step(points), scale: ticks(most)}
	p.to = p.from.Add(time.Duration(len(points)) * p.step)
	p.axes(c)
	if len(points) <= maxBars {
		p.bars(c, points)
	} else {
		p.area(c, points)
	}
	return c.end()
}

func summary(total, most int64, points []Point) string {
	if total == 0 {
		return "0 lines"
	}
	return fmt.Sprintf("%s lines, at most %s per %s, UTC", Count(total), Count(most), shortSpan(step(points)))
}

func described(total, most int64, at int, points []Point) string {
	if total == 0 {
		return "No lines."
	}
	last := points[len(points)-1].Start.Add(step(points))
	return fmt.Sprintf("%s lines from %s to %s; the most, %s, in the %s from %s.",
		Count(total), stamp(points[0].Start), stamp(last), Count(most), shortSpan(step(points)), stamp(points[at].Start))
}

// shortSpan writes how long a point is.
func shortSpan(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{7 * day, "week"}, {day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		switch {
		case d == u.unit:
			return u.name
		case d%u.unit == 0:
			return fmt.Sprintf("%d %ss", d/u.unit, u.name)
		}
	}
	return d.String()
}

// plot maps counts and times to places.
type plot struct {
	from, to time.Time
	step     time.Duration
	scale    []int64
}

func (p *plot) x(at time.Time) float64 {
	return left + (width-left-right)*at.Sub(p.from).Seconds()/p.to.Sub(p.from).Seconds()
}

func (p *plot) y(lines int64) float64 {
	return height - bottom - (height-top-bottom)*float64(lines)/float64(p.scale[len(p.scale)-1])
}

func (p *plot) axes(c *canvas) {
	for _, v := range p.scale {
		fmt.Fprintf(c, `<path class="grid" d="M%d %sH%d"/>`+"\n", left, px(p.y(v)), width-right)
		c.text(left-8, p.y(v)+4, ` text-anchor="end"`, short(v))
	}
	for _, l := range times(p.from, p.to) {
		x := p.x(l.at)
		fmt.Fprintf(c, `<path class="grid" d="M%s %dv5"/>`+"\n", px(x), height-bottom)
		anchor := "middle"
		switch {
		case x < left+24:
			anchor = "start"
		case x > width-right-36:
			anchor = "end"
		}
		c.text(x, height-bottom+20, ` text-anchor="`+anchor+`"`, l.text)
	}
}

// bars draws a bar for each point with lines, at least a pixel high.
func (p *plot) bars(c *canvas, points []Point) {
	w := float64(width-left-right) / float64(len(points))
	gap := min(2, w/4)
	fmt.Fprint(c, `<path class="mark" d="`)
	for i, point := range points {
		if point.Lines <= 0 {
			continue
		}
		h := max(1, float64(height-bottom)-p.y(point.Lines))
		fmt.Fprintf(c, "M%s %dh%sv-%sh-%sz", px(left+float64(i)*w+gap/2), height-bottom, px(w-gap), px(h), px(w-gap))
	}
	fmt.Fprint(c, "\"/>\n")
}

// area draws steps that are as wide as a point, filled.
func (p *plot) area(c *canvas, points []Point) {
	w := float64(width-left-right) / float64(len(points))
	var line canvas
	fmt.Fprintf(&line, "M%d %s", left, px(p.y(points[0].Lines)))
	for i, point := range points {
		if i > 0 {
			fmt.Fprintf(&line, "V%s", px(p.y(point.Lines)))
		}
		fmt.Fprintf(&line, "H%s", px(left+float64(i+1)*w))
	}
	fmt.Fprintf(c, `<path class="area" d="%sV%dH%dz"/>`+"\n", line.String(), height-bottom, left)
	fmt.Fprintf(c, `<path class="line" d="%s"/>`+"\n", line.String())
}
