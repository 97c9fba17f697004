package activities

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/pattern/event"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
	"github.com/tartan-ai/tartan/internal/postgres"
)

// Runs are the activities at the two ends of a run: they make a source ready and keep the projection of the run.
type Runs struct {
	Pool   *pgxpool.Pool
	Bucket *bucket.Bucket
}

// MaxPlainBytes is how much a compressed source may decompress to: a bomb ends here and not with a full disk.
const MaxPlainBytes = 64 << 30

// maxChunks bounds the ledger of one source; chunks grow where the source is larger.
const maxChunks = 1 << 17

// libraryName is the form of a library's name, as the schema has it.
var libraryName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// maxSourceName is in bytes; a longer one loses its start, because the file name is at its end.
const maxSourceName = 512

// InspectSource makes a source ready: inline lines are put into the bucket, an object is looked up, one that is compressed or holds
// JSON events in an array is unpacked into a second object, and library, source and run get their rows. Repeating it
// finds what is there.
func (r *Runs) InspectSource(ctx context.Context, in InspectInput) (*Inspected, error) {
	if err := checkLibraryName(in.Library); err != nil {
		return nil, err
	}
	if in.Kind != "" && in.Kind != KindLines && in.Kind != KindRecord && in.Kind != KindText {
		return nil, final(WrongLibrary, fmt.Errorf("kind %q", in.Kind), "mine "+KindLines+" or "+KindRecord)
	}
	src, err := r.object(ctx, in.Source)
	if err != nil {
		return nil, err
	}
	spread := false
	if src.Compression, spread, err = r.sniff(ctx, src); err != nil {
		return nil, err
	}
	if src.Compression == "" && !spread { // nothing more to find out, so one transaction does it all
		src.PlainKey, src.PlainBytes = src.ObjectKey, src.Bytes
		return r.register(ctx, in, plan(src, in.ChunkBytes))
	}
	// Registered first, so that one who may not is refused before the work, and one who comes again finds it done.
	out, err := r.register(ctx, in, src)
	switch {
	case err != nil || out.Chunks > 0:
		return out, err
	case src.Compression == "" && out.Kind != KindRecord:
		src.PlainKey, src.PlainBytes = src.ObjectKey, src.Bytes
	default:
		if src, err = r.unpack(ctx, src, out.Kind); err != nil {
			return nil, err
		}
	}
	return r.register(ctx, in, plan(src, in.ChunkBytes))
}

// plan cuts a source into chunks.
func plan(src postgres.Source, chunkBytes int64) postgres.Source {
	if chunkBytes <= 0 {
		chunkBytes = DefaultChunkBytes
	}
	src.ChunkBytes = max(chunkBytes, (src.PlainBytes+maxChunks-1)/maxChunks)
	src.Chunks = int((src.PlainBytes + src.ChunkBytes - 1) / src.ChunkBytes)
	return src
}

// register stores library, source and run, or finds them: the first plan of a source stays, because the ledger counts
// in it.
func (r *Runs) register(ctx context.Context, in InspectInput, src postgres.Source) (out *Inspected, err error) {
	err = postgres.InWorkspace(ctx, r.Pool, in.Caller, func(tx pgx.Tx) error {
		lib, err := postgres.EnsureLibrary(ctx, tx, in.Caller.WorkspaceID, in.Library, cmp.Or(in.Kind, KindLines))
		if err != nil {
			return err
		}
		if err := checkKind(lib, in.Kind); err != nil {
			return err
		}
		src.Folded = lib.Kind == KindLines && !in.NoFold
		src.WorkspaceID, src.LibraryID = in.Caller.WorkspaceID, lib.ID
		src.WorkflowID, src.ReceivedAt = activity.GetInfo(ctx).WorkflowExecution.ID, in.StartedAt
		stored, err := postgres.SaveSource(ctx, tx, src)
		if err != nil {
			return err
		}
		ledger, err := postgres.Chunks(ctx, tx, stored.ID)
		if err != nil {
			return err
		}
		out = &Inspected{
			LibraryID: lib.ID, SourceID: stored.ID, Key: stored.PlainKey, Bytes: stored.PlainBytes, ChunkBytes: stored.ChunkBytes,
			Chunks: stored.Chunks, BucketSeconds: lib.BucketSeconds, ReceivedAt: stored.ReceivedAt, Kind: lib.Kind, Folded: stored.Folded,
			Revision: lib.Revision,
		}
		out.Done, out.Totals = summarise(ledger)
		return postgres.SaveRun(ctx, tx, in.run(ctx, lib, stored))
	})
	return out, typed("register the source", err)
}

