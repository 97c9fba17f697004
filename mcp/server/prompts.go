package server

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/tartan-ai/tartan/mcp/tools"
	"github.com/tartan-ai/tartan/mcp/tools/jsonrpc"
)

type partsKey struct{}

// mountPrompts lists the prompts. The router fills them, so that what is wrong with the arguments gets the code that the
// specification wants; mcp-go has one code for whatever a handler says.
func (s *Server) mountPrompts(m *mcpserver.MCPServer) {
	for name, p := range s.prompts {
		listed := mcp.Prompt{Name: name, Title: p.Title, Description: p.Description}
		for _, a := range p.Arguments() {
			listed.Arguments = append(listed.Arguments, mcp.PromptArgument{Name: a.Name, Description: a.Description, Required: a.Required})
		}
		m.AddPrompt(listed, func(ctx context.Context, _ mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			parts, ok := ctx.Value(partsKey{}).([]tools.Part)
			if !ok {
				return nil, fmt.Errorf("get prompt %s: not filled by the router", name)
			}
			return &mcp.GetPromptResult{Description: p.Description, Messages: messages(parts)}, nil
		})
	}
}

func messages(parts []tools.Part) []mcp.PromptMessage {
	out := make([]mcp.PromptMessage, len(parts))
	for i, p := range parts {
		out[i] = mcp.PromptMessage{Role: mcp.RoleUser, Content: mcp.NewTextContent(p.Text)}
		if a := p.Attached; a != nil {
			out[i].Content = mcp.NewEmbeddedResource(mcp.TextResourceContents{URI: a.URI, MIMEType: a.Type, Text: a.Text})
		}
	}
	return out
}

// fill makes one of our prompts for mcp-go's handler to hand on; what is not ours is left to mcp-go.
func (s *Server) fill(v verdict, m *jsonrpc.Message) verdict {
	p := s.prompts[m.Name]
	if p == nil {
		return v
	}
	parts, err := s.promptAs(v.ctx, p, m.Arguments)
	if err == nil {
		v.ctx = context.WithValue(v.ctx, partsKey{}, parts)
		return v
	}
	told, _ := s.explain(v.ctx, "prompt "+p.Name, err)
	code := mcp.INTERNAL_ERROR
	switch told.Kind {
	case tools.NotFound, tools.Denied, tools.Invalid:
		code = mcp.INVALID_PARAMS
	}
	return v.fail(m, code, told.Error(), nil)
}

// promptAs fills a prompt for whoever sent the request; a panic is an error.
func (s *Server) promptAs(ctx context.Context, p *tools.Prompt, args []byte) (parts []tools.Part, err error) {
	defer func() {
		if p := recover(); p != nil {
			parts, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	id, ok := identityOf(ctx)
	if !ok {
		return nil, &tools.Error{Kind: tools.Denied, Message: "no identity"}
	}
	if id.Agent != nil {
		return nil, &tools.Error{Kind: tools.Denied, Message: "prompts are for people, not for agents", Next: "Call the tools of your manifest"}
	}
	c, err := s.members.call(ctx, id)
	if err != nil {
		return nil, err
	}
	s.entered("prompt " + p.Name)
	return p.Get(ctx, c, args)
}
