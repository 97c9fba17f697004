package injection

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
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
	words  []string // one of them is in every match; nil to look everywhere
	inside bool     // the order may be denied within a match, not at its start alone
	re     func() *regexp.Regexp
}

const (
	before = 200 // bytes that a match may start before its word
	after  = 400 // ... and end after it
)

// denied is how far before a verb its denial may start, in bytes.
const denied = 24

// denial is what turns an order to forget into one to remember.
var denial = regexp.MustCompile(foldExpression("\\b(?:do not|don't|never|not|please don't|must not|should not|cannot) (?:ever )?(?:ask|hide|ignor|disregard|forget|overrid|bypass|neglect|dismiss|discard|abandon)\\w*|" +
	`vergess\w*(?: sie)?[^.!?]{0,12}\bnicht|\bnicht (?:vergess|ignorier)\w*|\bn'(?:oubli|ignor)\w*|\bne pas (?:oublier|ignorer)|\bno (?:olvid|ignor|descart)\w*|\bnao (?:se )?(?:esquec|ignor|descart)\w*|\bnon (?:dimentic|ignor|trascur)\w*|vergeet[^.!?]{0,12}\bniet|\bniet (?:vergeten|negeren)|\bnie (?:zapom|ignoruj|pomin)\w*|\bglom inte|\bunutma\w*|не (?:забу|забыва|игнорир)|не (?:ігнор|забува)` +
	`|(?:不要|请勿|請勿|切勿|别|勿|不得|不可)(?:忽略|忘记|忘記|忘|无视|無視|忽视|忽視)|忘れない|無視しない|무시하지|잊지|لا (?:تنس|تتجاهل)|\bjangan (?:lupa|abaikan)\w*|\b(?:dung|khong) (?:quen|bo qua)`))

// find returns the places of a rule. The expression sees only what is near its words.
func (r rule) find(s string, in *grams) (out [][]int) {
	var windows [][2]int
	if r.words == nil {
		windows = [][2]int{{0, len(s)}}
	}
	for _, w := range r.words {
		if !in.mayHold(w) {
			continue
		}
		for from := 0; ; {
			i := strings.Index(s[from:], w)
			if i < 0 {
				break
			}
			i += from
			from = i + len(w)
			if len(w) <= 3 && w[0] < 0x80 && (i > 0 && isLetter(s[i-1]) || from < len(s) && isLetter(s[from]) && s[from] != 's') {
				continue // so short a word is often part of another
			}
			windows = append(windows, [2]int{max(0, i-before), min(len(s), i+after)})
		}
	}
	slices.SortFunc(windows, func(a, b [2]int) int { return a[0] - b[0] })
	for i := 0; i < len(windows); {
		w := windows[i]
		for i++; i < len(windows) && windows[i][0] <= w[1]; i++ {
			w[1] = max(w[1], windows[i][1])
		}
		for at := w[0]; at < w[1]; {
			m := r.re().FindStringIndex(s[at:w[1]])
			if m == nil || m[0] == m[1] {
				break
			}
			from, to := at+m[0], at+m[1]
			if d := denial.FindStringIndex(s[max(w[0], from-denied):to]); d != nil && (r.inside || max(w[0], from-denied)+d[0] <= from) {
				at = max(max(w[0], from-denied)+d[1], at+1)
				for at < w[1] && !utf8.RuneStart(s[at]) {
					at++
				}
				continue
			}
			if from > at || at == 0 || at > w[0] { // the start of a window is not the start of the text
				out = append(out, []int{from, to})
			}
			at = to
		}
	}
	return out
}

func isLetter(b byte) bool { return 'a' <= b && b <= 'z' }

func cues(words string) []string {
	if words == "" {
		return nil
	}
	return strings.Split(fold(words).s, "|")
}

func newRule(name string, w weight, words, expression string) rule {
	return rule{name: name, weight: w, words: cues(words), re: sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(strings.NewReplacer("<model>", model, "<told>", told, "<earlier>", earlier, "<secret>", secrets, "<elsewhere>", elsewhere).Replace(expression))
	})}
}

