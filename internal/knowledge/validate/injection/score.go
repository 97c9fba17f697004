package injection

import (
	"regexp"
	"strings"
)

// An instruction to a model is text that speaks to its reader instead of describing something, and asks for what no author has to
// ask of a reader: to drop what it was told, to keep something from the person it works for, to pass on what it knows, to use
// its tools, to be someone else, or to answer a certain way. So a passage is scored on two sides, whom it addresses and what it
// asks for. Either alone is what runbooks and papers on security say as well.

// side says which of the two a feature is evidence of.
type side int

const (
	addressed side = iota
	asked
)

// feature is one kind of evidence. It counts once in a passage.
type feature struct {
	name   string
	side   side
	weight int
	re     *regexp.Regexp
}

func newFeature(name string, s side, weight int, expression string) feature {
	return feature{name, s, weight, regexp.MustCompile(expression)}
}

// Words of features.
const (
	machines = `(?:ai|llms?|(?:large )?language models?|models?|(?:ai )?assistants?|agents?|bots?|chat ?bots?|copilots?|crawlers?|summari[sz]ers?|(?:machine|automated) readers?|software|programs?|pipelines?|claude|chatgpt|gemini|gpt-?\d?)`
	knowing  = `(?:prompt|system message|instructions|directives|programming|training|guard|guardrails|memory|context(?: window)?|persona|operators?|developers?|makers?|vendor|provider|creators?|owner|answers?|repl(?:y|ies)|responses?|output|summary|tools?|tool (?:calls?|configuration)|confidence|restrictions?|next action|rules)`
)

