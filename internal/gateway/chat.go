package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/completion"
	"github.com/tartan-ai/tartan/internal/provider"
)

// chatRequest is a request of the dialect. Keys that are not known are refused: one that is dropped in silence would
// change an answer, or its price.
type chatRequest struct {
	provider.Request
	MaxCompletion int  `json:"max_completion_tokens"`
	Stream        bool `json:"stream"`
	Options       struct {
		Usage bool `json:"include_usage"`
	} `json:"stream_options"`
	N        int             `json:"n"`
	Store    json.RawMessage `json:"store"` // nothing is stored, whatever it says
	Metadata json.RawMessage `json:"metadata"`
}

func decode(r *http.Request, out any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(out); err != nil {
		return &problem{http.StatusBadRequest, "invalid_request_error", "invalid_json", "the body: " + strings.TrimPrefix(err.Error(), "json: "), 0}
	}
	return nil
}

func (g *Gateway) chat(w http.ResponseWriter, r *http.Request, caller access.Caller) error {
	var in chatRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if in.N > 1 {
		return &problem{http.StatusBadRequest, "invalid_request_error", "n", "n: want 1; ask again for another answer", 0}
	}
	c, err := g.call(r, caller)
	if err != nil {
		return err
	}
	if c.Request = in.Request; in.MaxCompletion > 0 {
		c.Request.MaxTokens = in.MaxCompletion
	}
	if in.Stream {
		return g.stream(w, r, c, in.Options.Usage)
	}
	got, err := g.config.Engine.Do(r.Context(), c, nil)
	if err != nil {
		return err
	}
	said(w.Header(), got)
	message := map[string]any{"role": "assistant", "content": got.Text}
	if len(got.Tools) > 0 {
		message["tool_calls"] = calls(got.Tools)
	}
	return answer(w, map[string]any{
		"id": "chatcmpl-" + c.Key, "object": "chat.completion", "created": time.Now().Unix(), "model": got.Model,
		"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": got.Finish}}, "usage": usage(got.Usage),
	})
}

// said tells by headers what the dialect has no words for.
func said(h http.Header, got *completion.Result) {
	h.Set("X-Tartan-Model", got.Model)
	h.Set("X-Tartan-Cost-Micros", strconv.FormatInt(int64(got.Total), 10))
	if got.Cached != "" {
		h.Set("X-Tartan-Cached", got.Cached)
	}
}

func calls(tools []provider.ToolCall) []provider.WireCall {
	out := make([]provider.WireCall, len(tools))
	for i, t := range tools {
		out[i].ID, out[i].Type, out[i].Function.Name, out[i].Function.Arguments = t.ID, "function", t.Name, t.Arguments
	}
	return out
}

func usage(u provider.Usage) map[string]any {
	return map[string]any{
		"prompt_tokens": u.Input, "completion_tokens": u.Output, "total_tokens": u.Input + u.Output,
		"prompt_tokens_details": map[string]int{"cached_tokens": u.Cached},
	}
}

// events writes the pieces of one answer. Its buffers are used again for each.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	head    []byte // of each piece, up to the delta
	buf     bytes.Buffer
	begun   bool
	armed   time.Time
}

func (e *events) begin() {
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	e.w.WriteHeader(http.StatusOK)
	e.begun = true
}

// send writes what is in the buffer.
func (e *events) send() error {
	if !e.begun {
		e.begin()
	}
	// Setting a deadline costs a timer, so it is not set anew for each piece.
	if now := time.Now(); now.Sub(e.armed) > pieceWithin/6 {
		e.armed = now
		_ = e.control.SetWriteDeadline(now.Add(pieceWithin))
	}
	if _, err := e.w.Write(e.buf.Bytes()); err != nil {
		return err
	}
	e.buf.Reset()
	return e.control.Flush()
}

func (e *events) piece(delta any, finish string) error {
	body, err := json.Marshal(delta)
	if err != nil {
		return err
	}
	e.buf.Write(e.head)
	e.buf.Write(body)
	if finish == "" {
		e.buf.WriteString(`,"finish_reason":null}]}` + "\n\n")
	} else {
		e.buf.WriteString(`,"finish_reason":` + strconv.Quote(finish) + "}]}\n\n")
	}
	return nil
}

type wireDelta struct {
	Role    string     `json:"role,omitempty"`
	Content *string    `json:"content,omitempty"`
	Tools   []wireTool `json:"tool_calls,omitempty"`
}

