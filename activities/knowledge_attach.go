package activities

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/knowledge/validate/secret"
	"github.com/tartan-ai/tartan/internal/knowledge/vault"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// AttachInput asks for the files of a folder that are no entries to be kept with a space. The list is an object: an array of
// postgres.Attachment as JSON, whose contents are objects too.
type AttachInput struct {
	Caller  access.Caller `json:"caller"`
	SpaceID uuid.UUID     `json:"space_id"`
	List    string        `json:"list"` // key of the object
}

// Attached is what became of the files.
type Attached struct {
	Files     int           `json:"files"`
	Stored    int           `json:"stored"` // that were not there with this content
	Unchanged int           `json:"unchanged"`
	Refused   int           `json:"refused"`
	Faults    []ImportFault `json:"faults,omitempty"` // of what was refused, at most maxFaults; the slug is the path
}

// The bounds of attachments.
const (
	maxAttachmentList = 32 << 20
	maxAttachedText   = 4 << 20 // of a file that is text, searched for secrets
)

// Attach keeps files with a space, once. Nothing of them is shown to a reader, but they are exported: what is text is searched
// for secrets as entries are.
func (k *Knowledge) Attach(ctx context.Context, in AttachInput) (*Attached, error) {
	var alive progress
	defer alive.beating(ctx)()
	body, err := k.Bucket.ReadAll(ctx, in.List, maxAttachmentList)
	if err != nil {
		return nil, typed("read the list of attachments", err)
	}
	var files []postgres.Attachment
	if err := json.Unmarshal(body, &files); err != nil {
		return nil, final(KnowledgeRefused, err, "the list of attachments is no array of path, sha256 and bytes")
	}
	check, err := NewSecretCheck()
	if err != nil {
		return nil, err
	}
	out := &Attached{Files: len(files)}
	kept := files[:0]
	for _, f := range files {
		why, err := k.attachable(ctx, f, check)
		switch {
		case err != nil:
			return nil, typed("look at attachment "+f.Path, err)
		case why == "":
			kept = append(kept, f)
			continue
		}
		if out.Refused++; len(out.Faults) < maxFaults {
			out.Faults = append(out.Faults, ImportFault{Slug: f.Path, Why: why})
		}
	}
	err = k.as(ctx, in.Caller, "keep attachments", func(tx pgx.Tx) error {
		s, err := postgres.SpaceByID(ctx, tx, in.SpaceID)
		if err == nil {
			out.Stored, err = postgres.SaveAttachments(ctx, tx, s, in.Caller.UserID, activity.GetInfo(ctx).WorkflowExecution.ID, kept)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Unchanged = len(kept) - out.Stored
	return out, nil
}

// attachable says why a file is not kept; "" is that it is.
func (k *Knowledge) attachable(ctx context.Context, f postgres.Attachment, check func([]byte) string) (why string, err error) {
	if err := vault.CheckPath(f.Path); err != nil {
		return err.Error(), nil
	}
	if raw, err := hex.DecodeString(f.SHA256); err != nil || len(raw) != sha256.Size || f.SHA256 != strings.ToLower(f.SHA256) {
		return "its sha256 is none", nil
	}
	key := bucket.Key(f.SHA256)
	size, err := k.Bucket.Size(ctx, key)
	if err != nil {
		return "", err
	}
	if size != f.Bytes {
		return fmt.Sprintf("it has %d bytes in the bucket, not %d", size, f.Bytes), nil
	}
	if size > maxAttachedText {
		return "", nil
	}
	content, err := k.Bucket.ReadAll(ctx, key, maxAttachedText)
	if err != nil {
		return "", err
	}
	return check(content), nil
}

// NewSecretCheck returns a function that says of a file which secret it holds; "" is that it is no text, too long, or holds none.
func NewSecretCheck() (func(content []byte) string, error) {
	secrets, err := secret.New()
	if err != nil {
		return nil, err
	}
	return func(content []byte) string {
		if len(content) > maxAttachedText || !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0 {
			return ""
		}
		if found := secrets.Find(string(content)); len(found) > 0 {
			return fmt.Sprintf("secret.found: %s in line %d", found[0].Rule, 1+bytes.Count(content[:found[0].Start], []byte("\n")))
		}
		return ""
	}, nil
}
