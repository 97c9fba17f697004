package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// mcpClient is a client of the MCP server over HTTP, as an agent would be.
type mcpClient struct{ c *client.Client }

func dialMCP(ctx context.Context, url, token string) (*mcpClient, error) {
	c, err := client.NewStreamableHttpClient(url, transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer " + token}))
	if err != nil {
		return nil, err
	}
	if err := c.Start(ctx); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	req := mcp.InitializeRequest{}
	req.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	req.Params.ClientInfo = mcp.Implementation{Name: localClient, Version: versionInfo().Version}
	if _, err := c.Initialize(ctx, req); err != nil {
		c.Close()
		return nil, fmt.Errorf("initialize at %s: %w", url, err)
	}
	return &mcpClient{c}, nil
}

func (m *mcpClient) close() { m.c.Close() }

// call calls a tool and decodes its structured answer.
func (m *mcpClient) call(ctx context.Context, tool string, arguments, out any) error {
	req := mcp.CallToolRequest{}
	req.Params.Name, req.Params.Arguments = tool, arguments
	res, err := m.c.CallTool(ctx, req)
	if err != nil {
		return fmt.Errorf("call %s: %w", tool, err)
	}
	if res.IsError {
		text := "no message"
		if len(res.Content) > 0 {
			if t, ok := res.Content[0].(mcp.TextContent); ok {
				text = t.Text
			}
		}
		return fmt.Errorf("call %s: %s", tool, text)
	}
	raw, err := json.Marshal(res.StructuredContent)
	if err != nil {
		return err
	}
	if len(raw) == 0 || string(raw) == "null" {
		return errors.New("call " + tool + ": the answer has no structured content")
	}
	return json.Unmarshal(raw, out)
}
