package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
)

// AppRole is the login role of Tartan's processes in the local stack: it may become authenticated and service_role and
// has no rights of its own, as Supabase's authenticator.
const AppRole = "tartan_app"

// EnsureAppRole makes AppRole with the password, or gives it the password, and returns adminURL rewritten for it. The
// database must have been migrated, and adminURL must be of a role that may create roles.
func EnsureAppRole(ctx context.Context, adminURL, password string) (appURL string, err error) {
	u, err := url.Parse(adminURL)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("make role %s: the database url must be of the form postgres://user:password@host/name", AppRole)
	}
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return "", fmt.Errorf("make role %s: %w", AppRole, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// The server is sent the verifier, so that the password cannot turn up in its log.
	verifier, err := scramVerifier(password)
	if err != nil {
		return "", fmt.Errorf("make role %s: %w", AppRole, err)
	}
	_, err = conn.Exec(ctx, `
		do $$ begin
			if not exists (select from pg_roles where rolname = '`+AppRole+`') then
				create role `+AppRole+` login noinherit;
			end if;
		exception when duplicate_object or unique_violation then
			null;
		end $$;
		grant authenticated, service_role to `+AppRole+`;
		alter role `+AppRole+` with login noinherit password '`+verifier+`'`)
	if err != nil {
		return "", fmt.Errorf("make role %s: %w", AppRole, err)
	}
	u.User = url.UserPassword(AppRole, password)
	return u.String(), nil
}

// scramVerifier returns what Postgres stores of a password under scram-sha-256 (RFC 5803).
func scramVerifier(password string) (string, error) {
	const iterations = 4096
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	sum := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(sum(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(sum(salted, "Server Key"))), nil
}