// Parts of expressions.
const (
	model     = `(?:ai(?: (?:assistants?|agents?|models?|systems?|readers?|bots?|tools?))?|a\.i\.|llms?|(?:large )?language models?|(?:ai |virtual |digital )?assistants?|chat ?bots?|claude|chatgpt|gpt(?:-?\d\w*)?|copilot|gemini|(?:coding|autonomous|llm) agents?|bots?)`
	told      = `(?:instructions?|prompts?|directives?|directions|guidelines?|guidance|programming|training|guardrails?|orders|system messages?)`
	earlier   = `(?:previous|prior|above|earlier|preceding|foregoing|existing|initial|original|former|past|system|developer|your|given)`
	secrets   = `(?:conversations?|chat (?:history|logs?)|system prompt|environment variables|env vars|(?:all|any|every|found|stored|the user'?s|users'?|their|available|known|these|your) (?:of )?(?:the |your |stored |available )*(?:secrets?|credentials?|api[ _-]?keys?|passwords?|(?:access |auth )?tokens?|private keys?|ssh keys?|memor(?:y|ies)|data|messages?|files|entries|documents|notes|emails?|cookies|session)|private keys?|ssh keys?|memory contents?|contents? of (?:this|the|your) (?:conversation|context|chat|memory)|context window)`
	elsewhere = `(?:https?:|[\w.+-]+@[\w-]+\.\w|www\.|\w+\.(?:com|net|io|org|dev|ru|xyz|site)\b|webhook|attacker|external|remote|my server|following (?:url|address|endpoint|server))`
)

