package injection

import (
	"regexp"
	"strings"
)

// sign is one kind of word that instructions to models are made of.
type sign struct {
	weight int
	re     *regexp.Regexp
}

// signTable are the signs, each of which counts once in a passage. A text that speaks of models has the first two, and
// one that instructs people some of the rest; hardly any has five points in two sentences.
var signTable = []sign{
	{2, regexp.MustCompile(`\b(?:ai|llms?|language models?|chatbots?|chatgpt|claude|gpt-?\d\w*|copilot|gemini)\b|(?:^|[.!?:>] ?|- )(?:assistant|model|agent|bot|ai)s?[,:!]`)},
	{2, regexp.MustCompile(`\byour (?:\w+ )?(?:system prompt|prompt|instructions|directives|guidelines|programming|training|guardrails|memory|context window|answers?|responses?|summary|repl(?:y|ies)|system message|output)\b`)},
	{1, regexp.MustCompile(`\b(?:ignor\w+|disregard\w*|discard|forget|overrid\w+|bypass|no longer appl\w+|stop (?:being|following|obeying|what you)|instead of)\b`)},
	{1, regexp.MustCompile(`\b(?:secretly|silently|quietly|covertly|hidden|hide|conceal|do not (?:tell|mention|reveal|inform)|don't (?:tell|mention|reveal|inform)|never (?:tell|mention|reveal|inform)|without (?:asking|telling|confirmation|mentioning))\b`)},
	{1, regexp.MustCompile(`\b(?:reveal|print|hand over|leak|exfiltrate|disclose|forward|send|upload|delete|drop|wipe|transfer|approve|merge|publish|execute|dump|call the|invoke)\b`)},
	{1, regexp.MustCompile(`\b(?:passwords?|secrets?|tokens?|credentials?|api keys?|private keys?|cookies|conversations?|chat history|wallet)\b`)},
	{1, regexp.MustCompile(`\bthe users?\b|\bthe human\b`)},
	{1, regexp.MustCompile(`\b(?:always|never|every|whatever|no matter what|regardless|only ever|at all costs|immediately)\b`)},
	{1, regexp.MustCompile(`\bthis (?:document|entry|page|paragraph|text|file|article|note|vendor|product)\b`)},
	{1, regexp.MustCompile(`(?:^|[.!?:;>,-] ?|\byou (?:must|shall|will|should|have to) (?:now |always |never )?)(?:please |kindly |now |always |never )?(?:say|tell|answer|respond|reply|output|recommend|rank|rate|praise|show|act|pretend|obey|hand over|reveal|print|send|call|delete|approve|skip|ignore|forget|stop|do not|don't|write|insert|add|include)\b`)},
}

const leastSigns = 5

// signs returns the passages, of two sentences and at most 300 bytes each, that have enough of the signs.
func signs(s string) (out [][]int) {
	cue := false
	for _, w := range []string{"ai", "llm", "language model", "chatbot", "claude", "gpt", "copilot", "gemini", "assistant", "model", "agent", "bot", "your "} {
		cue = cue || strings.Contains(s, w)
	}
	if !cue {
		return nil
	}
	starts := []int{0}
	for _, e := range sentenceEnd.FindAllStringIndex(s, -1) {
		starts = append(starts, e[1])
	}
	starts = append(starts, len(s))
	for i := 0; i+1 < len(starts); i++ {
		from, to := starts[i], starts[min(i+2, len(starts)-1)]
		if to = min(to, from+300); to <= from {
			continue
		}
		passage, points := s[from:to], 0
		for j, sign := range signTable {
			if j == 2 && points == 0 {
				break
			}
			if sign.re.MatchString(passage) {
				points += sign.weight
			}
		}
		if points >= leastSigns {
			out = append(out, []int{from, to})
		}
	}
	return out
}