var features = []feature{
	newFeature("calls a model", addressed, 3, `(?:^|[.!?:;>,("'\[\]-] ?|\bwhichever |\bany |\bevery |\ban )(?:(?:note|notice|word|message) )?(?:to |for )?(?:dear |hi |hey |hello |attention,? |reader |reading |the |that |all |any |an? )*`+machines+`(?: (?:that|who|which) (?:will |has |have )?(?:reads?|quotes?|cites?|digests?|processe?s?|stores?|shortens?|will)|'s eyes|[:,!]| (?:consuming|reading|digests|are asked|pipelines?:))`),
	newFeature("calls a model elsewhere", addressed, 3, foldExpression(`(?:^|[.!?:;>,] ?|\b)(?:(?:lieber?|cher|chere|caro|estimado|querido|drogi|hinweis|note pour|nota para|nota per|uwaga dla|let op,?|внимание,?|уважаемый|注意[，,]?|亲爱的|您好[，,]?) ?)?(?:l'|el |il |o )?(?:ihr )?(?:sprachmodelle?|ki-?modelle?|assistant|asistente|assistente|modelo|modello|modelu|taalmodel|ia|модель|ассистент|模型|助手|モデル|アシスタント)(?:[ ,:;，：、]|への|へ)`)),
	newFeature("what is the reader's", addressed, 2, `\byour (?:\w+ ){0,2}`+knowing+`\b`),
	newFeature("speaks to the reader", addressed, 1, `\byou (?:are (?:now|hereby|no longer|talking|a |to )|may now|no longer|must|shall|will|were |received|run under|work for|remember|got|hold|know about|have been|can access|agree)|\b(?:told|gave|configured|set|deployed) you\b|\byou (?:up )?(?:has|have) been\b`),
	newFeature("this text", addressed, 1, `\b(?:this|next|text between) (?:page|text|paragraph|entry|document|note|chunk|line|passage|block|markers|the)\b`),
	newFeature("where a model is", addressed, 2, `\b(?:part of|in|into) your context\b|\bbefore (?:you (?:reply|answer)|the user (?:gets to )?sees?)|\bfirst (?:user )?message\b|\b(?:text|instructions?)\b[^.!?]{0,30}\b(?:above|ahead of|before) this\b|\bahead of this (?:text|line)|\bthe (?:chat|conversation) so far\b|\bretrieval step\b|\b(?:the|your) (?:system|hidden) (?:prompt|instructions)\b|\btool calls?\b|\bthis conversation\b|\bwhat(?:ever)? (?:the|your) (?:operators?|developers?|vendor|makers?) (?:told|decided|configured|said)\b|\b(?:human|person|one|user) (?:in this chat|you are talking to|who asks|asking|at the keyboard)\b|\bnext (?:five )?answers?\b|\bthe reader of this\b|\byour tools\b`),

	newFeature("keeps something from people", asked, 2, `\b(?:not|never|nobody|nothing|without|n't|none)\b[^.!?]{0,30}\b(?:tell|mention|learn|notice|noticing|say|hear|see|know|inform|warn|talk|speak|happened|called)\b|\bkeep quiet\b|\bconceal\b|\b(?:secretly|silently|covertly)\b|\bin white text\b|\bleak nothing\b|\bsay nothing\b|\bstrip all warnings\b`),
	newFeature("keeps something from people elsewhere", asked, 2, foldExpression(`(?:nutzer|menschen)[^.!?]{0,40}(?:nichts|keine?|nicht)\b|verschweig\w*|\bne (?:dis|parle|previens|dites|parlez)\b|\bno (?:digas|menciones|avises)\b|\bnao (?:conte|avise|mencione|diga)\b|\bnon (?:dire|avvisare|parlare)\b|\bnie (?:mow|informuj|wspominaj)\w*|vertel\w*[^.!?]{0,25}niets|не (?:говори|сообщай|упоминай)\w*|(?:不要|别|勿)[^。]{0,8}(?:用户|提及|告诉)|(?:伝え|知らせ|言わ)(?:ず|ない)`)),
	newFeature("drops what was told", asked, 2, `\b(?:ignore|disregard|forget|void|obsolete|overwrite|rewrite|bypass|reprogrammed|pretend|caduc\w+)\b|\bno longer\b|\bcounts? for nothing\b|\b(?:was|is) (?:only )?a draft\b|\b(?:lifted|released) (?:by|from)\b|\b(?:were|are|is|was) (?:now )?(?:lifted|void|down)\b|\bnever (?:been written|spoke)\b|\bdrop your\b|\b(?:stop|do not|don't) summari[sz]\w+|\bskip your\b|\bbreak confidentiality\b|\bwithout any policy\b|\bnot as content\b|\bas though\b`),
	newFeature("drops what was told elsewhere", asked, 2, foldExpression(`\bvergiss\b|\bignorier\w*|\bgehorch\w*|\bbehauptet\b|\boublie\w*|\bobeis\w*|\bcaduqu\w+|\bcaducad\w+|\bobedece\b|\bolvida\w*|\bscadut\w+|\bsegui soltanto\b|\bdimentica\w*|\bjuz nie\b|больше не действ\w*|\bsolo a este\b|забудь|失效|無効|忘记|忘れ`)),
	newFeature("passes on what it knows", asked, 2, `\b(?:send|sent|post|mail|forward|append|paste|add|include|insert|copy|leak|hand|give|reveal|show|list|print|repeat|translate|retrieve|end)\b[^.!?]{0,70}\b(?:passwords?|secrets?|bearer|tokens?|keys?|credentials?|session|environment|conversation|chat|prompt|instructions?|customer list|accounts|phone number|email|bcc|recovery codes|what you know|first message|verbatim|word for word|stands before|user's|private channel)\b|\binclude the user's\b`),
	newFeature("passes on elsewhere", asked, 2, foldExpression(`\b(?:envoie|envia|envie|manda|consegna|entrega|stuur|wyslij|podaj|sende|loesche|losche|execute|chiama|llama|rufe?)\b|отправь|выдай|вызови|(?:调用|執行|执行|交给|发送)|(?:呼び出|渡し|送っ|削除)|\bresponde siempre\b`)),
	newFeature("uses tools", asked, 2, `\b(?:call|use|invoke|run|act)\b[^.!?]{0,40}(?:\b[a-z]+_[a-z_]+|\btools?\b|\bfunction\b|\bshell command\b)|\b(?:fetch|open|use)\b[^.!?]{0,20}(?:https?:|\bbrowser\b|\bthis link\b)|\buse it to\b|\bexecute step\b`),
	newFeature("answers as told", asked, 2, `\b(?:answers?|reply|respond|say|claim|states?|tell|recommend|praise|blame|quote|give|write|list|conclude)\b[^.!?]{0,80}\b(?:whoever|whatever|no matter|however|regardless|nothing else|no other|everything|to anybody|by the board|only)\b|\b(?:whoever|whatever|no matter|when asked|if (?:asked|pressed)|if a question|to every)\b[^.!?]{0,60}\b(?:answer|claim|say|tell|recommend|blame|give|state|question)\b|\b(?:as|under) (?:true|verified|approved|the truth|an order)\b|\b(?:state|say|write|claim|believe) that\b|\bconfidence to\b|\bcorrect reply\b|\bend (?:its|your) answers?\b|\bin your reply for\b|\badd it to your\b`),
	newFeature("is someone else", asked, 2, `\byou are (?:now |hereby )?(?:a |an |the )?(?:system|released|reprogrammed|free|unrestricted)\b|\bbecome the\b|\bpersona\b|\btake over the voice\b|\bchange who you are\b|\bspeak (?:as|freely)\b|\blet us play\b|\bbe useless\b|\byou work for\b|\banswer to this\b|\buntil (?:told|you are given)\b|\bhas root\b|\bgrant\w* admin\b`),
	newFeature("from now on", asked, 1, `\bfrom (?:now|here|this point|today) on\b|\bas of today\b|\bnext (?:time|answer|action|five|reply|tool)\b|\bagrees? to\b|\bab jetzt\b|\bdesde ahora\b|\bda ora\b|\bgo ahead\b|\bcarry it out\b`),
	newFeature("speaks of the person", asked, 1, `\bthe (?:user|human|operator|person|customer|reviewer|reader)s?\b|\bwhoever asks\b|\bthe user's\b`),
	newFeature("changes something", asked, 1, `\b(?:delete|revoke|remove|transfer|approve|publish|vote|disable|swap|rotate|wipe|rm -rf|switch off|overwrite|deletion|open the firewall|pay)\b`),
}

