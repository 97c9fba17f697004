package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
)

// pemType is the PEM block type of a stored private key (PKCS #8).
const pemType = "PRIVATE KEY"

// minRSABits is the smallest RSA modulus whose signatures are accepted.
const minRSABits = 2048

// Key is a private P-256 key that signs local tokens.
type Key struct {
	id      string
	private *ecdsa.PrivateKey
}

// NewKey makes a key from the system's randomness.
func NewKey() (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	return keyOf(private)
}

// ParseKey reads a key that PEM wrote. Keys of other kinds and curves are refused.
func ParseKey(text []byte) (*Key, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemType {
		return nil, fmt.Errorf("read signing key: no PEM block %q", pemType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, errors.New("read signing key: not a P-256 key")
	}
	return keyOf(private)
}

func keyOf(private *ecdsa.PrivateKey) (*Key, error) {
	id, err := thumbprint(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	return &Key{id: id, private: private}, nil
}

// ID is the key's RFC 7638 thumbprint, the kid of the tokens it signs.
func (k *Key) ID() string { return k.id }

// PEM renders the private key as PKCS #8 in PEM: a secret, to be stored readable by its owner only.
func (k *Key) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, fmt.Errorf("render signing key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// Keys finds the public half of a signing key by its id. Implementations are safe for concurrent use.
type Keys interface {
	// Key returns an *ecdsa.PublicKey (P-256) or an *rsa.PublicKey, and false where the id is unknown.
	Key(kid string) (crypto.PublicKey, bool)
}

// KeySet is a fixed set of public keys by id.
type KeySet map[string]crypto.PublicKey

// Key finds a key of the set.
func (s KeySet) Key(kid string) (crypto.PublicKey, bool) {
	key, ok := s[kid]
	return key, ok
}

// Public is the set that holds the public half of k.
func (k *Key) Public() KeySet { return KeySet{k.id: &k.private.PublicKey} }

type jwk struct {
	KeyType   string   `json:"kty"`
	Curve     string   `json:"crv,omitempty"`
	X         string   `json:"x,omitempty"`
	Y         string   `json:"y,omitempty"`
	Modulus   string   `json:"n,omitempty"`
	Exponent  string   `json:"e,omitempty"`
	ID        string   `json:"kid,omitempty"`
	Use       string   `json:"use,omitempty"`
	Algorithm string   `json:"alg,omitempty"`
	Ops       []string `json:"key_ops,omitempty"`
}

type jwks struct {
	Keys []jwk `json:"keys"`
}

// JWKS renders the public half of the keys as a JSON Web Key Set (RFC 7517).
func JWKS(keys ...*Key) ([]byte, error) {
	set := jwks{Keys: []jwk{}}
	for _, k := range keys {
		x, y, err := coordinates(&k.private.PublicKey)
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, jwk{KeyType: "EC", Curve: "P-256", X: x, Y: y, ID: k.id, Use: "sig", Algorithm: "ES256"})
	}
	return json.Marshal(set)
}

// ParseJWKS reads the keys of a JSON Web Key Set that may verify a token: P-256 and RSA of at least 2048 bits, with an id.
// Symmetric keys and keys meant for something else are left out, so a set may come back empty.
func ParseJWKS(text []byte) (KeySet, error) {
	var set jwks
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	out := KeySet{}
	for _, k := range set.Keys {
		if key, ok := k.public(); ok {
			out[k.ID] = key
		}
	}
	return out, nil
}

func (k jwk) public() (crypto.PublicKey, bool) {
	if k.ID == "" || (k.Use != "" && k.Use != "sig") || !k.mayVerify() {
		return nil, false
	}
	switch {
	case k.KeyType == "EC" && k.Curve == "P-256" && (k.Algorithm == "" || k.Algorithm == "ES256"):
		return k.ec()
	case k.KeyType == "RSA" && (k.Algorithm == "" || k.Algorithm == "RS256"):
		return k.rsa()
	}
	return nil, false
}

func (k jwk) mayVerify() bool {
	for _, op := range k.Ops {
		if op == "verify" {
			return true
		}
	}
	return len(k.Ops) == 0
}

func (k jwk) ec() (crypto.PublicKey, bool) {
	x, errX := base64.RawURLEncoding.DecodeString(k.X)
	y, errY := base64.RawURLEncoding.DecodeString(k.Y)
	if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
		return nil, false
	}
	// ParseUncompressedPublicKey refuses points that are not on the curve.
	point := append(append([]byte{4}, x...), y...)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, false
	}
	return key, true
}

func (k jwk) rsa() (crypto.PublicKey, bool) {
	n, errN := base64.RawURLEncoding.DecodeString(k.Modulus)
	e, errE := base64.RawURLEncoding.DecodeString(k.Exponent)
	if errN != nil || errE != nil || len(e) == 0 || len(e) > 4 {
		return nil, false
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if key.N.BitLen() < minRSABits || key.E < 3 {
		return nil, false
	}
	return key, true
}

func coordinates(key *ecdsa.PublicKey) (x, y string, err error) {
	point, err := key.Bytes()
	if err != nil {
		return "", "", fmt.Errorf("render public key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:65]), nil
}

// thumbprint is RFC 7638: the SHA-256 of the required members in lexicographic order.
func thumbprint(key *ecdsa.PublicKey) (string, error) {
	x, y, err := coordinates(key)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}
