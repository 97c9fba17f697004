package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/mcp/tools/jsonrpc"
)

// stdioConcurrency bounds the requests of one client that are answered at a time.
const stdioConcurrency = 32

// ServeStdio answers the messages on in, one a line, to out, as the user of token, until in ends or ctx does. The token is verified
// before the first message and again with each, so that it stops working when it expires. workspace is a slug or id, "" for the
// user's only one.
func (s *Server) ServeStdio(ctx context.Context, in io.Reader, out io.Writer, token, workspace string) error {
	if s.config.Fixtures != nil {
		return errors.New("serve MCP on stdio: fixtures are served over HTTP only")
	}
	if _, err := s.verify(ctx, token); err != nil {
		return fmt.Errorf("serve MCP on stdio: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &pipe{server: s, out: out, token: token, workspace: workspace, notes: make(chan mcp.JSONRPCNotification, 256)}
	if err := s.mcp.RegisterSession(ctx, p); err != nil {
		return fmt.Errorf("serve MCP on stdio: %w", err)
	}
	defer s.mcp.UnregisterSession(ctx, p.SessionID())
	ctx = s.mcp.WithContext(ctx, p)
	go p.notify(ctx)
	err := p.read(ctx, in)
	cancel()
	p.running.Wait()
	return err
}

// pipe is the one session of a stdio server.
type pipe struct {
	server           *Server
	token, workspace string

	writing sync.Mutex
	out     io.Writer
	notes   chan mcp.JSONRPCNotification
	running sync.WaitGroup

	mu     sync.Mutex
	ready  bool
	filter mcp.SubscriptionFilter
	active bool
	client mcp.Implementation
	caps   mcp.ClientCapabilities

	asked   int                      // questions to the user so far
	answers map[string]chan<- []byte // by the id of the question
}

func (p *pipe) read(ctx context.Context, in io.Reader) error {
	lines := make(chan []byte)
	ended := make(chan error, 1)
	go func() {
		r := bufio.NewReaderSize(in, 64<<10)
		for {
			line, err := readLine(r)
			if len(line) > 0 {
				select {
				case lines <- line:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	slots := make(chan struct{}, stdioConcurrency)
	for {
		select {
		case <-ctx.Done():
			return nil
		case line := <-lines:
			p.take(ctx, line, slots)
		case err := <-ended:
			if errors.Is(err, io.EOF) {
				p.running.Wait()
				return nil
			}
			return fmt.Errorf("read MCP messages: %w", err)
		}
	}
}

// readLine reads a line of at most maxBody bytes; of a longer one it gives the beginning, which is answered as broken JSON.
func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line) <= maxBody {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSpace(line), err
		}
	}
}

// take answers one message: requests side by side, the rest in order.
func (p *pipe) take(ctx context.Context, line []byte, slots chan struct{}) {
	m, _ := jsonrpc.Parse(line)
	if p.answered(&m, line) {
		return
	}
	if !m.IsRequest() {
		p.answer(ctx, &m, line)
		return
	}
	// A stream waits for its end, and must not keep the others from being answered.
	stream := m.Method == string(mcp.MethodSubscriptionsListen)
	if !stream {
		slots <- struct{}{}
	}
	p.running.Go(func() {
		if !stream {
			defer func() { <-slots }()
		}
		p.answer(ctx, &m, line)
	})
}

func (p *pipe) answer(ctx context.Context, m *jsonrpc.Message, line []byte) {
	id, err := p.server.verify(ctx, p.token)
	if err != nil {
		if m.IsRequest() {
			v := verdict{cancel: func() {}}.fail(m, mcp.INVALID_REQUEST, "the token of this session is no longer accepted: "+access.TokenProblem(err)+"; restart with a new one", nil)
			p.write(v.reply)
		}
		return
	}
	id.Workspace = p.workspace
	v := p.server.route(withIdentity(ctx, id), line, false)
	defer v.cancel()
	if v.done {
		p.write(v.reply)
		return
	}
	response := p.server.mcp.HandleMessage(v.ctx, v.body)
	if response == nil {
		return
	}
	text, err := json.Marshal(response)
	if err != nil {
		text = verdict{cancel: func() {}}.fail(m, mcp.INTERNAL_ERROR, "the answer could not be encoded", nil).reply
	}
	p.write(v.splice.restore(text))
}

// write sends what notifications are waiting and then the message, so that an answer never overtakes what its handler sent.
func (p *pipe) write(message []byte) {
	p.writing.Lock()
	defer p.writing.Unlock()
	for {
		select {
		case n := <-p.notes:
			p.line(must(json.Marshal(n)))
			continue
		default:
		}
		break
	}
	if len(message) > 0 {
		p.line(message)
	}
}

func (p *pipe) line(message []byte) {
	// A client that no longer reads ends the input too, which ends the session.
	_, _ = p.out.Write(append(message[:len(message):len(message)], '\n'))
}

func (p *pipe) notify(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-p.notes:
			p.writing.Lock()
			p.line(must(json.Marshal(n)))
			p.writing.Unlock()
		}
	}
}

// must is for values of our own making, which always encode.
func must(text []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return text
}

// What follows is mcp-go's view of the session.

var (
	_ mcpserver.SessionWithSubscriptionFilter = (*pipe)(nil)
	_ mcpserver.SessionWithClientInfo         = (*pipe)(nil)
)

// SessionID is the same for every pipe: a process serves one.
func (p *pipe) SessionID() string { return "stdio" }

// NotificationChannel is where mcp-go puts what the client should be told.
func (p *pipe) NotificationChannel() chan<- mcp.JSONRPCNotification { return p.notes }

// Initialize marks the session as ready for notifications.
func (p *pipe) Initialize() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = true
}

// Initialized reports whether the session is ready for notifications.
func (p *pipe) Initialized() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ready
}

// SetSubscriptionFilter records what the client listens to; the zero filter ends it.
func (p *pipe) SetSubscriptionFilter(f mcp.SubscriptionFilter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.filter, p.active = f, !f.IsEmpty()
}

// SubscriptionFilter is what the client listens to.
func (p *pipe) SubscriptionFilter() (mcp.SubscriptionFilter, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.filter, p.active
}

// GetClientInfo is what the client says it is.
func (p *pipe) GetClientInfo() mcp.Implementation {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.client
}

// SetClientInfo records what the client says it is.
func (p *pipe) SetClientInfo(i mcp.Implementation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.client = i
}

// GetClientCapabilities is what the client says it can do.
func (p *pipe) GetClientCapabilities() mcp.ClientCapabilities {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.caps
}

// SetClientCapabilities records what the client says it can do.
func (p *pipe) SetClientCapabilities(c mcp.ClientCapabilities) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.caps = c
}
