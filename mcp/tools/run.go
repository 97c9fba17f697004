package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tartan-ai/tartan/internal/completion"
	"github.com/tartan-ai/tartan/internal/provider"
	"github.com/tartan-ai/tartan/internal/routing"
	"github.com/tartan-ai/tartan/mcp/tools/jsonrpc"
	"github.com/tartan-ai/tartan/workflows"
)

// waitForModel bounds the wait for an answer: a request may take a minute. A call that takes longer goes on.
const waitForModel = 50 * time.Second

// usualDial is between cost and quality, as route_model has it unless told.
const usualDial = 0.7

type runModelArgs struct {
	Prompt    string      `json:"prompt" max:"262144"`
	Messages  messageList `json:"messages" note:"Instead of prompt: the turns so far, {role, content} with the roles system, user and assistant"`
	Task      string      `json:"task" max:"200" note:"Kind of work, a stable name: what is learned is learned by task first"`
	Model     string      `json:"model" max:"300" default:"auto" note:"auto, or one of list_models"`
	Schema    object      `json:"schema" doc:"JSON Schema" note:"Of the answer. One that lacks it is paid for, and the next model is asked"`
	MaxOutput int         `json:"max_output" min:"1" max:"1000000" default:"1000" note:"Tokens"`
	MaxCost   int         `json:"max_cost" max:"1000000000000" doc:"Micro-dollars" note:"Of the worst case; 0 is no limit but the budgets"`
	Key       string      `json:"key" max:"100" note:"Idempotency key: the same key is one call, paid for once. Without it, one is made and told"`
}

type ranModel struct {
	State    string `json:"state"` // completed, or running where the wait was over first
	Answer   string `json:"answer,omitempty"`
	Finish   string `json:"finish,omitempty"` // stop, or length where it was cut off
	Model    string `json:"model,omitempty"`
	Cost     int64  `json:"cost"` // micro-dollars, with the attempts that failed
	Input    int    `json:"input_tokens,omitempty"`
	Output   int    `json:"output_tokens,omitempty"`
	Decision string `json:"decision,omitempty"` // for report_outcome
	Cached   string `json:"cached,omitempty"`   // exact or similar
	Failed   int    `json:"failed_attempts,omitempty"`
	Key      string `json:"key,omitempty"`
	Workflow string `json:"workflow_id,omitempty"`
	Note     string `json:"note,omitempty"`
}

func (s *Suite) runModel() Tool {
	return define[runModelArgs, ranModel](Tool{
		Name: "run_model", Title: "Ask a model", Role: editor, OpenWorld: true,
		Description: "Ask a model, within the budgets.",
	}, func(ctx context.Context, c Call, in runModelArgs) (ranModel, string, error) {
		call, err := in.call(c)
		if err != nil {
			return ranModel{}, "", err
		}
		out, err := s.complete(ctx, c, call)
		return out, out.text(), err
	})
}

func (in runModelArgs) call(c Call) (completion.Call, error) {
	messages := []provider.Message(in.Messages)
	switch {
	case (in.Prompt == "") == (len(messages) == 0):
		return completion.Call{}, invalid("give either prompt or messages")
	case in.Prompt != "":
		messages = []provider.Message{{Role: "user", Content: provider.Content{Text: in.Prompt}}}
	}
	call := completion.Call{
		Caller: c.Caller, Key: in.Key, Task: in.Task, Dial: usualDial, MaxCost: routing.Money(in.MaxCost),
		Request: provider.Request{Model: in.Model, Messages: messages, MaxTokens: in.MaxOutput},
	}
	if call.Key == "" {
		call.Key = uuid.NewString()
	}
	if in.Schema != nil {
		call.Request.Format = &provider.Format{Type: "json_schema", Schema: &provider.FormatSpec{Name: "answer", Schema: json.RawMessage(in.Schema)}}
	}
	return call, nil
}

// complete has the workflow Complete answer a call, and waits for it.
func (s *Suite) complete(ctx context.Context, c Call, call completion.Call) (ranModel, error) {
	temporal, err := s.durable()
	if err != nil {
		return ranModel{}, err
	}
	id, _, _, err := workflows.StartComplete(ctx, temporal, workflows.CompleteInput{Call: call})
	if errors.Is(err, workflows.ErrPromptTooLong) {
		return ranModel{}, invalid("%v", err)
	}
	if err != nil {
		return ranModel{}, explainWorkflow(err, "")
	}
	got, failed, err := workflows.CompleteAnswer(ctx, temporal, id, waitForModel)
	switch {
	case err != nil:
		return ranModel{}, explainWorkflow(err, id)
	case failed != nil:
		return ranModel{}, explainCall(failed)
	case got == nil:
		return ranModel{State: "running", Key: call.Key, Workflow: id, Note: "ask again with this key for the answer; control_workflow cancels it"}, nil
	}
	return ranModel{
		State: "completed", Answer: got.Text, Finish: got.Finish, Model: got.Model, Cost: int64(got.Total), Input: got.Usage.Input, Output: got.Usage.Output,
		Decision: got.Decision, Cached: got.Cached, Failed: len(got.Attempts), Key: call.Key, Workflow: id,
	}, nil
}

// explainCall tells a client why no model answered.
func explainCall(f *workflows.Failure) error {
	message := cut(strings.Join(strings.Fields(f.Message), " "), 900)
	if f.OverBudget() {
		return &Error{Kind: Denied, Message: message, Next: "An admin may raise it: tartan models budget set"}
	}
	return explainFailure(f)
}

func (r ranModel) text() string {
	if r.State != "completed" {
		return fmt.Sprintf("%s goes on; %s", r.Workflow, r.Note)
	}
	said := fmt.Sprintf("%s\n\n%s, %s", r.Answer, r.Model, routing.Money(r.Cost).USD())
	for _, more := range []string{r.Cached, r.Note} {
		if more != "" {
			said += ", " + more
		}
	}
	if r.Finish == provider.FinishLength {
		said += ", cut off at max_output"
	}
	return said
}

// messageList is an argument of the turns of a conversation.
type messageList []provider.Message

const maxMessages = 200

func (l *messageList) schema() string { return `"type":"array","items":{"type":"object"}` }

func (l *messageList) parse(value []byte) error {
	*l = nil
	wrong := errors.New("must be an array of {role, content} with role system, user or assistant and a text as content")
	if value[0] != '[' {
		return wrong
	}
	return jsonrpc.Elements(value, func(element []byte) error {
		if len(*l) == maxMessages {
			return fmt.Errorf("has more than %d messages", maxMessages)
		}
		var m struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		}
		dec := json.NewDecoder(bytes.NewReader(element))
		dec.DisallowUnknownFields()
		if dec.Decode(&m) != nil || m.Role != "system" && m.Role != "user" && m.Role != "assistant" || m.Content == "" {
			return wrong
		}
		*l = append(*l, provider.Message{Role: m.Role, Content: provider.Content{Text: m.Content}})
		return nil
	})
}

// object is an argument that is any JSON object.
type object json.RawMessage

func (o *object) schema() string { return `"type":"object"` }

func (o *object) parse(value []byte) error {
	if value[0] != '{' {
		return errors.New("must be an object")
	}
	*o = append(object(nil), value...)
	return nil
}
