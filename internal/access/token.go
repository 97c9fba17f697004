package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// MaxLeeway is the most clock skew between issuer and verifier that Verify forgives.
const MaxLeeway = 60 * time.Second

// maxToken bounds what Verify parses; Supabase's tokens are 1 to 2 KiB.
const maxToken = 8 << 10

// Why a token is refused. Verify's errors wrap one of these.
var (
	ErrMalformed = errors.New("not a signed token")
	ErrSignature = errors.New("token signature or key not accepted")
	ErrExpired   = errors.New("token has expired")
	ErrNotYet    = errors.New("token is not valid yet")
	ErrIssuer    = errors.New("token is from another issuer")
	ErrAudience  = errors.New("token is for another audience")
	ErrClient    = errors.New("token was not issued to an OAuth client")
	ErrSubject   = errors.New("token names no user")
)

// Claims is what a verified token says. Nothing in it that the user can write (user_metadata) is read.
type Claims struct {
	Subject     uuid.UUID
	Issuer      string
	Audience    []string
	ClientID    string    // the OAuth client, "" for a web session
	SessionID   string    // Supabase's session, "" for local tokens
	WorkspaceID uuid.UUID // the one workspace the token is good for; zero for any that the user is a member of
	Expires     time.Time
}

// Expect is what a token must say to be accepted.
type Expect struct {
	Issuer          string
	Audience        string        // one of the token's audiences must equal it
	RequireClientID bool          // refuse tokens of web sessions, which carry no client_id
	Leeway          time.Duration // at most MaxLeeway
}

type wireClaims struct {
	jwt.RegisteredClaims
	ClientID    string `json:"client_id,omitempty"`
	SessionID   string `json:"session_id,omitempty"`
	WorkspaceID string `json:"workspace_id,omitempty"`
	// Role is Postgres's role for Supabase's own services; it is written so that they accept the token, and never read.
	Role string `json:"role,omitempty"`
}

// Verify checks the signature against keys and every claim against expect at the time now.
// The algorithm follows from the type of the key that the token's kid names, ES256 or RS256, never from the token alone.
// Its errors wrap one of the Err values of this package.
func Verify(token string, keys Keys, expect Expect, now time.Time) (Claims, error) {
	if len(token) > maxToken {
		return Claims{}, fmt.Errorf("verify token: %w: longer than %d bytes", ErrMalformed, maxToken)
	}
	if expect.Issuer == "" || expect.Audience == "" {
		return Claims{}, errors.New("verify token: no issuer or audience to expect")
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodES256.Alg(), jwt.SigningMethodRS256.Alg()}),
		jwt.WithIssuer(expect.Issuer), jwt.WithAudience(expect.Audience), jwt.WithExpirationRequired(),
		jwt.WithLeeway(min(max(expect.Leeway, 0), MaxLeeway)), jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithStrictDecoding(),
	)
	var wire wireClaims
	if _, err := parser.ParseWithClaims(token, &wire, keyFor(keys)); err != nil {
		return Claims{}, fmt.Errorf("verify token: %w", reason(err))
	}
	if expect.RequireClientID && wire.ClientID == "" {
		return Claims{}, fmt.Errorf("verify token: %w", ErrClient)
	}
	return wire.claims()
}

func keyFor(keys Keys) jwt.Keyfunc {
	return func(t *jwt.Token) (any, error) {
		if _, has := t.Header["crit"]; has {
			return nil, errors.New("critical header extensions are not supported")
		}
		kid, _ := t.Header["kid"].(string)
		if kid == "" {
			return nil, errors.New("no kid")
		}
		key, ok := keys.Key(kid)
		if !ok {
			return nil, fmt.Errorf("unknown kid %.64q", kid)
		}
		if want := algorithm(key); want == "" || t.Method.Alg() != want {
			return nil, fmt.Errorf("alg %q does not fit key %.64q", t.Method.Alg(), kid)
		}
		return key, nil
	}
}

func algorithm(key crypto.PublicKey) string {
	switch key.(type) {
	case *ecdsa.PublicKey:
		return jwt.SigningMethodES256.Alg()
	case *rsa.PublicKey:
		return jwt.SigningMethodRS256.Alg()
	}
	return ""
}

// reason maps the parser's errors, of which several may be joined, to one of ours: what is wrong with the bytes
// before what is wrong with the claims.
func reason(err error) error {
	for _, m := range []struct{ from, to error }{
		{jwt.ErrTokenMalformed, ErrMalformed},
		{jwt.ErrTokenUnverifiable, ErrSignature},
		{jwt.ErrTokenSignatureInvalid, ErrSignature},
		{jwt.ErrTokenExpired, ErrExpired},
		{jwt.ErrTokenNotValidYet, ErrNotYet},
		{jwt.ErrTokenInvalidIssuer, ErrIssuer},
		{jwt.ErrTokenInvalidAudience, ErrAudience},
	} {
		if errors.Is(err, m.from) {
			return fmt.Errorf("%w: %w", m.to, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}

func (w wireClaims) claims() (Claims, error) {
	subject, err := uuid.Parse(w.Subject)
	if err != nil || subject == uuid.Nil {
		return Claims{}, fmt.Errorf("verify token: %w", ErrSubject)
	}
	c := Claims{
		Subject: subject, Issuer: w.Issuer, Audience: slices.Clone(w.Audience), ClientID: w.ClientID, SessionID: w.SessionID,
		Expires: w.ExpiresAt.Time,
	}
	if w.WorkspaceID != "" {
		if c.WorkspaceID, err = uuid.Parse(w.WorkspaceID); err != nil {
			return Claims{}, fmt.Errorf("verify token: %w: workspace_id is not a UUID", ErrMalformed)
		}
	}
	return c, nil
}

// Issue signs claims with key as an ES256 token that starts at now.
func Issue(key *Key, c Claims, now time.Time) (string, error) {
	if c.Subject == uuid.Nil || c.Issuer == "" || len(c.Audience) == 0 || !c.Expires.After(now) {
		return "", errors.New("issue token: subject, issuer, audience and a later expiry are required")
	}
	wire := wireClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: c.Subject.String(), Issuer: c.Issuer, Audience: c.Audience, ExpiresAt: jwt.NewNumericDate(c.Expires),
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ID: uuid.NewString(),
		},
		ClientID: c.ClientID, SessionID: c.SessionID, Role: "authenticated",
	}
	if c.WorkspaceID != uuid.Nil {
		wire.WorkspaceID = c.WorkspaceID.String()
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, wire)
	token.Header["kid"] = key.id
	signed, err := token.SignedString(key.private)
	if err != nil {
		return "", fmt.Errorf("issue token: %w", err)
	}
	return signed, nil
}
