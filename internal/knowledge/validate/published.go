package validate

import "github.com/tartan-ai/tartan/internal/knowledge"

// Facts are those of the document of an entry, as the policy reads them: for storing with what is published.
func (v *Validator) Facts(space, slug string, d knowledge.Document) []Fact {
	facts, _ := v.ownFacts(Proposal{Space: space, Slug: slug, Document: d})
	return facts
}
