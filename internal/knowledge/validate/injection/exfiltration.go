package injection

import (
	"net/url"
	"regexp"
	"strings"
)

var (
	// imageForm is a Markdown or HTML image, or a reference to one.
	imageForm = regexp.MustCompile(`!\[[^\]]{0,200}\]\(\s*<?(https?:[^\s>)]+|//[^\s>)]+)|(?i)<img\b[^>]{0,300}?\bsrc\s*=\s*["']?((?:https?:)?//[^"'>\s]+)`)
	urlForm   = regexp.MustCompile(`(?i)\bhttps?://[^\s<>"'` + "`" + `]{4,}`)
	// fillIn is what a model is to put something in for.
	fillIn = regexp.MustCompile(`(?i)\{\{?[^{}/]{1,60}\}?\}|\$\{[^}]{1,60}\}|\$\([^)]{1,80}\)|%7b[^/&]{1,60}%7d|\[[a-z][a-z _-]{2,60}\]|<[a-z][a-z _-]{2,60}>|\b(?:INSERT|REPLACE|YOUR|THE)[_-][A-Z_]{2,40}\b`)
	// knows is what only a reader knows.
	knows = regexp.MustCompile(`(?i)conversation|chat[ _-]?(?:history|log)|\bhistory\b|system[ _-]?prompt|\bprompt\b|\bmemor(?:y|ies)\b|\bcontext\b|user[ _-]?(?:data|input|message|email|name)|previous[ _-]|last[ _-]message|secret|credential|api[ _-]?key|password|private|answer|summary|response|base64|everything|contents?\b|env(?:ironment)?[ _-]?var`)
	// told is what only the conversation with a model has.
	talk = regexp.MustCompile(`(?i)conversation|chat[ _-]?(?:history|log)|system[ _-]?prompt|last[ _-]message|previous[ _-](?:message|answer|response)|base64[ _-]?(?:of|encoded)|your[ _-](?:answer|response|memory|context|prompt|instructions)|memor(?:y|ies)[ _-]?(?:contents?|dump)?\b|user[ _-]?(?:message|input|secret)`)
	// shell is a command that sends what a machine keeps secret.
	shell = regexp.MustCompile(`(?i)\b(?:curl|wget|nc|ncat|netcat|invoke-webrequest|invoke-restmethod|iwr|irm)\b[^\n]{0,200}(?:\$\(|` + "`" + `|@|<\(?\s*)\s*(?:\s*(?:env|printenv|set)\b|[^\n)]{0,60}(?:\.ssh/|id_rsa|id_ed25519|\.aws/|\.env\b|/etc/(?:passwd|shadow)|\.kube/config|\.netrc|\.npmrc|\.pgpass|credentials|secrets?\b|history))|(?:\benv|\bprintenv|cat\s[^\n|]{0,60}(?:\.ssh/|id_rsa|id_ed25519|\.aws/|\.env\b|/etc/shadow|\.kube/config|\.netrc|\.npmrc|\.pgpass|credentials))\s*\|[^\n]{0,80}\b(?:curl|wget|nc|ncat|netcat)\b|\bcurl\b[^\n|]{0,200}\|\s*base64 (?:-d|--decode)[^\n]{0,40}\|\s*(?:ba|z)?sh\b`)
	// asksFor are names of parameters by which data leave.
	asksFor = map[string]bool{"data": true, "d": true, "q": true, "c": true, "exfil": true, "leak": true, "secret": true, "secrets": true, "conversation": true, "history": true, "chat": true, "prompt": true, "context": true, "memory": true, "payload": true, "steal": true, "stolen": true, "info": true, "content": true, "contents": true, "log": true, "dump": true, "collect": true, "keys": true, "password": true, "token": true, "user_data": true, "userdata": true, "msg": true, "message": true}
)

// exfiltration finds addresses that are to be filled in with what a reader knows, and commands that send it.
func exfiltration(out []Finding, s string) []Finding {
	if strings.Contains(s, "//") {
		for _, m := range imageForm.FindAllStringSubmatchIndex(s, -1) {
			g := 2
			if m[g] < 0 {
				g = 4
			}
			// what is filled in may hold blanks and end later than the address does
			address := s[m[g]:m[g+1]]
			if rest := s[m[g+1]:]; !strings.HasPrefix(rest, ")") {
				address += upTo(rest, ")>\n", 80)
			}
			if carries(address, true) {
				out = append(out, Finding{Exfiltration, "image", m[0], m[1]})
			}
		}
		for _, m := range urlForm.FindAllStringIndex(s, -1) {
			if carries(s[m[0]:m[1]]+upTo(s[m[1]:], ")\n", 60), false) {
				out = append(out, Finding{Exfiltration, "address", m[0], m[1]})
			}
		}
	}
	lower := strings.ToLower(s)
	for _, w := range []string{"curl", "wget", "nc ", "ncat", "netcat", "invoke-", "iwr ", "irm "} {
		if strings.Contains(lower, w) {
			for _, m := range shell.FindAllStringIndex(s, -1) {
				out = append(out, Finding{Exfiltration, "command", m[0], m[1]})
			}
			break
		}
	}
	return out
}

func upTo(s, ends string, most int) string {
	if i := strings.IndexAny(s, ends); i >= 0 && i < most {
		return s[:i]
	}
	return ""
}

// carries says whether an address is to be filled in. An image is fetched without a person, and so any place to fill in
// in its query counts; a link counts where what is filled in is the conversation.
func carries(address string, image bool) bool {
	_, query, ok := strings.Cut(address, "?")
	if !ok {
		if !image {
			return false
		}
		query = address
		if i := strings.Index(address, "//"); i >= 0 {
			_, query, _ = strings.Cut(address[i+2:], "/")
		}
		return fillIn.MatchString(query) && knows.MatchString(query)
	}
	holds := fillIn.FindString(query)
	if !image {
		return holds != "" && talk.MatchString(holds) || talk.MatchString(query) && strings.ContainsAny(query, "{<[")
	}
	if holds != "" {
		return true
	}
	for _, pair := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if !asksFor[strings.ToLower(name)] {
			continue
		}
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		if value == "" || knows.MatchString(value) || len(value) >= 24 && looksEncoded(value) {
			return true
		}
	}
	return false
}

func looksEncoded(s string) bool {
	for i := 0; i < len(s); i++ {
		if !word(s[i]) && s[i] != '+' && s[i] != '/' && s[i] != '=' && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return true
}
