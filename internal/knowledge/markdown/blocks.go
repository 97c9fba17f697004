// Package markdown cuts Markdown texts into blocks, line by line and without loss, for what speaks of a place in a text.
package markdown

import (
	"fmt"
	"strings"
)

// Kind is what a block is.
type Kind uint8

// The kinds.
const (
	Prose   Kind = iota // lines without a blank one between them: a paragraph, a list, a table
	Heading             // of either form
	Code                // between fences
)

// Block is a block of a text with the blank lines behind it.
type Block struct {
	Kind         Kind
	Path         string // "## Restore" for the heading, "## Restore/3" for the third block below it, "/1" before any heading
	Title        string // of a heading, without its marks
	Level        int    // of a heading, from 1
	Start, Lines int    // from line Start, counted from 0
}

// Lines cuts a text behind each line feed; the last line may have none.
func Lines(text string) []string {
	if text == "" {
		return nil
	}
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// Blocks cuts a text, given as its Lines, into blocks that cover it.
func Blocks(lines []string) (out []Block) {
	heading, count := "", 0
	for i := 0; i < len(lines); {
		b, end := block(lines, i)
		if b.Kind == Heading {
			heading, count = strings.Repeat("#", b.Level)+" "+b.Title, 0
			b.Path = heading
		} else {
			count++
			b.Path = fmt.Sprintf("%s/%d", heading, count)
		}
		for end < len(lines) && strings.TrimSpace(lines[end]) == "" {
			end++
		}
		b.Start, b.Lines = i, end-i
		out = append(out, b)
		i = end
	}
	return out
}

// block returns the block that begins at line i, and the line behind it, without blank lines.
func block(lines []string, i int) (Block, int) {
	if mark := fence(lines[i]); mark != "" {
		for end := i + 1; end < len(lines); end++ {
			closing := strings.TrimSpace(lines[end])
			if fence(lines[end]) != "" && len(closing) >= len(mark) && strings.Trim(closing, mark[:1]) == "" {
				return Block{Kind: Code}, end + 1
			}
		}
		return Block{Kind: Code}, len(lines)
	}
	if level, title := heading(lines[i]); level > 0 {
		return Block{Kind: Heading, Level: level, Title: title}, i + 1
	}
	for end := i; end < len(lines); end++ {
		text := strings.TrimSpace(lines[end])
		if end == i+1 && text != "" && strings.TrimSpace(lines[i]) != "" {
			title := strings.TrimSpace(lines[i])
			if strings.Trim(text, "=") == "" {
				return Block{Kind: Heading, Level: 1, Title: title}, end + 1
			}
			if strings.Trim(text, "-") == "" && len(text) > 1 {
				return Block{Kind: Heading, Level: 2, Title: title}, end + 1
			}
		}
		if level, _ := heading(lines[end]); text == "" || level > 0 || fence(lines[end]) != "" {
			return Block{}, end
		}
	}
	return Block{}, len(lines)
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

// heading returns the level and the title of a line of the form "## Title ##", level 0 where it is none.
func heading(line string) (int, string) {
	text := strings.TrimLeft(line, " ")
	rest := strings.TrimLeft(text, "#")
	level := len(text) - len(rest)
	title := strings.TrimSpace(rest)
	if len(line)-len(text) > 3 || level < 1 || level > 6 || title == "" || rest[0] != ' ' && rest[0] != '\t' {
		return 0, ""
	}
	if closed := strings.TrimRight(title, "#"); closed != title && strings.HasSuffix(closed, " ") {
		title = strings.TrimSpace(closed)
	}
	return level, title
}
