package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/local"
)

// connect opens an MCP session with the stack's server over HTTP.
func (s *stack) connect(ctx context.Context) (*client.Client, error) {
	st, err := local.ReadState(s.dir)
	if err != nil {
		return nil, err
	}
	if s.token == "" {
		out, err := s.try("token", "--ttl", "1h")
		if err != nil {
			return nil, err
		}
		s.token = strings.TrimSpace(string(out))
	}
	c, err := client.NewStreamableHttpClient(st.MCPURL, transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer " + s.token}))
	if err != nil {
		return nil, err
	}
	return c, initialize(ctx, c)
}

// connectStdio runs `tartan mcp` as an MCP client would and opens a session over its standard streams.
func (s *stack) connectStdio(ctx context.Context) (*client.Client, error) {
	c, err := client.NewStdioMCPClient(bin, cleanEnv(), "mcp", "--data-dir", s.dir)
	if err != nil {
		return nil, err
	}
	return c, initialize(ctx, c)
}

func initialize(ctx context.Context, c *client.Client) error {
	if err := c.Start(ctx); err != nil && !strings.Contains(err.Error(), "already") {
		return err
	}
	var req mcp.InitializeRequest
	req.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	req.Params.ClientInfo = mcp.Implementation{Name: "e2e", Version: "1"}
	_, err := c.Initialize(ctx, req)
	return err
}

// call calls a tool and decodes its structured result into out.
func call(ctx context.Context, c *client.Client, tool string, arguments map[string]any, out any) error {
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = tool, arguments
	res, err := c.CallTool(ctx, req)
	if err != nil {
		return err
	}
	if res.IsError {
		return fmt.Errorf("%s: %v", tool, res.Content)
	}
	body, err := json.Marshal(res.StructuredContent)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, out)
}

// ask opens a new session and has it answer from the database or, when durably is set, by a whole workflow: a line
// that nobody has mined before is mined to the end.
func (s *stack) ask(durably bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if !durably {
		var listed struct {
			Patterns []json.RawMessage `json:"patterns"`
		}
		if err := call(ctx, c, "list_patterns", map[string]any{"library": probe}, &listed); err != nil {
			return err
		}
		if len(listed.Patterns) == 0 {
			return errors.New("no patterns are listed")
		}
		return nil
	}
	var started struct {
		WorkflowID string `json:"workflow_id"`
	}
	line := fmt.Sprintf("probe %d answered", time.Now().UnixNano())
	if err := call(ctx, c, "mine_patterns", map[string]any{"library": probe, "lines": line}, &started); err != nil {
		return err
	}
	var run struct {
		State string `json:"state"`
	}
	if err := call(ctx, c, "get_workflow", map[string]any{"id": started.WorkflowID, "wait_seconds": 20}, &run); err != nil {
		return err
	}
	if run.State != "completed" {
		return fmt.Errorf("workflow %s is %s", started.WorkflowID, run.State)
	}
	return nil
}

// probe is the library that ask asks about.
const probe = "probe"

// TestMineAndAsk walks the main job over both transports: mine inline lines, wait for the result, ask what a new line is.
func TestMineAndAsk(t *testing.T) {
	s := newStack(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for name, connect := range map[string]func(context.Context) (*client.Client, error){"http": s.connect, "stdio": s.connectStdio} {
		t.Run(name, func(t *testing.T) {
			c, err := connect(ctx)
			require.NoError(t, err)
			defer c.Close()
			library := "asked-over-" + name
			var text strings.Builder
			for i := range 50 {
				fmt.Fprintf(&text, "2026-11-20T10:%02d:00Z INFO gateway: request %d from 192.0.2.%d served in %d ms\n", i, 1000+i, i, 3*i)
			}
			var started struct {
				WorkflowID string `json:"workflow_id"`
			}
			require.NoError(t, call(ctx, c, "mine_patterns", map[string]any{"library": library, "lines": text.String()}, &started))
			require.NotEmpty(t, started.WorkflowID)

			var run struct {
				State string `json:"state"`
				Lines int64  `json:"lines"`
			}
			require.NoError(t, call(ctx, c, "get_workflow", map[string]any{"id": started.WorkflowID, "wait_seconds": 20}, &run))
			require.Equal(t, "completed", run.State)

			var answer struct {
				Patterns []struct {
					ID       string `json:"id"`
					Template string `json:"template"`
				} `json:"patterns"`
			}
			line := "2026-11-21T00:00:00Z INFO gateway: request 77 from 198.51.100.9 served in 12 ms"
			require.NoError(t, call(ctx, c, "recognize", map[string]any{"library": library, "lines": []string{line}}, &answer))
			require.Len(t, answer.Patterns, 1)
			require.Equal(t, "request <*> from <*> served in <*>", strings.TrimSuffix(answer.Patterns[0].Template, " ms"))
		})
	}
}
