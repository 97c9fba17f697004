package activities

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/activity"

	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/pattern/cluster"
	"github.com/tartan-ai/tartan/internal/pattern/embed"
	"github.com/tartan-ai/tartan/internal/pattern/lines"
)

// TextChunkBytes is the size of a chunk of texts: a few thousand, which are clustered together.
const TextChunkBytes = 256 << 10

// embedBatch is how many texts are embedded between two looks at whether to go on.
const embedBatch = 256

// Texts are the activities that cluster free text. EmbedTexts is one of agent.features, CommitTexts of agent.pattern.
type Texts struct {
	Pool     *pgxpool.Pool
	Bucket   *bucket.Bucket
	Embedder embed.Embedder // nil is the built-in one
}

// TextOptions are how texts are clustered.
type TextOptions struct {
	Threshold float64 `json:"threshold,omitempty"` // cosine from which a text joins a cluster; 0 is cluster.DefaultThreshold
}

func (o TextOptions) threshold() float32 {
	if o.Threshold <= 0 || o.Threshold > 1 {
		return cluster.DefaultThreshold
	}
	return float32(o.Threshold)
}

// CommitTextsInput asks for the embedded texts of a chunk to be clustered and counted in the library, once.
type CommitTextsInput struct {
	Commit  CommitInput `json:"commit"`
	Options TextOptions `json:"options"`
}

// embedded is what EmbedTexts leaves in the bucket: the different texts of a chunk with their counts and vectors.
type embedded struct {
	Embedder string
	Dim      int
	Texts    []string
	Counts   []int64
	Vectors  []float32
}

func (t *Texts) embedder() embed.Embedder {
	if t.Embedder == nil {
		return embed.NewStatic()
	}
	return t.Embedder
}

// EmbedTexts makes vectors of the texts that start in a byte range, a text a line, and puts them into the bucket. Blank
// lines are no texts. The Tally of the result is the object's key.
func (t *Texts) EmbedTexts(ctx context.Context, in ExtractInput) (*Extracted, error) {
	var done progress
	defer done.beating(ctx)()
	out := &Extracted{}
	counts, err := t.read(ctx, in, out)
	if err != nil {
		return nil, typed(fmt.Sprintf("read bytes %d to %d of the source", in.Start, in.End), err)
	}
	e := t.embedder()
	all := embedded{Embedder: e.Name(), Dim: e.Dim(), Texts: slices.Sorted(maps.Keys(counts))}
	for at := 0; at < len(all.Texts); at += embedBatch {
		part := all.Texts[at:min(at+embedBatch, len(all.Texts))]
		vectors, err := e.Embed(ctx, part)
		if err != nil {
			return nil, typed("embed texts", err)
		}
		for i, v := range vectors {
			all.Counts, all.Vectors = append(all.Counts, counts[part[i]]), append(all.Vectors, v...)
		}
		done.bytes.Store(int64(at))
	}
	var body bytes.Buffer
	if err := gob.NewEncoder(&body).Encode(all); err != nil {
		return nil, typed("encode the vectors", err)
	}
	o, err := t.Bucket.PutScratch(ctx, body.Bytes())
	if err != nil {
		return nil, typed("store the vectors", err)
	}
	out.Tally, out.Shapes, out.Untimed = o.Key, len(all.Texts), out.Lines
	activity.GetLogger(ctx).Debug("texts embedded", "texts", out.Lines, "different", len(all.Texts))
	return out, nil
}

// vectors embeds different texts, which come with how often they occurred, in the order of the texts.
func (t *Texts) vectors(ctx context.Context, counts map[string]int64) (texts []cluster.Text, embedder string, err error) {
	e, all := t.embedder(), slices.Sorted(maps.Keys(counts))
	for part := range slices.Chunk(all, embedBatch) {
		vectors, err := e.Embed(ctx, part)
		if err != nil {
			return nil, "", err
		}
		for i, v := range vectors {
			texts = append(texts, cluster.Text{Text: part[i], Count: counts[part[i]], Vector: v})
		}
	}
	return texts, e.Name(), nil
}

// read counts the different texts of a range.
func (t *Texts) read(ctx context.Context, in ExtractInput, out *Extracted) (map[string]int64, error) {
	from := max(in.Start-1, 0)
	r := &stretch{ctx: ctx, bucket: t.Bucket, key: in.Key, off: from, ask: in.End - from + ahead}
	defer r.Close()
	lr := lines.NewReader(r, 0)
	if in.Start > 0 {
		lr.Next() // the end of a line that the chunk before owns
	}
	first, counts := from+lr.Consumed(), map[string]int64{}
	for {
		line, ok := lr.Next()
		if !ok || from+lr.Offset() >= in.End {
			break
		}
		out.Bytes = from + lr.Consumed() - first
		text := bytes.TrimSpace(line)
		if len(text) == 0 {
			continue
		}
		if lr.Truncated() || len(text) > cluster.MaxText {
			out.Truncated++
		}
		counts[cluster.Cut(text)]++
		out.Lines++
	}
	return counts, errors.Join(lr.Err(), ctx.Err())
}
