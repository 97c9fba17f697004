package tools

import (
	"context"
	"hash/fnv"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/pattern"
	"github.com/tartan-ai/tartan/internal/pattern/cluster"
	"github.com/tartan-ai/tartan/internal/pattern/embed"
	"github.com/tartan-ai/tartan/internal/pattern/template"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

type clusterArgs struct {
	Lines     lineList `json:"lines" note:"Texts, one a line; or give object_key"`
	Object    string   `json:"object_key" note:"As for mine_patterns"`
	Library   string   `json:"library" default:"texts" note:"Of kind text; it is made if there is none"`
	Name      string   `json:"name" max:"200" note:"Of the source"`
	Threshold int      `json:"threshold" min:"0" max:"100" default:"60" note:"Cosine to the centre of a cluster from which a text belongs to it, in hundredths"`
}

func (s *Suite) clusterTexts() Tool {
	return define[clusterArgs, mining](Tool{
		Name: "cluster_texts", Title: "Cluster texts", Role: editor, Idempotent: true,
		Description: "Start a durable workflow that groups free text (tickets, messages), a text a line, by meaning. Returns its id at once; then use recognize and list_patterns.",
	}, func(ctx context.Context, c Call, in clusterArgs) (mining, string, error) {
		temporal, err := s.durable()
		if err != nil {
			return mining{}, "", err
		}
		source, err := s.source(ctx, c, mineArgs{Lines: in.Lines, Object: in.Object, Library: in.Library, Name: in.Name})
		if err != nil {
			return mining{}, "", err
		}
		id, runID, existed, err := workflows.StartCluster(ctx, temporal, workflows.ClusterTextsInput{
			Caller: c.Caller, Library: in.Library, Source: source, Options: workflows.TextOptions{Threshold: float64(in.Threshold) / 100},
		})
		if err != nil {
			return mining{}, "", explainWorkflow(err, "")
		}
		out := mining{WorkflowID: id, Existed: existed, Next: "get_workflow with this id and wait_seconds 20", Resource: WorkflowURI(id), Page: s.page(id, runID)}
		text := "started " + id
		if existed {
			text = "clustered before, or being clustered: " + id
		}
		return out, text, nil
	})
}

// textLibrary is a library of texts in memory, as it was at a number of texts.
type textLibrary struct {
	row   postgres.Library
	notes map[pattern.ID]postgres.Note
	texts map[pattern.ID]string // templates of the patterns
	set   *cluster.Set
}

// textLibraries holds those that were asked for.
type textLibraries struct {
	mu   sync.Mutex
	held map[uuid.UUID]*textLibrary
}

func (s *Suite) embedder() embed.Embedder {
	if s.Embedder == nil {
		return embed.NewStatic()
	}
	return s.Embedder
}

// textLibrary returns the library as the database has it. What is in memory is used as long as nothing was counted since.
func (s *Suite) textLibrary(ctx context.Context, c Call, library string) (*textLibrary, error) {
	e, x := s.embedder(), &textLibrary{}
	var clusters []cluster.Cluster
	err := s.inWorkspace(ctx, c, func(tx pgx.Tx) (err error) {
		if x.row, err = s.libraryByName(ctx, tx, c, library); err != nil {
			return err
		}
		if x.row.Kind != kindOfTexts {
			s.ids.Delete(libraryKey{c.Caller.WorkspaceID, library})
			return unavailable("Call again", "library %s was made anew, of kind %s", library, x.row.Kind)
		}
		if held := s.texts.get(x.row); held != nil {
			x = held
			return nil
		}
		if x.notes, err = postgres.PatternNotes(ctx, tx, x.row.ID); err != nil {
			return err
		}
		clusters, err = postgres.TextClusters(ctx, tx, x.row.ID, e.Name())
		return err
	})
	if err != nil || x.set != nil {
		return x, err
	}
	if err := cluster.Complete(ctx, e, clusters); err != nil {
		return nil, unavailable("Try again in a moment", "the embeddings endpoint does not answer")
	}
	dim := e.Dim()
	x.texts = map[pattern.ID]string{}
	for _, k := range clusters {
		x.texts[k.ID] = k.Text
		dim = len(k.Centre)
	}
	x.set = cluster.NewSet(dim, clusters)
	s.texts.put(x)
	return x, nil
}

func (l *textLibraries) get(row postgres.Library) *textLibrary {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x := l.held[row.ID]; x != nil && x.row.Revision == row.Revision && x.row.Lines == row.Lines {
		return x
	}
	return nil
}

// maxTextLibraries bounds what is held: a library of 20,000 clusters takes 50 MB.
const maxTextLibraries = 4

func (l *textLibraries) put(x *textLibrary) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil || len(l.held) >= maxTextLibraries {
		l.held = map[uuid.UUID]*textLibrary{}
	}
	l.held[x.row.ID] = x
}

