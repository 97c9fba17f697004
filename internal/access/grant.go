package access

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// ErrTask is wrapped where a grant is good, and for another task.
var ErrTask = errors.New("grant is for another task")

// What every grant names, so that it is nothing else's token and no other token is a grant.
const (
	grantIssuer   = "tartan-worker"
	grantAudience = "tartan-activity"
)

// Grant says what one activity task may do: this activity, for this workflow, in this workspace, as this agent. A workflow
// worker signs it, and it goes with the task; the agent checks it before the activity runs. The kit in agents/ reads the same.
type Grant struct {
	Agent       string
	Activity    string
	WorkflowID  string
	WorkspaceID uuid.UUID // zero where the workflow acts in none
	Expires     time.Time
}

type wireGrant struct {
	jwt.RegisteredClaims
	Activity    string `json:"activity"`
	WorkflowID  string `json:"workflow_id"`
	WorkspaceID string `json:"workspace_id"`
}

// IssueGrant signs g with key as an ES256 token that starts at now.
func IssueGrant(key *Key, g Grant, now time.Time) (string, error) {
	if g.Agent == "" || g.Activity == "" || g.WorkflowID == "" || !g.Expires.After(now) {
		return "", errors.New("issue grant: agent, activity, workflow and a later expiry are required")
	}
	wire := wireGrant{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: g.Agent, Issuer: grantIssuer, Audience: jwt.ClaimStrings{grantAudience},
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(g.Expires),
		},
		Activity: g.Activity, WorkflowID: g.WorkflowID, WorkspaceID: g.WorkspaceID.String(),
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, wire)
	token.Header["kid"] = key.id
	signed, err := token.SignedString(key.private)
	if err != nil {
		return "", fmt.Errorf("issue grant: %w", err)
	}
	return signed, nil
}

// VerifyGrant checks signature, issuer, audience and expiry at the time now. Its errors wrap one of the Err values.
func VerifyGrant(token string, keys Keys, now time.Time) (Grant, error) {
	if len(token) > maxToken {
		return Grant{}, fmt.Errorf("verify grant: %w: longer than %d bytes", ErrMalformed, maxToken)
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodES256.Alg()}), jwt.WithIssuer(grantIssuer), jwt.WithAudience(grantAudience),
		jwt.WithExpirationRequired(), jwt.WithLeeway(5*time.Second), jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithStrictDecoding(),
	)
	var wire wireGrant
	if _, err := parser.ParseWithClaims(token, &wire, keyFor(keys)); err != nil {
		return Grant{}, fmt.Errorf("verify grant: %w", reason(err))
	}
	workspace, err := uuid.Parse(wire.WorkspaceID)
	if err != nil || wire.Subject == "" || wire.Activity == "" || wire.WorkflowID == "" {
		return Grant{}, fmt.Errorf("verify grant: %w: agent, activity, workflow_id or workspace_id is missing", ErrMalformed)
	}
	return Grant{Agent: wire.Subject, Activity: wire.Activity, WorkflowID: wire.WorkflowID, WorkspaceID: workspace, Expires: wire.ExpiresAt.Time}, nil
}

// For reports whether g is the grant of the task, with ErrTask if not. A zero workspace of the task is any: its input names none.
func (g Grant) For(task Grant) error {
	for _, f := range []struct{ name, has, want string }{
		{"agent", g.Agent, task.Agent}, {"activity", g.Activity, task.Activity}, {"workflow", g.WorkflowID, task.WorkflowID},
	} {
		if f.has != f.want {
			return fmt.Errorf("check grant: %w: it names %s %q, the task %q", ErrTask, f.name, f.has, f.want)
		}
	}
	if task.WorkspaceID != uuid.Nil && g.WorkspaceID != task.WorkspaceID {
		return fmt.Errorf("check grant: %w: it names another workspace", ErrTask)
	}
	return nil
}
