package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/supabase"
	"github.com/tartan-ai/tartan/workers"
)

// The local stack's identity lives in the data folder: who its only user is, and the key that signs tokens.
const (
	identityFile = "identity.json"
	jwksFile     = "jwks.json"
	localIssuer  = "tartan-local"
	localClient  = "tartan-cli"
)

type identity struct {
	UserID uuid.UUID `json:"user_id"`
	Key    string    `json:"key"` // PKCS #8 in PEM, P-256
	// DatabasePassword is that of the login role that Tartan's own processes use.
	DatabasePassword string `json:"database_password"`
}

// readIdentity reads the identity of a data folder; the error is fs.ErrNotExist where none was made.
func readIdentity(dataDir string) (identity, *access.Key, error) {
	var id identity
	raw, err := os.ReadFile(filepath.Join(dataDir, identityFile))
	if err != nil {
		return id, nil, err
	}
	if err := json.Unmarshal(raw, &id); err != nil {
		return id, nil, fmt.Errorf("read %s: %w", identityFile, err)
	}
	key, err := access.ParseKey([]byte(id.Key))
	if err != nil {
		return id, nil, fmt.Errorf("read %s: %w", identityFile, err)
	}
	return id, key, nil
}

// ensureIdentity reads the identity of a data folder or makes one, and writes the public key set beside it.
func ensureIdentity(dataDir string) (identity, error) {
	id, key, err := readIdentity(dataDir)
	if missing(err) {
		id, key, err = newIdentity(dataDir)
	}
	if err != nil {
		return id, err
	}
	set, err := access.JWKS(key)
	if err != nil {
		return id, err
	}
	return id, writeFile(filepath.Join(dataDir, jwksFile), set, 0o644)
}

func newIdentity(dataDir string) (identity, *access.Key, error) {
	key, err := access.NewKey()
	if err != nil {
		return identity{}, nil, err
	}
	text, err := key.PEM()
	if err != nil {
		return identity{}, nil, err
	}
	id := identity{UserID: uuid.New(), Key: string(text), DatabasePassword: randomHex(24)}
	raw, err := json.Marshal(id)
	if err != nil {
		return id, nil, err
	}
	return id, key, writeFile(filepath.Join(dataDir, identityFile), raw, 0o600)
}

// writeFile replaces a file in one step, so that a reader or a crash never sees half of it.
func writeFile(path string, data []byte, mode os.FileMode) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// user is the subject of the token that was given, checked, or else the local stack's user.
func (a *app) user(ctx context.Context) (uuid.UUID, error) {
	if a.cfg.Token == "" {
		id, _, err := readIdentity(a.cfg.DataDir)
		if missing(err) {
			return uuid.Nil, &failure{code: codeDenied, what: "no token is set and the data folder has no identity", next: "set TARTAN_TOKEN, or tartan up"}
		}
		return id.UserID, err
	}
	claims, err := access.Verify(a.cfg.Token, a.keys(), a.expect(), time.Now())
	if err != nil {
		return uuid.Nil, &failure{code: codeDenied, what: "TARTAN_TOKEN", why: err, next: "tartan token, or sign in again"}
	}
	return claims.Subject, nil
}

// keys are the public keys that bearer tokens are checked with.
func (a *app) keys() access.Keys { return supabase.NewJWKS(a.cfg.JWKSURL, nil) }

// expect is what bearer tokens must say.
func (a *app) expect() access.Expect {
	return access.Expect{Issuer: a.cfg.JWTIssuer, Audience: a.cfg.JWTAudience, RequireClientID: true, Leeway: 30 * time.Second}
}

// issueToken signs a token for the local stack's user, good for the MCP server at audience.
func (a *app) issueToken(audience string, ttl time.Duration) (string, error) {
	id, key, err := readIdentity(a.cfg.DataDir)
	if missing(err) {
		return "", &failure{code: codeUnavailable, what: "the data folder " + a.cfg.DataDir + " has no key to sign with", next: "tartan up"}
	}
	if err != nil {
		return "", err
	}
	now := time.Now()
	return access.Issue(key, access.Claims{
		Subject: id.UserID, Issuer: localIssuer, Audience: []string{audience}, ClientID: localClient, Expires: now.Add(ttl),
	}, now)
}

func (a *app) tokenCommand() *cobra.Command {
	var ttl time.Duration
	c := &cobra.Command{
		Use:   "token",
		Short: "Print a bearer token for the local MCP server",
		Long:  "Print a bearer token for the local MCP server: an ES256 JWT signed with the key in the data folder.\nOnly the token goes to stdout.",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if ttl <= 0 || ttl > 365*24*time.Hour {
				return usage("--ttl %s: want more than 0 and at most 8760h", ttl)
			}
			if a.cfg.JWTAudience == "" {
				return noStack("the MCP server's address", "TARTAN_MCP_URL")
			}
			token, err := a.issueToken(a.cfg.JWTAudience, ttl)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(map[string]string{"token": token, "audience": a.cfg.JWTAudience})
			}
			_, err = fmt.Fprintln(a.out, token)
			return err
		},
	}
	c.Flags().DurationVar(&ttl, "ttl", 24*time.Hour, "how long the token is good for")
	return c
}

// grants are what this process signs and checks activity tasks with: by TARTAN_GRANT_KEY, or by the local stack's key. Where
// there is neither they are nil, which is said aloud: tasks then carry no grant.
func (a *app) grants() (*workers.Grants, error) {
	key, err := a.grantKey()
	if err != nil {
		return nil, err
	}
	if key == nil {
		a.log.Warn("TARTAN_GRANT_KEY is not set: activity tasks carry no grant, and whoever reaches Temporal can call every agent")
		return nil, nil
	}
	return &workers.Grants{Key: key, Keys: key.Public()}, nil
}

// grantKey is that of TARTAN_GRANT_KEY or of the local stack, nil where there is neither.
func (a *app) grantKey() (*access.Key, error) {
	text, err := a.secret("TARTAN_GRANT_KEY", a.cfg.GrantKey)
	if err != nil {
		return nil, &failure{code: codeUsage, what: "settings", why: err}
	}
	var key *access.Key
	if text != "" {
		key, err = access.ParseKey([]byte(text))
	} else if _, key, err = readIdentity(a.cfg.DataDir); missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, &failure{code: codeUsage, what: "the key of grants", why: err, next: "set TARTAN_GRANT_KEY to env:NAME or file:PATH of a P-256 key in PEM"}
	}
	return key, nil
}

// keeper is what tokens of agents are kept with, nil without a key: they are refused then.
func (a *app) keeper() (*access.Keeper, error) {
	key, err := a.grantKey()
	if err != nil || key == nil {
		return nil, err
	}
	return access.NewKeeper(key)
}
