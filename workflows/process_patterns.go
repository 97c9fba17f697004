package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
)

// The kinds of the libraries that are mined.
const (
	KindLines  = activities.KindLines
	KindRecord = activities.KindRecord
)

// SourceRef says where the lines are.
type SourceRef = activities.SourceRef

// ProcessPatternsInput asks for the lines of a source to be counted in a library.
type ProcessPatternsInput struct {
	Caller     access.Caller `json:"caller"`
	Library    string        `json:"library"`
	Source     SourceRef     `json:"source"`
	ChunkBytes int64         `json:"chunk_bytes,omitempty"` // 0 is activities.DefaultChunkBytes
	Window     int           `json:"window,omitempty"`      // chunks at once; 0 is DefaultWindow
	State      *processState `json:"state,omitempty"`       // carried by continue-as-new
	Kind       string        `json:"kind,omitempty"`        // one of those above; "" is that of the library, and KindLines for a new one
	NoFold     bool          `json:"no_fold,omitempty"`     // each line is an observation, stack traces too
}

// ProcessPatternsResult sums up a run. The patterns themselves are in the library.
type ProcessPatternsResult struct {
	Library     string `json:"library"`
	LibraryID   string `json:"library_id"`
	SourceID    string `json:"source_id"`
	Lines       int64  `json:"lines"`
	Bytes       int64  `json:"bytes"`
	Patterns    int64  `json:"patterns"` // of the library
	NewPatterns int64  `json:"new_patterns"`
	OtherLines  int64  `json:"other_lines"` // counted under no pattern, because the library is full
	Untimed     int64  `json:"untimed"`     // without a time of their own
	Continued   int64  `json:"continued"`   // lines that go on with the one before; with Lines, all lines of the source
	Truncated   int64  `json:"truncated"`   // cut at 64 KiB, of the lines read by this run
	Chunks      int    `json:"chunks"`
	Revision    int64  `json:"revision"` // of the library, to wait for
	Already     bool   `json:"already"`  // everything had been counted before
}

// DefaultWindow is how many chunks are on their way at once: one being read and one being committed for each of the
// two cores this is measured on, so that neither waits for Temporal.
const DefaultWindow = 4

// ProcessPatterns counts the lines of a source in a library, each exactly once, however often it is interrupted.
func ProcessPatterns(ctx workflow.Context, in ProcessPatternsInput) (*ProcessPatternsResult, error) {
	return newProcess(ctx, in).run(ctx)
}

// run goes through the steps.
func (p *process) run(ctx workflow.Context) (*ProcessPatternsResult, error) {
	if err := p.listen(ctx); err != nil {
		return nil, err
	}
	if err := p.inspect(ctx); err != nil {
		return nil, p.end(ctx, err)
	}
	if err := p.mine(ctx); err != nil {
		return nil, p.end(ctx, err)
	}
	if _, left := p.next(); left {
		return nil, p.continueAsNew(ctx)
	}
	return p.finish(ctx)
}

// process is one run of ProcessPatterns. Its methods are the steps.
type process struct {
	in    ProcessPatternsInput
	state processState

	features *activities.Features
	patterns *activities.Patterns
	runs     *activities.Runs
	texts    *clustering // nil for lines

	name    string // state of the run, as the projection has it
	running int    // chunks on their way
	ran     int    // chunks that this run started
	err     error  // of the first chunk that failed
}

// processState is what a run hands to the one that continues it.
type processState struct {
	Source    *activities.Inspected `json:"source,omitempty"`
	Next      int                   `json:"next"` // first chunk not started
	Totals    activities.Totals     `json:"totals"`
	Truncated int64                 `json:"truncated"`
	Patterns  int64                 `json:"patterns"`
	Paused    bool                  `json:"paused"`
	Marked    bool                  `json:"marked"` // whether the projection says paused
	StartedAt time.Time             `json:"started_at"`
}

func newProcess(ctx workflow.Context, in ProcessPatternsInput) *process {
	p := &process{in: in, name: activities.StateRunning, state: processState{StartedAt: workflow.Now(ctx)}}
	if in.State != nil {
		p.state = *in.State
	}
	if p.in.Window <= 0 {
		p.in.Window = DefaultWindow
	}
	return p
}

// inspect makes the source ready. Small sources pass in a workflow task; others may have to be decompressed.
func (p *process) inspect(ctx workflow.Context) error {
	if p.state.Source != nil {
		return nil
	}
	in := activities.InspectInput{
		Caller: p.in.Caller, Library: p.in.Library, Source: p.in.Source, ChunkBytes: p.in.ChunkBytes, StartedAt: p.state.StartedAt,
		Kind: p.in.Kind, NoFold: p.in.NoFold,
	}
	var src activities.Inspected
	var err error
	if size := max(int64(len(in.Source.Inline)), in.Source.Bytes); size > 0 && size <= smallSource {
		err = quickly(ctx, p.runs.InspectSource, in, &src)
	} else {
		err = workflow.ExecuteActivity(on(ctx, TaskQueue, "make the source ready", 4*time.Hour), p.runs.InspectSource, in).Get(ctx, &src)
	}
	if err != nil {
		return err
	}
	p.state.Source, p.state.Totals = &src, src.Totals
	p.in.Source.Inline = nil // in the bucket now
	return nil
}

