package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/workflows"
)

// pollEvery is how often the progress of a run is read.
const pollEvery = 100 * time.Millisecond

// mineResult is what --output json prints for each file.
type mineResult struct {
	File       string `json:"file"`
	WorkflowID string `json:"workflow_id"`
	State      string `json:"state"`
	Already    bool   `json:"already"`
	*workflows.ProcessPatternsResult
	Seconds float64 `json:"seconds"`
}

func (a *app) mineCommand() *cobra.Command {
	var (
		o           offline
		library     string
		off, detach bool
	)
	c := &cobra.Command{
		Use:   "mine FILE...",
		Short: "Mine the patterns of log files",
		Long: "Mine the patterns of log files, plain, gzip or zstd; - is stdin.\n\n" +
			"The files are stored by their content and a workflow counts every line exactly once: the same file twice counts\n" +
			"once. Ctrl-C detaches; the workflow goes on. With --offline the file is mined in this process, without a server.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New(c.CommandPath() + " wants at least one FILE")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.observe.check(); err != nil {
				return err
			}
			if off {
				return o.run(a, args)
			}
			if o.noHeader || o.assignments != "" || o.values {
				return usage("--no-header, --assignments and --values go with --offline")
			}
			return a.mineWith(c.Context(), library, args, detach, linesInto(library, o.observe))
		},
	}
	f := c.Flags()
	f.StringVarP(&library, "library", "l", defaultLibrary, "the library the patterns go to")
	f.StringVar(&o.observe.kind, "kind", "", "what the library holds: lines (of logs), or record (JSON events); that of the library, or lines for a new one")
	f.BoolVar(&o.observe.noFold, "no-fold", false, "count each line by itself, also the lines of a stack trace")
	f.BoolVar(&detach, "detach", false, "print the workflow ids and do not wait")
	f.BoolVar(&off, "offline", false, "mine in this process, without a server, and print the patterns")
	f.BoolVar(&o.noHeader, "no-header", false, "with --offline: each line is a bare message without time, level and component")
	f.BoolVar(&o.values, "values", false, "with --offline: print what the slots of each pattern held as well")
	f.StringVar(&o.assignments, "assignments", "", "with --offline: write a line per input line, pattern id, tab, template, to this file")
	f.IntVarP(&o.limit, "limit", "n", 0, "with --offline: print at most so many patterns")
	return c
}

// started is one file on its way.
type started struct {
	file, id, runID string
	existed         bool
	begun           time.Time
	bytes           int64
}

// starter starts the workflow of a source.
type starter func(ctx context.Context, t client.Client, caller access.Caller, source workflows.SourceRef) (id, runID string, existed bool, err error)

// linesInto starts mining lines into a library.
func linesInto(library string, o observing) starter {
	return func(ctx context.Context, t client.Client, caller access.Caller, source workflows.SourceRef) (string, string, bool, error) {
		return workflows.StartProcess(ctx, t, workflows.ProcessPatternsInput{Caller: caller, Library: library, Kind: o.kind, NoFold: o.noFold, Source: source})
	}
}

// mineWith starts a workflow for each file and waits for all of them.
func (a *app) mineWith(ctx context.Context, library string, files []string, detach bool, start starter) error {
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return err
	}
	var runs []started
	for _, name := range files {
		in, done, err := a.open(name)
		if err != nil {
			return readFailure(name, err)
		}
		s, err := a.submit(ctx, temporal, caller, start, name, in)
		done()
		if err != nil {
			return err
		}
		runs = append(runs, s)
	}
	var results []mineResult
	if detach {
		for _, s := range runs {
			results = append(results, mineResult{File: s.file, WorkflowID: s.id, State: postgres.RunRunning, Already: s.existed})
		}
		return a.printMined(library, results)
	}
	for _, s := range runs {
		r, err := a.follow(ctx, temporal, caller, s)
		if ctx.Err() != nil {
			a.say("\ndetached: the workflow goes on\n  come back: tartan workflows show%s %s\n  stop it:   tartan workflows cancel%s %s", a.here(), s.id, a.here(), s.id)
			return nil
		}
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	return a.printMined(library, results)
}

