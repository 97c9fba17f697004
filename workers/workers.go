// Package workers runs what the task queues ask for: the workflows, and the activities of the core agents. A client, a
// pool, a bucket and the libraries come in; work is done until the context ends. The process that calls Run also runs
// the libraries' feed, and bounds its own memory with debug.SetMemoryLimit (80 MiB keeps it under 100 MB RSS).
package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.uber.org/zap"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/access"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/completion"
	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/migration"
	"github.com/tartan-ai/tartan/internal/pattern/embed"
	"github.com/tartan-ai/tartan/internal/postgres"
	"github.com/tartan-ai/tartan/internal/provider"
	"github.com/tartan-ai/tartan/internal/telemetry"
	"github.com/tartan-ai/tartan/internal/vet"
	"github.com/tartan-ai/tartan/workflows"
)

// Config is what a worker needs. The client may be lazy. Give the client a WorkerHeartbeatInterval to be seen in the
// web UI, and telemetry.Temporal(log) as its logger.
type Config struct {
	Client    client.Client
	Pool      *pgxpool.Pool
	Bucket    *bucket.Bucket
	Libraries *feed.Libraries
	Log       *zap.Logger
	Embedder  embed.Embedder     // of texts; nil is the built-in one
	Grants    *Grants            // that go with activity tasks; nil asks for none
	Keeper    *access.Keeper     // that tokens of agents are kept with; nil issues none
	Models    *completion.Engine // nil knows no model

	// Targets resolves the name of a database to migrate to its URL, at each use; nil knows none.
	Targets func(name string) (url string, err error)
	// Lint says what keeps a plan from being run; nil says nothing.
	Lint func(ctx context.Context, plan *migration.Plan) (faults []string, err error)

	// Concurrency is how many chunks are read at once; 0 is 2. Each takes about 2 MiB and up to a core.
	Concurrency int
	// StopTimeout is how long activities may go on after the context ended; 0 is 5 s.
	StopTimeout time.Duration
}

// The waits between attempts to reach a Temporal that is not there yet.
const (
	firstWait = 100 * time.Millisecond
	lastWait  = 2 * time.Second
)

// Run works until ctx ends, then lets running activities finish and returns nil. While Temporal is not there it waits
// for it. An error means that the worker cannot work: the namespace is missing, or access is denied.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = 2
	}
	if cfg.StopTimeout <= 0 {
		cfg.StopTimeout = 5 * time.Second
	}
	fatal := make(chan error, 8)
	workers, err := cfg.start(ctx, fatal)
	if err != nil || workers == nil {
		return err
	}
	cfg.Log.Info("worker started", zap.Strings(telemetry.KeyTaskQueue, []string{workflows.TaskQueue, activities.QueueFeatures, activities.QueuePattern, activities.QueueKnowledge, activities.QueueMigrate}))
	stopFeeding := cfg.observe(ctx)
	scheduling, cancel := context.WithCancel(ctx)
	scheduled := make(chan struct{})
	go func() {
		defer close(scheduled)
		cfg.schedule(scheduling)
	}()
	select {
	case <-ctx.Done():
	case err = <-fatal:
		err = fmt.Errorf("run worker: %w", err)
	}
	stopFeeding()
	cancel()
	stop(workers)
	<-scheduled
	cfg.Log.Info("worker stopped")
	return err
}

// observe feeds batches of observations to the workflows that analyse them, until ctx ends or the returned function is called.
func (cfg Config) observe(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	observations := &feed.Observations{Pool: cfg.Pool, Log: cfg.Log.Named("observations"), Start: func(ctx context.Context, b postgres.ObservationBatch) error {
		within, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return workflows.StartObservations(within, cfg.Client, workflows.AnalyzeObservationsInput{
			Caller: access.Caller{WorkspaceID: b.WorkspaceID}, BatchID: b.ID, Library: b.Library, First: b.First, Last: b.Last,
		})
	}}
	go func() {
		defer close(done)
		_ = observations.Run(ctx) // ends with ctx
	}()
	return func() {
		cancel()
		<-done
	}
}

