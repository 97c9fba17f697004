package merge

import (
	"fmt"
	"strings"
)

// Block is a block of a Markdown text with the blank lines behind it: a heading, a fence, or lines without a blank one
// between them.
type Block struct {
	Path         string // "## Restore" for the heading, "## Restore/3" for the third block below it, "/1" before any heading
	Start, Lines int    // from line Start, counted from 0
}

// Blocks cuts a Markdown text into blocks that cover it, a front matter included.
func Blocks(body string) (out []Block) {
	lines := splitLines(body)
	heading, count := "", 0
	for i := 0; i < len(lines); {
		end, title := blockEnd(lines, i)
		path := title
		if title != "" {
			heading, count = title, 0
		} else {
			count++
			path = fmt.Sprintf("%s/%d", heading, count)
		}
		for end < len(lines) && strings.TrimSpace(lines[end]) == "" {
			end++
		}
		out = append(out, Block{Path: path, Start: i, Lines: end - i})
		i = end
	}
	return out
}

// blockAt returns the path of the block that holds the line, or of the last one.
func blockAt(blocks []Block, line int) string {
	for _, b := range blocks {
		if line < b.Start+b.Lines {
			return b.Path
		}
	}
	if len(blocks) == 0 {
		return "/1"
	}
	return blocks[len(blocks)-1].Path
}

// blockEnd returns the line behind the block that begins at line i, without blank lines, and the heading if it is one.
func blockEnd(lines []string, i int) (end int, title string) {
	if mark := fence(lines[i]); mark != "" {
		for end = i + 1; end < len(lines); end++ {
			closing := strings.TrimSpace(lines[end])
			if fence(lines[end]) != "" && len(closing) >= len(mark) && strings.Trim(closing, mark[:1]) == "" {
				return end + 1, ""
			}
		}
		return end, ""
	}
	if atx(lines[i]) {
		return i + 1, strings.TrimSpace(lines[i])
	}
	for end = i; end < len(lines); end++ {
		text := strings.TrimSpace(lines[end])
		if text == "" || end > i && (atx(lines[end]) || fence(lines[end]) != "") {
			break
		}
		if end == i+1 && strings.Trim(text, "=") == "" {
			return end + 1, "# " + strings.TrimSpace(lines[i])
		}
		if end == i+1 && strings.Trim(text, "-") == "" && len(text) > 1 {
			return end + 1, "## " + strings.TrimSpace(lines[i])
		}
	}
	return max(end, i), ""
}

// fence returns the run of ` or ~ that opens a fence, "" where there is none.
func fence(line string) string {
	text := strings.TrimLeft(line, " ")
	if len(line)-len(text) > 3 {
		return ""
	}
	for _, mark := range []string{"`", "~"} {
		rest := strings.TrimLeft(text, mark)
		if n := len(text) - len(rest); n >= 3 && (mark == "~" || !strings.Contains(rest, "`")) {
			return text[:n]
		}
	}
	return ""
}

// atx reports whether the line is a heading of the form "## Text".
func atx(line string) bool {
	text := strings.TrimLeft(line, " ")
	rest := strings.TrimLeft(text, "#")
	n := len(text) - len(rest)
	return len(line)-len(text) <= 3 && 1 <= n && n <= 6 && strings.TrimSpace(rest) != "" && (rest[0] == ' ' || rest[0] == '\t')
}
