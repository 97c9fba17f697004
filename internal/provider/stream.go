package provider

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tartan-ai/tartan/internal/routing"
)

// Bounds of a stream: of one event, of an answer, and of the tool calls in it.
const (
	maxEvent = 1 << 20
	maxText  = 8 << 20
	maxTools = 128
)

// afterFinish is how long the usage may come after the answer has finished.
const afterFinish = 2 * time.Second

// chunk is one event of a chat stream.
type chunk struct {
	chunkHead
	Choices []struct {
		Index int `json:"index"`
		Delta struct {
			Content   string `json:"content"`
			Reasoning string `json:"reasoning_content"`
			ToolCalls []struct {
				Index    int    `json:"index"`
				ID       string `json:"id"`
				Function struct {
					Name      string `json:"name"`
					Arguments string `json:"arguments"`
				} `json:"function"`
			} `json:"tool_calls"`
		} `json:"delta"`
		Finish string `json:"finish_reason"`
	} `json:"choices"`
}

// chunkHead is what whole answers and events share.
type chunkHead struct {
	ID    string          `json:"id"`
	Model string          `json:"model"`
	Usage *wireUsage      `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type wireUsage struct {
	Input   int `json:"prompt_tokens"`
	Output  int `json:"completion_tokens"`
	Details struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

// collector gathers an answer from its pieces, within bounds, whatever the dialect.
type collector struct {
	answer  Answer
	text    strings.Builder
	tools   []ToolCall
	args    []strings.Builder
	pieces  int
	started time.Time
	bytes   int
	each    func(Delta) error
}

// errCaller wraps what the receiver of the pieces returned.
type errCaller struct{ error }

func (e errCaller) Unwrap() error { return e.error }

func (c *collector) add(d Delta) error {
	if d.Text == "" && len(d.Tools) == 0 {
		return nil
	}
	if c.pieces++; c.pieces == 1 {
		c.answer.FirstToken = time.Since(c.started)
	}
	c.bytes += len(d.Text)
	c.text.WriteString(d.Text)
	for _, f := range d.Tools {
		if f.Index < 0 || f.Index >= maxTools {
			return fmt.Errorf("%w: tool call number %d", ErrAnswer, f.Index)
		}
		for len(c.tools) <= f.Index {
			c.tools, c.args = append(c.tools, ToolCall{}), append(c.args, strings.Builder{})
		}
		if f.ID != "" {
			c.tools[f.Index].ID = f.ID
		}
		c.tools[f.Index].Name += f.Name
		c.args[f.Index].WriteString(f.Arguments)
		c.bytes += len(f.Arguments) + len(f.Name)
	}
	if c.bytes > maxText {
		return fmt.Errorf("%w: more than %d MiB", ErrAnswer, maxText>>20)
	}
	if c.each != nil {
		if err := c.each(d); err != nil {
			return errCaller{err}
		}
	}
	return nil
}

// used is what the call has used so far: as told, or at most a token a byte.
func (c *collector) used(r *Request) Usage {
	if c.answer.Usage.Known {
		return c.answer.Usage
	}
	return Usage{Input: r.MostInput(), Output: c.bytes}
}

// finish closes an answer. One without a finish reason was cut off, however much of it came.
func (c *collector) finish(r *Request) (*Answer, error) {
	a := &c.answer
	switch a.Finish {
	case "":
		return nil, &Error{Class: routing.Transient, Message: "the stream ended before the answer did", cause: fmt.Errorf("%w: %w", ErrAnswer, io.ErrUnexpectedEOF)}
	case FinishFilter:
		return nil, &Error{Class: routing.ContentFilter, Message: "the provider's content filter ended the answer"}
	}
	a.Text, a.Tools = c.text.String(), c.tools
	for i := range a.Tools {
		a.Tools[i].Arguments = c.args[i].String()
	}
	a.Usage, a.Latency = c.used(r), time.Since(c.started)
	return a, nil
}

// failed completes an error with what had come before it.
func (c *collector) failed(e *Error, r *Request) *Error {
	e.Delivered = c.pieces > 0
	if e.Status == 0 || e.Status == http.StatusOK {
		// Sent and not refused: the provider may bill the input, and what of the answer it has made.
		e.Usage = c.used(r)
	}
	return e
}

// Stream sends a request, with stream on whatever the caller wants, so that a provider that falls silent is noticed.
func (o *OpenAI) Stream(outer context.Context, r *Request, each func(Delta) error) (*Answer, error) {
	body, err := o.body(r)
	if err != nil {
		return nil, &Error{Class: routing.BadRequest, Message: "write the request: " + err.Error(), cause: err}
	}
	limits := o.config.Deadlines
	ctx, d := watch(outer, limits.Total)
	defer d.end()
	c := &collector{started: time.Now(), each: each, answer: Answer{Model: r.Model}}
	d.limit(min(limits.Header, limits.FirstToken), "header")
	resp, key, err := o.open(ctx, http.MethodPost, "chat/completions", body)
	if err != nil {
		return nil, c.failed(d.known(outer, err, limits.Total), r)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end or given up
	d.limit(limits.FirstToken-time.Since(c.started), "first token")
	progress := func(finished bool) {
		if finished {
			d.limit(min(limits.Idle, afterFinish), "end") // only the usage is still to come
			return
		}
		d.limit(limits.Idle, "next piece")
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		err = c.whole(resp.Body, key)
	} else {
		err = c.events(resp.Body, key, progress)
	}
	var caller errCaller
	if errors.As(err, &caller) {
		return nil, c.failed(&Error{Class: routing.Cancelled, Message: "the receiver of the answer gave it up: " + caller.Error(), cause: caller.error}, r)
	}
	if err != nil && (ctx.Err() != nil || !errors.Is(err, ErrAnswer)) && c.answer.Finish == "" {
		return nil, c.failed(d.known(outer, err, limits.Total), r)
	}
	if err != nil && c.answer.Finish == "" || errors.Is(err, ErrAnswer) {
		return nil, c.failed(&Error{Class: routing.Transient, Message: line(err.Error()), cause: err}, r)
	}
	a, err := c.finish(r)
	if err != nil {
		return nil, c.failed(d.known(outer, err, limits.Total), r)
	}
	return a, nil
}

// events reads server-sent events to the end. A missing [DONE] is no fault where the answer has finished.
func (c *collector) events(body io.Reader, key string, progress func(finished bool)) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 4<<10), maxEvent)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue // a comment, which keeps the connection alive but is no piece of an answer, or a name of an event
		}
		data = bytes.TrimSpace(data)
		if len(data) == 0 {
			continue
		}
		if string(data) == "[DONE]" {
			return nil
		}
		before := c.pieces
		if err := c.event(data, key); err != nil {
			return err
		}
		if c.pieces > before || c.answer.Finish != "" {
			progress(c.answer.Finish != "")
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("%w: an event longer than %d MiB", ErrAnswer, maxEvent>>20)
	}
	return lines.Err()
}

func (c *collector) event(data []byte, key string) error {
	var got chunk
	if err := json.Unmarshal(data, &got); err != nil {
		return fmt.Errorf("%w: a piece of the stream is not JSON", ErrAnswer)
	}
	if len(got.Error) > 0 && string(got.Error) != "null" {
		return inBand(data, key)
	}
	c.head(got.chunkHead)
	for _, choice := range got.Choices {
		if choice.Index != 0 {
			return fmt.Errorf("%w: a second choice", ErrAnswer)
		}
		d := Delta{Text: choice.Delta.Content}
		for _, t := range choice.Delta.ToolCalls {
			d.Tools = append(d.Tools, ToolFragment{Index: t.Index, ID: t.ID, Name: t.Function.Name, Arguments: t.Function.Arguments})
		}
		if err := c.add(d); err != nil {
			return err
		}
		if choice.Delta.Reasoning != "" {
			c.bytes += len(choice.Delta.Reasoning) // it is billed
		}
		if choice.Finish != "" {
			c.answer.Finish = choice.Finish
		}
	}
	return nil
}

func (c *collector) head(h chunkHead) {
	if h.ID != "" && c.answer.ID == "" {
		c.answer.ID = h.ID
	}
	if h.Model != "" {
		c.answer.Model = h.Model
	}
	if u := h.Usage; u != nil {
		c.answer.Usage = Usage{Input: max(u.Input, 0), Output: max(u.Output, 0), Cached: max(u.Details.Cached, 0), Known: true}
	}
}

// inBand is an error that an endpoint sends within a stream that began well.
func inBand(data []byte, key string) *Error {
	s := readSaid(data)
	return &Error{Class: classify(http.StatusOK, s), Status: http.StatusOK, Message: redacted(line(s.Message), key)}
}

// whole reads the answer of an endpoint that does not stream.
func (c *collector) whole(body io.Reader, key string) error {
	text, err := io.ReadAll(io.LimitReader(body, maxText))
	if err != nil {
		return err
	}
	var got struct {
		Choices []struct {
			Message struct {
				Content   string     `json:"content"`
				ToolCalls []WireCall `json:"tool_calls"`
			} `json:"message"`
			Finish string `json:"finish_reason"`
		} `json:"choices"`
		chunkHead
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return fmt.Errorf("%w: the answer is not JSON", ErrAnswer)
	}
	if len(got.Error) > 0 && string(got.Error) != "null" {
		return inBand(text, key)
	}
	if len(got.Choices) != 1 {
		return fmt.Errorf("%w: %d choices", ErrAnswer, len(got.Choices))
	}
	c.head(got.chunkHead)
	d := Delta{Text: got.Choices[0].Message.Content}
	for i, t := range got.Choices[0].Message.ToolCalls {
		d.Tools = append(d.Tools, ToolFragment{Index: i, ID: t.ID, Name: t.Function.Name, Arguments: t.Function.Arguments})
	}
	c.answer.Finish = got.Choices[0].Finish
	return c.add(d)
}
