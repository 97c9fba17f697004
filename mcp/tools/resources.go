package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// ResourceType is the MIME type of every resource but pictures.
const ResourceType = "application/json"

const (
	patternPrefix  = "tartan://patterns/"
	workflowPrefix = "tartan://workflows/"
	entryPrefix    = "tartan://knowledge/"
)

// Template is a kind of resource, as clients see it.
type Template struct {
	URI, Name, Title, Description, Type string
}

// Templates are the kinds of resources that Read reads.
func Templates() []Template {
	return []Template{
		{patternPrefix + "{library}/{id}", "pattern", "Pattern", "A pattern: template, slots, counts, examples. Its address stays valid when the pattern changes.", ResourceType},
		{patternPrefix + "{library}/{id}.svg", "picture", "Picture", "A pattern's lines over time as SVG; with the id overview, the library's most frequent patterns.", PictureType},
		{entryPrefix + "{space}/{+slug}", "entry", "Entry of the knowledge base", "An entry at its current revision. Subscribers are told when another is published.", ResourceType},
		{entryPrefix + "{space}/{+slug}@{revision}", "revision", "Revision of an entry", "An entry at one revision, which never changes.", ResourceType},
		{workflowPrefix + "{+id}", "workflow", "Workflow", "State, progress and result of a workflow.", ResourceType},
	}
}

// PatternURI is the address of a pattern.
func PatternURI(library string, id pattern.ID) string {
	return patternPrefix + url.PathEscape(library) + "/" + string(id)
}

// WorkflowURI is the address of a workflow.
func WorkflowURI(id string) string { return workflowPrefix + id }

// EntryURI is the address of an entry of the knowledge base, or of one of its revisions.
func EntryURI(address string, revision int) string {
	parts := strings.Split(address, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	uri := entryPrefix + strings.Join(parts, "/")
	if revision > 0 {
		uri += "@" + strconv.Itoa(revision)
	}
	return uri
}

// readEntryURI reads what EntryURI addresses.
func (s *Suite) readEntryURI(ctx context.Context, c Call, uri string) (Entry, error) {
	rest, err := url.PathUnescape(strings.TrimPrefix(uri, entryPrefix))
	address, number, pinned := strings.Cut(rest, "@")
	revision := 0
	if err == nil && pinned {
		revision, err = strconv.Atoi(number)
		if revision < 1 || revision > 1<<31-1 {
			err = strconv.ErrRange
		}
	}
	if _, _, bad := splitAddress(address); err != nil || bad != nil {
		return Entry{}, notFound("Addresses look like "+entryPrefix+"{space}/{slug}", "no such resource")
	}
	return s.readEntry(ctx, c, address, revision, postgres.Moment{}, 0)
}

// IsResource reports whether the address is of a kind that Read reads.
func IsResource(uri string) bool {
	return strings.HasPrefix(uri, patternPrefix) || strings.HasPrefix(uri, workflowPrefix) || strings.HasPrefix(uri, entryPrefix)
}

// Read returns a resource as the caller sees it, as JSON or as TypeOf says. Of what is missing, malformed or another workspace's it says the same: an
// *Error of kind NotFound.
func (s *Suite) Read(ctx context.Context, c Call, uri string) ([]byte, error) {
	if len(uri) > maxText {
		return nil, notFound("", "no such resource")
	}
	if id, ok := strings.CutPrefix(uri, workflowPrefix); ok {
		detail, err := s.workflowDetail(ctx, c, id, 0)
		return encodeResource(uri, detail, err)
	}
	if strings.HasPrefix(uri, entryPrefix) {
		entry, err := s.readEntryURI(ctx, c, uri)
		return encodeResource(uri, entry, err)
	}
	rest, ok := strings.CutPrefix(uri, patternPrefix)
	library, id, two := strings.Cut(rest, "/")
	name, err := url.PathUnescape(library)
	if !ok || !two || id == "" || err != nil || strings.ContainsAny(name+id, "\x00") || strings.Contains(id, "/") {
		return nil, notFound("Addresses look like "+patternPrefix+"{library}/{id}", "no such resource")
	}
	name, id = strings.ToValidUTF8(name, "\uFFFD"), strings.ToValidUTF8(id, "\uFFFD")
	if picture, ok := strings.CutSuffix(id, pictureSuffix); ok {
		if picture == "overview" {
			picture = ""
		}
		svg, _, err := s.draw(ctx, c, drawing{library: name, id: pattern.ID(picture)})
		return svg, err
	}
	detail, err := s.patternDetail(ctx, c, name, pattern.ID(id), 3)
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
