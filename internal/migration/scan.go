package migration

import (
	"fmt"
	"strings"
)

// Piece is a part of a text of SQL: a statement without the semicolon that ends it, or what stands between two statements.
// The texts of the pieces one after the other are the whole text.
type Piece struct {
	Text      string
	Offset    int // in bytes
	Line      int // from 1
	Statement bool
	Comments  []Comment // of the piece, in order
}

// Comment is a comment with its marks.
type Comment struct {
	Text   string
	Line   int  // from 1
	Offset int  // in bytes
	First  bool // nothing but space stands before it in its line
}

// SyntaxError says what is wrong in a file and where.
type SyntaxError struct {
	File    string
	Line    int // from 1; 0 is the file as a whole
	Message string
}

func (e *SyntaxError) Error() string {
	switch {
	case e.File == "" && e.Line == 0:
		return e.Message
	case e.File == "":
		return fmt.Sprintf("line %d: %s", e.Line, e.Message)
	case e.Line == 0:
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
}

// Scan cuts a text into statements and what is between them, by the rules of Postgres' own scanner: quotes of all kinds, dollar
// quotes, nested comments, parentheses, and bodies of functions between BEGIN ATOMIC and END. A semicolon by itself is no
// statement. The error is a SyntaxError without a file: an end is missing, or the text is for psql and not for the server.
func Scan(text string) ([]Piece, error) {
	s := &scanner{text: text, line: 1}
	for s.at < len(text) {
		if err := s.next(); err != nil {
			return nil, err
		}
	}
	if err := s.cut(len(text)); err != nil {
		return nil, err
	}
	return s.pieces, nil
}

type scanner struct {
	text     string
	at, line int // line is that of at
	pieces   []Piece

	start, startLine int // of the piece under way
	in               bool
	comments         []Comment
	words            []string // first words of the statement, lower case
	parens, blocks   int
	routine          bool // the statement is CREATE FUNCTION or PROCEDURE
	copies           int  // COPY was seen (1), then FROM (2), then STDIN (3)
}

func (s *scanner) fail(line int, format string, args ...any) error {
	return &SyntaxError{Line: line, Message: fmt.Sprintf(format, args...)}
}

// advance goes to an offset and counts the lines passed.
func (s *scanner) advance(to int) {
	s.line += strings.Count(s.text[s.at:to], "\n")
	s.at = to
}

// cut ends the piece under way before an offset that the scanner has reached or stands at.
func (s *scanner) cut(end int) error {
	if s.in && s.copies == 3 {
		return s.fail(s.startLine, "COPY FROM STDIN has its rows in the text, which is no SQL: use a step of kind copy")
	}
	if end > s.start {
		s.pieces = append(s.pieces, Piece{s.text[s.start:end], s.start, max(s.startLine, 1), s.in, s.comments})
	}
	s.start, s.startLine, s.in, s.comments = end, s.line, false, nil
	s.words, s.parens, s.blocks, s.routine, s.copies = nil, 0, 0, false, 0
	return nil
}

// token begins a statement where none is under way.
func (s *scanner) token() error {
	if s.in {
		return nil
	}
	if err := s.cut(s.at); err != nil {
		return err
	}
	s.in = true
	return nil
}

func (s *scanner) next() error {
	c, rest := s.text[s.at], s.text[s.at:]
	switch {
	case strings.IndexByte(" \t\r\n\f\v", c) >= 0:
		s.advance(s.at + 1)
		return nil
	case strings.HasPrefix(rest, "--"):
		end := strings.IndexAny(rest, "\n\r")
		if end < 0 {
			end = len(rest)
		}
		s.comment(s.at + end)
		return nil
	case strings.HasPrefix(rest, "/*"):
		end := blockComment(rest)
		if end < 0 {
			return s.fail(s.line, "the comment that begins here has no end")
		}
		s.comment(s.at + end)
		return nil
	case c == ';' && s.parens == 0 && s.blocks == 0:
		if err := s.cut(s.at); err != nil {
			return err
		}
		s.advance(s.at + 1)
		return nil
	case c == '\\' && !s.in:
		return s.fail(s.line, `a command of psql such as \d is not SQL: take it out`)
	}
	if err := s.token(); err != nil {
		return err
	}
	switch {
	case c == '(':
		s.parens++
	case c == ')' && s.parens > 0:
		s.parens--
	case c == '\'':
		return s.quote(rest, 0, false)
	case c == '"':
		return s.delimited(rest, 1, `"`, "name")
	case c == '$':
		return s.dollar(rest)
	case letter(c):
		return s.word(rest)
	case c >= '0' && c <= '9':
		n := 1
		for n < len(rest) && (letter(rest[n]) || rest[n] >= '0' && rest[n] <= '9') {
			n++
		}
		s.advance(s.at + n)
		return nil
	}
	s.advance(s.at + 1)
	return nil
}

func (s *scanner) comment(end int) {
	before := strings.TrimRight(s.text[:s.at], " \t")
	s.comments = append(s.comments, Comment{s.text[s.at:end], s.line, s.at, before == "" || strings.HasSuffix(before, "\n")})
	s.advance(end)
}

// blockComment returns the length of the comment at the start of a text, or -1.
func blockComment(text string) int {
	depth := 0
	for i := 0; i+1 < len(text); i++ {
		switch text[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

// delimited passes what stands between two marks, in which the mark is doubled.
func (s *scanner) delimited(rest string, from int, mark, what string) error {
	end := strings.Index(rest[from:], mark)
	if end < 0 {
		return s.fail(s.line, "the %s that begins here has no end", what)
	}
	s.advance(s.at + from + end + len(mark)) // a doubled mark is seen as a second one right after
	return nil
}

// quote passes a string whose quote stands at an offset. With backslashes, these escape, also in what continues it on a
// further line.
func (s *scanner) quote(rest string, from int, backslashes bool) error {
	if !backslashes {
		return s.delimited(rest, from+1, "'", "string")
	}
	i := from + 1
	for ; i < len(rest); i++ {
		if rest[i] == '\\' {
			i++
			continue
		}
		if rest[i] != '\'' {
			continue
		}
		next, ok := continued(rest[i+1:])
		if !ok {
			s.advance(s.at + i + 1)
			return nil
		}
		i += next
	}
	return s.fail(s.line, "the string that begins here has no end")
}

// continued looks whether a string goes on after its quote: with another quote, right there or after a line break. It returns
// how far the quote is from the last one.
func continued(rest string) (int, bool) {
	if strings.HasPrefix(rest, "'") {
		return 1, true
	}
	broken := false
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '\n' || c == '\r':
			broken = true
		case strings.IndexByte(" \t\f\v", c) >= 0:
		case strings.HasPrefix(rest[i:], "--"):
			end := strings.IndexAny(rest[i:], "\n\r")
			if end < 0 {
				return 0, false
			}
			i += end - 1
		case c == '\'' && broken:
			return i + 1, true
		default:
			return 0, false
		}
	}
	return 0, false
}

func (s *scanner) dollar(rest string) error {
	n := 1
	for n < len(rest) && (letter(rest[n]) || n > 1 && rest[n] >= '0' && rest[n] <= '9') {
		n++
	}
	if n == len(rest) || rest[n] != '$' {
		s.advance(s.at + 1) // a parameter such as $1
		return nil
	}
	tag := rest[:n+1]
	return s.delimited(rest, len(tag), tag, "string in dollar quotes")
}

func (s *scanner) word(rest string) error {
	n := 1
	for n < len(rest) && (letter(rest[n]) || rest[n] == '$' || rest[n] >= '0' && rest[n] <= '9') {
		n++
	}
	w := strings.ToLower(rest[:n])
	if n < len(rest) && rest[n] == '\'' {
		switch w {
		case "e":
			return s.quote(rest, n, true)
		case "b", "x", "n":
			return s.quote(rest, n, false)
		}
	}
	s.advance(s.at + n)
	s.keyword(w)
	return nil
}

// keyword follows what decides where a statement ends.
func (s *scanner) keyword(w string) {
	if len(s.words) < 4 {
		s.words = append(s.words, w)
		if len(s.words) > 1 && s.words[0] == "create" && (w == "function" || w == "procedure") &&
			(len(s.words) == 2 || len(s.words) == 4 && s.words[1] == "or" && s.words[2] == "replace") {
			s.routine = true
		}
	}
	switch {
	case s.words[0] == "copy" && s.parens == 0:
		switch {
		case s.copies == 0:
			s.copies = 1
		case w == "from" && s.copies == 1:
			s.copies = 2
		case w == "stdin" && s.copies == 2:
			s.copies = 3
		case s.copies == 2:
			s.copies = 1
		}
	case s.routine && s.parens == 0:
		switch {
		case w == "begin", w == "case" && s.blocks > 0:
			s.blocks++
		case w == "end" && s.blocks > 0:
			s.blocks--
		}
	}
}
