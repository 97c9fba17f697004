package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/tartan-ai/tartan/workflows"
)

// heartbeatEvery is how often a worker tells Temporal that it lives; the kit in agents/ has the same.
const heartbeatEvery = 2 * time.Second

// lostAfter is how old a heartbeat may be of a worker that lives.
const lostAfter = 4 * heartbeatEvery

// agentQueue begins the name of the task queue of every agent.
const agentQueue = "agent."

// agentView is one agent: all workers that poll its task queue.
type agentView struct {
	Agent      string       `json:"agent"`
	State      string       `json:"state"`                // live, lost, stopped; unheard of a registered one without workers, revoked
	Registered string       `json:"registered,omitempty"` // version in the manifest; "" for one that is not registered in the workspace
	TaskQueue  string       `json:"task_queue"`
	Versions   []string     `json:"versions,omitempty"`
	Workers    []workerView `json:"workers"`
}

type workerView struct {
	Identity  string    `json:"identity"`
	State     string    `json:"state"`
	SDK       string    `json:"sdk"`
	Version   string    `json:"version,omitempty"`
	Busy      int32     `json:"busy"`  // activities that run
	Slots     int32     `json:"slots"` // activities that could run beside them
	StartedAt time.Time `json:"started_at"`
	Heartbeat time.Time `json:"heartbeat"`
	Plugins   []string  `json:"plugins,omitempty"`
}

func (a *app) agentsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "agents",
		Short: "See the agents that work, as Temporal hears them",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use: "list", Short: "List the agents", Args: noArgs,
		Long: "List the agents: each task queue agent.NAME whose workers have sent heartbeats. An agent is live while one of its workers is.",
		RunE: func(c *cobra.Command, _ []string) error {
			found, err := a.agents(c.Context())
			if err != nil {
				return err
			}
			if found, err = a.withRegistered(c.Context(), found); err != nil {
				return err
			}
			return a.printAgents(found)
		},
	}, &cobra.Command{
		Use: "show NAME", Short: "Show the workers of an agent", Args: exactly(1, "an agent"),
		RunE: func(c *cobra.Command, args []string) error { return a.showAgent(c.Context(), args[0]) },
	}, a.callAgentCommand(), a.rotateAgentCommand(), a.revokeAgentCommand(), a.agentLogsCommand())
	return c
}

