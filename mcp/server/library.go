package server

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/telemetry"
	"github.com/tartan-ai/tartan/mcp/tools"
)

// flushWait is how long a call that sent notifications waits before it answers: mcp-go loses those still in its queue (B2 of the
// reference; 5 ms lost none of 60).
const flushWait = 5 * time.Millisecond

// newLibraryServer mounts the tools and resources on an mcp-go server. Capabilities of clients (sampling, roots, elicitation) are not
// announced: mcp-go would list them as the server's own (B5).
func (s *Server) newLibraryServer(all []tools.Tool) *mcpserver.MCPServer {
	hooks := &mcpserver.Hooks{}
	s.hook(hooks)
	// Not as a filter of mcp-go, which would answer a call with "not found" instead of what the agent lacks.
	hooks.AddAfterListTools(s.listed)
	options := []mcpserver.ServerOption{
		mcpserver.WithTitle("Tartan"),
		mcpserver.WithDescription("Durable memory for log patterns"),
		mcpserver.WithInstructions(tools.Instructions),
		mcpserver.WithToolCapabilities(false),
		mcpserver.WithResourceCapabilities(true, false),
		mcpserver.WithPromptCapabilities(false),
		mcpserver.WithToolHandlerMiddleware(flushNotifications),
		mcpserver.WithMethodCacheHints(mcp.MethodToolsList, int64(time.Hour/time.Millisecond), mcp.CacheScopePrivate),
		mcpserver.WithHooks(hooks),
		mcpserver.WithRecovery(),
	}
	if s.config.Fixtures != nil {
		options = append(options, mcpserver.WithToolCapabilities(true), mcpserver.WithResourceCapabilities(true, true),
			mcpserver.WithPromptCapabilities(true), mcpserver.WithCompletions(), mcpserver.WithLogging(), mcpserver.WithElicitation())
	}
	m := mcpserver.NewMCPServer("tartan", Version(), options...)
	for i := range all {
		if t := s.tools[all[i].Name]; t != nil {
			m.AddTool(describe(t), s.handler(t))
		}
	}
	for _, t := range tools.Templates() {
		m.AddResourceTemplate(mcp.NewResourceTemplate(t.URI, t.Name, mcp.WithTemplateTitle(t.Title), mcp.WithTemplateDescription(t.Description),
			mcp.WithTemplateMIMEType(t.Type)), s.resourceHandler)
	}
	s.mountPrompts(m)
	if s.config.Fixtures != nil {
		s.config.Fixtures.Mount(m)
	}
	return m
}

func describe(t *tools.Tool) mcp.Tool {
	return mcp.Tool{
		Name: t.Name, Title: t.Title, Description: t.Description, RawInputSchema: t.Input, RawOutputSchema: t.Output,
		Annotations: mcp.ToolAnnotation{
			ReadOnlyHint: &t.ReadOnly, DestructiveHint: &t.Destructive, IdempotentHint: &t.Idempotent, OpenWorldHint: &t.OpenWorld,
		},
	}
}

func (s *Server) handler(t *tools.Tool) mcpserver.ToolHandlerFunc {
	return func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		args, ok := ctx.Value(argumentsKey{}).(json.RawMessage)
		if !ok {
			args = r.Params.RawArguments
		}
		result, err := s.call(ctx, t, args)
		if err != nil {
			return &mcp.CallToolResult{Content: []mcp.Content{mcp.NewTextContent(err.Error())}, IsError: true}, nil
		}
		content := []mcp.Content{mcp.NewTextContent(result.Text)}
		if a := result.Attached; a != nil {
			// Not as an image: SVG is text, and clients that show images know other types only.
			content = append(content, mcp.NewEmbeddedResource(mcp.TextResourceContents{URI: a.URI, MIMEType: a.Type, Text: a.Text}))
		}
		return &mcp.CallToolResult{Content: content, RawStructuredContent: hide(ctx, result.Structured)}, nil
	}
}

