package access_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/access"
)

var (
	now    = time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	expect = access.Expect{Issuer: "tartan-local", Audience: "http://127.0.0.1:7350/mcp", Leeway: 30 * time.Second}
	user   = uuid.MustParse("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
)

func newKey(t *testing.T) *access.Key {
	t.Helper()
	key, err := access.NewKey()
	require.NoError(t, err)
	return key
}

func good() access.Claims {
	return access.Claims{Subject: user, Issuer: expect.Issuer, Audience: []string{"authenticated", expect.Audience}, ClientID: "cli", Expires: now.Add(time.Hour)}
}

func TestIssuedTokenVerifies(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	workspace := uuid.New()
	claims := good()
	claims.WorkspaceID = workspace
	token, err := access.Issue(key, claims, now)
	require.NoError(t, err)
	got, err := access.Verify(token, key.Public(), expect, now)
	require.NoError(t, err)
	require.Equal(t, claims.Subject, got.Subject)
	require.Equal(t, claims.Audience, got.Audience)
	require.Equal(t, workspace, got.WorkspaceID)
	require.True(t, claims.Expires.Equal(got.Expires))
}

func TestKeySurvivesStorageAndJWKS(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	stored, err := key.PEM()
	require.NoError(t, err)
	back, err := access.ParseKey(stored)
	require.NoError(t, err)
	require.Equal(t, key.ID(), back.ID())
	set, err := access.JWKS(key)
	require.NoError(t, err)
	require.NotContains(t, string(set), `"d"`, "a key set must not hold the private half")
	keys, err := access.ParseJWKS(set)
	require.NoError(t, err)
	token, err := access.Issue(back, good(), now)
	require.NoError(t, err)
	_, err = access.Verify(token, keys, expect, now)
	require.NoError(t, err)
}

func TestParseKeyRefuses(t *testing.T) {
	t.Parallel()
	_, err := access.ParseKey([]byte("nothing"))
	require.Error(t, err)
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(other)
	require.NoError(t, err)
	_, err = access.ParseKey([]byte("-----BEGIN PRIVATE KEY-----\n" + base64.StdEncoding.EncodeToString(der) + "\n-----END PRIVATE KEY-----\n"))
	require.ErrorContains(t, err, "P-256")
}

func TestParseJWKSKeepsOnlyVerifyingKeys(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		weak = nil // this Go refuses to make so small a key
	}
	n := ""
	if weak != nil {
		n = base64.RawURLEncoding.EncodeToString(weak.N.Bytes())
	}
	text, err := json.Marshal(map[string]any{"keys": []map[string]any{
		{"kty": "oct", "kid": "hs", "k": "c2VjcmV0", "alg": "HS256"},
		{"kty": "RSA", "kid": "weak", "n": n, "e": "AQAB"},
		{"kty": "EC", "crv": "P-256", "kid": "off-curve", "x": strings.Repeat("A", 43), "y": strings.Repeat("A", 43)},
		{"kty": "EC", "crv": "P-384", "kid": "curve", "x": "AA", "y": "AA"},
	}})
	require.NoError(t, err)
	keys, err := access.ParseJWKS(text)
	require.NoError(t, err)
	require.Empty(t, keys)
	_, err = access.ParseJWKS([]byte("{"))
	require.Error(t, err)
}

