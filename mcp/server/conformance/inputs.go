package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// secret signs the state that travels through the client.
var secret = []byte(rand.Text())

func seal(state string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(state))
	return state + "." + hex.EncodeToString(mac.Sum(nil))
}

var errState = errors.New("requestState was not made by this server")

func open(sealed string) (string, error) {
	state, _, _ := strings.Cut(sealed, ".")
	if !hmac.Equal([]byte(seal(state)), []byte(sealed)) {
		return "", errState
	}
	return state, nil
}

func ask(message, name, kind string) mcp.ElicitationParams {
	return mcp.ElicitationParams{Message: message, RequestedSchema: map[string]any{
		"type": "object", "properties": map[string]any{name: map[string]any{"type": kind}}, "required": []string{name},
	}}
}

func field(answer *mcp.ElicitationResult, name string) string {
	values, _ := answer.Content.(map[string]any)
	return fmt.Sprint(values[name])
}

type builder = mcpserver.InputRequestBuilder

// mountInputRequests mounts the tools that ask as revision 2026-07-28 does it: they return what they need to know, and are called again.
func mountInputRequests(m *mcpserver.MCPServer) {
	for name, h := range map[string]handler{
		"test_input_required_result_elicitation":     askName,
		"test_streaming_elicitation":                 askName,
		"test_input_required_result_sampling":        askModel,
		"test_input_required_result_list_roots":      askRoots,
		"test_input_required_result_request_state":   askWithState,
		"test_input_required_result_tampered_state":  askWithState,
		"test_input_required_result_multiple_inputs": askAll,
		"test_input_required_result_multi_round":     askTwice,
		"test_input_required_result_capabilities":    askWhatIsDeclared,
	} {
		m.AddTool(tool(name, ""), h)
	}
}

func askName(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	answer := mcpserver.ElicitationResponse(r.Params.InputResponses, "user_name")
	if answer == nil || answer.Content == nil {
		return new(builder).Elicit("user_name", ask("What is your name?", "name", "string")).ToolResult(), nil
	}
	return text("Hello, " + field(answer, "name") + "!")
}

func askModel(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if answer := mcpserver.SamplingResponse(r.Params.InputResponses, "capital_question"); answer != nil {
		return text(said(answer))
	}
	return new(builder).Sample("capital_question", sample("What is the capital of France?", 100)).ToolResult(), nil
}

func askRoots(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	answer := mcpserver.RootsResponse(r.Params.InputResponses, "client_roots")
	if answer == nil {
		return new(builder).Roots("client_roots").ToolResult(), nil
	}
	var uris []string
	for _, root := range answer.Roots {
		uris = append(uris, root.URI)
	}
	return text("Roots: " + strings.Join(uris, ", "))
}

func askWithState(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if r.Params.RequestState == "" {
		return mcpserver.NewInputRequestBuilder(seal("asked")).Elicit("confirm", ask("Please confirm", "ok", "boolean")).ToolResult(), nil
	}
	if _, err := open(r.Params.RequestState); err != nil {
		return nil, err
	}
	return text("state-ok")
}

func askAll(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if r.Params.RequestState == "" {
		return mcpserver.NewInputRequestBuilder(seal("asked")).Elicit("user_name", ask("What is your name?", "name", "string")).
			Sample("greeting", sample("Generate a greeting", 50)).Roots("client_roots").ToolResult(), nil
	}
	if _, err := open(r.Params.RequestState); err != nil {
		return nil, err
	}
	return text("all answered")
}

func askTwice(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if r.Params.RequestState == "" {
		return mcpserver.NewInputRequestBuilder(seal("round-1")).Elicit("step1", ask("Step 1: What is your name?", "name", "string")).ToolResult(), nil
	}
	state, err := open(r.Params.RequestState)
	if err != nil {
		return nil, err
	}
	if state == "round-1" {
		return mcpserver.NewInputRequestBuilder(seal("round-2")).Elicit("step2", ask("Step 2: What is your favorite color?", "color", "string")).ToolResult(), nil
	}
	return text("both rounds done")
}

// askWhatIsDeclared asks only in ways that the client says it knows.
func askWhatIsDeclared(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if len(r.Params.InputResponses) > 0 {
		return text("answered")
	}
	b := new(builder)
	if info := mcpserver.RequestProtocolInfoFromContext(ctx); info != nil && info.ClientCapabilities != nil {
		if info.ClientCapabilities.Sampling != nil {
			b.Sample("question", sample("Say something", 50))
		}
		if info.ClientCapabilities.Elicitation != nil {
			b.Elicit("user_name", ask("What is your name?", "name", "string"))
		}
	}
	return b.ToolResult(), nil
}