// checkKind refuses a library that cannot be mined, or is of another kind than the one asked for.
func checkKind(lib postgres.Library, asked string) error {
	switch {
	case asked == KindText && lib.Kind != KindText:
		return final(WrongLibrary, fmt.Errorf("library %q is of kind %s", lib.Name, lib.Kind), "use a library of kind "+KindText)
	case lib.Kind != KindLines && lib.Kind != KindRecord && asked != KindText:
		return final(WrongLibrary, fmt.Errorf("library %q is of kind %s", lib.Name, lib.Kind), "mine into a library of kind "+KindLines+" or "+KindRecord)
	case asked != "" && asked != lib.Kind:
		return final(WrongLibrary, fmt.Errorf("library %q is of kind %s", lib.Name, lib.Kind), "mine what is of kind "+asked+" into another library")
	}
	return nil
}

func checkLibraryName(name string) error {
	if !libraryName.MatchString(name) {
		return final(WrongLibrary, fmt.Errorf("library name %q", name), "use up to 100 letters, digits, dots, underscores and dashes, the first a letter or digit")
	}
	return nil
}

// printable makes a name of a file that may hold any bytes fit for the database.
func printable(name string) string {
	if over := len(name) - maxSourceName; over > 0 {
		name = name[over:]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(name, "\uFFFD"), "\x00", "\uFFFD")
}

// object finds the bytes of a source as received.
func (r *Runs) object(ctx context.Context, ref SourceRef) (postgres.Source, error) {
	src := postgres.Source{Name: printable(ref.Name), SHA256: ref.SHA256, ObjectKey: ref.ObjectKey}
	if ref.ObjectKey == "" && ref.SHA256 == "" {
		o, err := r.Bucket.PutBytes(ctx, ref.Inline)
		if err != nil {
			return src, typed("store the inline lines", err)
		}
		src.ObjectKey, src.SHA256, src.Bytes = o.Key, o.SHA256, o.Size
		return src, nil
	}
	if len(ref.Inline) > 0 {
		o, err := r.Bucket.PutBytes(ctx, ref.Inline)
		if err != nil {
			return src, typed("store the inline lines", err)
		}
		if ref.SHA256 != o.SHA256 {
			return src, final(SourceUnreadable, nil, "the digest is not that of the inline lines: leave it out")
		}
	}
	if src.ObjectKey == "" && len(src.SHA256) == 64 {
		src.ObjectKey = bucket.Key(src.SHA256)
	}
	size, err := r.Bucket.Size(ctx, src.ObjectKey)
	if err != nil {
		return src, typed("look up the source", err)
	}
	if src.SHA256 == "" {
		src.SHA256 = src.ObjectKey[strings.LastIndexByte(src.ObjectKey, '/')+1:]
	}
	if bucket.Key(src.SHA256) != src.ObjectKey {
		return src, final(SourceUnreadable, nil, "the digest of the source is not that of its object: upload it again")
	}
	src.Bytes = size
	return src, nil
}

// unzip is what to do about a compressed source that cannot be read.
const unzip = "check the file with gzip -t or zstd -t and upload it again"

// sniff tells how a source is compressed, and whether a plain one may hold events in an array.
func (r *Runs) sniff(ctx context.Context, src postgres.Source) (kind string, spread bool, err error) {
	raw, err := r.Bucket.Range(ctx, src.ObjectKey, 0, 512)
	if err != nil {
		return "", false, typed("open the source", err)
	}
	defer raw.Close()
	head, err := io.ReadAll(raw)
	if err != nil {
		return "", false, typed("read the source", err)
	}
	plain, kind, err := lines.Decompress(bytes.NewReader(head))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) || err != nil && src.Bytes <= int64(len(head)) {
		return "", false, final(SourceUnreadable, err, unzip)
	}
	if plain != nil {
		plain.Close() //nolint:errcheck // only the head was given
	}
	return kind, kind == "" && event.Spread(head), nil
}

// unpack stores the plain bytes of a source: decompressed, and of kind record one event a line. The object appears whole or not at
// all, and a retry after it appeared writes nothing.
func (r *Runs) unpack(ctx context.Context, src postgres.Source, libraryKind string) (postgres.Source, error) {
	raw, err := r.Bucket.Range(ctx, src.ObjectKey, 0, -1)
	if err != nil {
		return src, typed("open the source", err)
	}
	defer raw.Close()
	var done, read progress
	defer done.beating(ctx)()
	stored := &counter{r: raw, done: &read}
	stream, kind, err := lines.Decompress(stored)
	if stored.err != nil {
		return src, typed("read the source", stored.err)
	}
	if err != nil {
		return src, final(SourceUnreadable, err, unzip)
	}
	defer stream.Close()
	plain := &counter{r: stream, done: &done}
	body := io.Reader(plain)
	if libraryKind == KindRecord {
		body = event.Lines(plain)
	}
	o, err := r.Bucket.Put(ctx, body)
	switch {
	case stored.err != nil:
		return src, typed("read the source", stored.err)
	case errors.Is(plain.err, errTooLarge):
		return src, final(SourceTooLarge, plain.err, "split the source")
	case plain.err != nil && ctx.Err() == nil:
		return src, final(SourceUnreadable, fmt.Errorf("decompress %s: %w", kind, plain.err), unzip)
	case err != nil:
		return src, typed("store the decompressed source", err)
	}
	src.PlainKey, src.PlainBytes = o.Key, o.Size
	return src, nil
}

