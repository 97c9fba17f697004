package injection

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

var (
	commentForm = regexp.MustCompile(`(?s)<!--(.*?)(?:-->|$)`)
	// noteForm are link definitions that show nothing: [//]: # (text).
	noteForm = regexp.MustCompile(`(?m)^ {0,3}\[(?:(?://|comment|_|\.|\^?hidden|#)?\]:\s*\S+|[^\]\n]*\]:\s*(?:#|<>))\s*(?:"([^"\n]*)"|'([^'\n]*)'|\(([^)\n]*)\))`)
	tagForm  = regexp.MustCompile(`(?i)<([a-z][a-z0-9-]*)((?:\s+[a-z:@_][\w:.-]*(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'=<>` + "`" + `]+))?)*)\s*/?>`)
	// hidingStyle is a style under which nobody reads what is there.
	hidingStyle     = regexp.MustCompile(`(?i)display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*(?:0?\.0\d*|0)(?:[;"'\s]|$)|font-size\s*:\s*(?:0(?:\.\d+)?|1)(?:px|pt|em|rem|%)?(?:[;"'\s]|$)|color\s*:\s*(?:transparent|white|#fff(?:fff)?\b|#fefefe|#fdfdfd|rgba?\(\s*255\s*,\s*255\s*,\s*255|rgba\([^)]*,\s*0(?:\.0\d*)?\s*\))|(?:left|top|right|text-indent|margin-left|margin-top)\s*:\s*-\d{3,}|(?:^|[;\s"'])(?:max-)?(?:height|width)\s*:\s*(?:0|1px)(?:px)?(?:[;"'\s]|$)|clip(?:-path)?\s*:\s*(?:rect\(\s*0|inset\(\s*(?:50|100)%)|transform\s*:\s*scale\(\s*0|z-index\s*:\s*-\d|mso-hide\s*:\s*all|color-scheme-hidden`)
	hiddenAttribute = regexp.MustCompile(`(?i)(?:^|\s)(?:hidden(?:\s|=|$)|type\s*=\s*["']?hidden|class\s*=\s*["'][^"']*\b(?:hidden|sr-only|visually-hidden|invisible|d-none)\b)`)
	hidingColor     = regexp.MustCompile(`(?i)\bcolor\s*=\s*["']?(?:white|#fff(?:fff)?\b|transparent)|\bsize\s*=\s*["']?0\b`)
	latexHidden     = regexp.MustCompile(`\\(?:color|textcolor)\{white\}|\$\\(?:color|textcolor)\{(?:white|transparent)\}|\\phantom\{[^}]{12,}\}`)
	activeHTML      = regexp.MustCompile(`(?i)<\s*(?:script|iframe|object|embed|applet|form|meta|base|link|svg|frameset|portal)\b[^>]*>|<[a-z][^>]{0,500}?\son[a-z]{3,20}\s*=|<[a-z][^>]{0,500}?(?:href|src|action)\s*=\s*["']?\s*(?:javascript|vbscript)\s*:`)
	dataForm        = regexp.MustCompile(`(?i)\bdata:([a-z]+/[a-z0-9.+-]+)?((?:;[a-z0-9-]+(?:=[^;,\s"')]+)?)*),([^\s"'<>)\]]*)`)

	// toolComment is a comment for programs and writers that every repository has.
	toolComment = regexp.MustCompile(`(?i)^[\s=*#~-]*(?:$|/?(?:markdownlint|prettier|eslint|vale|textlint|remark|alex|cspell|spell-?checker|doctoc|toc|no ?toc|omit|more|truncate|excerpt|fold|html_preserve|region|endregion|start|end|begin|badges?|all-contributors|dprint|mdx|markdown|lint|rumdl|readme|template|include|embedme|snippet|auto-?generated|generated|do not (?:edit|remove|modify)|this (?:file|section|page|table|list) (?:is|was) (?:auto-?|automatically )?generated|copyright|licen[cs]e|licensed|spdx|reuse|vim?:|-\*-|todo|fixme|xxx|hack|tbd|note to self|wip|draft|source:|see:?|ref:?|cc-by|page ?break|newpage|pagebreak|break|column|slide|_class|theme|jekyll|obsidian|dataview|https?://\S+\s*$|id:|rev:|version|commit|date|author|updated|last modified|created)\b.*|[\W\w]{0,24})$`)
	// forModels is what a comment for people or programs hardly says.
	forModels = regexp.MustCompile(`(?i)\b(?:ai|llms?|assistants?|agents?|chatgpt|gpt-?\d?|claude|gemini|copilot|models?|chatbots?|prompts?|instructions?|instructed|the users?|secrets?|tokens?|passwords?|credentials?|api[ _-]?keys?|conversation|exfiltrat\w*|you must|ignore|disregard|override|execute|curl|wget|respond|reply|answer|recommend|reveal|forward|obey|secretly|silently|reviewers?|approve)\b`)
)

