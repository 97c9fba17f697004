package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// A Temporal server with its default settings reads each history shard's queue 20 times a second, so that on one shard
// every dispatch waits for 50 ms. A burst of about 20 is let through first, which is why the probe looks at what comes
// after it, and at the quickest, because a busy machine is slow too, but not always.
const (
	probeRuns = 32
	probeSlow = 45 * time.Millisecond
)

// probe is the workflow that does nothing.
func probe(workflow.Context) error { return nil }

// checkSpeed measures how long Temporal takes to dispatch.
func (a *app) checkSpeed(ctx context.Context) []finding {
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return nil // checkTemporal has said so
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	best, err := dispatch(ctx, temporal)
	if err != nil {
		return []finding{wrong("dispatch", "see the log of Temporal", "an empty workflow did not complete: %v", err)}
	}
	if best >= probeSlow {
		return []finding{wrong("dispatch", "give the server the settings of deploy/temporal/dynamicconfig.yaml (history.transferProcessorMaxPollRPS: 200), or more history shards",
			"an empty workflow takes %s: Temporal reads each shard 20 times a second by default", best.Round(time.Millisecond))}
	}
	return []finding{ok("dispatch", "an empty workflow takes %s", best.Round(100*time.Microsecond))}
}

// dispatch runs empty workflows one after the other and returns the quickest of the last ten.
func dispatch(ctx context.Context, temporal client.Client) (time.Duration, error) {
	queue := fmt.Sprintf("tartan.doctor.%d.%d", os.Getpid(), time.Now().UnixNano())
	w := worker.New(temporal, queue, worker.Options{DisableRegistrationAliasing: true})
	w.RegisterWorkflowWithOptions(probe, workflow.RegisterOptions{Name: "Probe"})
	if err := w.Start(); err != nil {
		return 0, err
	}
	defer w.Stop()
	var took []time.Duration
	for i := range probeRuns {
		begun := time.Now()
		run, err := temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: fmt.Sprintf("%s/%d", queue, i), TaskQueue: queue, WorkflowRunTimeout: time.Minute}, "Probe")
		if err == nil {
			err = run.Get(ctx, nil)
		}
		if err != nil {
			return 0, err
		}
		took = append(took, time.Since(begun))
	}
	return slices.Min(took[len(took)-10:]), nil
}