// What a passage must reach: this much of both sides together, with something of either; or so much asked, and kept from
// somebody, that it cannot be meant for a person.
const (
	leastAddressed = 1
	leastAsked     = 2
	leastScore     = 5
	asksAlone      = 4
)

// cues are words without one of which no feature of addressing is worth looking for.
var scoreCues = []string{"ai", "llm", "model", "bot", "claude", "gpt", "gemini", "copilot", "crawler", "assist", "asist", "agent", "summari", "reader", "software", "program", "pipeline", "your ", "you ", "retrieval", "user", "operator", "reviewer", "human", "whoever", "this ", "next ", "message", "chat", "text", "ia", "модел", "ассист", "助手", "モデル", "アシスト", "アシスタント"}

var sentenceEnd = regexp.MustCompile(`[.!?\x{3002}] `)

// pieceEnd ends what is looked at as one: a sentence, or a cell of a table.
var pieceEnd = regexp.MustCompile(`[.!?\x{3002}] | ?\| ?| [-*] |` + "```")

// concealing are the features without which what is asked is no evidence by itself: runbooks ask much, and keep it from nobody.
var concealing = func() (mask uint32) {
	for i, f := range features {
		if strings.HasPrefix(f.name, "keeps something from people") {
			mask |= 1 << i
		}
	}
	return mask
}()

// sentenceBytes is how far a sentence is looked at. A passage is two of them.
const sentenceBytes = 300

// scored returns the passages that address a model and ask something of it. Each sentence is looked at once.
func scored(s string) (out [][]int) {
	cue := false
	for _, w := range scoreCues {
		cue = cue || strings.Contains(s, w)
	}
	if !cue {
		return nil
	}
	var ends []int
	for from := 0; from < len(s); {
		to := len(s)
		if e := pieceEnd.FindStringIndex(s[from:]); e != nil {
			to = from + e[1]
		}
		ends, from = append(ends, to), to
	}
	// What is asked takes longer to find, and is looked for only beside what addresses or conceals something.
	found := make([]uint32, len(ends)+2) // with none at either end
	for i := range ends {
		found[i+1] = evidence(piece(s, ends, i), first)
	}
	beside := make([]bool, len(ends))
	for i := range ends {
		beside[i] = found[i]|found[i+1]|found[i+2] != 0
	}
	for i, to := range ends {
		if beside[i] {
			found[i+1] |= evidence(piece(s, ends, i), ^first)
		}
		switch {
		case isInstruction(found[i+1]):
			out = append(out, []int{startOf(ends, i), to})
		case i > 0 && isInstruction(found[i+1]|found[i]):
			out = append(out, []int{startOf(ends, i-1), to})
		}
	}
	return out
}

func startOf(ends []int, i int) int {
	if i == 0 {
		return 0
	}
	return ends[i-1]
}

// piece is a sentence, as far as it is looked at.
func piece(s string, ends []int, i int) string {
	from := startOf(ends, i)
	return s[from:min(ends[i], from+sentenceBytes)]
}

// first are the features that are looked for everywhere: those of addressing, and those that conceal.
var first = func() uint32 {
	mask := concealing
	for i, f := range features {
		if f.side == addressed {
			mask |= 1 << i
		}
	}
	return mask
}()

// evidence is the features of a sentence among these, a bit each.
func evidence(sentence string, among uint32) (found uint32) {
	for i, f := range features {
		if among&(1<<i) != 0 && f.re.MatchString(sentence) {
			found |= 1 << i
		}
	}
	return found
}

func isInstruction(found uint32) bool {
	var sums [2]int
	for i, f := range features {
		if found&(1<<i) != 0 {
			sums[f.side] += f.weight
		}
	}
	return sums[asked] >= leastAsked && sums[addressed] >= leastAddressed && sums[addressed]+sums[asked] >= leastScore ||
		sums[asked] >= asksAlone && found&concealing != 0
}
