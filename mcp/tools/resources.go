package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/tartan-ai/tartan/internal/pattern"
)

// ResourceType is the MIME type of every resource.
const ResourceType = "application/json"

const (
	patternPrefix  = "tartan://patterns/"
	workflowPrefix = "tartan://workflows/"
)

// Template is a kind of resource, as clients see it.
type Template struct {
	URI, Name, Title, Description string
}

// Templates are the kinds of resources that Read reads.
func Templates() []Template {
	return []Template{
		{patternPrefix + "{library}/{id}", "pattern", "Pattern", "A pattern: template, slots, counts, examples. Its address stays valid when the pattern changes."},
		{workflowPrefix + "{+id}", "workflow", "Workflow", "State, progress and result of a workflow."},
	}
}

// PatternURI is the address of a pattern.
func PatternURI(library string, id pattern.ID) string {
	return patternPrefix + url.PathEscape(library) + "/" + string(id)
}

// WorkflowURI is the address of a workflow.
func WorkflowURI(id string) string { return workflowPrefix + id }

// IsResource reports whether the address is of a kind that Read reads.
func IsResource(uri string) bool {
	return strings.HasPrefix(uri, patternPrefix) || strings.HasPrefix(uri, workflowPrefix)
}

// Read returns a resource as JSON, as the caller sees it. Of what is missing, malformed or another workspace's it says the same: an
// *Error of kind NotFound.
func (s *Suite) Read(ctx context.Context, c Call, uri string) ([]byte, error) {
	if len(uri) > maxText {
		return nil, notFound("", "no such resource")
	}
	if id, ok := strings.CutPrefix(uri, workflowPrefix); ok {
		detail, err := s.workflowDetail(ctx, c, id, 0)
		return encodeResource(uri, detail, err)
	}
	rest, ok := strings.CutPrefix(uri, patternPrefix)
	library, id, two := strings.Cut(rest, "/")
	name, err := url.PathUnescape(library)
	if !ok || !two || id == "" || err != nil || strings.ContainsAny(name+id, "\x00") || strings.Contains(id, "/") {
		return nil, notFound("Addresses look like "+patternPrefix+"{library}/{id}", "no such resource")
	}
	detail, err := s.patternDetail(ctx, c, strings.ToValidUTF8(name, "\uFFFD"), pattern.ID(strings.ToValidUTF8(id, "\uFFFD")), 3)
	return encodeResource(uri, detail, err)
}

func encodeResource(uri string, detail any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(detail)
	if err != nil {
		return nil, fmt.Errorf("encode resource %s: %w", uri, err)
	}
	return text, nil
}
