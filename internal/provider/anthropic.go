package provider

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

// Anthropic speaks to Anthropic's API through its SDK, which is told to retry nothing and to read no environment.
type Anthropic struct{ native }

// NewAnthropic connects to nothing.
func NewAnthropic(c NativeConfig) (*Anthropic, error) {
	c.URL = cmp.Or(c.URL, "https://api.anthropic.com/")
	return &Anthropic{newNative(c)}, nil
}

func (a *Anthropic) options(key string) []option.RequestOption {
	return []option.RequestOption{
		option.WithBaseURL(a.config.URL), option.WithAPIKey(key), option.WithMaxRetries(0), option.WithHTTPClient(a.client),
	}
}

// Stream sends a request.
func (a *Anthropic) Stream(ctx context.Context, r *Request, each func(Delta) error) (*Answer, error) {
	params, err := anthropicParams(r)
	if err != nil {
		return nil, badRequest(err)
	}
	c, err := a.begin(ctx, r, each)
	if err != nil {
		return nil, err
	}
	defer c.limits.end()
	service := anthropic.NewMessageService(a.options(c.key)...)
	stream := service.NewStreaming(c.ctx, params)
	defer stream.Close() //nolint:errcheck // read to its end or given up
	tools, ended := map[int64]int{}, false
	for stream.Next() {
		if err := c.anthropicEvent(stream.Current(), tools, &ended); err != nil {
			return nil, c.fail(err, 0, nil)
		}
		if ended {
			break
		}
	}
	if err := stream.Err(); err != nil && !ended {
		var refused *anthropic.Error
		if errors.As(err, &refused) {
			return nil, c.fail(err, refused.StatusCode, []byte(refused.RawJSON()))
		}
		return nil, c.fail(err, 0, nil)
	}
	if !ended {
		c.answer.Finish = "" // a stop reason without the end of the message
	}
	return c.done()
}

func (c *call) anthropicEvent(e anthropic.MessageStreamEventUnion, tools map[int64]int, ended *bool) error {
	switch e.Type {
	case "message_start":
		c.answer.ID, c.answer.Model = e.Message.ID, cmp.Or(e.Message.Model, c.answer.Model)
		u := e.Message.Usage
		c.answer.Usage = Usage{Input: int(u.InputTokens + u.CacheReadInputTokens + u.CacheCreationInputTokens), Cached: int(u.CacheReadInputTokens)}
	case "content_block_start":
		switch e.ContentBlock.Type {
		case "text":
			return c.piece(Delta{Text: e.ContentBlock.Text})
		case "tool_use":
			tools[e.Index] = len(tools)
			return c.piece(Delta{Tools: []ToolFragment{{Index: tools[e.Index], ID: e.ContentBlock.ID, Name: e.ContentBlock.Name}}})
		}
	case "content_block_delta":
		if e.Delta.PartialJSON != "" {
			return c.piece(Delta{Tools: []ToolFragment{{Index: tools[e.Index], Arguments: e.Delta.PartialJSON}}})
		}
		c.bytes += len(e.Delta.Thinking) // it is billed
		return c.piece(Delta{Text: e.Delta.Text})
	case "message_delta":
		c.answer.Usage.Output, c.answer.Usage.Known = int(e.Usage.OutputTokens), true
		switch e.Delta.StopReason {
		case "":
		case "max_tokens":
			c.answer.Finish = FinishLength
		case "tool_use":
			c.answer.Finish = FinishTools
		case "refusal":
			c.answer.Finish = FinishFilter
		case "model_context_window_exceeded":
			c.answer.Finish = FinishLength
		default:
			c.answer.Finish = FinishStop
		}
	case "message_stop":
		*ended = true
	}
	return nil
}

