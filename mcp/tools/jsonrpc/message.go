package jsonrpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrInvalid says that the JSON is no JSON-RPC message that can be read in one way only.
var ErrInvalid = errors.New("invalid request")

// The _meta members that a request of the stateless protocol revisions carries.
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
)

// Message is what routing needs of a request, notification or response; slices point into the bytes parsed.
type Message struct {
	ID           json.RawMessage // as it came; nil where there is none
	Method       string          // "" for a response
	Params       json.RawMessage
	Name         string // params.name
	URI          string // params.uri
	Arguments    json.RawMessage
	Version      string          // the protocol revision in _meta, "" before 2026-07-28
	Capabilities json.RawMessage // the client's, in _meta

	body  []byte
	start int // of Arguments in body
}

// Parse reads a message. A member that is repeated, or that differs from a known name only in case, is refused: another reader
// of the same bytes could see a different message. Errors wrap ErrSyntax or ErrInvalid.
func Parse(body []byte) (Message, error) {
	m := Message{body: body, start: -1}
	if i := space(body, 0); i < len(body) && body[i] == '[' {
		return m, fmt.Errorf("%w: batches are not part of this protocol; send one message", ErrInvalid)
	}
	seen := once{known: []string{"jsonrpc", "id", "method", "params", "result", "error"}}
	err := Members(body, func(name string, value []byte) (err error) {
		if err = seen.note(name); err != nil {
			return err
		}
		switch name {
		case "id":
			m.ID = value
		case "method":
			m.Method, err = text(name, value)
		case "params":
			m.Params = value
		}
		return err
	})
	if err == nil && len(m.Params) > 0 && m.Params[0] == '{' {
		err = m.params()
	}
	return m, err
}

func (m *Message) params() error {
	seen := once{known: []string{"name", "uri", "arguments", "_meta", "task"}}
	return Members(m.Params, func(name string, value []byte) (err error) {
		if err = seen.note(name); err != nil {
			return err
		}
		switch name {
		case "name":
			m.Name, _ = Text(value)
		case "uri":
			m.URI, _ = Text(value)
		case "arguments":
			m.Arguments = value
			m.start = cap(m.body) - cap(value)
		case "_meta":
			if value[0] == '{' {
				err = m.meta(value)
			}
		}
		return err
	})
}

func (m *Message) meta(b []byte) error {
	seen := once{known: []string{metaVersion, metaCapabilities}}
	return Members(b, func(name string, value []byte) error {
		if err := seen.note(name); err != nil {
			return err
		}
		switch name {
		case metaVersion:
			m.Version, _ = Text(value)
		case metaCapabilities:
			m.Capabilities = value
		}
		return nil
	})
}

// Modern reports whether the message speaks a stateless revision, 2026-07-28 or later; revisions are dates.
func (m *Message) Modern() bool { return m.Version >= "2026-07-28" }

// IsRequest reports whether the message wants an answer.
func (m *Message) IsRequest() bool { return m.Method != "" && len(m.ID) > 0 && string(m.ID) != "null" }

// Declares reports whether the client declared the capability in this request.
func (m *Message) Declares(capability string) (has bool) {
	if len(m.Capabilities) == 0 || m.Capabilities[0] != '{' {
		return false
	}
	_ = Members(m.Capabilities, func(name string, _ []byte) error {
		has = has || name == capability
		return nil
	})
	return has
}

// WithoutArguments is the message with empty arguments, for readers that would otherwise decode them again and again.
func (m *Message) WithoutArguments() []byte {
	if m.start < 0 || len(m.Arguments) == 0 || m.Arguments[0] != '{' {
		return m.body
	}
	out := make([]byte, 0, len(m.body)-len(m.Arguments)+2)
	out = append(out, m.body[:m.start]...)
	out = append(out, '{', '}')
	return append(out, m.body[m.start+len(m.Arguments):]...)
}

// once refuses what readers of JSON disagree on.
type once struct {
	known []string
	seen  uint64
}

func (o *once) note(name string) error {
	for i, k := range o.known {
		if name == k {
			if o.seen&(1<<i) != 0 {
				return fmt.Errorf("%w: %q is given twice", ErrInvalid, name)
			}
			o.seen |= 1 << i
			return nil
		}
		if len(name) >= len(k) && strings.EqualFold(name, k) {
			return fmt.Errorf("%w: %q should be %q", ErrInvalid, name, k)
		}
	}
	return nil
}

func text(name string, value []byte) (string, error) {
	s, err := Text(value)
	if err != nil {
		return "", fmt.Errorf("%w: %q is not a string", ErrInvalid, name)
	}
	return s, nil
}