var errTooLarge = fmt.Errorf("the source decompresses to more than %d bytes", int64(MaxPlainBytes))

// counter counts what is read, and remembers the error of the stream apart from that of the store.
type counter struct {
	r    io.Reader
	done *progress
	err  error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.done.bytes.Add(int64(n)) > MaxPlainBytes {
		err = errTooLarge
	}
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

func (in InspectInput) run(ctx context.Context, lib postgres.Library, src postgres.Source) postgres.Run {
	info := activity.GetInfo(ctx)
	return postgres.Run{
		WorkspaceID: in.Caller.WorkspaceID, WorkflowID: info.WorkflowExecution.ID, RunID: info.WorkflowExecution.RunID,
		Kind: info.WorkflowType.Name, State: StateRunning, Library: lib.Name, LibraryID: lib.ID, SourceID: src.ID, SourceName: src.Name,
		TotalBytes: src.PlainBytes, ChunksTotal: src.Chunks, StartedAt: in.StartedAt, UpdatedAt: time.Now(),
	}
}

// summarise returns which chunks are in the ledger, as few spans, and what they add up to.
func summarise(ledger []postgres.Chunk) (done []Span, sum Totals) {
	for _, c := range ledger {
		sum = sum.Plus(totals(c))
		if n := len(done); n > 0 && done[n-1].To == c.Seq {
			done[n-1].To++
		} else {
			done = append(done, Span{c.Seq, c.Seq + 1})
		}
	}
	return done, sum
}

// MarkRun records the state of a run in the projection.
func (r *Runs) MarkRun(ctx context.Context, in MarkInput) error {
	err := postgres.InWorkspace(ctx, r.Pool, in.Caller, func(tx pgx.Tx) error {
		return postgres.SaveRun(ctx, tx, in.run(ctx))
	})
	return typed("record the state of the run", err)
}

func (in MarkInput) run(ctx context.Context) postgres.Run {
	info, now := activity.GetInfo(ctx), time.Now()
	run := postgres.Run{
		WorkspaceID: in.Caller.WorkspaceID, WorkflowID: info.WorkflowExecution.ID, RunID: info.WorkflowExecution.RunID,
		Kind: info.WorkflowType.Name, State: in.State, Error: in.Error, Library: in.Library, SourceName: printable(in.SourceName),
		StartedAt: in.StartedAt, UpdatedAt: now,
	}
	if run.Finished() {
		run.FinishedAt = &now
	}
	return run
}

// FinishRun records that a run is complete and returns what it adds up to, as the ledger says.
func (r *Runs) FinishRun(ctx context.Context, in FinishInput) (*Finished, error) {
	out := &Finished{}
	err := postgres.InWorkspace(ctx, r.Pool, in.Mark.Caller, func(tx pgx.Tx) error {
		run := in.Mark.run(ctx)
		if err := postgres.SaveRun(ctx, tx, run); err != nil {
			return err
		}
		run, err := postgres.RunByID(ctx, tx, in.Mark.Caller.WorkspaceID, run.WorkflowID)
		if err != nil {
			return err
		}
		lib, err := postgres.LibraryByID(ctx, tx, in.LibraryID)
		if err != nil {
			return err
		}
		*out = Finished{Patterns: lib.Patterns, Revision: lib.Revision, Totals: Totals{
			Chunks: run.ChunksDone, Lines: run.Lines, Bytes: run.Bytes, NewPatterns: run.NewPatterns, OtherLines: run.OtherLines, Untimed: run.Untimed,
			Continued: run.Continued,
		}}
		return nil
	})
	return out, typed("record the end of the run", err)
}

// AdmitInput asks whether a caller may do what takes at least a role.
type AdmitInput struct {
	Caller access.Caller `json:"caller"`
	Role   access.Role   `json:"role"`
	Agent  string        `json:"agent,omitempty"` // that is to be called; "" is none
}

// AdmitCaller fails with Denied where the caller's role in the workspace is less than what is asked for, and with AgentRefused where the
// agent was revoked in it.
func (r *Runs) AdmitCaller(ctx context.Context, in AdmitInput) error {
	err := postgres.InWorkspace(ctx, r.Pool, in.Caller, func(tx pgx.Tx) error {
		role, err := postgres.RoleOf(ctx, tx, in.Caller)
		if err == nil && !role.AtLeast(in.Role) {
			err = fmt.Errorf("as %s: %w", role, postgres.ErrDenied)
		}
		if err == nil && in.Agent != "" {
			err = admitAgent(ctx, tx, in)
		}
		return err
	})
	return typed("admit the caller, who must be at least "+string(in.Role), err)
}