func anthropicParams(r *Request) (anthropic.MessageNewParams, error) {
	p := anthropic.MessageNewParams{Model: r.Model, MaxTokens: int64(r.MaxTokens), StopSequences: r.Stop}
	if r.Temperature != nil {
		p.Temperature = anthropic.Float(*r.Temperature)
	}
	if r.TopP != nil {
		p.TopP = anthropic.Float(*r.TopP)
	}
	for _, m := range r.Messages {
		if m.Role == "system" || m.Role == "developer" {
			p.System = append(p.System, anthropic.TextBlockParam{Text: m.Content.Plain()})
			continue
		}
		blocks, err := anthropicBlocks(m)
		if err != nil {
			return p, err
		}
		if m.Role == "assistant" {
			p.Messages = append(p.Messages, anthropic.NewAssistantMessage(blocks...))
		} else {
			p.Messages = append(p.Messages, anthropic.NewUserMessage(blocks...))
		}
	}
	for _, t := range r.Tools {
		var schema struct {
			Properties any      `json:"properties"`
			Required   []string `json:"required"`
		}
		if len(t.Function.Parameters) > 0 {
			if err := json.Unmarshal(t.Function.Parameters, &schema); err != nil {
				return p, fmt.Errorf("tool %s: parameters: %w", t.Function.Name, err)
			}
		}
		tool := anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{Properties: schema.Properties, Required: schema.Required}, t.Function.Name)
		tool.OfTool.Description = anthropic.String(t.Function.Description)
		p.Tools = append(p.Tools, tool)
	}
	mode, name, err := r.toolChoice()
	if err != nil {
		return p, err
	}
	switch mode {
	case "auto":
		p.ToolChoice = anthropic.ToolChoiceUnionParam{OfAuto: &anthropic.ToolChoiceAutoParam{}}
	case "required":
		p.ToolChoice = anthropic.ToolChoiceUnionParam{OfAny: &anthropic.ToolChoiceAnyParam{}}
	case "none":
		p.ToolChoice = anthropic.ToolChoiceUnionParam{OfNone: &anthropic.ToolChoiceNoneParam{}}
	case "function":
		p.ToolChoice = anthropic.ToolChoiceParamOfTool(name)
	}
	if r.Format != nil && r.Format.Type == "json_schema" {
		var schema map[string]any
		if err := json.Unmarshal(r.Format.Schema.Schema, &schema); err != nil {
			return p, fmt.Errorf("response_format: schema: %w", err)
		}
		p.OutputConfig.Format = anthropic.JSONOutputFormatParam{Schema: schema}
	}
	return p, nil
}

func anthropicBlocks(m Message) (out []anthropic.ContentBlockParamUnion, err error) {
	if m.Role == "tool" {
		return []anthropic.ContentBlockParamUnion{anthropic.NewToolResultBlock(m.ToolCallID, m.Content.Plain(), false)}, nil
	}
	parts := m.Content.Parts
	if parts == nil && m.Content.Text != "" {
		parts = []Part{{Type: "text", Text: m.Content.Text}}
	}
	for _, part := range parts {
		switch {
		case part.Image == nil:
			out = append(out, anthropic.NewTextBlock(part.Text))
		default:
			if media, data, ok := dataURL(part.Image.URL); ok {
				out = append(out, anthropic.NewImageBlockBase64(media, base64.StdEncoding.EncodeToString(data)))
			} else {
				out = append(out, anthropic.NewImageBlock(anthropic.URLImageSourceParam{URL: part.Image.URL}))
			}
		}
	}
	for _, t := range m.ToolCalls {
		if !json.Valid([]byte(t.Function.Arguments)) {
			return nil, fmt.Errorf("tool call %s: its arguments are not JSON", t.ID)
		}
		out = append(out, anthropic.NewToolUseBlock(t.ID, json.RawMessage(t.Function.Arguments), t.Function.Name))
	}
	return out, nil
}

// Embed refuses: Anthropic makes no vectors.
func (a *Anthropic) Embed(context.Context, string, []string) ([][]float32, Usage, error) {
	return nil, Usage{}, badRequest(fmt.Errorf("anthropic has no embeddings: %w", ErrUnsupported))
}

// Models lists what the endpoint offers.
func (a *Anthropic) Models(ctx context.Context) ([]string, error) {
	c, err := a.begin(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	defer c.limits.end()
	service := anthropic.NewModelService(a.options(c.key)...)
	page, err := service.List(c.ctx, anthropic.ModelListParams{Limit: anthropic.Int(1000)})
	if err != nil {
		return nil, fmt.Errorf("list models: %s", redacted(line(err.Error()), c.key))
	}
	var names []string
	for _, m := range page.Data {
		names = append(names, m.ID)
	}
	return names, nil
}