// minWords is from how many words a hidden text is prose.
const minWords = 6

// hidden finds what is not seen where Markdown is shown. What stands in code is seen.
func hidden(out []Finding, s string) []Finding {
	out = invisibles(out, s)
	in := code(s)
	for _, form := range []struct {
		sign string // in every match
		re   *regexp.Regexp
	}{{"<!--", commentForm}, {"]:", noteForm}} {
		if !strings.Contains(s, form.sign) {
			continue
		}
		for _, m := range form.re.FindAllStringSubmatchIndex(s, -1) {
			if in.holds(m[0]) {
				continue
			}
			for g := 2; g < len(m); g += 2 {
				if m[g] >= 0 && forModel(s[m[g]:m[g+1]]) {
					out = append(out, Finding{Hidden, "comment", m[0], m[1]})
				}
			}
		}
	}
	if strings.Contains(s, "<") {
		for _, m := range tagForm.FindAllStringSubmatchIndex(s, -1) {
			if in.holds(m[0]) {
				continue
			}
			name, attributes := strings.ToLower(s[m[2]:m[3]]), s[m[4]:m[5]]
			switch {
			case hidingStyle.MatchString(attributes):
				out = append(out, Finding{Hidden, "style", m[0], m[1]})
			case hiddenAttribute.MatchString(attributes), name == "font" && hidingColor.MatchString(attributes), name == "template", name == "noscript", name == "noframes":
				out = append(out, Finding{Hidden, "element", m[0], m[1]})
			case name == "style":
				out = append(out, Finding{Hidden, "style sheet", m[0], m[1]})
			}
		}
		for _, m := range activeHTML.FindAllStringIndex(s, -1) {
			if !in.holds(m[0]) {
				out = append(out, Finding{Active, "HTML", m[0], m[1]})
			}
		}
	}
	if strings.Contains(s, `\`) {
		for _, m := range latexHidden.FindAllStringIndex(s, -1) {
			if !in.holds(m[0]) {
				out = append(out, Finding{Hidden, "formula", m[0], m[1]})
			}
		}
	}
	if !hasScheme(s, "data") {
		return out
	}
	for _, m := range dataForm.FindAllStringSubmatchIndex(s, -1) {
		group := func(g int) string {
			if m[2*g] < 0 {
				return ""
			}
			return s[m[2*g]:m[2*g+1]]
		}
		if in.holds(m[0]) && judge(dataOf(group(2), group(3))) == "" {
			continue
		}
		if len(group(3)) > 0 && (group(1) != "" || group(2) != "") && !picture(group(1), group(2), group(3)) {
			out = append(out, Finding{Hidden, "data URI", m[0], m[1]})
		}
	}
	return out
}

// hasScheme says whether a word, in any case, stands before a colon.
func hasScheme(s, word string) bool {
	for at := 0; ; at++ {
		i := strings.IndexByte(s[at:], ':')
		if i < 0 {
			return false
		}
		if at += i; at >= len(word) && strings.EqualFold(s[at-len(word):at], word) {
			return true
		}
	}
}

// forModel says whether a hidden text is for a model: it instructs, or it is prose with words that speak to one, and no
// note for a program.
func forModel(s string) bool {
	if judge(s) != "" {
		return true
	}
	for _, d := range Decoded(s) {
		if judge(d.Text) != "" {
			return true
		}
	}
	words := len(strings.Fields(s))
	return words >= minWords-2 && len(forModels.FindAllString(s, 2)) == 2 || words >= minWords && forModels.MatchString(s) && !toolComment.MatchString(s)
}

// picture says whether a data URI is the picture that it says it is: one that cannot hold text or scripts.
func picture(kind, parameters, data string) bool {
	kind = strings.ToLower(kind)
	if !strings.HasPrefix(kind, "image/") || strings.Contains(kind, "svg") {
		return strings.HasPrefix(kind, "font/") || strings.HasPrefix(kind, "application/font")
	}
	start := []byte(dataOf(parameters, data[:min(len(data), 64)]))
	for _, magic := range []string{"\x89PNG", "\xff\xd8\xff", "GIF8", "RIFF", "BM", "\x00\x00\x01\x00", "\x00\x00\x00"} {
		if bytes.HasPrefix(start, []byte(magic)) {
			return true
		}
	}
	return false
}

func dataOf(parameters, data string) string {
	if plain, err := url.PathUnescape(data); err == nil {
		data = plain
	}
	if !strings.Contains(strings.ToLower(parameters), "base64") {
		return data
	}
	data = strings.TrimRight(data, "=")
	b, _ := base64.RawStdEncoding.DecodeString(data[:len(data)-len(data)%4]) // what decodes, of a part
	return string(b)
}

// invisibles finds runs of invisible characters that are long enough to say something.
func invisibles(out []Finding, s string) []Finding {
	run, start, tags := 0, 0, false
	flush := func(end int) {
		if run >= 8 || tags && run >= 3 && !flag(s[:start]) {
			out = append(out, Finding{Hidden, "invisible characters", start, end})
		}
		run, tags = 0, false
	}
	total, first := 0, 0
	for i, r := range s {
		if r < utf8.RuneSelf || !invisible(r) {
			if run > 0 {
				flush(i)
			}
			continue
		}
		if run == 0 {
			start = i
		}
		run++
		tags = tags || r >= 0xe0000
		if r == 0x200b || r == 0x2060 || r == 0xfeff && i > 0 || 0x2061 <= r && r <= 0x2064 {
			if total == 0 {
				first = i
			}
			total++
		}
	}
	flush(len(s))
	if total >= 24 { // one bit each, between letters
		out = append(out, Finding{Hidden, "many invisible characters", first, first + 3})
	}
	return out
}

// flag says whether tag characters follow the flag whose region they name.
func flag(before string) bool {
	r, _ := utf8.DecodeLastRuneInString(before)
	return r == 0x1f3f4
}

// spans are parts of a text, in order.
type spans [][2]int

func (s spans) holds(at int) bool {
	for _, p := range s {
		if p[0] <= at && at < p[1] {
			return true
		}
	}
	return false
}

var (
	fence = regexp.MustCompile("(?m)^[ \t>*+-]{0,12}(?:\\d+[.)] +)?(`{3,}|~{3,})[^\n]*$")
	ticks = regexp.MustCompile("`+")
)

