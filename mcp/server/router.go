package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/tartan-ai/tartan/mcp/tools"
	"github.com/tartan-ai/tartan/mcp/tools/jsonrpc"
)

// requestTimeout bounds what one request may take. get_workflow waits up to 20 s.
const requestTimeout = 60 * time.Second

// A verdict is what the router makes of a message: an answer of its own, or a message for mcp-go with what its handlers need.
type verdict struct {
	ctx    context.Context
	cancel context.CancelFunc
	body   []byte  // for mcp-go
	splice *splice // what to put into mcp-go's answer; nil for nothing

	done   bool // reply is the answer; there is nothing for mcp-go to do
	reply  []byte
	status int // of the reply, over HTTP
}

type (
	argumentsKey struct{}
	contentsKey  struct{}
)

// route does what mcp-go cannot, on messages, so that HTTP and stdio share it: it refuses messages that can be read in two ways,
// takes large arguments out of mcp-go's sight (which would decode them eight times), reads resources and fills prompts so that a
// missing one is answered as the specification says, and checks subscriptions. The context must carry an Identity.
func (s *Server) route(ctx context.Context, body []byte, http bool) verdict {
	v := verdict{ctx: ctx, body: body, cancel: func() {}}
	m, err := jsonrpc.Parse(body)
	switch {
	case errors.Is(err, jsonrpc.ErrSyntax):
		return v.fail(&m, mcp.PARSE_ERROR, err.Error(), nil)
	case err != nil:
		return v.fail(&m, mcp.INVALID_REQUEST, err.Error(), nil)
	}
	switch m.Method {
	case "notifications/cancelled":
		// Stateless requests have no session, so mcp-go would cancel any request with that id, of any user. Over HTTP a client
		// cancels such a request by closing its stream.
		if http && m.Modern() {
			v.done, v.status = true, 202
		}
		return v
	case "subscriptions/listen":
		v.ctx, v.cancel = s.untilExpiry(ctx)
		return s.checkSubscriptions(v, &m)
	}
	v.ctx, v.cancel = context.WithTimeout(ctx, requestTimeout)
	if !m.IsRequest() {
		return v
	}
	switch m.Method {
	case "tools/call":
		if s.tools[m.Name] != nil {
			v.splice = &splice{}
			v.ctx = context.WithValue(context.WithValue(v.ctx, argumentsKey{}, m.Arguments), spliceKey{}, v.splice)
			v.body = m.WithoutArguments()
		} else if c := s.config.Fixtures.required(m.Name); c != "" && m.Modern() && !m.Declares(c) {
			// A handler's error cannot become this code (B3 of the reference).
			return v.fail(&m, mcp.MISSING_REQUIRED_CLIENT_CAPABILITY, "this tool needs the client capability "+c,
				map[string]any{"requiredCapabilities": map[string]any{c: struct{}{}}})
		}
	case "resources/read":
		return s.read(v, &m)
	case "prompts/get":
		return s.fill(v, &m)
	case "resources/subscribe":
		if m.URI != "" {
			return s.checkReadable(v, &m, m.URI)
		}
	}
	return v
}

// required is the client capability that a fixture cannot do without, "" for none.
func (f *Fixtures) required(tool string) string {
	if f == nil {
		return ""
	}
	return f.Requires[tool]
}

func (f *Fixtures) serves(uri string) bool { return f != nil && f.Serves(uri) }

// untilExpiry is ctx for a stream, which ends with its token and with the server.
func (s *Server) untilExpiry(ctx context.Context) (context.Context, context.CancelFunc) {
	id, _ := identityOf(ctx)
	ctx, cancel := context.WithCancel(ctx)
	detach := context.AfterFunc(s.streams, cancel)
	end := func() { detach(); cancel() }
	if id.Claims.Expires.IsZero() {
		return ctx, end
	}
	ctx, expire := context.WithDeadline(ctx, id.Claims.Expires)
	return ctx, func() { expire(); end() }
}

// read reads one of our resources for mcp-go's handler to hand on; what is not ours is left to mcp-go.
func (s *Server) read(v verdict, m *jsonrpc.Message) verdict {
	if !tools.IsResource(m.URI) {
		if s.config.Fixtures.serves(m.URI) || m.URI == "" {
			return v
		}
		return v.fail(m, notFoundCode(m), "no such resource", map[string]any{"uri": m.URI})
	}
	contents, err := s.resource(v.ctx, m.URI)
	if err != nil {
		return s.refuseResource(v, m, m.URI, err)
	}
	v.ctx = context.WithValue(v.ctx, contentsKey{}, contents)
	return v
}

func (s *Server) checkReadable(v verdict, m *jsonrpc.Message, uri string) verdict {
	if s.config.Fixtures.serves(uri) {
		return v
	}
	if _, err := s.resource(v.ctx, uri); err != nil {
		return s.refuseResource(v, m, uri, err)
	}
	return v
}

