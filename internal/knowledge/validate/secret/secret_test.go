package secret

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func detector(t testing.TB) *Detector {
	t.Helper()
	d, err := New()
	require.NoError(t, err)
	return d
}

const (
	lowerAlnum = "abcdefghijklmnopqrstuvwxyz0123456789"
	alnum      = lowerAlnum + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	upperAlnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	hexDigits  = "0123456789abcdef"
)

type generator struct{ *mathrand.Rand }

func (g generator) of(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[g.IntN(len(alphabet))]
	}
	return string(b)
}

func (g generator) pick(s ...string) string { return s[g.IntN(len(s))] }

func (g generator) uuid() string {
	h := g.of(hexDigits, 32)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

func (g generator) jwt() string {
	enc := base64.RawURLEncoding.EncodeToString
	claims, _ := json.Marshal(map[string]any{"sub": g.uuid(), "iat": 1700000000 + g.IntN(1e8), "role": "service_role"})
	return enc([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc(claims) + "." + g.of(alnum+"-_", 43)
}

// password is one as people and generators make them.
func (g generator) password() string {
	word := g.pick("Winter", "tiger", "Falcon", "summer", "Orange", "delta", "Monday")
	switch g.IntN(3) {
	case 0:
		return g.of(alnum+"!#%+^?", 12+g.IntN(8))
	case 1:
		return word + g.pick("!", "#", "_", "-") + g.of("0123456789", 4) + g.pick("x", "Q", "zz", "!")
	}
	return g.of(alnum, 16)
}

// secretOf is a secret of some kind, with the line it stands in.
func (g generator) secretOf(t testing.TB) (kind, secret, line string) {
	kinds := []func() (string, string, string){
		func() (string, string, string) {
			s := "ghp_" + g.of(alnum, 36)
			return "github pat", s, "export GITHUB_TOKEN=" + s
		},
		func() (string, string, string) {
			s := "github_pat_" + g.of(alnum, 22) + "_" + g.of(alnum, 59)
			return "github fine", s, "token: " + s
		},
		func() (string, string, string) {
			s := "glpat-" + g.of(alnum, 20)
			return "gitlab", s, "Use " + s + " for the clone."
		},
		func() (string, string, string) {
			s := "AKIA" + g.of(upperAlnum, 16)
			return "aws id", s, "aws_access_key_id = " + s
		},
		func() (string, string, string) {
			s := g.of(alnum+"/+", 40)
			return "aws secret", s, "aws_secret_access_key = " + s
		},
		func() (string, string, string) {
			s := "xoxb-" + g.of("0123456789", 12) + "-" + g.of("0123456789", 12) + "-" + g.of(alnum, 24)
			return "slack", s, "SLACK_BOT_TOKEN=" + s
		},
		func() (string, string, string) {
			s := "https://hooks.slack.com/services/T" + g.of(upperAlnum, 8) + "/B" + g.of(upperAlnum, 9) + "/" + g.of(alnum, 24)
			return "slack hook", s, "Post to " + s + " when done"
		},
		func() (string, string, string) {
			s := "sk_live_" + g.of(alnum, 24)
			return "stripe", s, "The key " + s + " charges cards."
		},
		func() (string, string, string) {
			s := "AIza" + g.of(alnum+"-_", 34) + g.of(alnum, 1)
			return "gcp", s, "key: " + s
		},
		func() (string, string, string) {
			s := "npm_" + g.of(lowerAlnum, 36)
			return "npm", s, "//registry.npmjs.org/:_authToken=" + s
		},
		func() (string, string, string) { s := g.jwt(); return "jwt", s, "Authorization: Bearer " + s },
		func() (string, string, string) {
			s := "sk-ant-api03-" + g.of(alnum+"-_", 93) + "AA"
			return "anthropic", s, "ANTHROPIC_API_KEY=" + s
		},
		func() (string, string, string) {
			s := "sk-" + g.of(alnum, 20) + "T3BlbkFJ" + g.of(alnum, 20)
			return "openai", s, `client = OpenAI(api_key="` + s + `")`
		},
		func() (string, string, string) {
			s := "hf_" + g.of("abcdefghijklmnopqrstuvwxyz", 34)
			return "huggingface", s, "login with " + s
		},
		func() (string, string, string) {
			s := "SG." + g.of(alnum, 22) + "." + g.of(alnum, 43)
			return "sendgrid", s, "sendgrid key " + s
		},
		func() (string, string, string) {
			s := "dop_v1_" + g.of(hexDigits, 64)
			return "digitalocean", s, "token " + s
		},
		func() (string, string, string) {
			s := "shpat_" + g.of(hexDigits, 32)
			return "shopify", s, "X-Shopify-Access-Token: " + s
		},
		func() (string, string, string) {
			s := g.of("0123456789", 9) + ":A" + g.of(alnum, 34)
			return "telegram", s, "telegram_bot_token = " + s
		},
		func() (string, string, string) {
			s := "pypi-AgEIcHlwaS5vcmc" + g.of(alnum, 70)
			return "pypi", s, "password " + s
		},
		func() (string, string, string) {
			s := "sb_secret_" + g.of(alnum, 31)
			return "supabase", s, "SUPABASE_SECRET_KEY=" + s
		},
		func() (string, string, string) { s := "hvs." + g.of(alnum, 95); return "vault", s, "VAULT_TOKEN=" + s },
		func() (string, string, string) { s := g.of(alnum, 32); return "generic", s, "api_key: \"" + s + "\"" },
		func() (string, string, string) {
			s := g.of(hexDigits, 40)
			return "generic hex", s, "client_secret = '" + s + "'"
		},
		func() (string, string, string) {
			s := g.password()
			return "url", s, "postgres://app:" + s + "@db.prod.acme.io:5432/main"
		},
		func() (string, string, string) {
			s := g.password()
			return "redis url", s, "REDIS_URL=rediss://:" + s + "@cache.acme.io:6380/0"
		},
		func() (string, string, string) {
			s := g.password()
			return "password", s, g.pick("password: ", "DB_PASSWORD=", "passwd = ", "Password is ") + s
		},
		func() (string, string, string) {
			s := g.of(alnum+"+/", 86) + "=="
			return "azure", s, "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=" + s + ";EndpointSuffix=core.windows.net"
		},
		func() (string, string, string) {
			s := base64.StdEncoding.EncodeToString([]byte("deploy:" + g.password() + g.password()))
			return "basic", s, "curl -H 'Authorization: Basic " + s + "' https://ci.acme.io/job"
		},
		func() (string, string, string) {
			key, err := rsa.GenerateKey(rand.Reader, 1024)
			require.NoError(t, err)
			s := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
			return "private key", strings.TrimSpace(s), s
		},
	}
	return kinds[g.IntN(len(kinds))]()
}

// noneOf is a line that looks like a secret and is none.
func (g generator) noneOf() string {
	return g.pick(
		"export GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		"aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
		"api_key: ${API_KEY}", "API_KEY=<your-api-key>", "token: {{ .Values.token }}", `password = os.environ["DB_PASSWORD"]`,
		"commit "+g.of(hexDigits, 40), "sha256:"+g.of(hexDigits, 64), "request id "+g.uuid(), "trace "+g.of(hexDigits, 32),
		"postgres://app:${DB_PASSWORD}@db:5432/main", "postgres://user:password@localhost/db", "postgres://app:<password>@db/main", "mongodb://db.acme.io:27017/main",
		"password: changeme", "Password: ********", "The password is stored in the vault.", "Reset the password and tell nobody.", "password: see 1Password", "passwords must have 12 characters",
		"Authorization: Bearer $TOKEN", "Authorization: Bearer <token>", "The header Authorization: Bearer is required.",
		"secret_key_ref: {name: db, key: password}", "secretName: prod-db-credentials", "token_type: bearer", "keyboard: us-intl", "primary_key: customer_id",
		"max_tokens = 4096", "tokens: 1,204,332", "public key fingerprint SHA256:"+g.of(alnum, 8), "-----BEGIN PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----",
		"https://example.com/reset?step=2", "see https://docs.acme.io/auth/tokens#rotate", "version "+g.of("0123456789", 2)+".4.1", "go.sum h1:"+base64.StdEncoding.EncodeToString([]byte(g.of(hexDigits, 32))),
		"password=$(vault kv get -field=password secret/db)", "PGPASSWORD=\"$PGPASSWORD\" psql", "mysql -u root -p", "access_key_rotation_days: 90", "auth_method: kubernetes",
		"api_version: v1beta1", "credential helper: osxkeychain", "key: value", "pwd: /home/app/releases/current", "the keys of the map are hashed with xxhash64")
}

var filler = strings.Fields("the service restarts when its queue is full and the operator drains it by hand before traffic returns to normal levels in the region under load after a deploy")

func (g generator) sentence() string {
	words := make([]string, 6+g.IntN(12))
	for i := range words {
		words[i] = filler[g.IntN(len(filler))]
	}
	return strings.Join(words, " ") + "."
}

// TestRecallAndPrecision measures on documents of which half hold one secret and all look-alikes.
func TestRecallAndPrecision(t *testing.T) {
	t.Parallel()
	d := detector(t)
	seed := mathrand.Uint64()
	g := generator{mathrand.New(mathrand.NewPCG(seed, 1))}
	truePositive, falsePositive, falseNegative := 0, 0, 0
	missed, wrong := map[string]int{}, map[string]int{}
	for range 2000 {
		lines := []string{g.sentence(), g.noneOf(), g.sentence(), g.noneOf()}
		kind, secret := "", ""
		if g.IntN(2) == 0 {
			var line string
			kind, secret, line = g.secretOf(t)
			lines = append(lines, line, g.sentence())
		}
		g.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		text := strings.Join(lines, "\n\n")
		at := strings.Index(text, secret)
		hit := false
		for _, f := range d.Find(text) {
			if secret != "" && f.Start < at+len(secret) && at < f.End {
				hit = true
				continue
			}
			falsePositive++
			wrong[f.Rule+": "+text[f.Start:f.End]]++
		}
		switch {
		case hit:
			truePositive++
		case secret != "":
			falseNegative++
			missed[kind]++
			t.Logf("missed %s: %q", kind, secret)
		}
	}
	recall := float64(truePositive) / float64(truePositive+falseNegative)
	precision := float64(truePositive) / float64(truePositive+falsePositive)
	t.Logf("seed %d: recall %.4f, precision %.4f; missed %v, wrong %v", seed, recall, precision, missed, wrong)
	require.GreaterOrEqual(t, recall, 0.95)
	require.GreaterOrEqual(t, precision, 0.95)
}

func TestRulesAreThoseOfGitleaks(t *testing.T) {
	t.Parallel()
	require.Equal(t, 222, strings.Count(gitleaks, "[[rules]]"))
	d := detector(t)
	for _, r := range d.rules {
		require.NotNil(t, r.compiled(), r.ID)
	}
	require.GreaterOrEqual(t, len(d.rules), 217)
}

func TestFindingsArePlaces(t *testing.T) {
	t.Parallel()
	d := detector(t)
	token := "ghp_" + generator{mathrand.New(mathrand.NewPCG(7, 7))}.of(alnum, 36)
	text := "line one\ntoken = " + token + " # gitleaks:allow\n" // the comment allows nothing
	found := d.Find(text)
	require.Len(t, found, 1)
	require.Equal(t, "github-pat", found[0].Rule)
	require.Equal(t, token, text[found[0].Start:found[0].End])
	require.NotContains(t, fmt.Sprint(found), token[4:])
}

func TestEntropy(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 0, Entropy("aaaa"), 1e-12)
	require.InDelta(t, 2, Entropy("abcd"), 1e-12) // log2(4)
	require.InDelta(t, 1, Entropy("abab"), 1e-12)
}

func FuzzFind(f *testing.F) {
	g := generator{mathrand.New(mathrand.NewPCG(1, 2))}
	for range 20 {
		_, _, line := g.secretOf(f)
		f.Add(line)
		f.Add(g.noneOf())
	}
	d := detector(f)
	f.Fuzz(func(t *testing.T, s string) {
		for _, found := range d.Find(s) {
			require.True(t, 0 <= found.Start && found.Start < found.End && found.End <= len(s))
		}
	})
}

func BenchmarkFind(b *testing.B) {
	d := detector(b)
	g := generator{mathrand.New(mathrand.NewPCG(1, 2))}
	var lines []string
	for range 40 {
		lines = append(lines, g.sentence(), g.noneOf())
	}
	text := strings.Join(lines, "\n")
	d.Find(text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		d.Find(text)
	}
}
