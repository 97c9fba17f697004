package main

import (
	"context"
	"fmt"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// mountConversations mounts the tools that ask the client something in the middle of a call, as the revisions before 2026-07-28 do it.
func mountConversations(m *mcpserver.MCPServer) {
	m.AddTool(tool("test_sampling", `{"type":"object","properties":{"prompt":{"type":"string"}},"required":["prompt"]}`),
		func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			result, err := m.RequestSampling(ctx, mcp.CreateMessageRequest{
				Request: mcp.Request{Method: string(mcp.MethodSamplingCreateMessage)}, CreateMessageParams: sample(r.GetString("prompt", ""), 100),
			})
			if err != nil {
				return mcp.NewToolResultError(err.Error()), nil
			}
			return text("LLM response: " + said(result))
		})
	m.AddTool(tool("test_elicitation", `{"type":"object","properties":{"message":{"type":"string"}},"required":["message"]}`),
		func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return elicit(ctx, m, r.GetString("message", ""), map[string]any{
				"username": map[string]any{"type": "string", "description": "User's response"}, "email": map[string]any{"type": "string", "description": "User's email address"},
			}, "username", "email")
		})
	m.AddTool(tool("test_elicitation_sep1034_defaults", ""), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return elicit(ctx, m, "Provide your information", map[string]any{
			"name": map[string]any{"type": "string", "default": "John Doe"}, "age": map[string]any{"type": "integer", "default": 30},
			"score": map[string]any{"type": "number", "default": 95.5}, "verified": map[string]any{"type": "boolean", "default": true},
			"status": map[string]any{"type": "string", "enum": []string{"active", "inactive", "pending"}, "default": "active"},
		})
	})
	options := []string{"option1", "option2", "option3"}
	titled := []any{map[string]any{"const": "value1", "title": "First Option"}, map[string]any{"const": "value2", "title": "Second Option"}, map[string]any{"const": "value3", "title": "Third Option"}}
	m.AddTool(tool("test_elicitation_sep1330_enums", ""), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return elicit(ctx, m, "Select options", map[string]any{
			"untitledSingle": map[string]any{"type": "string", "enum": options},
			"titledSingle":   map[string]any{"type": "string", "oneOf": titled},
			"legacyEnum":     map[string]any{"type": "string", "enum": []string{"opt1", "opt2", "opt3"}, "enumNames": []string{"Option One", "Option Two", "Option Three"}},
			"untitledMulti":  map[string]any{"type": "array", "items": map[string]any{"type": "string", "enum": options}},
			"titledMulti":    map[string]any{"type": "array", "items": map[string]any{"anyOf": titled}},
		})
	})
}

func elicit(ctx context.Context, m *mcpserver.MCPServer, message string, properties map[string]any, required ...string) (*mcp.CallToolResult, error) {
	schema := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	result, err := m.RequestElicitation(ctx, mcp.ElicitationRequest{
		Request: mcp.Request{Method: string(mcp.MethodElicitationCreate)}, Params: mcp.ElicitationParams{Message: message, RequestedSchema: schema},
	})
	if err != nil {
		return mcp.NewToolResultError(err.Error()), nil
	}
	return text(fmt.Sprintf("User response: action=%s, content=%v", result.Action, result.Content))
}

func sample(prompt string, tokens int) mcp.CreateMessageParams {
	return mcp.CreateMessageParams{Messages: []mcp.SamplingMessage{{Role: mcp.RoleUser, Content: mcp.NewTextContent(prompt)}}, MaxTokens: tokens}
}

func said(result *mcp.CreateMessageResult) string {
	switch c := result.Content.(type) {
	case mcp.TextContent:
		return c.Text
	case map[string]any:
		return fmt.Sprint(c["text"])
	}
	return "no text"
}
