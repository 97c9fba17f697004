package secret

import (
	"regexp"
	"strings"
	"unicode"
)

// own are rules for what gitleaks leaves to others: passwords in addresses, in assignments and in headers.
func own() []*rule {
	return []*rule{
		{
			ID: "tartan-url-password", Description: "Password in the address of a service.",
			Regex:    `(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@'"<>` + "`" + `]{0,64}:([^\s@/'"<>` + "`" + `]{3,128})@[a-z0-9\[$%{]`,
			Keywords: []string{"://"}, refuse: placeholder,
		},
		{
			ID: "tartan-password", Description: "Password that is assigned or given as an option.",
			Regex:    `(?i)(?:\b|_)(?:password|passwd|passwort|passphrase|contraseña|pwd|pgpassword|mysql_pwd|senha|mot de passe)(?:["']?\s{0,3}(?:=|:=|=>|:|\bis\b)\s{0,3}|["']?\s{0,3}(?:=|:=|=>|:)\s{0,3}["'` + "`" + `]|\s+["'` + "`" + `])["'` + "`" + `]?([^\s"'` + "`" + `,;|<>]{6,128})`,
			Keywords: []string{"password", "passwd", "passwort", "passphrase", "contraseña", "pwd", "senha", "mot de passe"}, refuse: ordinary,
		},
		{
			ID: "tartan-aws-secret", Description: "Secret access key of AWS.",
			Regex:    `(?i)aws_?(?:secret_?)?(?:access_?)?(?:secret_?)?key(?:["']?\s{0,3}[:=]\s{0,3}|\s{1,3})["']?([a-z0-9/+]{40})(?:[^a-z0-9/+=]|$)`,
			Keywords: []string{"aws_", "awssecret", "awsaccess"}, Entropy: 3.5, refuse: func(s string) bool { return strings.Contains(s, "EXAMPLE") },
		},
		{
			ID: "tartan-authorization", Description: "Credentials in a header.",
			Regex:    `(?i)\bauthorization["']?\s{0,3}[:=]\s{0,3}["']?(?:basic|bearer|token|digest)\s+([a-z0-9+/_.=~-]{12,})`,
			Keywords: []string{"authorization"}, Entropy: 3, refuse: placeholder,
		},
		{
			ID: "tartan-connection-string", Description: "Key or password in a connection string.",
			Regex:    `(?i)\b(?:accountkey|sharedaccesskey|sharedaccesssignature|password|pwd)=([^\s;"'<>` + "`" + `]{8,256})\s{0,3};`,
			Keywords: []string{"accountkey", "sharedaccess", "password=", "pwd="}, refuse: ordinary,
		},
		{
			ID: "tartan-supabase-key", Description: "Secret key or access token of Supabase.",
			Regex:    `\b(sb_secret_[A-Za-z0-9_-]{20,}|sbp_(?:v0_)?[a-f0-9]{40})\b`,
			Keywords: []string{"sb_secret_", "sbp_"}, Entropy: 3,
		},
	}
}

var (
	// placeholderForm is what stands where a password would: variables, templates, marks of omission, names for it.
	placeholderForm = regexp.MustCompile(`(?i)^(?:<.*|.*>|#\{.*|(?:\w+[_-])?(?:secret|access|api|auth)[_-](?:\w+[_-])?(?:key|token|secret)|\[.*\]|\{.*|\$[\w{(].*|%\w+%|%[sdv]|[*.x•#_-]+|\w*(?:your|my|the|some|example|sample|dummy|placeholder|redacted|removed|changeme|change[-_]?me|insert|replace|todo|xxx+|\*\*\*+|\.\.\.)[\w-]*|(?:db_?|user_?|admin_?)?(?:password|passwd|pass|pwd|secret|token|null|none|nil|true|false|undefined|empty|string|value|username|user)\d{0,2}|env[.:(].*|os\..*|process\..*|secrets?[./].*|vault[.:/].*|op://.*|file:.*|var\..*|config\..*|settings\..*|[a-z_]+\(.*)$`)
	// nameForm is a variable, a path or a word of prose.
	nameForm = regexp.MustCompile(`^(?:[a-z]+(?:[._/-][a-z]+)*|[A-Z]+(?:_[A-Z]+)*|[A-Z]?[a-z]+(?:[A-Z][a-z]+)*|/[\w./-]+|~/.*|\./.*)[.:!?)]*$`)
)

func placeholder(s string) bool { return placeholderForm.MatchString(strings.Trim(s, `"'`)) }

// ordinary says that an assigned value is a word or a name and no password: passwords have digits or signs with letters,
// and are not all one character.
func ordinary(s string) bool {
	s = strings.TrimRight(s, `.,;:!?)*`)
	if len(s) < 6 || placeholder(s) || nameForm.MatchString(s) || Entropy(s) < 2.2 {
		return true
	}
	kinds := map[int]bool{}
	for _, r := range s {
		switch {
		case unicode.IsDigit(r):
			kinds[0] = true
		case unicode.IsLetter(r):
			kinds[1] = true
		default:
			kinds[2] = true
		}
	}
	if kinds[1] && len(kinds) == 1 { // letters alone: random ones have capitals anywhere
		return len(s) < 12 || strings.ToLower(s) == s || strings.ToUpper(s) == s || Entropy(s) < 3
	}
	return len(kinds) < 2 || !kinds[1] && len(s) < 8
}
