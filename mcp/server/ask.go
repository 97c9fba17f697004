package server

import (
	"context"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// ask puts a question to the user of a client that said it can. asked is false where it did not, or where the question did not
// come through: the tool then gives its caller something to confirm with.
func ask(ctx context.Context, question string) (agreed, asked bool) {
	m, session := mcpserver.ServerFromContext(ctx), mcpserver.ClientSessionFromContext(ctx)
	who, ok := session.(mcpserver.SessionWithClientInfo)
	if m == nil || !ok || who.GetClientCapabilities().Elicitation == nil {
		return false, false
	}
	r := mcp.ElicitationRequest{}
	r.Params.Message = question
	r.Params.RequestedSchema = map[string]any{
		"type": "object", "required": []string{"agree"},
		"properties": map[string]any{"agree": map[string]any{"type": "boolean", "title": "Yes, undo it"}},
	}
	answer, err := m.RequestElicitation(ctx, r)
	if err != nil {
		return false, false
	}
	given, _ := answer.Content.(map[string]any)
	yes, _ := given["agree"].(bool)
	return answer.Action == mcp.ElicitationResponseActionAccept && yes, true
}
