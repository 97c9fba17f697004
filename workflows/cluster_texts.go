package workflows

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
)

// TextOptions are how texts are clustered.
type TextOptions = activities.TextOptions

// ClusterTextsInput asks for the texts of a source, one a line, to be clustered by meaning in a library of kind text.
type ClusterTextsInput struct {
	Caller     access.Caller          `json:"caller"`
	Library    string                 `json:"library"`
	Source     SourceRef              `json:"source"`
	Options    activities.TextOptions `json:"options"`
	ChunkBytes int64                  `json:"chunk_bytes,omitempty"` // 0 is activities.TextChunkBytes
	State      *processState          `json:"state,omitempty"`       // carried by continue-as-new
}

// ClusterTexts puts the texts of a source into clusters, each text counted exactly once, however often it is interrupted.
// Its steps, its signals, its query and its result are those of ProcessPatterns. Chunks go one after the other, because what a
// chunk makes the next one meets.
func ClusterTexts(ctx workflow.Context, in ClusterTextsInput) (*ProcessPatternsResult, error) {
	if in.ChunkBytes <= 0 {
		in.ChunkBytes = activities.TextChunkBytes
	}
	p := newProcess(ctx, ProcessPatternsInput{
		Caller: in.Caller, Library: in.Library, Source: in.Source, ChunkBytes: in.ChunkBytes, Window: 1, State: in.State, Kind: activities.KindText,
	})
	p.texts = &clustering{options: in.Options}
	return p.run(ctx)
}

// clustering is what ClusterTexts does otherwise than ProcessPatterns.
type clustering struct {
	options activities.TextOptions
	texts   *activities.Texts
}

// embed may wait for a service at the other end of a network, for some thousand texts.
func (c *clustering) embed(ctx workflow.Context, summary string, in activities.ExtractInput) (out activities.Extracted, err error) {
	err = workflow.ExecuteActivity(on(ctx, activities.QueueFeatures, summary, time.Hour), c.texts.EmbedTexts, in).Get(ctx, &out)
	return out, err
}

func (c *clustering) commit(ctx workflow.Context, summary string, in activities.CommitInput) (out activities.Committed, err error) {
	err = workflow.ExecuteActivity(on(ctx, activities.QueuePattern, summary, 10*time.Minute), c.texts.CommitTexts,
		activities.CommitTextsInput{Commit: in, Options: c.options}).Get(ctx, &out)
	return out, err
}

func (c *clustering) continueAsNew(ctx workflow.Context, in ProcessPatternsInput) error {
	return workflow.NewContinueAsNewError(ctx, ClusterTexts, ClusterTextsInput{
		Caller: in.Caller, Library: in.Library, Source: in.Source, Options: c.options, ChunkBytes: in.ChunkBytes, State: in.State,
	})
}

// ClusterID returns the Workflow ID of clustering the content with this SHA-256 in a library: the same content has the same
// id, and so is counted once.
func ClusterID(workspace uuid.UUID, library, sha256 string) string {
	return "cluster/" + workspace.String() + "/" + library + "/" + sha256
}

// StartCluster starts ClusterTexts, or finds the run of the same source, as StartProcess does.
func StartCluster(ctx context.Context, c client.Client, in ClusterTextsInput) (id, runID string, existed bool, err error) {
	if len(in.Source.Inline) > MaxInline {
		return "", "", false, fmt.Errorf("start clustering %s: %w", in.Source.Name, ErrInlineTooLong)
	}
	id = ClusterID(in.Caller.WorkspaceID, in.Library, digest(in.Source))
	runID, existed, err = begin(ctx, c, ClusterTexts, in, client.StartWorkflowOptions{ID: id, StaticSummary: fmt.Sprintf("cluster %s in %s", in.Source.Name, in.Library)})
	return id, runID, existed, err
}