// recognizeTexts is recognize for a library of kind text: which cluster each line belongs to.
func (s *Suite) recognizeTexts(ctx context.Context, c Call, in recognizeArgs) (Result, error) {
	x, err := s.textLibrary(ctx, c, in.Library)
	if err != nil {
		return Result{}, err
	}
	texts := make([]string, len(in.Lines))
	for i, line := range in.Lines {
		texts[i] = cluster.Cut(line)
	}
	r := recognitions.Get().(*recognition)
	defer r.release()
	for at := 0; at < len(texts); at += textBatch {
		part := texts[at:min(at+textBatch, len(texts))]
		vectors, err := s.embedder().Embed(ctx, part)
		if err != nil {
			return Result{}, unavailable("Try again in a moment", "the embeddings endpoint does not answer")
		}
		for i, v := range vectors {
			r.addText(x, at+i, in.Lines[at+i], v)
		}
	}
	entry := &feed.Entry{
		Library: x.row, Revision: x.row.Revision,
		Names: func(id pattern.ID) string { return x.notes[id].Name },
		Notes: func(id pattern.ID) postgres.Note { return x.notes[id] },
	}
	r.linked = s.linked(ctx, c, x.row, func(id pattern.ID) bool {
		_, ok := x.texts[id]
		return ok
	})
	structured := r.encode(in.Library, entry, in)
	return Result{Text: r.text(), Structured: structured}, nil
}

const textBatch = 256

// addText takes one text with its vector.
func (r *recognition) addText(x *textLibrary, i int, line []byte, v []float32) {
	row := lineRow{message: line, row: -1, group: -1, from: len(r.spans), to: len(r.spans)}
	near, ok := x.set.Recognise(v)
	id := near.Cluster.Pattern
	if ok {
		at, has := r.index[id]
		if !has {
			at = len(r.patterns)
			r.index[id] = at
			r.patterns = append(r.patterns, tableRow{pattern: pattern.Pattern{ID: id, Template: x.texts[id]}})
		}
		row.row, row.confidence = at, min(float64(near.Score), 1)
		r.patterns[at].lines++
		r.patterns[at].at.add(i + 1)
		r.known++
	} else if row.group = r.unknownText(line, near, x); row.group >= 0 {
		r.groups[row.group].lines++
		r.groups[row.group].at.add(i + 1)
	}
	r.lines = append(r.lines, row)
}

// unknownText groups equal texts that belong to no cluster.
func (r *recognition) unknownText(line []byte, near cluster.Near, x *textLibrary) int {
	h := fnv.New64a()
	h.Write(line) //nolint:errcheck // it never fails
	key := template.ShapeID(h.Sum64())
	if at, ok := r.unknown[key]; ok {
		return at
	}
	if len(r.groups) == maxUnknowns {
		return -1
	}
	g := unknownRow{example: line}
	if id := near.Cluster.Pattern; id != "" {
		g.hasNear, g.near = true, template.Near{Pattern: id, Template: x.texts[id], Score: float64(near.Score)}
	}
	r.unknown[key] = len(r.groups)
	r.groups = append(r.groups, g)
	return len(r.groups) - 1
}
