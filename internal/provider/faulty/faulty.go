// Package faulty is a provider of the OpenAI dialect that fails as told: a real HTTP server on loopback, for tests and
// benchmarks. Each model plays a script, one act a request, and answers well when the script is over.
package faulty

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"
)

// Act answers one request. Return without writing to answer nothing.
type Act func(w http.ResponseWriter, r *http.Request, in Request)

// Request is what a model was asked.
type Request struct {
	Model     string `json:"model"`
	Stream    bool   `json:"stream"`
	MaxTokens int    `json:"max_tokens"`
	Messages  []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	} `json:"messages"`
}

// The answer of a model that works, and what it says that it used.
const (
	Text         = "The disk of node seven is full."
	InputTokens  = 20
	OutputTokens = 10
)

// Seen is a request as it came.
type Seen struct {
	Model string
	Key   string
	At    time.Time
}

// Server is the provider.
type Server struct {
	URL string // of the API, with /v1

	http *httptest.Server
	stop chan struct{}

	mu      sync.Mutex
	scripts map[string][]Act
	seen    []Seen
	good    map[string]Act
}

// New starts a server. Close it when done.
func New() *Server {
	s := &Server{scripts: map[string][]Act{}, good: map[string]Act{}, stop: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.chat)
	mux.HandleFunc("POST /v1/embeddings", s.embed)
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"object":"list","data":[{"id":"good"},{"id":"other"}]}`))
	})
	s.http = httptest.NewServer(mux)
	s.URL = s.http.URL + "/v1"
	return s
}

// Close ends the server and the requests that it lets hang.
func (s *Server) Close() {
	close(s.stop)
	s.http.CloseClientConnections()
	s.http.Close()
}

// Script says what a model does with the next requests; before they come, nothing else may be in its script.
func (s *Server) Script(model string, acts ...Act) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts[model] = acts
}

// Always says what a model does when its script is over.
func (s *Server) Always(model string, act Act) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.good[model] = act
}

// Seen lists the requests to a model, or to all with "".
func (s *Server) Seen(model string) (out []Seen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.seen {
		if model == "" || q.Model == model {
			out = append(out, q)
		}
	}
	return out
}

func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	var in Request
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.seen = append(s.seen, Seen{in.Model, r.Header.Get("Authorization"), time.Now()})
	act := s.good[in.Model]
	if script := s.scripts[in.Model]; len(script) > 0 {
		act, s.scripts[in.Model] = script[0], script[1:]
	}
	s.mu.Unlock()
	if act == nil {
		act = Good
	}
	act(w, r, in)
}

func (s *Server) embed(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Model string   `json:"model"`
		Input []string `json:"input"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.seen = append(s.seen, Seen{in.Model, r.Header.Get("Authorization"), time.Now()})
	s.mu.Unlock()
	var rows []map[string]any
	for i, t := range in.Input {
		rows = append(rows, map[string]any{"index": i, "embedding": []float32{float32(len(t)), 1}})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": rows, "usage": map[string]int{"prompt_tokens": InputTokens}})
}

// Hang answers nothing until the caller leaves or the server closes.
func (s *Server) Hang(_ http.ResponseWriter, r *http.Request, _ Request) {
	select {
	case <-r.Context().Done():
	case <-s.stop:
	}
}

// SlowFirstToken sends the header and then nothing.
func (s *Server) SlowFirstToken(w http.ResponseWriter, r *http.Request, in Request) {
	begin(w)
	s.Hang(w, r, in)
}

// Stall sends half an answer and then nothing.
func (s *Server) Stall(w http.ResponseWriter, r *http.Request, in Request) {
	begin(w)
	half(w, in)
	s.Hang(w, r, in)
}

// Good answers well, in pieces.
func Good(w http.ResponseWriter, _ *http.Request, in Request) {
	Answer(Text, InputTokens, OutputTokens)(w, nil, in)
}

// Answer answers with a text of one piece a word, and a usage.
func Answer(text string, input, output int) Act {
	return func(w http.ResponseWriter, _ *http.Request, in Request) {
		if !in.Stream {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{
				"id": "chatcmpl-1", "model": in.Model, "usage": map[string]int{"prompt_tokens": input, "completion_tokens": output},
				"choices": []any{map[string]any{"index": 0, "message": map[string]string{"role": "assistant", "content": text}, "finish_reason": "stop"}},
			})
			return
		}
		begin(w)
		for _, word := range split(text) {
			piece(w, in, word)
		}
		end(w, in, "stop", input, output)
		done(w)
	}
}

// Refuse answers with a status and an error of a code; header is added to it.
func Refuse(status int, code, message string, header http.Header) Act {
	return func(w http.ResponseWriter, _ *http.Request, _ Request) {
		for k, v := range header {
			w.Header()[k] = v
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": message, "type": "error", "code": code}})
	}
}

// RetryAfter is a header that asks to wait.
func RetryAfter(seconds int) http.Header { return http.Header{"Retry-After": {strconv.Itoa(seconds)}} }

// Reset closes the connection so that the peer sees a reset.
func Reset(w http.ResponseWriter, _ *http.Request, _ Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// Cut ends the stream in the middle, as a proxy does that closes well what its backend did not finish.
func Cut(w http.ResponseWriter, _ *http.Request, in Request) {
	begin(w)
	half(w, in)
}

// Malformed sends half an answer and then a piece that is not JSON.
func Malformed(w http.ResponseWriter, _ *http.Request, in Request) {
	begin(w)
	half(w, in)
	fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\"bro\n\n")
	flush(w)
}

// NoDone answers well and leaves the last line out.
func NoDone(w http.ResponseWriter, _ *http.Request, in Request) {
	begin(w)
	for _, word := range split(Text) {
		piece(w, in, word)
	}
	end(w, in, "stop", InputTokens, OutputTokens)
}

// InBand sends an error within a stream that began well.
func InBand(w http.ResponseWriter, _ *http.Request, _ Request) {
	begin(w)
	fmt.Fprint(w, "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"overloaded_error\"}}\n\n")
	flush(w)
}

func begin(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	flush(w)
}

func half(w http.ResponseWriter, in Request) {
	words := split(Text)
	for _, word := range words[:len(words)/2] {
		piece(w, in, word)
	}
}

func piece(w http.ResponseWriter, in Request, text string) {
	quoted, _ := json.Marshal(text)
	fmt.Fprintf(w, "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"model\":%q,\"choices\":[{\"index\":0,\"delta\":{\"content\":%s},\"finish_reason\":null}]}\n\n", in.Model, quoted)
	flush(w)
}

func end(w http.ResponseWriter, in Request, finish string, input, output int) {
	fmt.Fprintf(w, "data: {\"id\":\"chatcmpl-1\",\"model\":%q,\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":%q}]}\n\n", in.Model, finish)
	fmt.Fprintf(w, "data: {\"id\":\"chatcmpl-1\",\"model\":%q,\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d}}\n\n", in.Model, input, output)
	flush(w)
}

func done(w http.ResponseWriter) {
	fmt.Fprint(w, "data: [DONE]\n\n")
	flush(w)
}

func flush(w http.ResponseWriter) {
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}

// split cuts a text after its spaces.
func split(text string) (out []string) {
	for from, i := 0, 0; i < len(text); i++ {
		if text[i] == ' ' || i == len(text)-1 {
			out = append(out, text[from:i+1])
			from = i + 1
		}
	}
	return out
}