// start starts the workers of all queues as soon as Temporal answers; none and no error when ctx ended before.
func (cfg Config) start(ctx context.Context, fatal chan<- error) ([]worker.Worker, error) {
	for wait, told := firstWait, false; ; wait = min(2*wait, lastWait) {
		workers, err := cfg.tryStart(ctx, fatal)
		if err == nil {
			return workers, nil
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		if !passing(err) {
			return nil, fmt.Errorf("start worker: %w", err)
		}
		if !told {
			cfg.Log.Warn("waiting for temporal", zap.Error(err))
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(wait):
		}
	}
}

func (cfg Config) tryStart(ctx context.Context, fatal chan<- error) (started []worker.Worker, err error) {
	// A cheap call first: the SDK's own start waits up to 10 s for a server that is not there, and cannot be interrupted.
	check, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := cfg.Client.CheckHealth(check, nil); err != nil {
		return nil, err
	}
	for _, w := range cfg.workers(fatal) {
		if err := w.Start(); err != nil {
			stop(started)
			return nil, err
		}
		started = append(started, w)
	}
	return started, nil
}

// schedule makes the schedules that all workers share, beside the work: a server that has just started answers workers first.
func (cfg Config) schedule(ctx context.Context) {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		within, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := workflows.ScheduleExpireCalls(within, cfg.Client)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		if !passing(err) && !errors.Is(err, workflows.ErrUnavailable) {
			cfg.Log.Error("not scheduled, so calls of callers that died hold their money until a budget lacks it", zap.Error(err))
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// workers makes a worker for each task queue. Slots and pollers are fixed: on two cores more of them only wait.
func (cfg Config) workers(fatal chan<- error) []worker.Worker {
	onFatal := func(err error) {
		select {
		case fatal <- err:
		default:
		}
	}
	// A worker that dies leaves its cached workflows to others after the sticky timeout.
	flow := worker.New(cfg.Client, workflows.TaskQueue, worker.Options{
		MaxConcurrentWorkflowTaskExecutionSize: 16, MaxConcurrentWorkflowTaskPollers: 4,
		MaxConcurrentLocalActivityExecutionSize: 8, MaxConcurrentActivityExecutionSize: 4, MaxConcurrentActivityTaskPollers: 1,
		StickyScheduleToStartTimeout: time.Second, WorkflowPanicPolicy: worker.BlockWorkflow,
		WorkerStopTimeout: cfg.StopTimeout, OnFatalError: onFatal, MaxHeartbeatThrottleInterval: time.Second,
		Interceptors: cfg.Grants.interceptors(),
	})
	workflows.Register(flow)
	flow.RegisterActivity(&activities.Runs{Pool: cfg.Pool, Bucket: cfg.Bucket})
	flow.RegisterActivity(&activities.Agents{Pool: cfg.Pool, Keeper: cfg.Keeper})
	flow.RegisterActivity(&activities.Series{Pool: cfg.Pool, Bucket: cfg.Bucket}) // its short ones

	features := worker.New(cfg.Client, activities.QueueFeatures, cfg.agent(cfg.Concurrency, onFatal))
	texts := &activities.Texts{Pool: cfg.Pool, Bucket: cfg.Bucket, Embedder: cfg.Embedder}
	features.RegisterActivity(&activities.Features{Bucket: cfg.Bucket, Libraries: cfg.Libraries})
	features.RegisterActivity(&activities.Series{Pool: cfg.Pool, Bucket: cfg.Bucket})
	features.RegisterActivity(texts)
	features.RegisterActivity(&activities.Sequences{Pool: cfg.Pool, Bucket: cfg.Bucket, Libraries: cfg.Libraries})

	// Commits into one library queue behind its lock, so one slot more keeps a second library going.
	patterns := worker.New(cfg.Client, activities.QueuePattern, cfg.agent(cfg.Concurrency+1, onFatal))
	patterns.RegisterActivity(&activities.Patterns{Pool: cfg.Pool, Bucket: cfg.Bucket, Libraries: cfg.Libraries})
	patterns.RegisterActivity(&activities.Edits{Pool: cfg.Pool, Libraries: cfg.Libraries})
	patterns.RegisterActivity(texts)
	patterns.RegisterActivity(&activities.Observations{Pool: cfg.Pool, Bucket: cfg.Bucket, Libraries: cfg.Libraries, Embedder: cfg.Embedder})

	knowledge := worker.New(cfg.Client, activities.QueueKnowledge, cfg.agent(cfg.Concurrency+2, onFatal))
	knowledge.RegisterActivity(&activities.Knowledge{Pool: cfg.Pool, Bucket: cfg.Bucket, Checker: vet.New(cfg.Bucket)})

	migrate := worker.New(cfg.Client, activities.QueueMigrate, cfg.agent(cfg.Concurrency+2, onFatal))
	migrate.RegisterActivity(&activities.Migrations{Pool: cfg.Pool, Bucket: cfg.Bucket, Targets: cfg.target, Lint: cfg.Lint})
	return append([]worker.Worker{flow, features, patterns, knowledge, migrate}, cfg.models(flow, onFatal)...)
}

func (cfg Config) target(name string) (string, error) {
	if cfg.Targets == nil {
		return "", fmt.Errorf("this worker knows no target %q", name)
	}
	return cfg.Targets(name)
}

// models registers the steps of calls to models, and makes a worker for each provider, whose limit of requests holds on its queue.
func (cfg Config) models(flow worker.Worker, onFatal func(error)) (out []worker.Worker) {
	if cfg.Models == nil {
		registry, _ := provider.NewRegistry(provider.Config{}, nil) // nothing in it can be wrong
		cfg.Models = &completion.Engine{Pool: cfg.Pool, Registry: registry, Log: cfg.Log}
	}
	steps := &activities.Models{Engine: cfg.Models}
	flow.RegisterActivity(steps)
	for _, name := range cfg.Models.Registry.Names() {
		if name == provider.StaticName {
			continue // it does not chat
		}
		options := cfg.agent(modelSlots, onFatal)
		options.TaskQueueActivitiesPerSecond = float64(cfg.Models.Registry.RPM(name)) / 60 // 0 is no limit
		w := worker.New(cfg.Client, activities.ModelQueue(name), options)
		w.RegisterActivity(steps)
		out = append(out, w)
	}
	return out
}

// modelSlots is how many calls of a provider one worker has under way: they wait and do not work.
const modelSlots = 64

func (cfg Config) agent(slots int, onFatal func(error)) worker.Options {
	return worker.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: slots, MaxConcurrentActivityTaskPollers: min(slots, 4),
		WorkerStopTimeout: cfg.StopTimeout, OnFatalError: onFatal, MaxHeartbeatThrottleInterval: time.Second,
		Interceptors: cfg.Grants.interceptors(),
	}
}

// stop stops workers together: each waits for its running activities.
func stop(workers []worker.Worker) {
	done := make(chan struct{})
	for _, w := range workers {
		go func() {
			w.Stop()
			done <- struct{}{}
		}()
	}
	for range workers {
		<-done
	}
}

// passing reports whether an error may be gone in a moment.
func passing(err error) bool {
	var unavailable *serviceerror.Unavailable
	var deadline *serviceerror.DeadlineExceeded
	var starting *serviceerror.NamespaceNotFound // a fresh server makes its namespaces just after it starts to listen
	return errors.As(err, &unavailable) || errors.As(err, &deadline) || errors.As(err, &starting) || errors.Is(err, context.DeadlineExceeded)
}
