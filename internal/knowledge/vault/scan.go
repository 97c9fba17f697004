package vault

import (
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/tartan-ai/tartan/internal/knowledge/markdown"
)

// reference is a link as a note writes it.
type reference struct {
	relation string
	target   string // a name, or a path from the folder of the note
	wiki     bool
}

// text is what the body of a note says besides its words.
type text struct {
	title      string // of the first heading of the first level
	references []reference
	derived    map[string]any // metadata: inline_tags, observations
}

// The metadata that is read from the body.
const (
	inlineTags   = "inline_tags"
	observations = "observations"
)

var (
	wikiLink     = regexp.MustCompile(`(!?)\[\[([^\[\]|#\n]*)(?:#[^\[\]|\n]*)?(?:\\?\|[^\[\]\n]*)?\]\]`)
	inlineLink   = regexp.MustCompile(`(!?)\[[^\[\]\n]*\]\(\s*(?:<([^<>\n]*)>|([^\s()<>]+))(?:\s+["'(][^\n]*?["')])?\s*\)`)
	definition   = regexp.MustCompile(`^ {0,3}\[[^\[\]\n]+\]:\s*(?:<([^<>\n]*)>|(\S+))`)
	inlineTag    = regexp.MustCompile(`(?:^|[\s(,;])#([\p{L}\p{N}_/-]+)`)
	relationLine = regexp.MustCompile(`^\s*[-*+]\s+([\p{L}\p{N}_ -]+?)\s*\[\[([^\[\]|#\n]+)(?:#[^\[\]|\n]*)?(?:\|[^\[\]\n]*)?\]\]\s*(?:\([^\n]*\))?\s*$`)
	observation  = regexp.MustCompile(`^\s*[-*+]\s+\[([^\[\]()\s][^\[\]()]+)\]\s+(\S[^\n]*?)\s*$`)
	inBrackets   = regexp.MustCompile(`^(.*\S)\s+\(([^()]*)\)$`)
	notOnlyDigit = regexp.MustCompile(`[^\p{N}/]`)
	scheme       = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*:`)
)

// maxRelation bounds the words before a link that name its relation; more are a sentence.
const maxRelation = 4

// scan reads the body of a note, without what stands between fences and in code spans.
func scan(body string) (t text) {
	lines := markdown.Lines(body)
	var tags, seen []any
	known := map[string]bool{}
	for _, b := range markdown.Blocks(lines) {
		if b.Kind == markdown.Code {
			continue
		}
		if b.Kind == markdown.Heading && b.Level == 1 && t.title == "" {
			t.title = b.Title
		}
		for _, line := range lines[b.Start : b.Start+b.Lines] {
			line = withoutCode(strings.TrimRight(line, "\r\n"))
			if strings.ContainsRune(line, '[') {
				t.links(line)
				if m := observation.FindStringSubmatch(line); m != nil {
					seen = append(seen, observed(m[1], m[2]))
				}
			}
			if !strings.ContainsRune(line, '#') {
				continue
			}
			for _, m := range inlineTag.FindAllStringSubmatch(line, -1) {
				if tag := strings.Trim(m[1], "/"); notOnlyDigit.MatchString(tag) && !known[tag] {
					known[tag], tags = true, append(tags, tag)
				}
			}
		}
	}
	t.derived = map[string]any{}
	if tags != nil {
		t.derived[inlineTags] = tags
	}
	if seen != nil {
		t.derived[observations] = seen
	}
	return t
}

// observed takes an observation of basic-memory apart: "- [category] content #tag (context)".
func observed(category, content string) map[string]any {
	out := map[string]any{"category": strings.TrimSpace(category)}
	if m := inBrackets.FindStringSubmatch(content); m != nil {
		content, out["context"] = m[1], m[2]
	}
	out["content"] = content
	return out
}

// links notes the links of a line.
func (t *text) links(line string) {
	if strings.Contains(line, "[[") {
		if m := relationLine.FindStringSubmatch(line); m != nil {
			if words := strings.Fields(strings.ToLower(m[1])); len(words) > 0 && len(words) <= maxRelation {
				t.references = append(t.references, reference{strings.Join(words, "_"), strings.TrimSpace(m[2]), true})
				return
			}
		}
		for _, m := range wikiLink.FindAllStringSubmatch(line, -1) {
			t.add(m[1], strings.TrimSpace(strings.TrimSuffix(m[2], `\`)), true)
		}
	}
	if strings.Contains(line, "](") {
		for _, m := range inlineLink.FindAllStringSubmatch(line, -1) {
			t.add(m[1], m[2]+m[3], false)
		}
	}
	if m := definition.FindStringSubmatch(line); m != nil {
		t.add("", m[1]+m[2], false)
	}
}

func (t *text) add(mark, target string, wiki bool) {
	if !wiki {
		if scheme.MatchString(target) || strings.HasPrefix(target, "//") {
			return
		}
		target, _, _ = strings.Cut(target, "#")
		if plain, err := url.PathUnescape(target); err == nil {
			target = plain
		}
	}
	if target == "" {
		return // a heading of the same note
	}
	relation := "links_to"
	if mark == "!" {
		relation = "embeds"
	}
	t.references = append(t.references, reference{relation, target, wiki})
}

// withoutCode puts blanks for the code spans of a line: runs of ` that are closed by as many.
func withoutCode(line string) string {
	if !strings.Contains(line, "`") {
		return line
	}
	var b strings.Builder
	for {
		open := strings.IndexByte(line, '`')
		if open < 0 {
			break
		}
		rest := strings.TrimLeft(line[open:], "`")
		n := len(line) - open - len(rest)
		b.WriteString(line[:open])
		end := closing(rest, n)
		if end < 0 {
			b.WriteString(line[open : open+n])
			line = rest
			continue
		}
		b.WriteByte(' ')
		line = rest[end+n:]
	}
	b.WriteString(line)
	return b.String()
}

// closing returns where a run of just n ` begins, -1 if nowhere.
func closing(s string, n int) int {
	for at := 0; ; {
		i := strings.IndexByte(s[at:], '`')
		if i < 0 {
			return -1
		}
		at += i
		run := len(s[at:]) - len(strings.TrimLeft(s[at:], "`"))
		if run == n {
			return at
		}
		at += run
	}
}

// fromFolder is the path that a link in the note leads to; ok is false where it leads out of the vault.
func fromFolder(note, target string) (string, bool) {
	if rooted, ok := strings.CutPrefix(target, "/"); ok {
		target = path.Clean(rooted)
	} else {
		target = path.Join(path.Dir(note), target)
	}
	return target, target != ".." && !strings.HasPrefix(target, "../")
}
