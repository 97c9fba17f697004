package access

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ErrRevoked is wrapped where a token of an agent, or the agent itself, was revoked.
var ErrRevoked = errors.New("token was revoked")

// agentToken begins the token of every agent, so that one is known for what it is wherever it turns up.
const agentToken = "tta_"

const (
	prefixDigits = 16
	secretDigits = 64
)

// Credential is a new token of an agent. Only its holder keeps Token; Prefix and Digest are no secrets.
type Credential struct {
	Token  string
	Prefix string // 16 hexadecimal digits
	Digest []byte // SHA-256 of the token: of 256 random bits, which nobody finds by trying
}

// NewCredential makes a token from the system's randomness.
func NewCredential() (Credential, error) {
	raw := make([]byte, (prefixDigits+secretDigits)/2)
	if _, err := rand.Read(raw); err != nil {
		return Credential{}, fmt.Errorf("make token: %w", err)
	}
	text := hex.EncodeToString(raw)
	c := Credential{Token: agentToken + text[:prefixDigits] + "_" + text[prefixDigits:], Prefix: text[:prefixDigits]}
	sum := sha256.Sum256([]byte(c.Token))
	c.Digest = sum[:]
	return c, nil
}

// IsAgentToken reports whether a bearer token is meant as that of an agent.
func IsAgentToken(token string) bool { return strings.HasPrefix(token, agentToken) }

// ParseCredential reads a token of NewCredential. The error wraps ErrMalformed.
func ParseCredential(token string) (Credential, error) {
	prefix, secret, _ := strings.Cut(strings.TrimPrefix(token, agentToken), "_")
	if !IsAgentToken(token) || len(prefix) != prefixDigits || len(secret) != secretDigits || strings.Trim(prefix+secret, "0123456789abcdef") != "" {
		return Credential{}, fmt.Errorf("read token of an agent: %w", ErrMalformed)
	}
	sum := sha256.Sum256([]byte(token))
	return Credential{Token: token, Prefix: prefix, Digest: sum[:]}, nil
}

// Keeper makes of a digest what is stored. Whoever writes to the database alone can make no token that is believed.
type Keeper struct{ key []byte }

// NewKeeper derives a keeper from the key that signs grants.
func NewKeeper(key *Key) (*Keeper, error) {
	private, err := key.private.Bytes()
	if err != nil {
		return nil, fmt.Errorf("derive the key of tokens: %w", err)
	}
	derived, err := hkdf.Key(sha256.New, private, nil, "tartan agent credentials", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key of tokens: %w", err)
	}
	return &Keeper{derived}, nil
}

// Keep returns the HMAC-SHA256 of a digest.
func (k *Keeper) Keep(digest []byte) []byte {
	h := hmac.New(sha256.New, k.key)
	h.Write(digest)
	return h.Sum(nil)
}

// Agent is an agent that a token made known: what it is called and what it may do.
type Agent struct {
	ID          uuid.UUID // also the user that it acts as
	WorkspaceID uuid.UUID
	Name        string
	Scopes      []string
	Tools       []string // MCP tools of its manifest
}

// Allows reports whether the agent has a scope such as pattern:read, or that of its family (pattern:*).
func (a *Agent) Allows(scope string) bool {
	family, _, _ := strings.Cut(scope, ":")
	return slices.Contains(a.Scopes, scope) || slices.Contains(a.Scopes, family+":*")
}

// Kept is a credential as it is stored, with its agent.
type Kept struct {
	Agent   Agent
	HMAC    []byte
	Expires time.Time
	Revoked bool // it, or its agent
}

// Check reports whether c is the credential that was kept, and good at the time now. Its errors wrap ErrSignature, ErrRevoked or ErrExpired.
func (k *Keeper) Check(c Credential, kept Kept, now time.Time) error {
	switch {
	case !hmac.Equal(k.Keep(c.Digest), kept.HMAC):
		return fmt.Errorf("check token %s: %w", c.Prefix, ErrSignature)
	case kept.Revoked:
		return fmt.Errorf("check token %s: %w", c.Prefix, ErrRevoked)
	case !now.Before(kept.Expires):
		return fmt.Errorf("check token %s: %w", c.Prefix, ErrExpired)
	}
	return nil
}

// RoleOfScopes is the role with which an agent is a member: it writes only if one of its scopes does. It is never more than an editor.
func RoleOfScopes(scopes []string) Role {
	for _, s := range scopes {
		if !strings.HasSuffix(s, ":read") {
			return Editor
		}
	}
	return Viewer
}
