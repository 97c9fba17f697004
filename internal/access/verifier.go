package access

import (
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"time"
)

const (
	// maxVerified bounds the cache of verified tokens.
	maxVerified = 10_000
	// recheck is how long a verified token is believed before its key and claims are looked at again, so that a withdrawn key stops working.
	recheck = 30 * time.Second
)

// Verifier verifies tokens and remembers, by hash, those it has verified lately. It is safe for concurrent use.
type Verifier struct {
	keys   Keys
	expect Expect

	mu       sync.RWMutex
	verified map[[sha256.Size]byte]verification
}

type verification struct {
	claims Claims
	until  time.Time
}

// NewVerifier makes a verifier of tokens that are signed with one of the keys and say what is expected.
func NewVerifier(keys Keys, expect Expect) *Verifier {
	return &Verifier{keys: keys, expect: expect, verified: map[[sha256.Size]byte]verification{}}
}

// Verify returns what a token claims. The errors are those of the function Verify.
func (v *Verifier) Verify(token string, now time.Time) (Claims, error) {
	hash := sha256.Sum256([]byte(token))
	v.mu.RLock()
	known, ok := v.verified[hash]
	v.mu.RUnlock()
	if ok && now.Before(known.until) {
		return known.claims, nil
	}
	claims, err := Verify(token, v.keys, v.expect, now)
	if err != nil {
		return Claims{}, err
	}
	known = verification{claims: claims, until: now.Add(recheck)}
	if claims.Expires.Before(known.until) {
		known.until = claims.Expires
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.verified) >= maxVerified {
		for k, old := range v.verified {
			// Those that have run out go first; where none has, any does: it is only a cache.
			if now.After(old.until) || len(v.verified) >= maxVerified {
				delete(v.verified, k)
			}
		}
	}
	v.verified[hash] = known
	return claims, nil
}

// Bearer reads the token of the Authorization headers of a request. "" and no problem means that there is none.
func Bearer(values []string) (token, problem string) {
	switch {
	case len(values) == 0:
		return "", ""
	case len(values) > 1:
		return "", "more than one Authorization header"
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", ""
	}
	token = strings.TrimSpace(token)
	if token == "" || strings.ContainsAny(token, " ,") {
		return "", "malformed Authorization header"
	}
	return token, ""
}

// TokenProblem says what is wrong with a token in words that help its owner and nobody else.
func TokenProblem(err error) string {
	for _, known := range []error{ErrExpired, ErrRevoked, ErrNotYet, ErrAudience, ErrIssuer, ErrClient, ErrSubject} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "token not accepted"
}
