// Package access decides who may do what. A caller is who a verified token says; roles come from membership.
// It reads no clock, no network and no environment: keys and the time are arguments.
package access

import "github.com/google/uuid"

// Caller is who a request, a workflow or a command acts for.
type Caller struct {
	UserID      uuid.UUID `json:"user_id"`
	WorkspaceID uuid.UUID `json:"workspace_id"`
}

// Role is what a member may do in a workspace; each role may do all that the ones before it may.
type Role string

// The roles, least first.
const (
	Viewer   Role = "viewer"
	Editor   Role = "editor"
	Reviewer Role = "reviewer"
	Operator Role = "operator"
	Admin    Role = "admin"
)

var rank = map[Role]int{Viewer: 1, Editor: 2, Reviewer: 3, Operator: 4, Admin: 5}

// AtLeast reports whether r may do what min may. An unknown role may do nothing.
func (r Role) AtLeast(min Role) bool { return rank[r] > 0 && rank[r] >= rank[min] }