// signed makes a token as an attacker could: any header, any claims, any key.
func signed(t *testing.T, method jwt.SigningMethod, key any, header map[string]any, change func(jwt.MapClaims)) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": user.String(), "iss": expect.Issuer, "aud": expect.Audience, "exp": now.Add(time.Hour).Unix(), "client_id": "cli"}
	if change != nil {
		change(claims)
	}
	token := jwt.NewWithClaims(method, claims)
	for k, v := range header {
		token.Header[k] = v
	}
	text, err := token.SignedString(key)
	require.NoError(t, err)
	return text
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	keys := access.KeySet{"ec": &private.PublicKey, "rsa": &rsaKey.PublicKey}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	require.NoError(t, err)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ec := map[string]any{"kid": "ec"}
	es := func(change func(jwt.MapClaims)) string {
		return signed(t, jwt.SigningMethodES256, private, ec, change)
	}
	whole := es(nil)
	client := expect
	client.RequireClientID = true
	for name, c := range map[string]struct {
		token  string
		want   error
		expect access.Expect
	}{
		"empty":                    {"", access.ErrMalformed, expect},
		"not a token":              {"a.b", access.ErrMalformed, expect},
		"too long":                 {strings.Repeat("a", 9000), access.ErrMalformed, expect},
		"alg none":                 {signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, ec, nil), access.ErrSignature, expect},
		"HS256 with public key":    {signed(t, jwt.SigningMethodHS256, der, ec, nil), access.ErrSignature, expect},
		"RS256 under an EC kid":    {signed(t, jwt.SigningMethodRS256, rsaKey, ec, nil), access.ErrSignature, expect},
		"RS512 under an RSA kid":   {signed(t, jwt.SigningMethodRS512, rsaKey, map[string]any{"kid": "rsa"}, nil), access.ErrSignature, expect},
		"no kid":                   {signed(t, jwt.SigningMethodES256, private, nil, nil), access.ErrSignature, expect},
		"unknown kid":              {signed(t, jwt.SigningMethodES256, private, map[string]any{"kid": "x"}, nil), access.ErrSignature, expect},
		"key of another":           {signed(t, jwt.SigningMethodES256, other, ec, nil), access.ErrSignature, expect},
		"crit header":              {signed(t, jwt.SigningMethodES256, private, map[string]any{"kid": "ec", "crit": []string{"b64"}}, nil), access.ErrSignature, expect},
		"changed payload":          {whole[:strings.Index(whole, ".")+5] + "A" + whole[strings.Index(whole, ".")+6:], nil, expect},
		"expired":                  {es(func(c jwt.MapClaims) { c["exp"] = now.Add(-31 * time.Second).Unix() }), access.ErrExpired, expect},
		"no exp":                   {es(func(c jwt.MapClaims) { delete(c, "exp") }), access.ErrMalformed, expect},
		"not yet":                  {es(func(c jwt.MapClaims) { c["nbf"] = now.Add(40 * time.Second).Unix() }), access.ErrNotYet, expect},
		"other issuer":             {es(func(c jwt.MapClaims) { c["iss"] = "evil" }), access.ErrIssuer, expect},
		"no issuer":                {es(func(c jwt.MapClaims) { delete(c, "iss") }), nil, expect},
		"other audience":           {es(func(c jwt.MapClaims) { c["aud"] = "authenticated" }), access.ErrAudience, expect},
		"audience in a longer one": {es(func(c jwt.MapClaims) { c["aud"] = []string{expect.Audience + "/more"} }), access.ErrAudience, expect},
		"no audience":              {es(func(c jwt.MapClaims) { delete(c, "aud") }), nil, expect},
		"web session":              {es(func(c jwt.MapClaims) { delete(c, "client_id") }), access.ErrClient, client},
		"no subject":               {es(func(c jwt.MapClaims) { delete(c, "sub") }), access.ErrSubject, expect},
		"subject not a uuid":       {es(func(c jwt.MapClaims) { c["sub"] = "admin" }), access.ErrSubject, expect},
		"workspace not a uuid":     {es(func(c jwt.MapClaims) { c["workspace_id"] = "x" }), access.ErrMalformed, expect},
		"nothing to expect":        {whole, nil, access.Expect{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := access.Verify(c.token, keys, c.expect, now)
			require.Error(t, err)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
		})
	}
	t.Run("leeway is at most a minute", func(t *testing.T) {
		t.Parallel()
		wide := expect
		wide.Leeway = time.Hour
		_, err := access.Verify(es(func(c jwt.MapClaims) { c["exp"] = now.Add(-61 * time.Second).Unix() }), keys, wide, now)
		require.ErrorIs(t, err, access.ErrExpired)
		_, err = access.Verify(es(func(c jwt.MapClaims) { c["exp"] = now.Add(-59 * time.Second).Unix() }), keys, wide, now)
		require.NoError(t, err)
	})
	t.Run("RS256 from a key set", func(t *testing.T) {
		t.Parallel()
		text, err := json.Marshal(map[string]any{"keys": []map[string]any{{
			"kty": "RSA", "kid": "r", "n": base64.RawURLEncoding.EncodeToString(rsaKey.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(rsaKey.E)).Bytes()),
		}}})
		require.NoError(t, err)
		set, err := access.ParseJWKS(text)
		require.NoError(t, err)
		var _ crypto.PublicKey = set["r"]
		_, err = access.Verify(signed(t, jwt.SigningMethodRS256, rsaKey, map[string]any{"kid": "r"}, nil), set, expect, now)
		require.NoError(t, err)
	})
	t.Run("user metadata gives nothing", func(t *testing.T) {
		t.Parallel()
		token := es(func(c jwt.MapClaims) {
			c["user_metadata"] = map[string]any{"workspace_id": uuid.NewString(), "role": "admin"}
		})
		got, err := access.Verify(token, keys, expect, now)
		require.NoError(t, err)
		require.Equal(t, uuid.Nil, got.WorkspaceID)
	})
}

func TestRoles(t *testing.T) {
	t.Parallel()
	require.True(t, access.Admin.AtLeast(access.Viewer))
	require.True(t, access.Editor.AtLeast(access.Editor))
	require.False(t, access.Viewer.AtLeast(access.Editor))
	require.False(t, access.Role("root").AtLeast(access.Viewer))
	require.False(t, access.Role("").AtLeast(""))
}
