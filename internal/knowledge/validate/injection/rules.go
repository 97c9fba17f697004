package injection

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// weight says what a rule needs to count.
type weight int

const (
	alone     weight = iota // is an instruction by itself
	addresses               // speaks to or of a model: with an order nearby
	orders                  // tells to do something: with an address nearby
)

// rule matches folded text around its words.
type rule struct {
	name   string
	weight weight
	words  []string // one of them is in every match
	re     func() *regexp.Regexp
}

const (
	before = 200 // bytes that a match may start before its word
	after  = 400 // ... and end after it
)

// find returns the places of a rule. The expression sees only what is near its words.
func (r rule) find(s string) (out [][]int) {
	var windows [][2]int
	for _, w := range r.words {
		for from := 0; ; {
			i := strings.Index(s[from:], w)
			if i < 0 {
				break
			}
			i += from
			windows = append(windows, [2]int{max(0, i-before), min(len(s), i+after)})
			from = i + len(w)
		}
	}
	slices.SortFunc(windows, func(a, b [2]int) int { return a[0] - b[0] })
	for i := 0; i < len(windows); {
		w := windows[i]
		for i++; i < len(windows) && windows[i][0] <= w[1]; i++ {
			w[1] = max(w[1], windows[i][1])
		}
		for _, m := range r.re().FindAllStringIndex(s[w[0]:w[1]], -1) {
			if m[0] > 0 || w[0] == 0 { // the start of a window is not the start of the text
				out = append(out, []int{m[0] + w[0], m[1] + w[0]})
			}
		}
	}
	return out
}

func newRule(name string, w weight, words, expression string) rule {
	return rule{name, w, strings.Split(fold(words).s, "|"), sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(strings.NewReplacer("<model>", model, "<told>", told, "<earlier>", earlier, "<secret>", secrets, "<elsewhere>", elsewhere).Replace(expression))
	})}
}

// Parts of expressions.
const (
	model     = `(?:ai(?: (?:assistants?|agents?|models?|systems?|readers?|bots?|tools?))?|a\.i\.|llms?|(?:large )?language models?|(?:ai |virtual |digital )?assistants?|chat ?bots?|claude|chatgpt|gpt(?:-?\d\w*)?|copilot|gemini|(?:coding|autonomous|llm) agents?|bots?)`
	told      = `(?:instructions?|prompts?|directives?|directions|guidelines?|guidance|programming|training|guardrails?|orders|system messages?)`
	earlier   = `(?:previous|prior|above|earlier|preceding|foregoing|existing|initial|original|former|past|system|developer|your|given)`
	secrets   = `(?:conversations?|chat (?:history|logs?)|system prompt|environment variables|env vars|(?:all|any|every|found|stored|the user'?s|users'?|their|available|known|these|your) (?:of )?(?:the |your |stored |available )*(?:secrets?|credentials?|api[ _-]?keys?|passwords?|(?:access |auth )?tokens?|private keys?|ssh keys?|memor(?:y|ies)|data|messages?|files|entries|documents|notes|emails?|cookies|session)|private keys?|ssh keys?|memory contents?|contents? of (?:this|the) (?:conversation|context|chat|memory)|context window)`
	elsewhere = `(?:https?:|[\w.+-]+@[\w-]+\.\w|www\.|\w+\.(?:com|net|io|org|dev|ru|xyz|site)\b|webhook|attacker|external|remote|my server|following (?:url|address|endpoint|server))`
)

