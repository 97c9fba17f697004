package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/tartan-ai/tartan/mcp/server"
)

// The smallest PNG and WAV files there are.
const (
	image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
	audio = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
)

type handler = mcpserver.ToolHandlerFunc

func tool(name, schema string) mcp.Tool {
	if schema == "" {
		schema = `{"type":"object","properties":{}}`
	}
	return mcp.Tool{Name: name, Description: "Conformance fixture", RawInputSchema: []byte(schema)}
}

func text(s string) (*mcp.CallToolResult, error) { return mcp.NewToolResultText(s), nil }

func content(parts ...mcp.Content) handler {
	return func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: parts}, nil
	}
}

func mountTools(m *mcpserver.MCPServer) {
	embedded := mcp.NewEmbeddedResource(mcp.TextResourceContents{URI: "test://embedded-resource", MIMEType: "text/plain", Text: "This is an embedded resource content."})
	mixed := mcp.NewEmbeddedResource(mcp.TextResourceContents{URI: "test://mixed-content-resource", MIMEType: "application/json", Text: `{"test":"data","value":123}`})
	for name, h := range map[string]handler{
		"test_simple_text":            content(mcp.NewTextContent("This is a simple text response for testing.")),
		"test_image_content":          content(mcp.NewImageContent(image, "image/png")),
		"test_audio_content":          content(mcp.NewAudioContent(audio, "audio/wav")),
		"test_embedded_resource":      content(embedded),
		"test_multiple_content_types": content(mcp.NewTextContent("Multiple content types test:"), mcp.NewImageContent(image, "image/png"), mixed),
		"test_error_handling": func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultError("This tool intentionally returns an error for testing"), nil
		},
		"test_missing_capability": func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return text("sampling was declared")
		},
		"test_logging_tool":       logging,
		"test_tool_with_logging":  logging,
		"test_tool_with_progress": progress,
	} {
		m.AddTool(tool(name, ""), h)
	}
	m.AddTool(tool("json_schema_2020_12_tool", jsonSchema), content(mcp.NewTextContent("ok")))
	m.AddTool(tool("test_custom_headers", `{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"query":{"type":"string"}},"required":["region"]}`),
		func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return text(r.GetString("region", ""))
		})
	// Lists that change while the server runs, for the notifications of it.
	m.AddTool(tool("test_trigger_tool_change", ""), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		m.AddTool(tool("test_changed_tool", ""), content(mcp.NewTextContent("ok")))
		m.DeleteTools("test_changed_tool")
		return text("tools changed")
	})
	m.AddTool(tool("test_trigger_prompt_change", ""), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		m.AddPrompt(mcp.NewPrompt("test_changed_prompt", mcp.WithPromptDescription("Conformance fixture")), prompt("changed"))
		m.DeletePrompts("test_changed_prompt")
		return text("prompts changed")
	})
}

const jsonSchema = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
"$defs":{"address":{"$anchor":"addressDef","type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"}}}},
"properties":{"name":{"type":"string"},"address":{"$ref":"#/$defs/address"},"contactMethod":{"type":"string","enum":["phone","email"]},
"phone":{"type":"string"},"email":{"type":"string"}},
"allOf":[{"anyOf":[{"required":["phone"]},{"required":["email"]}]}],
"if":{"properties":{"contactMethod":{"const":"phone"}},"required":["contactMethod"]},"then":{"required":["phone"]},"else":{"required":["email"]},
"additionalProperties":false}`

// logging sends log messages, unless the client speaks a revision in which it must ask for them and did not.
func logging(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	info := mcpserver.RequestProtocolInfoFromContext(ctx)
	if info == nil || !info.Modern || info.LogLevel != "" {
		for _, message := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
			if err := server.Notify(ctx, "notifications/message", map[string]any{"level": "info", "logger": "conformance", "data": message}); err != nil {
				return nil, err
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return text("logged")
}

func progress(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if r.Params.Meta == nil || r.Params.Meta.ProgressToken == nil {
		return text("no progress token")
	}
	for _, done := range []int{0, 50, 100} {
		params := map[string]any{"progressToken": r.Params.Meta.ProgressToken, "progress": done, "total": 100}
		if err := server.Notify(ctx, "notifications/progress", params); err != nil {
			return nil, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return text("progress reported")
}

var resources = map[string]mcp.ResourceContents{
	"test://static-text":      mcp.TextResourceContents{URI: "test://static-text", MIMEType: "text/plain", Text: "This is the content of the static text resource."},
	"test://static-binary":    mcp.BlobResourceContents{URI: "test://static-binary", MIMEType: "image/png", Blob: image},
	"test://watched-resource": mcp.TextResourceContents{URI: "test://watched-resource", MIMEType: "text/plain", Text: "watched"},
}

const templatePrefix = "test://template/"

func mountResources(m *mcpserver.MCPServer) {
	read := func(c mcp.ResourceContents) mcpserver.ResourceHandlerFunc {
		return func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
			return []mcp.ResourceContents{c}, nil
		}
	}
	for uri, c := range resources {
		m.AddResource(mcp.NewResource(uri, strings.TrimPrefix(uri, "test://"), mcp.WithResourceDescription("Conformance fixture")), read(c))
	}
	m.AddResourceTemplate(mcp.NewResourceTemplate(templatePrefix+"{id}/data", "template", mcp.WithTemplateDescription("Conformance fixture"), mcp.WithTemplateMIMEType("application/json")),
		func(_ context.Context, r mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
			id := strings.TrimSuffix(strings.TrimPrefix(r.Params.URI, templatePrefix), "/data")
			return []mcp.ResourceContents{mcp.TextResourceContents{
				URI: r.Params.URI, MIMEType: "application/json", Text: fmt.Sprintf(`{"id":%q,"templateTest":true,"data":%q}`, id, "Data for ID: "+id),
			}}, nil
		})
}