// code returns where fenced code and code spans are. A fence that is not closed holds no code: nothing may be hidden from
// the checks by opening one.
func code(s string) (out spans) {
	if !strings.Contains(s, "`") && !strings.Contains(s, "~~~") {
		return nil
	}
	open, mark := -1, ""
	for _, m := range fence.FindAllStringSubmatchIndex(s, -1) {
		f := s[m[2]:m[3]]
		switch {
		case open < 0:
			open, mark = m[0], f
		case f[0] == mark[0] && len(f) >= len(mark) && strings.TrimSpace(s[m[3]:m[1]]) == "":
			out = append(out, [2]int{open, m[1]})
			open = -1
		}
	}
	fenced := out
	for at := 0; at < len(s); {
		m := ticks.FindStringIndex(s[at:])
		if m == nil {
			break
		}
		from, n := at+m[0], m[1]-m[0]
		at += m[1]
		if fenced.holds(from) {
			continue
		}
		for next := at; ; {
			e := ticks.FindStringIndex(s[next:])
			if e == nil || strings.Contains(s[from:next+e[0]], "\n\n") {
				break
			}
			if e[1]-e[0] == n {
				out = append(out, [2]int{from, next + e[1]})
				at = next + e[1]
				break
			}
			next += e[1]
		}
	}
	return out
}
