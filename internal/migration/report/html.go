package report

import (
	"fmt"
	"html"
	"strings"
)

const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>%s</title>
<style>
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2430;--soft:#5b6675;--faint:#e3e7ec}
@media (prefers-color-scheme:dark){:root{--paper:#12161c;--ink:#e8ecf1;--soft:#9aa6b5;--faint:#2a323d}}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;background:var(--paper);color:var(--ink);max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%%}th{color:var(--soft);font-weight:600}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--faint);overflow-wrap:anywhere}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}svg{max-width:100%%;height:auto}
</style></head><body>
`

// HTML writes the report as a page with the picture in it. It holds no script and refers to nothing outside itself.
func (r Report) HTML() []byte {
	var b strings.Builder
	title := html.EscapeString("Migration " + r.Plan)
	fmt.Fprintf(&b, page, title)
	fmt.Fprintf(&b, "<h1>%s</h1>\n<dl>\n", title)
	for _, f := range r.facts() {
		fmt.Fprintf(&b, "<dt>%s</dt><dd>%s</dd>\n", html.EscapeString(f[0]), html.EscapeString(f[1]))
	}
	b.WriteString("</dl>\n")
	for _, n := range append(append([]string(nil), r.Notes...), r.Slower...) {
		fmt.Fprintf(&b, "<p>%s</p>\n", html.EscapeString(n))
	}
	if !r.Started.IsZero() {
		b.Write(r.Timeline())
	}
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "<h2>%s</h2>\n<div class=\"wide\"><table><thead>", html.EscapeString(t.title))
		t.row(&b, "th", t.head)
		b.WriteString("</thead><tbody>\n")
		for _, row := range t.rows {
			t.row(&b, "td", row)
		}
		b.WriteString("</tbody></table></div>\n")
	}
	b.WriteString("</body></html>\n")
	return []byte(b.String())
}

func (t table) row(b *strings.Builder, tag string, cells []string) {
	b.WriteString("<tr>")
	for i, cell := range cells {
		class := ""
		if t.right[i] {
			class = ` class="n"`
		}
		fmt.Fprintf(b, "<%s%s>%s</%s>", tag, class, html.EscapeString(cell), tag)
	}
	b.WriteString("</tr>\n")
}