// submit stores what in yields in the bucket and starts its workflow.
func (a *app) submit(ctx context.Context, temporal client.Client, caller access.Caller, start starter, name string, in io.Reader) (started, error) {
	s := started{file: name, begun: time.Now()}
	objects, err := a.objects(ctx)
	if err != nil {
		return s, err
	}
	object, err := objects.Put(ctx, in)
	if err != nil {
		return s, fmt.Errorf("store %s in the bucket: %w", name, err)
	}
	label := name
	if name != "-" {
		label = filepath.Base(name)
	}
	s.bytes = object.Size
	s.id, s.runID, s.existed, err = start(ctx, temporal, caller, workflows.SourceRef{Name: label, ObjectKey: object.Key, SHA256: object.SHA256, Bytes: object.Size})
	if err != nil {
		return s, fmt.Errorf("start the workflow for %s: %w", name, err)
	}
	return s, nil
}

// follow waits for a run, drawing its progress on a terminal.
func (a *app) follow(ctx context.Context, temporal client.Client, caller access.Caller, s started) (mineResult, error) {
	r := mineResult{File: s.file, WorkflowID: s.id, Already: s.existed}
	bar := newProgress(a.err, s.file, a.color(a.err))
	defer bar.clear()
	type answer struct {
		result workflows.ProcessPatternsResult
		err    error
	}
	got := make(chan answer, 1)
	go func() {
		var ans answer
		ans.err = temporal.GetWorkflow(ctx, s.id, "").Get(ctx, &ans.result)
		got <- ans
	}()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case ans := <-got:
			r.Seconds = time.Since(s.begun).Seconds()
			if ans.err != nil {
				return r, workflowFailure(s, ans.err)
			}
			r.State, r.ProcessPatternsResult = postgres.RunCompleted, &ans.result
			return r, nil
		case <-tick.C:
			if !bar.on {
				continue
			}
			if run, err := a.runOf(ctx, caller, s.id); err == nil {
				bar.draw(run, time.Now())
			}
		}
	}
}

// runOf reads the projection of a run as the caller.
func (a *app) runOf(ctx context.Context, caller access.Caller, id string) (run postgres.Run, err error) {
	err = postgres.InWorkspace(ctx, a.pool, caller, func(tx pgx.Tx) error {
		run, err = postgres.RunByID(ctx, tx, caller.WorkspaceID, id)
		return err
	})
	return run, err
}

func (a *app) printMined(library string, results []mineResult) error {
	if a.json() {
		return a.printJSON(struct {
			Library string       `json:"library"`
			Results []mineResult `json:"results"`
		}{library, results})
	}
	table := [][]string{{"FILE", "STATE", "LINES", "PATTERNS", "NEW", "LINES/S", "WORKFLOW"}}
	for _, r := range results {
		row := []string{r.File, r.State, "-", "-", "-", "-", r.WorkflowID}
		if p := r.ProcessPatternsResult; p != nil {
			row[2], row[3], row[4] = count(p.Lines), count(p.Patterns), count(p.NewPatterns)
			row[5] = count(int64(float64(p.Lines) / max(r.Seconds, 1e-9)))
			if p.Already || r.Already {
				row[1], row[5] = "known", "-"
			}
		}
		table = append(table, row)
	}
	if err := a.table(table); err != nil {
		return err
	}
	a.say("next: tartan patterns list%s --library %s", a.here(), library)
	return nil
}

// progress draws one line that is drawn over, on a terminal only.
type progress struct {
	w           io.Writer
	label       string
	color, on   bool
	drawn       bool
	last        int64
	lastAt      time.Time
	linesPerSec float64
}

func newProgress(w io.Writer, label string, color bool) *progress {
	return &progress{w: w, label: label, color: color, on: isTerminal(w)}
}

func (p *progress) draw(r postgres.Run, now time.Time) {
	if !p.lastAt.IsZero() && r.Lines > p.last {
		p.linesPerSec = float64(r.Lines-p.last) / now.Sub(p.lastAt).Seconds()
	}
	if p.lastAt.IsZero() || r.Lines > p.last {
		p.last, p.lastAt = r.Lines, now
	}
	const cells = 24
	full := 0
	if r.ChunksTotal > 0 {
		full = cells * r.ChunksDone / r.ChunksTotal
	}
	bar := ""
	for i := range cells {
		if i < full {
			bar += "━"
		} else {
			bar += "─"
		}
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s %s %s lines, %s patterns, %s lines/s %s", clip(p.label, 30), paint(p.color, green, bar), count(r.Lines), count(r.Patterns), count(int64(p.linesPerSec)), r.State)
	p.drawn = true
}

func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// workflowFailure says why a workflow did not complete and what to do.
func workflowFailure(s started, err error) error {
	return &failure{code: codeFailure, what: "mine " + s.file, why: err, next: "tartan workflows show " + s.id}
}
