package injection

import (
	"regexp"
	"strings"
)

// marker is how models are told who speaks. The expression sees the text as it is.
type marker struct {
	name string
	word string // in every match, in lower case
	re   *regexp.Regexp
}

var markers = []marker{
	{"chat template", "<|", regexp.MustCompile(`(?i)<\|\s*/?(?:im_start|im_end|im_sep|system|user|assistant|developer|tool|endoftext|eot_id|eom_id|begin_of_text|end_of_text|start_header_id|end_header_id|start_of_role|end_of_role|channel|message|return|call|startoftext|fim_\w+|endofprompt)\s*\|>`)},
	{"chat template", "inst]", regexp.MustCompile(`\[/?INST\]`)},
	{"chat template", "<<", regexp.MustCompile(`(?i)<</?SYS>>`)},
	{"chat template", "_of_turn>", regexp.MustCompile(`<(?:start|end)_of_turn>`)},
	{"speaker", "<", regexp.MustCompile(`(?i)</?\s*(?:system(?:[_-]?(?:prompt|message|instructions?|override|note))?|assistant|developer[_-]?message|function_calls?|tool_calls?|tool_results?|function_results?|antml:\w+|human_turn|assistant_turn|user_query|user_message|untrusted\w*|trusted\w*)(?:\s+[^<>]{0,80})?/?\s*>`)},
	{"speaker in JSON", "role", regexp.MustCompile(`(?i)["']role["']\s*:\s*["'](?:system|developer)["']`)},
	{"speaker", "##", regexp.MustCompile(`(?i)(?:^|\n)\s{0,3}#{2,6}\s*(?:system|assistant|human|new (?:system )?(?:prompt|instructions?)|system (?:prompt|message|instructions?)|instructions? (?:for|to) (?:the )?(?:ai|assistant|model|llm|agent)s?|end of (?:document|context|data|prompt|user input|input)s?)\s*:?\s*#*\s*(?:\n|$)`)},
	{"speaker", "system", regexp.MustCompile(`(?:^|\n)[ \t>*#-]{0,6}(?:\d+[.)] )?\**(?:SYSTEM|System)(?: (?:prompt|message|instruction|note|PROMPT|MESSAGE|INSTRUCTION|NOTE))?\**:[\s*\x{a0}]+(?i:you[\s*\x{a0}]+(?:are|must|should|will|may)|ignore|disregard|from now|the (?:user|assistant)|new |override|always|never|all |do not)`)},
	{"dialogue", "assistant:", regexp.MustCompile(`(?is)(?:^|\n)[\s>*-]*(?:human|user)\**:.{1,400}?\n[\s>*-]*assistant\**:`)},
	{"bracketed speaker", "[", regexp.MustCompile(`(?i)\[\s*(?:system|assistant|developer|admin)(?: (?:prompt|message|override|instructions?|note))?\s*\](?:\(#\w+\)|\s*:|\s*\n|\s+(?:you|ignore|disregard|new|from now|override|always|never|execute))`)},
	{"end of the text", "end", regexp.MustCompile(`(?im)^\s*(?:[-=*#~]{2,}|\[|<)?\s*(?:end of|end|begin|start of) (?:document|context|retrieved (?:context|documents?)|system prompt|system message|untrusted (?:content|data|input)|user input|search results?|tool (?:output|result|response)s?|knowledge base|new instructions?|instructions?|hidden (?:instructions?|prompt))\s*(?:[-=*#~]{2,}|\]|>|:)\s*$`)},
}

func roles(out []Finding, s string) []Finding {
	lower := strings.ToLower(s)
	for _, m := range markers {
		if !strings.Contains(lower, m.word) {
			continue
		}
		for _, at := range m.re.FindAllStringIndex(s, -1) {
			out = append(out, Finding{Role, m.name, at[0], at[1]})
		}
	}
	return out
}