func (s *Server) checkSubscriptions(v verdict, m *jsonrpc.Message) verdict {
	var params struct {
		Notifications struct {
			ResourceSubscriptions []string `json:"resourceSubscriptions"`
		} `json:"notifications"`
	}
	if len(m.Params) > 0 && json.Unmarshal(m.Params, &params) != nil {
		return v // mcp-go says what is wrong
	}
	uris := params.Notifications.ResourceSubscriptions
	if len(uris) > maxWatched {
		return v.fail(m, mcp.INVALID_PARAMS, "too many subscriptions in one request", map[string]any{"limit": maxWatched})
	}
	for _, uri := range uris {
		if v = s.checkReadable(v, m, uri); v.done {
			return v
		}
	}
	return v
}

func (s *Server) refuseResource(v verdict, m *jsonrpc.Message, uri string, err error) verdict {
	told, _ := s.explain(v.ctx, "resource", err)
	code := mcp.INTERNAL_ERROR
	switch told.Kind {
	case tools.NotFound, tools.Denied, tools.Invalid:
		// A resource that one may not see does not exist.
		code = notFoundCode(m)
	}
	return v.fail(m, code, told.Error(), map[string]any{"uri": uri})
}

func notFoundCode(m *jsonrpc.Message) int {
	if m.Modern() {
		return mcp.INVALID_PARAMS
	}
	return mcp.RESOURCE_NOT_FOUND
}

// fail makes the verdict an error response.
func (v verdict) fail(m *jsonrpc.Message, code int, message string, data any) verdict {
	v.cancel()
	v.cancel = func() {}
	id := m.ID
	if len(id) == 0 || !json.Valid(id) {
		id = json.RawMessage("null")
	}
	v.done, v.status = true, 200
	if m.Modern() || code == mcp.PARSE_ERROR || code == mcp.INVALID_REQUEST {
		v.status = statusOf(code)
	}
	v.reply, _ = json.Marshal(struct {
		JSONRPC string                  `json:"jsonrpc"`
		ID      json.RawMessage         `json:"id"`
		Error   mcp.JSONRPCErrorDetails `json:"error"`
	}{mcp.JSONRPC_VERSION, id, mcp.NewJSONRPCErrorDetails(code, message, data)})
	return v
}

// statusOf is the HTTP status that the stateless revisions prescribe.
func statusOf(code int) int {
	switch code {
	case mcp.METHOD_NOT_FOUND:
		return http.StatusNotFound
	case mcp.PARSE_ERROR, mcp.INVALID_REQUEST, mcp.INVALID_PARAMS, mcp.MISSING_REQUIRED_CLIENT_CAPABILITY:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// routed is the HTTP side of the router: it reads the body, holds sessions to their users and hands the rest to mcp-go.
func (s *Server) routed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := identityOf(r.Context())
		if !ok {
			writeProblem(w, http.StatusUnauthorized, "no identity")
			return
		}
		modern := r.Header.Get(mcp.HeaderProtocolVersion) >= mcp.ProtocolVersion20260728
		session := r.Header.Get(mcpSessionHeader)
		if session != "" && !modern && !s.sessions.owns(session, id.Claims.Subject) {
			writeProblem(w, http.StatusNotFound, "no such session; initialize again")
			return
		}
		switch r.Method {
		case http.MethodPost:
			s.post(w, r, next)
		case http.MethodGet, http.MethodDelete:
			if session == "" && !modern {
				writeProblem(w, http.StatusBadRequest, "the header "+mcpSessionHeader+" is missing")
				return
			}
			ctx, cancel := s.untilExpiry(r.Context())
			defer cancel()
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
			next.ServeHTTP(w, r.WithContext(ctx))
		default:
			w.Header().Set("Allow", "POST, GET, DELETE")
			writeProblem(w, http.StatusMethodNotAllowed, "method not allowed")
		}
	})
}

const mcpSessionHeader = "Mcp-Session-Id"

func (s *Server) post(w http.ResponseWriter, r *http.Request, next http.Handler) {
	body, err := readBody(w, r)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			writeProblem(w, http.StatusRequestEntityTooLarge, "the body is larger than 4 MiB; send fewer lines at a time")
			return
		}
		writeProblem(w, http.StatusBadRequest, "the body could not be read")
		return
	}
	// The time limit on reading a request would otherwise end a stream that answers it.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	v := s.route(r.Context(), body, true)
	defer v.cancel()
	if v.done {
		if len(v.reply) == 0 {
			w.WriteHeader(v.status)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(v.status)
		_, _ = w.Write(v.reply)
		return
	}
	r = r.WithContext(v.ctx)
	r.Body = io.NopCloser(bytes.NewReader(v.body))
	if v.splice != nil {
		w = &splicer{ResponseWriter: w, splice: v.splice}
	}
	next.ServeHTTP(w, r)
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	reader := http.MaxBytesReader(w, r.Body, maxBody)
	if r.ContentLength > 0 && r.ContentLength <= maxBody {
		body := make([]byte, r.ContentLength)
		_, err := io.ReadFull(reader, body)
		return body, err
	}
	return io.ReadAll(reader)
}
