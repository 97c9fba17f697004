package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/tartan-ai/tartan/mcp/tools/jsonrpc"
)

var _ mcpserver.SessionWithElicitation = (*pipe)(nil)

// RequestElicitation asks the client to put a question to its user, and waits for the answer as long as the request that asks lives.
func (p *pipe) RequestElicitation(ctx context.Context, r mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	answer := make(chan []byte, 1)
	p.mu.Lock()
	p.asked++
	id := strconv.Quote(fmt.Sprintf("ask-%d", p.asked))
	if p.answers == nil {
		p.answers = map[string]chan<- []byte{}
	}
	p.answers[id] = answer
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.answers, id)
	}()
	p.write(must(json.Marshal(map[string]any{"jsonrpc": "2.0", "id": json.RawMessage(id), "method": mcp.MethodElicitationCreate, "params": r.Params})))
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case line := <-answer:
		var got struct {
			Result *mcp.ElicitationResult
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(line, &got); err != nil {
			return nil, fmt.Errorf("read the answer of the user: %w", err)
		}
		if got.Error != nil {
			return nil, fmt.Errorf("ask the user: %s", got.Error.Message)
		}
		if got.Result == nil {
			return nil, errors.New("ask the user: an answer without a result")
		}
		return got.Result, nil
	}
}

// answered gives an answer to who waits for it, and reports whether anybody does.
func (p *pipe) answered(m *jsonrpc.Message, line []byte) bool {
	if m.Method != "" {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	waits, ok := p.answers[string(m.ID)]
	if ok {
		delete(p.answers, string(m.ID))
		waits <- line
	}
	return ok
}