func (a *app) callAgentCommand() *cobra.Command {
	var key string
	c := &cobra.Command{
		Use:   "call ACTIVITY [INPUT]",
		Short: "Have an activity of an agent done, and print what it returns",
		Long: "Have an activity of an agent done, as a workflow, and print what it returns. INPUT is a JSON object, - or nothing for standard input.\n" +
			"Where the agent is away the call waits for it. The same --key is the same call: it is done once.\n\n  tartan agents call vibration.features '{\"windows\": [{\"values\": [1, 2, 3]}]}'",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 2 {
				return usage("%s takes an activity and perhaps its input", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			text := "-"
			if len(args) == 2 {
				text = args[1]
			}
			return a.callAgent(c.Context(), args[0], text, key)
		},
	}
	c.Flags().StringVar(&key, "key", "", "what makes this call this call (default: a fresh one)")
	return c
}

func (a *app) callAgent(ctx context.Context, activity, text, key string) error {
	input := []byte(text)
	if text == "-" {
		var err error
		if input, err = io.ReadAll(io.LimitReader(a.in, workflows.MaxAgentInput+1)); err != nil {
			return fmt.Errorf("read the input: %w", err)
		}
	}
	if !json.Valid(input) {
		return usage("the input is not JSON: %s", clip(string(input), 60))
	}
	caller, err := a.caller(ctx)
	if err != nil {
		return err
	}
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return err
	}
	agent, _, _ := strings.Cut(activity, ".")
	id, _, err := workflows.StartCall(ctx, temporal, workflows.CallAgentInput{Caller: caller, Agent: agent, Activity: activity, Input: input}, cmp.Or(key, uuid.NewString()))
	if err != nil {
		return err
	}
	out, err := workflows.CallResult(ctx, temporal, id)
	if err != nil {
		return &failure{code: codeFailure, what: activity, why: err, next: "tartan agents list" + a.here()}
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, out, "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, pretty.String())
	return err
}

// agents asks Temporal for the workers of all agents.
func (a *app) agents(ctx context.Context) ([]agentView, error) {
	temporal, err := a.workflowService(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	byQueue := map[string]*agentView{}
	for request := (&workflowservice.ListWorkersRequest{Namespace: a.namespace, PageSize: 200}); ; {
		page, err := temporal.WorkflowService().ListWorkers(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("list workers: %w", err)
		}
		for _, w := range page.Workers {
			if !strings.HasPrefix(w.TaskQueue, agentQueue) {
				continue
			}
			v, err := a.describeWorker(ctx, temporal, w.WorkerInstanceKey)
			if err != nil {
				return nil, fmt.Errorf("describe worker %s: %w", w.WorkerIdentity, err)
			}
			agent := byQueue[w.TaskQueue]
			if agent == nil {
				agent = &agentView{Agent: strings.TrimPrefix(w.TaskQueue, agentQueue), TaskQueue: w.TaskQueue}
				byQueue[w.TaskQueue] = agent
			}
			agent.Workers = append(agent.Workers, v)
		}
		if request.NextPageToken = page.NextPageToken; len(page.NextPageToken) == 0 {
			break
		}
	}
	out := make([]agentView, 0, len(byQueue))
	for _, v := range byQueue {
		v.sum()
		out = append(out, *v)
	}
	slices.SortFunc(out, func(x, y agentView) int { return strings.Compare(x.Agent, y.Agent) })
	return out, nil
}

func (a *app) describeWorker(ctx context.Context, temporal client.Client, key string) (workerView, error) {
	got, err := temporal.WorkflowService().DescribeWorker(ctx, &workflowservice.DescribeWorkerRequest{Namespace: a.namespace, WorkerInstanceKey: key})
	if err != nil {
		return workerView{}, err
	}
	h := got.GetWorkerInfo().GetWorkerHeartbeat()
	v := workerView{
		Identity: h.GetWorkerIdentity(), State: "live", SDK: h.GetSdkName() + " " + h.GetSdkVersion(), Version: h.GetDeploymentVersion().GetBuildId(),
		Busy: h.GetActivityTaskSlotsInfo().GetCurrentUsedSlots(), Slots: h.GetActivityTaskSlotsInfo().GetCurrentAvailableSlots(),
		StartedAt: h.GetStartTime().AsTime(), Heartbeat: h.GetHeartbeatTime().AsTime(),
	}
	for _, p := range h.GetPlugins() {
		v.Plugins = append(v.Plugins, p.GetName())
	}
	switch {
	case h.GetStatus() == enumspb.WORKER_STATUS_SHUTDOWN:
		v.State = "stopped"
	case time.Since(v.Heartbeat) > lostAfter:
		v.State = "lost"
	}
	return v, nil
}

// sum puts the latest worker first and says how the agent as a whole is.
func (v *agentView) sum() {
	slices.SortFunc(v.Workers, func(x, y workerView) int { return y.Heartbeat.Compare(x.Heartbeat) })
	v.State = "stopped"
	for _, state := range []string{"lost", "live"} {
		if slices.ContainsFunc(v.Workers, func(w workerView) bool { return w.State == state }) {
			v.State = state
		}
	}
	for _, w := range v.Workers {
		if w.State == "live" && w.Version != "" && !slices.Contains(v.Versions, w.Version) {
			v.Versions = append(v.Versions, w.Version)
		}
	}
}

func (a *app) printAgents(found []agentView) error {
	if a.json() {
		return a.printJSON(map[string]any{"agents": found})
	}
	if len(found) == 0 {
		fmt.Fprintln(a.out, "no agent has been heard of; start Tartan's own with: tartan worker, or make one: tartan agent new NAME")
		return nil
	}
	rows := [][]string{{"AGENT", "STATE", "REGISTERED", "VERSION", "WORKERS", "BUSY", "HEARTBEAT", "SDK"}}
	for _, v := range found {
		live, busy := 0, int32(0)
		for _, w := range v.Workers {
			if w.State == "live" {
				live, busy = live+1, busy+w.Busy
			}
		}
		seen, sdk := "never", ""
		if len(v.Workers) > 0 {
			seen, sdk = ago(v.Workers[0].Heartbeat), v.Workers[0].SDK
		}
		rows = append(rows, []string{v.Agent, v.State, cmp.Or(v.Registered, "no"), strings.Join(v.Versions, ", "), fmt.Sprint(live), fmt.Sprint(busy), seen, sdk})
	}
	return a.table(rows)
}

func (a *app) showAgent(ctx context.Context, name string) error {
	found, err := a.agents(ctx)
	if err != nil {
		return err
	}
	if found, err = a.withRegistered(ctx, found); err != nil {
		return err
	}
	i := slices.IndexFunc(found, func(v agentView) bool { return v.Agent == name })
	if i < 0 {
		return &failure{code: codeNotFound, what: fmt.Sprintf("no worker of the agent %q has been heard of", name), next: "tartan agents list"}
	}
	if a.json() {
		return a.printJSON(found[i])
	}
	fmt.Fprintf(a.out, "%s: %s, task queue %s\n", found[i].Agent, found[i].State, found[i].TaskQueue)
	rows := [][]string{{"WORKER", "STATE", "VERSION", "BUSY", "SLOTS", "STARTED", "HEARTBEAT", "SDK"}}
	for _, w := range found[i].Workers {
		rows = append(rows, []string{w.Identity, w.State, w.Version, fmt.Sprint(w.Busy), fmt.Sprint(w.Slots), ago(w.StartedAt), ago(w.Heartbeat), w.SDK})
	}
	return a.table(rows)
}

// ago says how long something was before now, in one unit.
func ago(t time.Time) string {
	switch d := time.Since(t); {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s ago", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%.0f min ago", d.Minutes())
	default:
		return t.UTC().Format("2006-01-02 15:04")
	}
}
