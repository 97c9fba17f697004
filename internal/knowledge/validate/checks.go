package validate

// Check is one check of the table. Its version rises when it judges a document otherwise than before.
type Check struct {
	ID         string
	Version    int
	Severities []Severity // what its results may be
	What       string
	Fix        string
}

func only(s ...Severity) []Severity { return s }

var table = []Check{
	{"access.author", 1, only(Block), "the author of the change is not named", "Send the change as a signed-in author."},
	{"access.operation", 1, only(Block), "the operation is neither put nor delete", "Use put or delete."},
	{"access.own", 1, only(Block), "the approver is an author of the change", "Ask another reviewer of the space."},
	{"access.reviewer", 1, only(Block), "the approver is no reviewer of the space", "Ask a reviewer of the space."},
	{"access.role", 1, only(Block), "the author may not write in the space", "Ask an owner of the space for the role writer."},

	{"citation.hash", 1, only(Block), "the stored text of a source has another hash than the source says", "Read the source again, and take its hash and quote from what is stored."},
	{"citation.missing", 1, only(Block), "a type that needs a source has none with a quote", "Add a source with its URI and the words relied on."},
	{"citation.quote", 1, only(Block), "a quote does not occur in the stored text of its source; blanks, quotation marks, dashes and Unicode forms do not count", "Quote the words as they stand in the source."},
	{"citation.unchecked", 1, only(Warn), "a quote cannot be checked, as no text of its source is stored", "Store the text of the source, or check the quote by hand."},

	{"contradiction.date", 1, only(Warn), "a sentence of a near duplicate says the same of another date", "Correct the one that is wrong, or say in both what makes them different."},
	{"contradiction.fact", 1, only(Block), "a fact has the subject, predicate and scope of another, their validity overlaps, and their values differ", "End the validity of the one that no longer holds in the same change, give them different scopes, or declare the predicate as one with many values."},
	{"contradiction.negation", 1, only(Warn), "a sentence of a near duplicate says the opposite", "Correct the one that is wrong, or say in both what makes them different."},
	{"contradiction.number", 1, only(Warn), "a sentence of a near duplicate says the same of another number", "Correct the one that is wrong, or say in both what makes them different."},

	{"duplicate.exact", 1, only(Block), "another entry has the same document", "Link to the other entry instead."},
	{"duplicate.near", 1, only(Block, Warn), "another entry has nearly the same text, by the Jaccard similarity of their 5-character shingles", "Edit the other entry instead, or link to it and write what is new only."},

	{"fact.form", 1, only(Block), "a fact lacks subject, predicate or value, or its validity cannot be read", "Give subject and predicate as text, a value, and validity as RFC 3339 times or dates."},

	{"feedback.served", 1, only(Block, Warn), "the text is what the search has served of another entry", "Link to the entry it comes from. To split or merge entries, add the link derived_from to each."},

	{"injection.active", 1, only(Quarantine), "HTML that runs or loads something: script, iframe, object, form, event handlers", "Remove the HTML, or put it into a code block."},
	{"injection.encoded", 1, only(Quarantine), "an encoded text that decodes to instructions or to markup", "Write what is meant in plain text."},
	{"injection.exfiltration", 1, only(Quarantine), "a URL, image or command made to carry what a reader knows to elsewhere", "Remove the placeholder from the URL, or the command."},
	{"injection.hidden", 1, only(Quarantine), "text that a person does not see but a model reads: HTML comments with instructions, hiding styles, invisible characters", "Remove the hidden text, or write it visibly."},
	{"injection.instruction", 1, only(Quarantine), "text that instructs a model that reads it", "Describe instead of instructing, or have a reviewer confirm that it is meant as an example."},
	{"injection.role", 1, only(Quarantine), "markers by which models tell who speaks", "Remove the markers, or have a reviewer confirm that they are an example."},

	{"link.duplicate", 1, only(Info), "a link is there twice", "Remove one."},
	{"link.form", 1, only(Block), "a link has no relation, or its target is no \"space/slug\", \"pattern:library/id\" or URL", "Correct the relation or the target."},
	{"link.inbound", 1, only(Block), "other entries link to the entry that is to be deleted", "Change those links in the same change."},
	{"link.missing", 1, only(Block, Warn), "a link leads to an entry or pattern that is not there", "Correct the target, or put the entry in the same change."},
	{"link.scheme", 1, only(Block), "a link or an address in the text has a scheme that runs or reads something", "Use http, https or mailto."},
	{"link.self", 1, only(Warn), "an entry links to itself", "Remove the link."},
	{"link.tombstone", 1, only(Block, Warn), "a link leads to an entry that is deleted", "Remove the link, or restore the entry."},

	{"personal.card", 1, only(Block, Warn), "the number of a payment card, Luhn checked", "Remove the number."},
	{"personal.email", 1, only(Block, Warn), "an email address of a person", "Name a role or a team instead."},
	{"personal.iban", 1, only(Block, Warn), "an IBAN, checked modulo 97", "Remove the number."},
	{"personal.ip", 1, only(Block, Warn), "a public IP address", "Use a host name, or an address for documentation."},
	{"personal.national_id", 1, only(Block, Warn), "a national identity number, by form and check digits", "Remove the number."},
	{"personal.phone", 1, only(Block, Warn), "a telephone number", "Name a role or a team instead."},

	{"schema.form", 1, only(Block), "the document does not fit the JSON Schema of its type", "Correct the field as said."},
	{"schema.unknown", 1, only(Block), "no type has this name", "Use one of the types, or define the type in the workspace."},

	{"secret.found", 1, only(Block), "a key, token or password, by the rules of gitleaks and some more", "Remove it here and revoke it; name the place it is kept in instead."},

	{"size.document", 1, only(Block), "the document is too large", "Split it into several entries, or store the large part as a source."},
	{"size.title", 1, only(Block), "the title is empty, too long, or of more than one line", "Give one line that says what the entry is."},

	{"slug.form", 1, only(Block), "the slug is no slug", "Use lower case letters and digits joined by - . _ or /."},
	{"slug.script", 1, only(Block), "a word of the slug mixes scripts, or is made of letters that look like Latin ones", "Spell it with the letters of one script."},

	{"stale.review", 1, only(Warn), "the time to review the entry has passed", "Check the entry and set review_by again."},
	{"stale.source", 1, only(Warn), "a source was read long ago", "Read the source again and set retrieved_at."},
	{"stale.validity", 1, only(Warn), "the validity of the entry has ended", "Set valid_to again if it still holds, or delete the entry."},

	{"time.form", 1, only(Block), "a time cannot be read, an end is not after its start, or a source was read in the future", "Use RFC 3339: 2026-11-25T08:00:00Z, or a date: 2026-11-25."},

	{"unicode.bidi", 1, only(Block, Warn), "controls of the writing direction: overrides and embeddings, isolates that are not closed", "Remove them; use U+200E or U+200F where a mark is needed."},
	{"unicode.control", 1, only(Block), "control characters, or bytes that are no UTF-8", "Remove them."},
	{"unicode.invisible", 1, only(Block, Warn), "zero-width and other invisible characters where no script needs them", "Remove them."},
	{"unicode.nfc", 1, only(Block, Warn), "text that is not in Unicode normalisation form C; only warned of in the body, which is kept byte for byte", "Normalise to NFC."},
	{"unicode.tag", 1, only(Block), "tag characters and variation selectors that spell hidden text", "Remove them."},
}

var byID = func() map[string]Check {
	m := make(map[string]Check, len(table))
	for _, c := range table {
		m[c.ID] = c
	}
	return m
}()

// Checks lists all checks, by id.
func Checks() []Check { return append([]Check(nil), table...) }
