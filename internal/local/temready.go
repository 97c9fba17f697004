package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/durationpb"
)

// waitTemporal waits until the namespace can be used: the frontend answers, a history shard is held and a
// task queue can be described, each through the real services.
func waitTemporal(ctx context.Context, p *process, address string, retention time.Duration) error {
	c, err := client.NewLazyClient(client.Options{HostPort: address, Namespace: Namespace, Logger: quiet{}})
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	defer c.Close()
	deadline := time.Now().Add(60 * time.Second)
	for {
		err := probeTemporal(ctx, c)
		if err == nil {
			return keepFor(ctx, c, retention)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it does not answer: %w", err)
		}
		select {
		case <-p.done:
			return fmt.Errorf("it ended at once: %w", orExit0(p.err))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func probeTemporal(ctx context.Context, c client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s := c.WorkflowService()
	if _, err := s.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: Namespace}); err != nil {
		return err
	}
	var missing *serviceerror.NotFound
	if _, err := c.DescribeWorkflowExecution(ctx, "tartan-ready", ""); err != nil && !errors.As(err, &missing) {
		return err
	}
	_, err := c.DescribeTaskQueue(ctx, "tartan", enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	return err
}

// keepFor sets how long closed workflows are kept, when it is not so already.
func keepFor(ctx context.Context, c client.Client, retention time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s := c.WorkflowService()
	have, err := s.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: Namespace})
	if err != nil {
		return fmt.Errorf("describe namespace: %w", err)
	}
	if have.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() == retention {
		return nil
	}
	_, err = s.UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: Namespace,
		Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(retention)},
	})
	if err != nil {
		return fmt.Errorf("keep closed workflows for %s: %w", retention, err)
	}
	return nil
}

// quiet drops the client's log: its warnings while the server starts are expected.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

const pidFile = "temporal.pid"

func rememberPID(folder string, pid int) error {
	if err := writeFile(filepath.Join(folder, pidFile), fmt.Appendf(nil, "%d\n", pid), 0o600); err != nil {
		return fmt.Errorf("write process id: %w", err)
	}
	return nil
}

func forgetPID(folder string) { _ = os.Remove(filepath.Join(folder, pidFile)) }

// stopTemporalOrphan stops a server that a killed process left behind: two servers on one store would both
// believe that they own the shard. The caller holds the lock, so no live Tartan owns it.
func stopTemporalOrphan(ctx context.Context, folder string, o TemporalOptions) error {
	body, err := os.ReadFile(filepath.Join(folder, pidFile))
	if err != nil {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(body)))
	if err != nil || !alive(pid) || !strings.Contains(commandOf(pid), folder) {
		forgetPID(folder)
		return nil
	}
	o.Progress("stopping a Temporal server that was left behind")
	o.Log.Warn("temporal left behind is stopped", zap.Int("pid", pid))
	for _, s := range temporalStop {
		_ = syscall.Kill(pid, s.signal)
		if waitGone(ctx, s.wait, pid) {
			forgetPID(folder)
			return nil
		}
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	if !waitGone(ctx, 5*time.Second, pid) {
		return fmt.Errorf("stop the Temporal server left behind (process %d): it does not end", pid)
	}
	forgetPID(folder)
	return nil
}

// commandOf is a process's command line.
func commandOf(pid int) string {
	if body, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline"); err == nil {
		return strings.ReplaceAll(string(body), "\x00", " ")
	}
	out, _ := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return string(out)
}
