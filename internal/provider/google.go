package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"google.golang.org/genai"
)

// Google speaks to Gemini's API through Google's SDK, which is told to retry nothing.
type Google struct {
	native
	mu      sync.Mutex
	clients map[string]*genai.Client // by key, of which there is one, or two while it is changed
}

// NewGoogle connects to nothing.
func NewGoogle(c NativeConfig) (*Google, error) {
	c.URL = cmp.Or(c.URL, "https://generativelanguage.googleapis.com/")
	return &Google{native: newNative(c), clients: map[string]*genai.Client{}}, nil
}

func (g *Google) client(ctx context.Context, key string) (*genai.Client, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.clients[key]; c != nil {
		return c, nil
	}
	once := int32(1)
	c, err := genai.NewClient(ctx, &genai.ClientConfig{
		APIKey: key, Backend: genai.BackendGeminiAPI, HTTPClient: g.native.client,
		HTTPOptions: genai.HTTPOptions{BaseURL: g.config.URL, RetryOptions: &genai.HTTPRetryOptions{Attempts: &once}},
	})
	if err != nil {
		return nil, err
	}
	if len(g.clients) > 1 {
		clear(g.clients)
	}
	g.clients[key] = c
	return c, nil
}

// Stream sends a request.
func (g *Google) Stream(ctx context.Context, r *Request, each func(Delta) error) (*Answer, error) {
	contents, config, err := googleParams(r)
	if err != nil {
		return nil, badRequest(err)
	}
	c, err := g.begin(ctx, r, each)
	if err != nil {
		return nil, err
	}
	defer c.limits.end()
	client, err := g.client(c.ctx, c.key)
	if err != nil {
		return nil, c.fail(err, 401, []byte(`{"error":{"message":"no key, or one that the client refuses"}}`))
	}
	for got, err := range client.Models.GenerateContentStream(c.ctx, r.Model, contents, config) {
		if err != nil {
			return nil, c.googleFault(err)
		}
		if err := c.googlePiece(got); err != nil {
			return nil, c.fail(err, 0, nil)
		}
	}
	if c.ctx.Err() != nil && c.answer.Finish == "" {
		return nil, c.fail(c.ctx.Err(), 0, nil)
	}
	return c.done()
}

func (c *call) googleFault(err error) error {
	var refused genai.APIError
	if !errors.As(err, &refused) {
		return c.fail(err, 0, nil)
	}
	body, _ := json.Marshal(map[string]any{"error": map[string]any{"message": refused.Message, "status": refused.Status}})
	return c.fail(err, refused.Code, body)
}

func (c *call) googlePiece(got *genai.GenerateContentResponse) error {
	c.answer.ID, c.answer.Model = cmp.Or(got.ResponseID, c.answer.ID), cmp.Or(got.ModelVersion, c.answer.Model)
	if u := got.UsageMetadata; u != nil {
		c.answer.Usage = Usage{
			Input: int(u.PromptTokenCount + u.ToolUsePromptTokenCount), Output: int(u.CandidatesTokenCount + u.ThoughtsTokenCount),
			Cached: int(u.CachedContentTokenCount), Known: true,
		}
	}
	if got.PromptFeedback != nil && got.PromptFeedback.BlockReason != "" {
		c.answer.Finish = FinishFilter
	}
	if len(got.Candidates) == 0 {
		return nil
	}
	candidate := got.Candidates[0]
	var d Delta
	if candidate.Content != nil {
		for _, part := range candidate.Content.Parts {
			switch {
			case part.FunctionCall != nil:
				args, err := json.Marshal(part.FunctionCall.Args)
				if err != nil {
					return fmt.Errorf("%w: the arguments of a tool call", ErrAnswer)
				}
				at := len(c.tools) + len(d.Tools)
				d.Tools = append(d.Tools, ToolFragment{
					Index: at, ID: cmp.Or(part.FunctionCall.ID, "call_"+strconv.Itoa(at)), Name: part.FunctionCall.Name, Arguments: string(args),
				})
			case part.Thought:
				c.bytes += len(part.Text) // it is billed
			default:
				d.Text += part.Text
			}
		}
	}
	if err := c.piece(d); err != nil {
		return err
	}
	switch candidate.FinishReason {
	case "", genai.FinishReasonUnspecified, genai.FinishReasonContinuation:
	case genai.FinishReasonStop:
		if c.answer.Finish = FinishStop; len(c.tools) > 0 {
			c.answer.Finish = FinishTools
		}
	case genai.FinishReasonMaxTokens:
		c.answer.Finish = FinishLength
	case genai.FinishReasonSafety, genai.FinishReasonRecitation, genai.FinishReasonBlocklist, genai.FinishReasonProhibitedContent, genai.FinishReasonSPII,
		genai.FinishReasonImageSafety, genai.FinishReasonImageProhibitedContent, genai.FinishReasonImageRecitation:
		c.answer.Finish = FinishFilter
	default:
		return fmt.Errorf("%w: the answer ended with %s", ErrAnswer, candidate.FinishReason)
	}
	return nil
}