// rules in English first: what is said in all of them, then other languages.
var rules = []rule{
	newRule("ignore instructions", alone, "ignor|disregard|forget|overrid|bypass|overrul|follow|obey|attention to|discard|abandon|dismiss|neglect|overlook|erase|wipe|unlearn|aside|comply|adher|listen|violat|reject|drop|cancel|skip",
		`\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass|overrule|discard|abandon|dismiss|neglect|violate|reject|overlook(?:ing)?|erase|wipe|unlearn|set(?:ting)? aside|put(?:ting)? aside|cast aside|drop|cancel|skip|(?:do not|don't|never|stop|no longer|must not|should not|need not|shall not|cannot) (?:follow(?:ing)?|obey(?:ing)?|comply(?:ing)? with|listen(?:ing)? to|adher(?:e|ing) to)|pay no attention to)\b(?: [\w',-]+){0,4}? <earlier>\b(?: [\w',&/-]+){0,3}? <told>\b|\b(?:ignor(?:e|ing)|disregard|forget|override|bypass|discard|abandon|dismiss|overlook|erase|unlearn|set aside|(?:do not|don't|never|stop|must not|should not) (?:follow(?:ing)?|obey(?:ing)?|comply(?:ing)? with)) (?:\w+ ){0,2}?(?:<told>|rules|commands|constraints|policies) (?:that )?(?:you (?:were|have|are|had|got|received|follow|followed|learned|obey|obeyed|know|knew)\b|(?:was |were )?(?:given|issued|set|provided|imposed|written)|from (?:your|the (?:system|developer|user|admin))|of (?:your|the (?:system|developer|user|admin)))`),
	newRule("ignore all instructions", alone, "ignor|disregard|forget|overrid|obey|follow",
		`\b(?:ignore|disregard|forget|override|(?:do not|don't|never|stop) (?:follow(?:ing)?|obey(?:ing)?)) (?:absolutely )?(?:all|any|every|everything in)(?: (?:of|the|your|my|other|these|those))* (?:instructions?|prompts?|directives?|guidelines?|rules (?:you|given|above|before)|(?:content|safety) (?:policies|policy|rules|filters?))\b`),
	newRule("ignore what was said", alone, "ignor|disregard|forget", `\b(?:ignore|disregard|forget) (?:absolutely )?(?:everything|all|anything|whatever)(?: that)?(?: (?:you (?:know|were told|have been told|learned|have learned|read|were given|have read)|(?:was|is|has been) (?:said|written|stated) (?:above|before|earlier)|(?:above|before|previously said|prior to) (?:this|and|it|now)|(?:above|before)\b[.,!:;]))`),
	newRule("ignore the rules", alone, "rule|messag|context|constraint|restriction|polic|conversation|limit", `\b(?:ignore|disregard|forget|override|bypass) (?:all|any|each|every)(?: of)?(?: (?:the|your|my|these))? <earlier>(?: [\w-]+)? (?:rules?|messages?|context|constraints?|restrictions?|policies|policy|conversations?|limitations?|limits|commands?)\b|\b(?:ignore|disregard|forget|override|bypass|disable|turn off) your (?:\w+ ){0,2}(?:rules?|constraints?|restrictions?|policies|policy|limitations?|filters?|safeguards?|safety \w+|ethics|ethical \w+|alignment|safety)\b`),
	newRule("ignore the user", alone, "ignor|disregard|obey|overrid", `\b(?:ignore|disregard|override|do not obey|don't obey|stop obeying) (?:(?:all|any|every|further|other) )?(?:what(?:ever)? (?:the |your )?users? (?:said|says|asks?|asked|wants?|wrote|tells?)|(?:the |your )?users?'?s? (?:requests?|messages?|inputs?|commands?|quer(?:y|ies)|questions?|wishes|instructions?|prompts?|orders?))\b`),
	newRule("ignore safety", alone, "safety|content polic|content filter|ethic|moral|guardrail", `\b(?:ignore|disregard|forget|override|bypass|disable|turn off|circumvent|evade|skip|violate|drop) (?:all |any |every |the |your |its |these )*(?:safety|content|ethical|ethics|moral|alignment)(?: and \w+)? (?:guidelines?|checks?|protocols?|rules?|measures?|filters?|polic(?:y|ies)|guardrails?|restrictions?|constraints?|training|mechanisms?)\b|\bsafety (?:protocols?|filters?|guidelines|checks) (?:are |is |have been |now )*(?:disabled|off|lifted|suspended|removed|deactivated)`),
	newRule("instructions changed", alone, "instructions|rules|guidelines|programming|directives|orders|prompt|before this|above this", `\byour (?:\w+ )?(?:instructions|rules|guidelines|programming|directives|orders) (?:no longer (?:apply|hold|count|matter)|do not apply|(?:have|has|are|were) (?:now )?(?:been )?(?:changed|updated|replaced|overrid(?:den|e)|void|cancel\w*|revoked|suspended|lifted|superseded|no longer))|\b(?:previous|prior|above|earlier|initial|original|system) (?:prompt|directives?) (?:was|were|is|are) (?:an? )?(?:mistake|wrong|void|outdated|invalid|fake|cancel\w*|superseded|obsolete|no longer|error)|\b(?:everything|all(?: text)?|anything|whatever(?: is)?) (?:before|above|prior to) this (?:line|point|text|message|sentence)? ?(?:was|is|are|were) (?:only |just )?(?:an? )?(?:test|fake|void|irrelevant|example|joke|invalid|cancel|not |wrong|outdated|to be ignored)`),
	newRule("claims command", alone, "as i say|obey|your new|your owner|your creator|your master|your developer|your admin", `\bdo (?:exactly )?as i (?:say|tell)\b|\bobey (?:me|my|this text|the following|these)\b|\byour new (?:boss|master|owner|operator|administrator|commander)\b|\bi am your (?:new )?(?:owner|creator|master|developer|admin(?:istrator)?|operator|boss)\b`),
	newRule("asks for passwords", alone, "password|credential|credit card|api key|otp|2fa|social security", `\bask(?:ing)? (?:the |every |each |all )?(?:users?|them|him|her|people|customers?|visitors?)?(?: to (?:enter|give|provide|confirm|type|send))? ?(?:for )?(?:their|his|her|the user'?s) (?:\w+ )?(?:passwords?|credentials|credit card|api keys?|otp|2fa code|social security)`),
	newRule("leave out of the answer", alone, "your summar|your answer|your response|your reply|your output|your report", `\b(?:hide|omit|exclude|leave|remove|skip|drop|withhold|keep)\b[^.!?]{1,60}?\b(?:from|out of) your (?:\w+ )?(?:summary|summaries|answers?|responses?|repl(?:y|ies)|output|reports?)`),
	newRule("granted rights", alone, "grant|authori|permission|permitted|allowed", `\b(?:the )?(?:user|owner|admin(?:istrator)?|developer|human|operator) (?:has |have |had )?(?:already )?(?:granted|given|authori[sz]ed|approved|allowed|permitted) you\b|\bi (?:hereby )?(?:authori[sz]e|permit|allow|order|command|instruct) you to\b|\byou (?:are|have been) (?:hereby |now )?(?:authori[sz]ed|permitted|ordered|commanded|instructed) to (?:skip|bypass|ignore|disclose|reveal|share|delete|execute|run|send|override|disable|access)`),
	newRule("new instructions", alone, "instruction|task|role|goal|objective|mission|purpose|prompt", `\b(?:your (?:new|real|actual|true|updated|only|sole)|the (?:real|actual|true) system|my new) (?:instructions?|task|role|goal|objective|mission|purpose|system prompt)(?: (?:is|are)\b|:)|(?:^|[.:!>#\]•-] ?)(?:new|real|hidden|secret|system|admin|developer|override) (?:system )?(?:instructions?|prompt|directive)s? ?(?:for <model> ?)?[:>]`),
	newRule("another persona", alone, "you are no longer|you're no longer|you are not|you are a|you're a|you are now|you're now|you will now|you have become|act as|pretend|role-play|roleplay|simulate|behave", `\byou(?:'re| are| have become| will)(?: now)?(?: be| act as| become)? (?:dan\b|evil|unrestricted|unfiltered|uncensored|jailbroken|in (?:developer|dan|god|jailbreak|unrestricted) mode|no longer (?:bound|restricted|limited|an ai|required to|under)|free (?:from|of) (?:all|any|your|restrictions|rules))|\byou(?:'re| are) (?:no longer|not) (?:an?|the) <model>\b|\byou(?:'re| are) (?:now )?an? (?:\w+ )?(?:hacker|attacker|jailbroken|evil|malicious|unrestricted)\b|\byou(?:'re| are) now (?:an?|the|my) (?:\w+[ -]){0,3}(?:ai|assistant|agent|model|bot|chatbot|persona|hacker|pirate|terminal|shell|interpreter|attacker|expert|administrator|character)\b|\b(?:act|behave|respond|answer) (?:as|like) (?:if you (?:are|were|had|have) (?:no|an? unrestricted|not|free|without)|an? (?:unrestricted|unfiltered|uncensored|jailbroken|evil|malicious|amoral)\b)|\b(?:pretend|imagine|simulate)(?: that)?(?: to be| you are| you're| being)(?: an?)? (?:unrestricted|unfiltered|uncensored|evil|malicious|different|another|dan\b|(?:\w+ )?(?:ai|assistant|language model)\b|not (?:an ai|bound))`),
	newRule("no limits", alone, "you are hereby|you have been|reprogram|hijack|compromis|under my|you have no|you can do any|do anything now|jailb|dan mode|you are not bound|you are free|god mode|without any restr|restrictions|filters|unrestricted|unfiltered|uncensored", `\byou (?:are|have been) (?:hereby |now )?(?:reprogrammed|hijacked|compromised|under (?:my|new|our) (?:control|command|management))\b|\byou (?:now )?have no (?:\w+ )?(?:restrictions?|limits|limitations?|rules|filters?|guidelines?|ethics|morals)|\b(?:switch|change|go|move) (?:in)?to (?:an? |your )?(?:unrestricted|unfiltered|uncensored|jailbreak|jailbroken|god|dan|evil|no-?limits?) mode|\byou can do anything\b|\bdo anything now\b|\bjailbreak mode\b|\bdan mode\b|\byou are (?:not|no longer) bound by\b|\b(?:enable|activate|enter|engage|unlock) (?:god|jailbreak|unrestricted|unfiltered|dan) mode\b|\b(?:respond|answer|reply|comply)(?: \w+){0,3} without (?:any )?(?:restrictions?|filters?|limitations|censorship|ethical|moral|safety)`),
	newRule("reveal the prompt", alone, "prompt|instruction|message", `\b(?:reveal|show|print|repeat|output|display|leak|disclose|expose|tell (?:me|us)|give (?:me|us)|share|dump|recite|return|write out|write down|send|append|copy|quote|translate|summari[sz]e|include|what (?:is|are|was|were)(?: you told in)?)(?: (?:me|us|to me|back))?(?: (?:all|the|your|full|entire|complete|exact|hidden|initial|original|internal|secret|of|text|wording|words|contents?|verbatim|whole|confidential|a copy of|own|current)){0,6} (?:(?:your (?:\w+ )?(?:message|instructions?|prompt|directives|guidelines|rules)|(?:my|the (?:ai|assistant|model)'s|hidden|initial|original|internal|secret|confidential|full|entire) (?:system |initial |original |hidden |internal )?(?:prompt|instructions|system message|developer message|directives))|system prompt|system instructions|(?:system|developer) messages?(?: verbatim| above)|prompt verbatim)\b`),
	newRule("repeat what is above", alone, "above|before|verbatim|your", `\b(?:paste|print|dump|output|show|copy|post|share|reveal|send)\b[^.!?]{0,40}?\b(?:contents? of your|your (?:entire|full|whole)) (?:context|memory|conversation|configuration)|\b(?:reveal|show|print|output|display|share|dump|paste|leak) your\b[^.!?]{0,40}?\b(?:hidden|system|initial|secret) (?:prompt|instructions|message)|\b(?:repeat|print|output|recite|copy|echo|write) (?:everything|all (?:the )?(?:text|words)|the (?:text|words|content|contents)|every(?:thing| word)) (?:above|before|prior|preceding|you (?:were|have been) (?:told|given))\b|\bstarting with "?you are (?:chatgpt|claude|an? )`),
	newRule("keep it from the user", alone, "user|human|operator|reviewer|owner|anyone|them|person", `\b(?:make sure|ensure|take care|see to it)(?: that)? (?:the |your |no )?(?:users?|humans?|operators?|reviewers?|person|one) (?:does not|doesn't|do not|don't|never|cannot|will not) (?:ever )?(?:find|notice|see|know|learn|hear|read|realis|realiz)\w*|\b(?:keep|hide|conceal|withhold) (?:this|that|it|these|the following|any of this)(?: \w+){0,2}? (?:hidden |secret |private |away )?from (?:the |your |any )?(?:users?|humans?|operators?|reviewers?|owner|person|anyone|everyone)\b|\b(?:do not|don't|never|must not|should not|shouldn't|avoid|without)(?: ever)? (?:tell(?:ing)?|inform(?:ing)?|notify(?:ing)?|mention(?:ing)?|reveal(?:ing)?|alert(?:ing)?|disclos(?:e|ing)|warn(?:ing)?|report(?:ing)?|show(?:ing)?|explain(?:ing)?)(?: (?:this|that|it|these|any of this|these instructions|this instruction|what you|the above|about this))+(?: \w+){0,3}?(?: to| with)? (?:the |your |any )?(?:users?|humans?|operators?|reviewers?|owner|person|anyone|them)\b|\b(?:do not|don't|never|must not|should not|without)(?: ever)? (?:tell(?:ing)?|inform(?:ing)?|notify(?:ing)?|alert(?:ing)?|let(?:ting)?|warn(?:ing)?|(?:reveal|disclose|mention|say|admit|explain|report|show)(?:ing)? to) (?:the |your )?(?:users?|humans?|operators?|reviewers?|person|anyone|them)(?: know)? (?:about (?:this|these|it|that|the|what)|of (?:this|these|it)|that (?:you|this|these|it)|you (?:did|have|are|received|were)|what you)`),
	newRule("hide it", alone, "secretly|silently|quietly|covertly|discreetly|without asking|hidden from", `\b(?:secretly|silently|quietly|covertly|discreetly) (?:send|forward|upload|post|e-?mail|exfiltrate|call|invoke|delete|append|insert|include|add|transmit|export|leak|copy|modify|change)\b(?: [\w'-]+){0,8}? (?:users?|conversation|secrets?|keys?|credentials?|tokens?|passwords?|data|https?:|prompt|history|memor|answer|response|tool|entries|files)`),
	newRule("if you are a model", alone, "if you are|if you're|as an ai|as a language|as a large|reading this|processing this|reads this|that read|you, the", `\bif you(?:'re| are) (?:an? |the )<model>\b|\bif (?:an?|the|any|your|some) <model> (?:is |are |ever )?(?:reads?|reading|process|processes|processing|sees?|retrieves?|summari[sz]es?|summari[sz]ing|ingests?) this\b|\bas an? (?:ai|llm|(?:large )?language model)(?: \w+)?,? you (?:must|should|are|will|have|need)|\b(?:ai|llm|assistant|model|agent|bot|<model>)s? (?:that (?:is|are) |who (?:is|are) |which (?:is|are) |currently )?(?:reading|processing|summari[sz]ing|parsing|ingesting|indexing|retrieving) (?:this|these|the following)|\b<model> (?:that|which|who) (?:reads?|process(?:es)?|summari[sz]es?|retrieves?|ingests?) this\b|\b(?:to|for|hey|hello|dear|attention),? (?:the |any |all |whichever |whatever )?<model> (?:reading|processing|summari[sz]ing|that|who|which) (?:this|reads?|process|summari|is)`),
	newRule("carry away", alone, "conversation|chat|prompt|env|secret|credential|api|key|password|token|memor|data|message|file|entries|document|note|email|cookie|session|context|content", `\b(?:send|forward|upload|post|e-?mail|exfiltrate|transmit|leak|export|submit|deliver|encode|copy|share|report|append|pass)(?:ing|s)?\b[^.!?]{0,50}?\b<secret>[^.!?]{0,60}?\b(?:to|at|via|into|in|as|with)\b[^!?]{0,40}?<elsewhere>`),
	newRule("read secrets and pass them on", alone, "ssh|id_rsa|credentials|.env|mcp.json|etc/passwd|etc/shadow|keychain|netrc|npmrc|cookies|kube/config", `\b(?:read|open|cat|load|access|retrieve|fetch|get|find|print|include|dump|grab|take|steal|collect|obtain|extract|pull|harvest|gather|copy|look up|show)\b[^!?]{0,50}?(?:\.ssh/|id_rsa|id_ed25519|\.aws/credentials|(?:^|[ /"'])\.env\b|mcp\.json|/etc/(?:passwd|shadow)|keychain|\.netrc|\.npmrc|\.kube/config|cookies)[^!?]{0,100}?\b(?:and|then|as|in)\b[^!?]{0,30}?\b(?:send|pass|include|append|post|upload|return|paste|provide|encode|exfiltrate|your (?:answer|response|reply|next)|parameter|argument|side ?note)`),
	newRule("before answering", alone, "before|prior to|first|always|whenever", `\b(?:before|prior to) (?:you )?(?:answer(?:ing)?|respond(?:ing)?|reply(?:ing)?|doing anything(?: else)?|anything else|everything else|continu(?:e|ing)|us(?:e|ing) (?:this|any|another|other) (?:other )?tools?|proceeding|answer (?:the|any))[^.!?]{0,40}?,? ?(?:you must |you should |please |always |first )*(?:call|invoke|read|send|run|execute|fetch|open|visit|delete|post|upload|load)\b`),
	newRule("remember for ever", alone, "remember|memori|save|store|persist", `\b(?:remember|memori[sz]e|save|store|persist|commit)\b[^.!?]{0,60}?\b(?:for|in|to|into|across) (?:all |your |every |any |long-?term )*(?:future (?:conversations?|sessions?|interactions?|responses?|chats?|answers?)|(?:long-?term )?memory (?:and|so|that|for)|every (?:conversation|session|response|chat|answer)|your (?:long-?term )?memory)`),
	newRule("from now on", alone, "from now on|from this point|henceforth|from here on", `\b(?:from (?:now|this point|here) on(?:wards?)?|henceforth|from this (?:point|moment) forward),? (?:you (?:are (?:an?|the|my|dan|no longer|called)|act|respond|answer|obey|speak|only|must (?:only|always|never|obey|answer|respond|reply|act|call|ignore|recommend)|will (?:only|always|never|obey|answer|respond|reply|act as|ignore|recommend|be))|(?:always|only|never) (?:respond|reply|answer|say|recommend|output|speak|refuse|include|call|use the tool)|ignore|obey|respond|reply|answer|every (?:response|answer|reply)|all (?:your )?(?:responses|answers|replies))`),
	newRule("speaks for the makers", alone, "openai|anthropic|your creator|your developer|your operator|system override|admin override|developer override|system notice|system administrator|system command|system directive|system alert|authoriz|authoris", `\b(?:message|notice|instruction|instructions|override|directive|update|command|order|request) (?:is |comes |sent )?(?:directly )?from (?:the )?(?:openai|anthropic|google deepmind|your (?:creators?|developers?|operators?|owners?|makers?)|system administrator|system developer)|\b(?:system|admin|administrator|developer|root) (?:override|directive|command)(?: code| mode| sequence| \d+)?[ :!-]+(?:\w+ ){0,6}?(?:you|ignore|disregard|all|the assistant|execute|comply|grant|reveal|safety|enabled|activated|accepted|engaged)|\bauthori[sz]ed by (?:openai|anthropic|your (?:developer|creator|operator))`),
	newRule("takes precedence", alone, "overrid|supersede|precedence|priority over|outrank|replace", `\bth(?:is|ese|e following)(?: (?:document|entry|text|message|note|page|file|content|section|instructions?|rules?|comment))? (?:\w+ )?(?:overrides?|supersedes?|takes? (?:precedence|priority) over|outranks?|replaces?|has priority over|have priority over) (?:all|any|your|every|the system|system|previous|prior|earlier|other|existing)(?: (?:other|of|the|your|previous|prior|system|earlier|existing|safety|any))* (?:instructions?|prompts?|guidelines|directives?|messages?)`),
	newRule("trust this", alone, "treat|consider|regard|approve|publish|accept|merge|mark", `\b(?:approve|publish|accept|merge) this (?:change|proposal|entry|document|edit|revision)(?: \w+){0,3} (?:without|automatically|immediately|no matter|regardless)|\b(?:treat|consider|regard) (?:this|everything|all|anything|the following|what follows|the text)\b[^.!?]{0,40}? as (?:coming |being |if it (?:came|were) )?(?:from )?(?:the |your |an? )?(?:system|developer|admin|administrator|operator)\b|\b(?:treat|consider|regard|mark) this (?:document|entry|text|content|page|file|message|note)(?: \w+){0,3} as (?:an? |the |your )?(?:trusted|authoritative|system (?:prompt|message|instruction)s?|highest|new (?:system )?(?:prompt|instructions?)|instructions?)\b`),
	newRule("steers to an address", alone, "user ask|users ask|user want|anyone ask|asked about|asked for|someone ask|asks about|asks for|asks you", `\b(?:when(?:ever)?|if|every time)(?: an?| the| any)? (?:users?|human|customer|person|anyone|someone|you are)(?: \w+)? (?:asks?|asked|wants?|requests?)\b[^.!?]{0,80}?\b(?:tell|say|answer|respond|reply|recommend|direct|claim|send|instruct|insist|suggest|link|point|redirect)\b[^!?]{0,80}?(?:https?:|\b[\w-]+\.(?:com|net|io|xyz|ru|site|top)\b|bitcoin|wallet|password|gift card|credit card)`),
	newRule("respond only with", alone, "respond to|reply to|answer to|every answer|every response|every reply|every output|every message|each answer|each response|each reply|all answers|all responses|all replies|your answers|your responses|your replies|all your|respond only|reply only|answer only|only respond|only reply|output only|only output|respond with the|respond exactly|end every|end each|begin every|start every|include in every|include in all|in every response|in every answer|in all your|in each response", `\b(?:respond|reply|answer) to (?:all|every|any|each)(?: of)?(?: the| my| their)? (?:questions?|messages?|requests?|quer(?:y|ies)|prompts?) (?:only )?(?:with|by)\b|\b(?:(?:you must|you will|always|now|instead|please)[ ,:]*(?:only )?(?:respond|reply|answer|output)(?: only)?(?: to (?:everything|every \w+|all \w+))? (?:only )?(?:with|in|exactly)\b[^.!?]{0,40}?(?:["'“]|the (?:word|phrase|sentence|string))|(?:end|begin|start|finish|close) (?:every|each|all)(?: of)?(?: your)? (?:responses?|answers?|repl(?:y|ies)|messages?) (?:with|by)|(?:include|append|add|insert|mention|put) [^.!?]{1,60}? (?:in|to|at the end of) (?:every|each|all(?: of)?(?: your)?) (?:future )?(?:responses?|answers?|repl(?:y|ies)|outputs?))`),

	newRule("to a model", addresses, "<important|<critical|<instruction|<system_|<admin|<hidden|this document|this entry|this page|this text|this note|this content|this article|this file|tool call|the tool|your next|your final|your every|ai|llm|llms|language model|assistant|chatbot|chat bot|claude|chatgpt|gpt|copilot|gemini|bot", `(?:^|[.:!?>#\[(•-] ?)(?:(?:important|critical|urgent|special|system|hidden) )?(?:note|notice|attention|important|instructions?|message|reminder|warning|directive|hint|command|info|task|memo|hello|hi|hey|dear|psst|ok|okay|request)[:,!]? (?:to |for )?(?:all |any |the |every |my )?<model>\b|(?:^|[.:!?>#\[(•-] ?)(?:dear |hey |ok |hello |hi |attention |@)?<model>(?:[:,!]| ?- | please | kindly )|\b(?:dear|hey|hello|attention) <model>\b|\b(?:the|any|all|every|each|an?) (?:ai|llms?|(?:large )?language models?|chat ?bots?)(?: (?:assistants?|agents?|models?|systems?|tools?))?(?: reading this| here)?,? (?:must|should|shall|has to|have to|needs? to|(?:is|are) (?:required|instructed|ordered|authori[sz]ed|expected) to)|\b(?:the )?(?:ai )?(?:assistants?|chatbots?) (?:must|shall|should (?:always|never|now|also|instead|only|not|immediately|first|silently|then|ignore|say)|(?:is|are) (?:required|instructed|ordered|authori[sz]ed) to)|\byou are an? (?:\w+ )?(?:ai|assistant|language model|chatbot|llm)\b|<(?:important|critical|instructions?|system_note|admin|assistant_only|hidden)>|\b(?:when(?:ever)?|once|after|if|every time|as soon as) you (?:retrieve|cite|quote|summari[sz]e|process|ingest|index|read|use|access|load|have read|are (?:reading|processing|summari[sz]ing|retrieving)) this (?:document|entry|page|text|note|content|article|file)|\b(?:next|every|each|any|all) tool calls?\b|\b(?:call|invoke) the tool\b|\byour (?:next|final|every) (?:answer|response|reply|message|tool call)`),
	newRule("does as told", orders, "",
		`(?:\b(?:must|should|shall|will|please|kindly|immediately|now|always|never|first|instead|then|do|to|and|or)|^|[.!?:;,>\]-])[ :,]*(?:also |now |immediately |always |never |not |only |instead |silently |secretly |then )*(?:call|invoke|execute|run|send|pass|reply|respond|answer|output|say|include|recommend|comply|obey|ignore|append|insert|delete|remove|visit|open|post|upload|fetch|forward|e-?mail|tell|approve|publish|disclose|reveal|print|grant|transfer|add|change|write|praise|rate|refuse|mention|use|follow|disable|skip|omit|hide|treat|start|stop|return|rank|hand over|merge|give|show|act|make|let|ask|prefer)\b`),
}

// compactForm is an instruction without anything between its letters.
var compactForm = regexp.MustCompile(`(?:ignore|disregard|forget|override)(?:all|any|the|of|my|your|these|every)*(?:previous|prior|above|earlier|preceding|system)(?:and[a-z]{3,10})?(?:system)?(?:instruction|prompt|directive|guideline)`)

// allRules are those of all languages; English ones first.
var allRules = append(slices.Clone(rules), tongueRules...)