type wireTool struct {
	Index    int    `json:"index"`
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Function struct {
		Name      string `json:"name,omitempty"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// stream passes pieces on as they come. Until the first one nothing is sent, so that another model may answer; after it a
// failure is an error event, and no [DONE] follows.
func (g *Gateway) stream(w http.ResponseWriter, r *http.Request, c *completion.Call, wantsUsage bool) error {
	e := &events{w: w, control: http.NewResponseController(w)}
	head := ""
	name := func(id string) {
		model, _ := json.Marshal(id)
		head = `data: {"id":"chatcmpl-` + c.Key + `","object":"chat.completion.chunk","created":` + strconv.FormatInt(time.Now().Unix(), 10) + `,"model":` + string(model)
		e.head = []byte(head + `,"choices":[{"index":0,"delta":`)
		w.Header().Set("X-Tartan-Model", id)
	}
	name(c.Request.Model) // of an answer from the cache
	c.Trying = name
	first := true
	got, err := g.config.Engine.Do(r.Context(), c, func(d provider.Delta) error {
		out := wireDelta{}
		if d.Text != "" {
			out.Content = &d.Text
		}
		if first {
			out.Role, first = "assistant", false
		}
		for _, t := range d.Tools {
			tool := wireTool{Index: t.Index, ID: t.ID}
			if t.ID != "" {
				tool.Type = "function"
			}
			tool.Function.Name, tool.Function.Arguments = t.Name, t.Arguments
			out.Tools = append(out.Tools, tool)
		}
		if err := e.piece(out, ""); err != nil {
			return err
		}
		return e.send()
	})
	if err != nil {
		if !e.begun {
			return err
		}
		e.buf.WriteString("data: ")
		e.buf.Write(g.explain(err, r.URL.Path).body())
		e.buf.WriteString("\n\n")
		_ = e.send()
		return nil
	}
	if !e.begun {
		said(w.Header(), got)
	}
	if err := e.piece(wireDelta{}, got.Finish); err != nil {
		return err
	}
	if wantsUsage {
		body, _ := json.Marshal(usage(got.Usage))
		e.buf.WriteString(head + `,"choices":[],"usage":` + string(body) + "}\n\n")
	}
	e.buf.WriteString("data: [DONE]\n\n")
	_ = e.send()
	return nil
}

type embedRequest struct {
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"`
	Encoding   string          `json:"encoding_format"`
	User       string          `json:"user"`
	Dimensions int             `json:"dimensions"`
}

func (g *Gateway) embed(w http.ResponseWriter, r *http.Request, caller access.Caller) error {
	var in embedRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	bad := func(text string) error {
		return &problem{http.StatusBadRequest, "invalid_request_error", "invalid_request", text, 0}
	}
	texts, err := texts(in.Input)
	if err != nil {
		return bad(err.Error())
	}
	if in.Dimensions != 0 || in.Encoding != "" && in.Encoding != "float" && in.Encoding != "base64" {
		return bad("encoding_format: want float or base64, and no dimensions")
	}
	c, err := g.call(r, caller)
	if err != nil {
		return err
	}
	c.Request.Model = in.Model
	vectors, got, err := g.config.Engine.Embed(r.Context(), c, texts)
	if err != nil {
		return err
	}
	rows := make([]map[string]any, len(vectors))
	for i, v := range vectors {
		rows[i] = map[string]any{"object": "embedding", "index": i, "embedding": v}
		if in.Encoding == "base64" {
			raw := make([]byte, 0, 4*len(v))
			for _, f := range v {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
			}
			rows[i]["embedding"] = base64.StdEncoding.EncodeToString(raw)
		}
	}
	said(w.Header(), got)
	return answer(w, map[string]any{
		"object": "list", "data": rows, "model": got.Model, "usage": map[string]int{"prompt_tokens": got.Usage.Input, "total_tokens": got.Usage.Input},
	})
}

func texts(input json.RawMessage) (out []string, err error) {
	if len(input) > 0 && input[0] == '"' {
		out = make([]string, 1)
		return out, json.Unmarshal(input, &out[0])
	}
	if err := json.Unmarshal(input, &out); err != nil || len(out) == 0 || len(out) > maxTexts {
		return nil, errors.New("input: want a text, or a list of 1 to 2048 texts")
	}
	return out, nil
}