// smallSource is the size in bytes up to which a source is made ready inside a workflow task.
const smallSource = 1 << 20

// mine starts chunks and returns when none is on its way any more: all are done, or the history is long, or a chunk
// failed, or the workflow was cancelled.
func (p *process) mine(ctx workflow.Context) error {
	inner, stop := workflow.WithCancel(ctx)
	defer stop()
	err := p.fanOut(inner, stop)
	if temporal.IsCanceledError(err) && ctx.Err() != nil {
		p.name = activities.StateCancelling
	}
	calm, _ := workflow.NewDisconnectedContext(ctx)
	if e := workflow.Await(calm, func() bool { return p.running == 0 }); e != nil {
		return e
	}
	switch {
	case p.err != nil:
		return p.err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}

func (p *process) fanOut(ctx workflow.Context, stop workflow.CancelFunc) error {
	for {
		seq, left := p.next()
		if !left {
			return nil
		}
		err := workflow.Await(ctx, func() bool {
			return p.err != nil || p.state.Paused != p.state.Marked || !p.state.Paused && p.running < p.in.Window
		})
		switch {
		case err != nil:
			return err
		case p.err != nil || p.ran > 0 && workflow.GetInfo(ctx).GetContinueAsNewSuggested():
			return nil
		case p.state.Paused != p.state.Marked:
			if err := p.mark(ctx); err != nil {
				return err
			}
			continue
		}
		p.state.Next = seq + 1
		p.ran++
		p.running++
		workflow.GoNamed(ctx, fmt.Sprintf("chunk %d", seq), func(ctx workflow.Context) {
			if err := p.chunk(ctx, seq); err != nil {
				if p.err == nil && !temporal.IsCanceledError(err) {
					p.err = err
				}
				stop()
			}
			p.running--
		})
	}
}

// next returns the first chunk that is neither started nor in the ledger.
func (p *process) next() (seq int, left bool) {
	seq = p.state.Next
	for _, done := range p.state.Source.Done {
		if seq >= done.From && seq < done.To {
			seq = done.To
		}
	}
	return seq, seq < p.state.Source.Chunks
}

// chunk reads one chunk and commits it. Once read it is committed also if the workflow is cancelled meanwhile.
func (p *process) chunk(ctx workflow.Context, seq int) error {
	for again := false; ; again = true {
		extracted, err := p.extract(ctx, seq)
		if err != nil {
			return err
		}
		committed, err := p.commit(ctx, seq, extracted)
		if hasType(err, activities.TallyLost) && !again {
			continue
		}
		if err != nil {
			return err
		}
		p.state.Totals = p.state.Totals.Plus(committed.Totals)
		p.state.Truncated += extracted.Truncated
		p.state.Patterns = max(p.state.Patterns, committed.Patterns)
		return nil
	}
}

func (p *process) extract(ctx workflow.Context, seq int) (out activities.Extracted, err error) {
	src := p.state.Source
	start, end := p.span(seq)
	in := activities.ExtractInput{
		LibraryID: src.LibraryID, Key: src.Key, Start: start, End: end, BucketSeconds: src.BucketSeconds, ReceivedAt: src.ReceivedAt,
		Kind: src.Kind, Fold: src.Folded, Revision: src.Revision,
	}
	if p.texts != nil {
		return p.texts.embed(ctx, p.summary(seq), in)
	}
	err = workflow.ExecuteActivity(on(ctx, activities.QueueFeatures, p.summary(seq), 5*time.Minute), p.features.ExtractFeatures, in).Get(ctx, &out)
	return out, err
}

func (p *process) commit(ctx workflow.Context, seq int, extracted activities.Extracted) (out activities.Committed, err error) {
	src := p.state.Source
	start, end := p.span(seq)
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	in := activities.CommitInput{
		Caller: p.in.Caller, LibraryID: src.LibraryID, SourceID: src.SourceID, Seq: seq, Start: start, End: end, Extracted: extracted,
	}
	if p.texts != nil {
		return p.texts.commit(ctx, p.summary(seq), in)
	}
	err = workflow.ExecuteActivity(on(ctx, activities.QueuePattern, p.summary(seq), 2*time.Minute), p.patterns.CommitChunk, in).Get(ctx, &out)
	return out, err
}

func (p *process) span(seq int) (start, end int64) {
	start = int64(seq) * p.state.Source.ChunkBytes
	return start, min(start+p.state.Source.ChunkBytes, p.state.Source.Bytes)
}

func (p *process) summary(seq int) string {
	return fmt.Sprintf("chunk %d of %d", seq+1, p.state.Source.Chunks)
}
