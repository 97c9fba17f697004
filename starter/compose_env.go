package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/access"
)

// serviceKeyLife is how long the anon and service keys of a new compose project are valid.
const serviceKeyLife = 5 * 365 * 24 * time.Hour

// composeEnvCommand prints the variables that docker-compose.yml demands, with fresh random secrets.
func composeEnvCommand(out io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "compose-env",
		Short: "Print the .env of docker-compose.yml with fresh random secrets",
		Long:  "Prints every variable that docker-compose.yml demands. Secrets are random and differ each time, so keep the file:\n\n  tartan compose-env > .env && docker compose up -d --wait",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return composeEnv(out, time.Now()) },
	}
}

func composeEnv(out io.Writer, now time.Time) error {
	secret := randomHex(32)
	private, public, err := signingJWK()
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	shared := map[string]any{"kty": "oct", "k": base64.RawURLEncoding.EncodeToString([]byte(secret)), "alg": "HS256"}
	keys, err := json.Marshal([]any{private})
	if err != nil {
		return err
	}
	set, err := json.Marshal(map[string]any{"keys": []any{public, shared}})
	if err != nil {
		return err
	}
	grants, err := access.NewKey()
	if err != nil {
		return err
	}
	grantKey, err := grants.PEM()
	if err != nil {
		return err
	}
	anon, err := serviceKey(secret, "anon", now)
	if err != nil {
		return err
	}
	service, err := serviceKey(secret, "service_role", now)
	if err != nil {
		return err
	}
	for _, line := range [][2]string{
		{"POSTGRES_PASSWORD", randomHex(24)},
		{"TEMPORAL_DB_PASSWORD", randomHex(24)},
		{"JWT_SECRET", secret},
		{"GRANT_KEY_PEM", strings.TrimSpace(string(grantKey))},
		{"JWT_KEYS", string(keys)},
		{"JWT_JWKS", string(set)},
		{"ANON_KEY", anon},
		{"SERVICE_ROLE_KEY", service},
		{"REALTIME_ENC_KEY", randomHex(8)}, // AES-128: 16 characters
		{"SECRET_KEY_BASE", randomHex(32)},
		{"PG_META_CRYPTO_KEY", randomHex(16)},
		{"S3_PROTOCOL_ACCESS_KEY_ID", randomHex(16)},
		{"S3_PROTOCOL_ACCESS_KEY_SECRET", randomHex(32)},
		{"DASHBOARD_USERNAME", "tartan"},
		{"DASHBOARD_PASSWORD", randomHex(16)},
		{"API_EXTERNAL_URL", "http://127.0.0.1:8000/auth/v1"},
		{"SUPABASE_PUBLIC_URL", "http://127.0.0.1:8000"},
		{"SITE_URL", "http://127.0.0.1:3000"},
	} {
		// Single quotes keep compose from interpolating inside the value.
		if _, err := fmt.Fprintf(out, "%s='%s'\n", line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program where the system has no randomness
	return hex.EncodeToString(b)
}

// serviceKey is one of Supabase's two long-lived keys: an HS256 token that names a database role.
func serviceKey(secret, role string, now time.Time) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"role": role, "iss": "supabase", "iat": now.Unix(), "exp": now.Add(serviceKeyLife).Unix(),
	})
	return token.SignedString([]byte(secret))
}

// signingJWK makes the P-256 key with which Supabase Auth signs users' tokens, as private and public JWK.
func signingJWK() (private, public map[string]any, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, nil, err
	}
	scalar, err := key.Bytes()
	if err != nil {
		return nil, nil, err
	}
	encode := base64.RawURLEncoding.EncodeToString
	jwk := func(op string) map[string]any {
		return map[string]any{
			"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "key_ops": []string{op},
			"x": encode(point[1:33]), "y": encode(point[33:65]),
		}
	}
	private, public = jwk("sign"), jwk("verify")
	private["kid"] = uuid.NewString()
	public["kid"] = private["kid"]
	private["d"] = encode(scalar)
	return private, public, nil
}
