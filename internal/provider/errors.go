package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tartan-ai/tartan/internal/routing"
)

// ErrAnswer says that an endpoint answered with something that is not what was asked for.
var ErrAnswer = errors.New("unexpected answer")

// Error is how a call failed, in the endpoint's words where it said something, without the key.
type Error struct {
	Class      routing.Class
	Status     int           // HTTP status; 0 where none came
	Message    string        // one line
	RetryAfter time.Duration // as the endpoint asks; 0 where it does not
	Delivered  bool          // pieces of the answer had come
	Usage      Usage         // of what came before the failure: providers bill it
	cause      error
}

func (e *Error) Error() string {
	if e.Status != 0 && e.Status != http.StatusOK {
		return fmt.Sprintf("the endpoint answered %d: %s", e.Status, e.Message)
	}
	return e.Message
}

// Unwrap returns the cause, such as ErrAnswer or an error of the context.
func (e *Error) Unwrap() error { return e.cause }

// Temporary reports whether the same request may work later.
func (e *Error) Temporary() bool {
	return e.Class == routing.Transient || e.Class == routing.Throttled || e.Class == routing.Silent
}

// ClassOf is the class of an error of a provider; one that is not an *Error is transient.
func ClassOf(err error) routing.Class {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Class
	case errors.Is(err, context.Canceled):
		return routing.Cancelled
	}
	return routing.Transient
}

// said is the body of a refusal as the dialects write it.
type said struct {
	Message string          `json:"message"`
	Type    string          `json:"type"`
	Code    json.RawMessage `json:"code"`   // text, or a number at some
	Status  string          `json:"status"` // of Google
}

func (s said) words() string {
	return strings.ToLower(strings.Join([]string{s.Type, strings.Trim(string(s.Code), `"`), s.Status}, " "))
}

func readSaid(body []byte) said {
	var outer struct {
		Error json.RawMessage `json:"error"`
		said
	}
	if json.Unmarshal(body, &outer) != nil {
		return said{Message: string(body)}
	}
	var s said
	if len(outer.Error) == 0 || json.Unmarshal(outer.Error, &s) != nil {
		s = outer.said
		var text string
		if json.Unmarshal(outer.Error, &text) == nil && text != "" {
			s.Message = text
		}
	}
	if s.Message == "" {
		s.Message = string(body)
	}
	return s
}

// refusal reads the answer to a request that was not served.
func refusal(status int, h http.Header, body []byte, key string, now time.Time) *Error {
	s := readSaid(body)
	return &Error{
		Class: classify(status, s), Status: status, Message: redacted(line(s.Message), key), RetryAfter: retryAfter(h, now),
	}
}

// classify tells what a refusal means from its status and the words of its code; the message decides only where
// dialects give no code.
func classify(status int, s said) routing.Class {
	code, message := s.words(), strings.ToLower(s.Message)
	has := func(text string, parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has(code, "insufficient_quota", "billing_hard_limit", "billing_error") || status == http.StatusPaymentRequired:
		return routing.Quota
	case has(code, "content_filter", "content_policy", "responsibleai"):
		return routing.ContentFilter
	case has(code, "context_length", "context_window", "string_above_max_length", "request_too_large") || status == http.StatusRequestEntityTooLarge:
		return routing.ContextLength
	case status == http.StatusUnauthorized, status == http.StatusForbidden, has(code, "invalid_api_key", "authentication_error", "permission_error"):
		return routing.Auth
	case status == http.StatusTooManyRequests, has(code, "rate_limit", "resource_exhausted"):
		return routing.Throttled
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly, status >= 500,
		has(code, "overloaded", "server_error", "api_error", "unavailable", "timeout"):
		return routing.Transient
	case has(message, "context length", "context window", "maximum context", "prompt is too long", "input token count", "too many tokens"):
		return routing.ContextLength
	case has(message, "credit balance is too low"):
		return routing.Quota
	case status == 0 || status == http.StatusOK: // an event within a stream, of a kind that nobody documents
		return routing.Transient
	}
	return routing.BadRequest
}

// retryAfter reads how long to wait: seconds, a date, or the milliseconds that some send besides.
func retryAfter(h http.Header, now time.Time) time.Duration {
	const most = 24 * time.Hour
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return min(time.Duration(ms*float64(time.Millisecond)), most)
	}
	v := strings.TrimSpace(h.Get("Retry-After"))
	if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 {
		return time.Duration(min(s, most.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(v); err == nil && at.After(now) {
		return min(at.Sub(now), most)
	}
	return 0
}

// line makes one short line of what an endpoint says.
func line(text string) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "..."
	}
	if text == "" {
		text = "nothing more"
	}
	return text
}

// redacted hides the key, and parts of it that an endpoint may quote.
func redacted(text, key string) string {
	if len(key) < 8 {
		return text
	}
	words := strings.Fields(text)
	for i, w := range words {
		bare := strings.Trim(w, `.,:;"'()`)
		if strings.Contains(w, key) || len(bare) >= 6 && (strings.HasPrefix(bare, key[:6]) || strings.HasSuffix(bare, key[len(key)-4:]) && strings.Contains(bare, "*")) {
			words[i] = "(key)"
		}
	}
	return strings.Join(words, " ")
}