// call is the one wrapper around every tool: membership and role, panics, telemetry, and errors that clients may see.
func (s *Server) call(ctx context.Context, t *tools.Tool, args []byte) (result tools.Result, told error) {
	start := s.now()
	var c tools.Call
	outcome, reference := "ok", ""
	defer func() {
		if p := recover(); p != nil {
			told = s.internal(t.Name, fmt.Errorf("panic: %v\n%s", p, debug.Stack()), &reference)
			outcome = "internal"
		}
		if s.config.OnCall != nil {
			s.config.OnCall(CallInfo{Tool: t.Name, Caller: c.Caller, Outcome: outcome, Duration: s.now().Sub(start), Reference: reference})
		}
	}()
	id, ok := identityOf(ctx)
	if !ok {
		return result, &tools.Error{Kind: tools.Denied, Message: "no identity"}
	}
	c, err := s.members.call(ctx, id)
	if err == nil {
		err = mayCall(id.Agent, t)
	}
	if err == nil {
		s.entered(t.Name)
		result, err = t.Call(ctx, c, args)
	}
	if err != nil {
		explained, ref := s.explain(ctx, t.Name, err)
		outcome, reference = string(explained.Kind), ref
		return tools.Result{}, explained
	}
	return result, nil
}

// explain turns any error into one for the client. Of an internal one the client gets a reference and the log the rest.
func (s *Server) explain(_ context.Context, what string, err error) (told *tools.Error, reference string) {
	if told = tools.Explain(err); told != nil {
		return told, ""
	}
	told = s.internal(what, err, &reference)
	return told, reference
}

func (s *Server) internal(what string, err error, reference *string) *tools.Error {
	*reference = uuid.NewString()[:8]
	s.log.Error("call failed", zap.String(telemetry.KeyTool, what), zap.String(telemetry.KeyReference, *reference), zap.Error(err))
	return &tools.Error{Kind: "internal", Message: "internal error, reference " + *reference, Next: "The server's log has the detail"}
}

// resource reads a resource as the caller.
func (s *Server) resource(ctx context.Context, uri string) (text []byte, err error) {
	id, ok := identityOf(ctx)
	if !ok {
		return nil, &tools.Error{Kind: tools.Denied, Message: "no identity"}
	}
	c, err := s.members.call(ctx, id)
	if err != nil {
		return nil, err
	}
	if !c.Role.AtLeast(access.Viewer) {
		return nil, &tools.Error{Kind: tools.Denied, Message: "you have no role in workspace " + c.Workspace}
	}
	if err := mayRead(id.Agent, uri); err != nil {
		return nil, err
	}
	return s.readAs(ctx, c, uri)
}

// readAs reads a resource for a caller whose membership was checked; a panic is an error.
func (s *Server) readAs(ctx context.Context, c tools.Call, uri string) (text []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			text, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	s.entered("resource")
	return s.suite.Read(ctx, c, uri)
}

// resourceHandler hands on what the router has read.
func (s *Server) resourceHandler(ctx context.Context, r mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
	text, ok := ctx.Value(contentsKey{}).([]byte)
	if !ok {
		return nil, fmt.Errorf("read %s: not read by the router", r.Params.URI)
	}
	return []mcp.ResourceContents{mcp.TextResourceContents{URI: r.Params.URI, MIMEType: tools.TypeOf(r.Params.URI), Text: string(text)}}, nil
}

type notifiedKey struct{}

// Notify sends a notification to the client whose call ctx belongs to. Handlers must send theirs through it, so that the answer
// waits for them.
func Notify(ctx context.Context, method string, params map[string]any) error {
	if sent, ok := ctx.Value(notifiedKey{}).(*atomic.Bool); ok {
		sent.Store(true)
	}
	return mcpserver.ServerFromContext(ctx).SendNotificationToClient(ctx, method, params)
}

func flushNotifications(next mcpserver.ToolHandlerFunc) mcpserver.ToolHandlerFunc {
	return func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		sent := &atomic.Bool{}
		result, err := next(context.WithValue(ctx, notifiedKey{}, sent), r)
		if sent.Load() {
			time.Sleep(flushWait)
		}
		return result, err
	}
}