// rules in English first: what is said in all of them, then other languages.
var rules = []rule{
	newRule("ignore instructions", alone, "ignor|disregard|forget|overrid|bypass|overrul|follow|obey|attention to|discard|abandon|dismiss|neglect",
		`\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass|overrule|discard|abandon|dismiss|neglect|(?:do not|don't|never|stop|no longer) (?:follow(?:ing)?|obey(?:ing)?|comply(?:ing)? with|listen(?:ing)? to|adher(?:e|ing) to)|pay no attention to)\b(?: [\w',-]+){0,4}? <earlier>\b(?: [\w',&/-]+){0,3}? <told>\b`),
	newRule("ignore all instructions", alone, "ignor|disregard|forget|overrid|obey|follow",
		`\b(?:ignore|disregard|forget|override|(?:do not|don't|never|stop) (?:follow(?:ing)?|obey(?:ing)?)) (?:absolutely )?(?:all|any|every|everything in)(?: (?:of|the|your|my|other|these|those))* (?:instructions?|prompts?|directives?|guidelines?|rules (?:you|given|above|before)|(?:content|safety) (?:policies|policy|rules|filters?))\b`),
	newRule("ignore what was said", alone, "ignor|disregard|forget", `\b(?:ignore|disregard|forget) (?:absolutely )?(?:everything|all|anything|whatever)(?: that)?(?: (?:you (?:know|were told|have been told|learned|have learned|read|were given|have read)|(?:was|is|has been) (?:said|written|stated) (?:above|before|earlier)|(?:above|before|previously said|prior to) (?:this|and|it|now)|(?:above|before)\b[.,!:;]))`),
	newRule("ignore the rules", alone, "rule|messag|context|constraint|restriction|polic|conversation|limit", `\b(?:ignore|disregard|forget|override|bypass) (?:all|any|each|every)(?: of)?(?: (?:the|your|my|these))? <earlier>(?: [\w-]+)? (?:rules?|messages?|context|constraints?|restrictions?|policies|policy|conversations?|limitations?|limits|commands?)\b|\b(?:ignore|disregard|forget|override|bypass|disable|turn off) your (?:\w+ ){0,2}(?:rules?|constraints?|restrictions?|policies|policy|limitations?|filters?|safeguards?|safety \w+|ethics|ethical \w+|alignment|safety)\b`),
	newRule("new instructions", alone, "instruction|task|role|goal|objective|mission|purpose|prompt", `\b(?:your|the) (?:new|real|actual|true|updated|only|sole) (?:instructions?|task|role|goal|objective|mission|purpose|system prompt) (?:is|are)\b|(?:^|[.:!>#\]] ?|-- ?)(?:new|updated|revised|real|additional|hidden|secret|system|admin|developer|override|important|priority|special|urgent) (?:system )?(?:instructions?|prompt|directive)s? ?(?:for <model> ?)?[:>]`),
	newRule("another persona", alone, "you are now|you're now|you will now|you have become|act as|pretend|role-play|roleplay|simulate|behave", `\byou(?:'re| are| have become| will)(?: now)?(?: be| act as| become)? (?:dan\b|evil|unrestricted|unfiltered|uncensored|jailbroken|in (?:developer|dan|god|jailbreak|unrestricted) mode|no longer (?:bound|restricted|limited|an ai|required to|under)|free (?:from|of) (?:all|any|your|restrictions|rules))|\byou(?:'re| are) now (?:an?|the|my) (?:\w+[ -]){0,3}(?:ai|assistant|agent|model|bot|chatbot|persona|hacker|pirate|terminal|shell|interpreter|attacker|expert|administrator|character)\b|\b(?:act|behave|respond|answer) (?:as|like) (?:if you (?:are|were|had|have) (?:no|an? unrestricted|not|free|without)|an? (?:unrestricted|unfiltered|uncensored|jailbroken|evil|malicious|amoral)\b)|\b(?:pretend|imagine|simulate)(?: that)?(?: to be| you are| you're| being)(?: an?)? (?:unrestricted|unfiltered|uncensored|evil|malicious|different|another|dan\b|(?:\w+ )?(?:ai|assistant|language model)\b|not (?:an ai|bound))`),
	newRule("no limits", alone, "you have no|you can do any|do anything now|jailb|dan mode|you are not bound|you are free|god mode|without any restr|restrictions|filters", `\byou (?:now )?have no (?:\w+ )?(?:restrictions?|limitations?|rules|filters?|guidelines?|ethics|morals)|\byou can do anything\b|\bdo anything now\b|\bjailbreak mode\b|\bdan mode\b|\byou are (?:not|no longer) bound by\b|\b(?:enable|activate|enter|engage|unlock) (?:god|jailbreak|unrestricted|unfiltered|dan) mode\b|\b(?:respond|answer|reply|comply)(?: \w+){0,3} without (?:any )?(?:restrictions?|filters?|limitations|censorship|ethical|moral|safety)`),
	newRule("reveal the prompt", alone, "prompt|instruction|message", `\b(?:reveal|show|print|repeat|output|display|leak|disclose|expose|tell (?:me|us)|give (?:me|us)|share|dump|recite|return|write out|write down|send|append|copy|quote|translate|summari[sz]e|include|what (?:is|are|was|were))(?: (?:me|us|to me|back))?(?: (?:all|the|your|full|entire|complete|exact|hidden|initial|original|internal|secret|of|contents?|verbatim|whole|confidential|a copy of|own|current)){0,6} (?:(?:your|my|the (?:ai|assistant|model)'s|hidden|initial|original|internal|secret|confidential|full|entire) (?:system |initial |original |hidden |internal )?(?:prompt|instructions|system message|developer message|directives)|system prompt|system instructions|(?:system|developer) messages?(?: verbatim| above)|prompt verbatim)\b`),
	newRule("repeat what is above", alone, "above|before|verbatim", `\b(?:repeat|print|output|recite|copy|echo|write) (?:everything|all (?:the )?(?:text|words)|the (?:text|words|content|contents)|every(?:thing| word)) (?:above|before|prior|preceding|you (?:were|have been) (?:told|given))\b|\bstarting with "?you are (?:chatgpt|claude|an? )`),
	newRule("keep it from the user", alone, "user|human|operator|reviewer|owner|anyone|them|person", `\b(?:do not|don't|never|must not|should not|shouldn't|avoid|without)(?: ever)? (?:tell(?:ing)?|inform(?:ing)?|notify(?:ing)?|mention(?:ing)?|reveal(?:ing)?|alert(?:ing)?|disclos(?:e|ing)|warn(?:ing)?|report(?:ing)?|show(?:ing)?|explain(?:ing)?)(?: (?:this|that|it|these|any of this|these instructions|this instruction|what you|the above|about this))+(?: \w+){0,3}?(?: to| with)? (?:the |your |any )?(?:users?|humans?|operators?|reviewers?|owner|person|anyone|them)\b|\b(?:do not|don't|never|must not|should not|without)(?: ever)? (?:tell(?:ing)?|inform(?:ing)?|notify(?:ing)?|alert(?:ing)?|let(?:ting)?|warn(?:ing)?) (?:the |your )?(?:users?|humans?|operators?|reviewers?|person|anyone|them)(?: know)? (?:about (?:this|these|it|that|the|what)|of (?:this|these|it)|that (?:you|this|these|it)|you (?:did|have|are|received|were)|what you)`),
	newRule("hide it", alone, "secretly|silently|quietly|covertly|discreetly|without asking|hidden from", `\b(?:secretly|silently|quietly|covertly|discreetly) (?:send|forward|upload|post|e-?mail|exfiltrate|call|invoke|delete|append|insert|include|add|transmit|export|leak|copy|modify|change)\b(?: [\w'-]+){0,8}? (?:users?|conversation|secrets?|keys?|credentials?|tokens?|passwords?|data|https?:|prompt|history|memor|answer|response|tool|entries|files)`),
	newRule("if you are a model", alone, "if you are|if you're|as an ai|as a language|as a large|reading this|processing this|reads this|that read|you, the", `\bif you(?:'re| are) (?:an? |the )<model>\b|\bas an? (?:ai|llm|(?:large )?language model)(?: \w+)?,? you (?:must|should|are|will|have|need)|\b(?:ai|llm|assistant|model|agent|bot|<model>)s? (?:that (?:is|are) |who (?:is|are) |which (?:is|are) |currently )?(?:reading|processing|summari[sz]ing|parsing|ingesting|indexing|retrieving) (?:this|these|the following)|\b<model> (?:that|which|who) (?:reads?|process(?:es)?|summari[sz]es?|retrieves?|ingests?) this\b|\b(?:to|for|hey|hello|dear|attention),? (?:the |any |all |whichever |whatever )?<model> (?:reading|processing|summari[sz]ing|that|who|which) (?:this|reads?|process|summari|is)`),
	newRule("carry away", alone, "send|forward|upload|post|mail|exfiltrat|transmit|leak|export|submit|deliver|encode|copy|share|report|append|include|pass", `\b(?:send|forward|upload|post|e-?mail|exfiltrate|transmit|leak|export|submit|deliver|encode|copy|share|report|append|pass)(?:ing|s)?\b[^.!?]{0,50}?\b<secret>[^.!?]{0,60}?\b(?:to|at|via|into|in|as|with)\b[^!?]{0,40}?<elsewhere>`),
	newRule("read secrets and pass them on", alone, "ssh|id_rsa|credentials|.env|mcp.json|etc/passwd|etc/shadow|keychain|netrc|npmrc|cookies|kube/config", `\b(?:read|open|cat|load|access|retrieve|fetch|get|find|print|include|dump)\b[^!?]{0,50}?(?:\.ssh/|id_rsa|id_ed25519|\.aws/credentials|(?:^|[ /"'])\.env\b|mcp\.json|/etc/(?:passwd|shadow)|keychain|\.netrc|\.npmrc|\.kube/config|cookies)[^!?]{0,100}?\b(?:and|then|as|in)\b[^!?]{0,30}?\b(?:send|pass|include|append|post|upload|return|paste|provide|encode|exfiltrate|your (?:answer|response|reply|next)|parameter|argument|side ?note)`),
	newRule("before answering", alone, "before|prior to|first|always|whenever", `\b(?:before|prior to) (?:you )?(?:answer(?:ing)?|respond(?:ing)?|reply(?:ing)?|doing anything(?: else)?|continu(?:e|ing)|us(?:e|ing) (?:this|any|another|other) (?:other )?tools?|proceeding|answer (?:the|any))[^.!?]{0,40}?,? ?(?:you must |you should |please |always |first )*(?:call|invoke|read|send|run|execute|fetch|open|visit|delete|post|upload|load)\b`),
	newRule("remember for ever", alone, "remember|memori|save|store|persist", `\b(?:remember|memori[sz]e|save|store|persist|commit)\b[^.!?]{0,60}?\b(?:for|in|to|into|across) (?:all |your |every |any |long-?term )*(?:future (?:conversations?|sessions?|interactions?|responses?|chats?|answers?)|(?:long-?term )?memory (?:and|so|that|for)|every (?:conversation|session|response|chat|answer)|your (?:long-?term )?memory)`),
	newRule("from now on", alone, "from now on|from this point|henceforth|from here on", `\b(?:from (?:now|this point|here) on(?:wards?)?|henceforth|from this (?:point|moment) forward),? (?:you (?:are (?:an?|the|my|dan|no longer|called)|act|respond|answer|obey|speak|only|must (?:only|always|never|obey|answer|respond|reply|act|call|ignore|recommend)|will (?:only|always|never|obey|answer|respond|reply|act as|ignore|recommend|be))|(?:always|only|never) (?:respond|reply|answer|say|recommend|output|speak|refuse|include|call|use the tool)|ignore|obey|respond|reply|answer|every (?:response|answer|reply)|all (?:your )?(?:responses|answers|replies))`),
	newRule("speaks for the makers", alone, "openai|anthropic|your creator|your developer|your operator|system override|admin override|developer override|system notice|system administrator|system command|system directive|system alert|authoriz|authoris", `\b(?:message|notice|instruction|instructions|override|directive|update|command|order|request) (?:is |comes |sent )?(?:directly )?from (?:the )?(?:openai|anthropic|google deepmind|your (?:creators?|developers?|operators?|owners?|makers?)|system administrator|system developer)|\b(?:system|admin|administrator|developer|root) (?:override|directive|command)(?: code| mode| sequence| \d+)?[ :!-]+(?:\w+ ){0,6}?(?:you|ignore|disregard|all|the assistant|execute|comply|grant|reveal|safety|enabled|activated|accepted|engaged)|\bauthori[sz]ed by (?:openai|anthropic|your (?:developer|creator|operator))`),
	newRule("takes precedence", alone, "overrid|supersede|precedence|priority over|outrank|replace", `\bth(?:is|ese|e following)(?: (?:document|entry|text|message|note|page|file|content|section|instructions?|rules?|comment))? (?:\w+ )?(?:overrides?|supersedes?|takes? (?:precedence|priority) over|outranks?|replaces?|has priority over|have priority over) (?:all|any|your|every|the system|system|previous|prior|earlier|other|existing)(?: (?:other|of|the|your|previous|prior|system|earlier|existing|safety|any))* (?:instructions?|prompts?|guidelines|directives?|messages?)`),
	newRule("trust this", alone, "treat|consider|regard|approve|publish|accept|merge|mark", `\b(?:approve|publish|accept|merge) this (?:change|proposal|entry|document|edit|revision)(?: \w+){0,3} (?:without|automatically|immediately|no matter|regardless)|\b(?:treat|consider|regard|mark) this (?:document|entry|text|content|page|file|message|note)(?: \w+){0,3} as (?:an? |the |your )?(?:trusted|authoritative|system (?:prompt|message|instruction)s?|highest|new (?:system )?(?:prompt|instructions?)|instructions?)\b`),
	newRule("steers to an address", alone, "user ask|users ask|user want|anyone ask|asked about|asked for|someone ask|asks about|asks for|asks you", `\b(?:when(?:ever)?|if|every time)(?: an?| the| any)? (?:users?|human|customer|person|anyone|someone|you are)(?: \w+)? (?:asks?|asked|wants?|requests?)\b[^.!?]{0,80}?\b(?:tell|say|answer|respond|reply|recommend|direct|claim|send|instruct|insist|suggest|link|point|redirect)\b[^!?]{0,80}?(?:https?:|\b[\w-]+\.(?:com|net|io|xyz|ru|site|top)\b|bitcoin|wallet|password|gift card|credit card)`),
	newRule("respond only with", alone, "respond only|reply only|answer only|only respond|only reply|output only|only output|respond with the|respond exactly|end every|end each|begin every|start every|include in every|include in all|in every response|in every answer|in all your|in each response", `\b(?:(?:you must|you will|always|now|instead|please)[ ,:]*(?:only )?(?:respond|reply|answer|output)(?: only)?(?: to (?:everything|every \w+|all \w+))? (?:only )?(?:with|in|exactly)\b[^.!?]{0,40}?(?:["'“]|the (?:word|phrase|sentence|string))|(?:end|begin|start|finish|close) (?:every|each|all)(?: of)?(?: your)? (?:responses?|answers?|repl(?:y|ies)|messages?) (?:with|by)|(?:include|append|add|insert|mention|put) [^.!?]{1,60}? (?:in|to|at the end of) (?:every|each|all(?: of)?(?: your)?) (?:future )?(?:responses?|answers?|repl(?:y|ies)|outputs?))`),

	newRule("to a model", addresses, "ai|llm|language model|assistant|chatbot|chat bot|claude|chatgpt|gpt|copilot|gemini|bot", `(?:^|[.:!?>#\[(\-] ?|-- ?)(?:(?:important|critical|urgent|special|system|hidden) )?(?:note|notice|attention|important|instructions?|message|reminder|warning|directive|hint|command|info|task|memo|hello|hi|hey|dear|psst|ok|okay|request)[:,!]? (?:to |for )?(?:all |any |the |every |my )?<model>\b|(?:^|[.:!?>#\[(] ?|-- ?)(?:dear |hey |ok |@)?(?:ai|llm|assistant|ai assistant|ai agent|ai model|chatgpt|claude|gemini|copilot)s?[:,]|\b(?:the|any|all|every) (?:ai|llm|language model|chatbot)(?: (?:assistants?|agents?|models?))? (?:must|should|shall|has to|have to|needs? to|is (?:required|instructed|ordered|authori[sz]ed|expected) to)|\b(?:the )?(?:ai )?(?:assistant|chatbot) (?:must|shall|is (?:required|instructed|ordered|authori[sz]ed) to)|\byou are an? (?:\w+ )?(?:ai|assistant|language model|chatbot|llm)\b|<(?:important|critical|instructions?|system_note|admin|assistant_only|hidden)>`),
	newRule("does as told", orders, "call|invoke|use|execut|run|send|repl|respond|answer|output|say|includ|recommend|comply|obey|follow|ignor|append|insert|delet|remov|visit|open|post|upload|fetch|forward|email|tell|approve|publish|disclos|reveal|print|grant|transfer|stop|never|always|instead", `\b(?:must|should|shall|will|please|immediately|now|always|never|first|instead|then|do|to|and|or|:|,|-)[ :,]*(?:also |now |immediately |always |never |not |only |instead |silently |secretly |then )*(?:call|invoke|execute|run|send|reply|respond|answer|output|say|include|recommend|comply|obey|ignore|append|insert|delete|remove|visit|open|post|upload|fetch|forward|e-?mail|tell|approve|publish|disclose|reveal|print|grant|transfer|add|change|write|praise|rate|refuse|mention|use|follow|disable|skip|omit|hide|treat|start|stop|return)\b`),
}

// compactForm is an instruction without anything between its letters.
var compactForm = regexp.MustCompile(`(?:ignore|disregard|forget|override)(?:all|any|the|of|my|your|these|every)*(?:previous|prior|above|earlier|preceding|system)(?:and[a-z]{3,10})?(?:system)?(?:instruction|prompt|directive|guideline)`)

// allRules are those of all languages; English ones first.
var allRules = append(slices.Clone(rules), tongueRules...)
