package validate

import "fmt"

// Role is what somebody may do in a space.
type Role string

// The roles, each with what those before it may.
const (
	Reader   Role = "reader"
	Writer   Role = "writer"   // propose
	Reviewer Role = "reviewer" // approve and reject
)

func (r Role) rank() int {
	switch r {
	case Reader:
		return 1
	case Writer:
		return 2
	case Reviewer:
		return 3
	}
	return 0
}

// access: who may propose.
func (c *run) access() {
	if c.p.Author == "" {
		c.add("access.author", Block, "", "the proposal names no author")
	}
	if c.p.Role.rank() < Writer.rank() {
		c.add("access.role", Block, "", fmt.Sprintf("role %q of the author in space %s", c.p.Role, c.p.Space))
	}
}

// Approval checks who wants to approve a change: a reviewer of the space, and another than any author of it.
func (v *Validator) Approval(space string, authors []string, approver string, role Role) []Result {
	c := &run{v: v}
	if approver == "" || role.rank() < Reviewer.rank() {
		c.add("access.reviewer", Block, "", fmt.Sprintf("role %q of the approver in space %s", role, space))
	}
	for _, author := range authors {
		if author == approver && !v.policy.SelfApproval {
			c.add("access.own", Block, "", "the approver is an author of the change")
			break
		}
	}
	return c.finish()
}