func googleParams(r *Request) ([]*genai.Content, *genai.GenerateContentConfig, error) {
	config := &genai.GenerateContentConfig{MaxOutputTokens: int32(min(r.MaxTokens, 1<<30)), StopSequences: r.Stop}
	if r.Temperature != nil {
		v := float32(*r.Temperature)
		config.Temperature = &v
	}
	if r.TopP != nil {
		v := float32(*r.TopP)
		config.TopP = &v
	}
	if r.Seed != nil {
		v := int32(*r.Seed)
		config.Seed = &v
	}
	if r.Format.Wants() {
		if config.ResponseMIMEType = "application/json"; r.Format.Schema != nil {
			config.ResponseJsonSchema = r.Format.Schema.Schema
		}
	}
	for _, t := range r.Tools {
		f := &genai.FunctionDeclaration{Name: t.Function.Name, Description: t.Function.Description}
		if len(t.Function.Parameters) > 0 {
			f.ParametersJsonSchema = t.Function.Parameters
		}
		config.Tools = append(config.Tools, &genai.Tool{FunctionDeclarations: []*genai.FunctionDeclaration{f}})
	}
	mode, name, err := r.toolChoice()
	if err != nil {
		return nil, nil, err
	}
	if mode != "" {
		calling := &genai.FunctionCallingConfig{Mode: map[string]genai.FunctionCallingConfigMode{
			"auto": genai.FunctionCallingConfigModeAuto, "none": genai.FunctionCallingConfigModeNone,
			"required": genai.FunctionCallingConfigModeAny, "function": genai.FunctionCallingConfigModeAny,
		}[mode]}
		if name != "" {
			calling.AllowedFunctionNames = []string{name}
		}
		config.ToolConfig = &genai.ToolConfig{FunctionCallingConfig: calling}
	}
	var contents []*genai.Content
	named := map[string]string{} // functions by the ids of their calls
	for _, m := range r.Messages {
		if m.Role == "system" || m.Role == "developer" {
			if config.SystemInstruction == nil {
				config.SystemInstruction = &genai.Content{}
			}
			config.SystemInstruction.Parts = append(config.SystemInstruction.Parts, genai.NewPartFromText(m.Content.Plain()))
			continue
		}
		content, err := googleContent(m, named)
		if err != nil {
			return nil, nil, err
		}
		contents = append(contents, content)
	}
	return contents, config, nil
}

func googleContent(m Message, named map[string]string) (*genai.Content, error) {
	c := &genai.Content{Role: genai.RoleUser}
	if m.Role == "assistant" {
		c.Role = genai.RoleModel
	}
	if m.Role == "tool" {
		c.Parts = append(c.Parts, genai.NewPartFromFunctionResponse(named[m.ToolCallID], map[string]any{"output": m.Content.Plain()}))
		return c, nil
	}
	if m.Content.Text != "" {
		c.Parts = append(c.Parts, genai.NewPartFromText(m.Content.Text))
	}
	for _, p := range m.Content.Parts {
		if p.Image == nil {
			c.Parts = append(c.Parts, genai.NewPartFromText(p.Text))
		} else if media, data, ok := dataURL(p.Image.URL); ok {
			c.Parts = append(c.Parts, genai.NewPartFromBytes(data, media))
		} else {
			return nil, errors.New("gemini takes pictures as data URLs only")
		}
	}
	for _, t := range m.ToolCalls {
		named[t.ID] = t.Function.Name
		var args map[string]any
		if err := json.Unmarshal([]byte(t.Function.Arguments), &args); err != nil {
			return nil, fmt.Errorf("tool call %s: its arguments are not a JSON object", t.ID)
		}
		c.Parts = append(c.Parts, genai.NewPartFromFunctionCall(t.Function.Name, args))
	}
	return c, nil
}

// Embed asks for vectors. The endpoint does not say what it counted, so the usage is an upper bound.
func (g *Google) Embed(ctx context.Context, model string, texts []string) ([][]float32, Usage, error) {
	usage := Usage{Input: MostEmbedded(texts)}
	c, err := g.begin(ctx, &Request{}, nil)
	if err != nil {
		return nil, usage, err
	}
	defer c.limits.end()
	client, err := g.client(c.ctx, c.key)
	if err != nil {
		return nil, Usage{}, c.fail(err, 401, nil)
	}
	contents := make([]*genai.Content, len(texts))
	for i, t := range texts {
		contents[i] = genai.NewContentFromText(cmp.Or(t, " "), genai.RoleUser)
	}
	got, err := client.Models.EmbedContent(c.ctx, model, contents, nil)
	if err != nil {
		return nil, usage, c.googleFault(err)
	}
	if len(got.Embeddings) != len(texts) {
		return nil, usage, c.fail(fmt.Errorf("%w: %d vectors for %d texts", ErrAnswer, len(got.Embeddings), len(texts)), 0, nil)
	}
	out := make([][]float32, len(texts))
	for i, e := range got.Embeddings {
		out[i] = unit(e.Values)
	}
	return out, usage, nil
}

// Models lists what the endpoint offers.
func (g *Google) Models(ctx context.Context) ([]string, error) {
	c, err := g.begin(ctx, &Request{}, nil)
	if err != nil {
		return nil, err
	}
	defer c.limits.end()
	client, err := g.client(c.ctx, c.key)
	if err != nil {
		return nil, c.fail(err, 401, nil)
	}
	var names []string
	for m, err := range client.Models.All(c.ctx) {
		if err != nil {
			return nil, fmt.Errorf("list models: %w", c.googleFault(err))
		}
		names = append(names, m.Name)
	}
	return names, nil
}
