package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/mcp/tools"
)

// verify returns whom a bearer token makes known: a person by a signed token, an agent by its own.
func (s *Server) verify(ctx context.Context, token string) (Identity, error) {
	if !access.IsAgentToken(token) {
		claims, err := s.auth.Verify(token, s.now())
		return Identity{Claims: claims}, err
	}
	if s.config.Keeper == nil || s.config.Libraries == nil {
		return Identity{}, fmt.Errorf("verify token: %w: this server has no TARTAN_GRANT_KEY", access.ErrSignature)
	}
	agent, until, err := s.config.Libraries.Agent(ctx, s.config.Keeper, token, s.now())
	if err != nil {
		return Identity{}, err
	}
	claims := access.Claims{Subject: agent.ID, WorkspaceID: agent.WorkspaceID, ClientID: "agent:" + agent.Name, Expires: until}
	return Identity{Claims: claims, Agent: agent, token: token}, nil
}

// mayCall holds an agent to the tools of its manifest and to its scopes; nil is a person, whose role decides alone.
func mayCall(agent *access.Agent, t *tools.Tool) error {
	switch {
	case agent == nil:
		return nil
	case !slices.Contains(agent.Tools, t.Name):
		return &tools.Error{
			Kind: tools.Denied, Message: fmt.Sprintf("the manifest of agent %s does not name the tool %s", agent.Name, t.Name),
			Next: "Add it to tools in agent.toml, and have an admin register the agent again",
		}
	case !agent.Allows(t.Scope()):
		return outOfScope(agent, t.Scope())
	}
	return nil
}

// mayRead holds an agent to its scopes for a resource.
func mayRead(agent *access.Agent, uri string) error {
	if scope := tools.ScopeOf(uri); agent != nil && !agent.Allows(scope) {
		return outOfScope(agent, scope)
	}
	return nil
}

func outOfScope(agent *access.Agent, scope string) error {
	return &tools.Error{
		Kind: tools.Denied, Message: fmt.Sprintf("agent %s lacks the scope %s", agent.Name, scope),
		Next: "Add it to scopes in agent.toml, and have an admin register the agent again",
	}
}

// listed leaves out of the list what an agent may not call.
func (s *Server) listed(ctx context.Context, _ any, _ *mcp.ListToolsRequest, result *mcp.ListToolsResult) {
	id, _ := identityOf(ctx)
	if id.Agent == nil || result == nil {
		return
	}
	result.Tools = slices.DeleteFunc(slices.Clone(result.Tools), func(t mcp.Tool) bool {
		return s.tools[t.Name] == nil || mayCall(id.Agent, s.tools[t.Name]) != nil
	})
}
