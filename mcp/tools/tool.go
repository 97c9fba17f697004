// Package tools is what a client can ask Tartan for over MCP: typed handlers, their schemas and their resources.
// What comes in is a caller whose membership was checked, and arguments; what goes out is a result or an error that says what to
// do next. It knows no transport, no protocol library and no token.
package tools

//go:generate go test . -run "TestSchemasAreGolden|TestReference" -update

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tartan-ai/tartan/internal/access"
)

// Call is who calls, in which workspace, as what.
type Call struct {
	Caller    access.Caller
	Role      access.Role
	Workspace string // slug
}

// Result is a tool's answer: a short text for people and clients that show nothing else, and the whole as compact JSON.
type Result struct {
	Text       string
	Structured json.RawMessage
	Attached   *Attachment // nil for none
}

// Attachment is something to look at that comes with an answer, and its address.
type Attachment struct{ URI, Type, Text string }

// Tool is one tool: what it is called, what it takes and gives, who may call it, and what it does to the world.
// Unless it says otherwise, a tool works on a closed world: it reaches nothing but Tartan's own stores.
type Tool struct {
	Name, Title, Description string
	Role                     access.Role     // the least role that may call it
	ReadOnly                 bool            // changes nothing
	Destructive              bool            // may undo or remove something
	Idempotent               bool            // the same call twice does what one does
	OpenWorld                bool            // reaches what is not Tartan's, such as a model
	Input, Output            json.RawMessage // JSON Schemas, compact

	args   *arguments
	handle func(ctx context.Context, c Call, args []byte) (Result, error)
}

// Call checks the arguments, a JSON object or nothing, and runs the tool. What is wrong with the arguments is an *Error.
func (t *Tool) Call(ctx context.Context, c Call, args []byte) (Result, error) {
	if !c.Role.AtLeast(t.Role) {
		return Result{}, denied(c, t)
	}
	return t.handle(ctx, c, args)
}

// define makes a tool of a handler whose arguments and answer are structs; the schemas follow from their fields.
// The handler's string is the text of the result.
func define[In, Out any](t Tool, fn func(context.Context, Call, In) (Out, string, error)) Tool {
	return defineRaw[In, Out](t, func(ctx context.Context, c Call, in In) (Result, error) {
		out, text, err := fn(ctx, c, in)
		if err != nil {
			return Result{}, err
		}
		structured, err := json.Marshal(out)
		if err != nil {
			return Result{}, fmt.Errorf("encode result of %s: %w", t.Name, err)
		}
		return Result{Text: text, Structured: structured}, nil
	})
}

// defineRaw is define for a handler that writes its own JSON, which must be that of an Out.
func defineRaw[In, Out any](t Tool, fn func(context.Context, Call, In) (Result, error)) Tool {
	t.args = argumentsOf[In](t.Name)
	t.Input, t.Output = t.args.schema(), outputSchema[Out]()
	t.handle = func(ctx context.Context, c Call, args []byte) (Result, error) {
		var in In
		if err := t.args.decode(args, &in); err != nil {
			return Result{}, err
		}
		return fn(ctx, c, in)
	}
	return t
}
