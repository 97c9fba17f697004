package main

import (
	"context"
	"fmt"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

func message(c mcp.Content) mcp.PromptMessage {
	return mcp.PromptMessage{Role: mcp.RoleUser, Content: c}
}

func prompt(s string) mcpserver.PromptHandlerFunc {
	return func(context.Context, mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Messages: []mcp.PromptMessage{message(mcp.NewTextContent(s))}}, nil
	}
}

func mountPrompts(m *mcpserver.MCPServer) {
	fixture := mcp.WithPromptDescription("Conformance fixture")
	m.AddPrompt(mcp.NewPrompt("test_simple_prompt", fixture), prompt("This is a simple prompt for testing."))
	m.AddPrompt(mcp.NewPrompt("test_prompt_with_arguments", fixture,
		mcp.WithArgument("arg1", mcp.ArgumentDescription("First"), mcp.RequiredArgument()), mcp.WithArgument("arg2", mcp.ArgumentDescription("Second"), mcp.RequiredArgument())),
		func(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			s := fmt.Sprintf("Prompt with arguments: arg1='%s', arg2='%s'", r.Params.Arguments["arg1"], r.Params.Arguments["arg2"])
			return &mcp.GetPromptResult{Messages: []mcp.PromptMessage{message(mcp.NewTextContent(s))}}, nil
		})
	m.AddPrompt(mcp.NewPrompt("test_prompt_with_embedded_resource", fixture, mcp.WithArgument("resourceUri", mcp.ArgumentDescription("Address"), mcp.RequiredArgument())),
		func(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			resource := mcp.TextResourceContents{URI: r.Params.Arguments["resourceUri"], MIMEType: "text/plain", Text: "Embedded resource content for testing."}
			return &mcp.GetPromptResult{Messages: []mcp.PromptMessage{
				message(mcp.NewEmbeddedResource(resource)), message(mcp.NewTextContent("Please process the embedded resource above.")),
			}}, nil
		})
	m.AddPrompt(mcp.NewPrompt("test_prompt_with_image", fixture),
		func(context.Context, mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return &mcp.GetPromptResult{Messages: []mcp.PromptMessage{
				message(mcp.NewImageContent(image, "image/png")), message(mcp.NewTextContent("Please analyze the image above.")),
			}}, nil
		})
	m.AddPrompt(mcp.NewPrompt("test_input_required_result_prompt", fixture),
		func(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			answer := mcpserver.ElicitationResponse(r.Params.InputResponses, "user_context")
			if answer == nil {
				return new(mcpserver.InputRequestBuilder).Elicit("user_context", ask("What context should the prompt use?", "context", "string")).PromptResult(), nil
			}
			return &mcp.GetPromptResult{Messages: []mcp.PromptMessage{message(mcp.NewTextContent("Context: " + field(answer, "context")))}}, nil
		})
}
