// Package activities holds what workflows have done for them: each activity loads, calls a room and saves. Inputs and
// results are small, because Temporal keeps them: bodies stay in the bucket and go by key.
package activities

import (
	"time"

	"github.com/google/uuid"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// The task queues of the core agents.
const (
	QueueFeatures = "agent.features"
	QueuePattern  = "agent.pattern"
)

// The kinds of libraries: of the lines of logs, of JSON events, and of free text, which is clustered.
const (
	KindLines  = "lines"
	KindRecord = "record"
	KindText   = "text"
)

// The states of a run, as the projection and the progress query name them.
const (
	StateRunning    = postgres.RunRunning
	StatePaused     = postgres.RunPaused
	StateCancelling = postgres.RunCancelling
	StateCancelled  = postgres.RunCancelled
	StateFailed     = postgres.RunFailed
	StateCompleted  = postgres.RunCompleted
)

// DefaultChunkBytes is the size of a chunk unless the input says otherwise. Smaller ones pay more for Temporal and for
// the transaction, larger ones are lost for longer when a worker dies: 8 MiB take a tenth of a second to read.
const DefaultChunkBytes = 8 << 20

// SourceRef says where the lines are: inline, or as an object in the bucket. With SHA256 alone, the object is the one
// that holds that content.
type SourceRef struct {
	Name      string `json:"name"`
	Inline    []byte `json:"inline,omitempty"`
	ObjectKey string `json:"object_key,omitempty"`
	SHA256    string `json:"sha256,omitempty"` // of the bytes as received, lower-case hex
	Bytes     int64  `json:"bytes,omitempty"`  // as received; 0 if not known
}

// Totals are what the committed chunks of a source add up to.
type Totals struct {
	Chunks      int   `json:"chunks"`
	Lines       int64 `json:"lines"`
	Bytes       int64 `json:"bytes"`
	NewPatterns int64 `json:"new_patterns"`
	OtherLines  int64 `json:"other_lines,omitempty"` // counted under no pattern, because the library is full
	Untimed     int64 `json:"untimed,omitempty"`     // without a time of their own
	Continued   int64 `json:"continued,omitempty"`   // lines that go on with the one before, and are not in Lines
}

// Plus returns the sum.
func (t Totals) Plus(o Totals) Totals {
	return Totals{
		Chunks: t.Chunks + o.Chunks, Lines: t.Lines + o.Lines, Bytes: t.Bytes + o.Bytes,
		NewPatterns: t.NewPatterns + o.NewPatterns, OtherLines: t.OtherLines + o.OtherLines, Untimed: t.Untimed + o.Untimed,
		Continued: t.Continued + o.Continued,
	}
}

// Span is a range of chunks, From included and To not.
type Span struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// InspectInput asks for a source to be made ready for mining into a library.
type InspectInput struct {
	Caller     access.Caller `json:"caller"`
	Library    string        `json:"library"`
	Source     SourceRef     `json:"source"`
	ChunkBytes int64         `json:"chunk_bytes"`
	StartedAt  time.Time     `json:"started_at"`
	Kind       string        `json:"kind,omitempty"`    // "" is that of the library, and KindLines for a new one
	NoFold     bool          `json:"no_fold,omitempty"` // each line is one observation
}

// Inspected is a source that is ready: its plain bytes are in the bucket and its rows in the database.
type Inspected struct {
	LibraryID     uuid.UUID `json:"library_id"`
	SourceID      uuid.UUID `json:"source_id"`
	Key           string    `json:"key"`   // of the plain bytes
	Bytes         int64     `json:"bytes"` // plain
	ChunkBytes    int64     `json:"chunk_bytes"`
	Chunks        int       `json:"chunks"`
	BucketSeconds int       `json:"bucket_seconds"`
	ReceivedAt    time.Time `json:"received_at"`
	Done          []Span    `json:"done,omitempty"` // chunks committed by an earlier run, in order
	Totals        Totals    `json:"totals"`         // of those
	Kind          string    `json:"kind,omitempty"` // "" is KindLines
	Folded        bool      `json:"folded,omitempty"`
	Revision      int64     `json:"revision,omitempty"` // of the library when the run began
}

// ExtractInput asks for the tally of one chunk: of the lines that start in the byte range from Start to End.
type ExtractInput struct {
	LibraryID     uuid.UUID `json:"library_id"`
	Key           string    `json:"key"`
	Start         int64     `json:"start"`
	End           int64     `json:"end"`
	BucketSeconds int       `json:"bucket_seconds"`
	ReceivedAt    time.Time `json:"received_at"` // the time of lines that have none near them
	Kind          string    `json:"kind,omitempty"`
	Fold          bool      `json:"fold,omitempty"`     // lines that go on with the record before them are counted with it
	Revision      int64     `json:"revision,omitempty"` // of the library, at least: its rules say which values tell lines apart
}

// Extracted says where the tally of a chunk is and what it counts.
type Extracted struct {
	Tally     string `json:"tally"` // object key
	Shapes    int    `json:"shapes"`
	Lines     int64  `json:"lines"`
	Bytes     int64  `json:"bytes"`
	Untimed   int64  `json:"untimed,omitempty"`
	Truncated int64  `json:"truncated,omitempty"` // lines cut at 64 KiB
	Continued int64  `json:"continued,omitempty"` // lines that go on with the one before, and are not in Lines
}

// CommitInput asks for the tally of a chunk to be counted in the library, once.
type CommitInput struct {
	Caller    access.Caller `json:"caller"`
	LibraryID uuid.UUID     `json:"library_id"`
	SourceID  uuid.UUID     `json:"source_id"`
	Seq       int           `json:"seq"`
	Start     int64         `json:"start"`
	End       int64         `json:"end"`
	Extracted Extracted     `json:"extracted"`
}

// Committed is what the ledger holds of a chunk.
type Committed struct {
	Totals   Totals `json:"totals"`
	Patterns int64  `json:"patterns,omitempty"` // of the library; 0 if Already
	Revision int64  `json:"revision,omitempty"` // of the library; 0 if Already
	Already  bool   `json:"already,omitempty"`  // the chunk had been counted before
}

// MarkInput tells the projection in which state a run is.
type MarkInput struct {
	Caller     access.Caller `json:"caller"`
	Library    string        `json:"library"`
	SourceName string        `json:"source_name"`
	State      string        `json:"state"`
	Error      string        `json:"error,omitempty"`
	StartedAt  time.Time     `json:"started_at"`
}

// FinishInput asks for the end of a run to be recorded.
type FinishInput struct {
	Mark      MarkInput `json:"mark"`
	LibraryID uuid.UUID `json:"library_id"`
}

// Finished is what a completed run adds up to.
type Finished struct {
	Totals   Totals `json:"totals"`
	Patterns int64  `json:"patterns"` // of the library
	Revision int64  `json:"revision"` // of the library
}
