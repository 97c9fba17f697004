package workers_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/activities"
	"github.com/tartan-ai/tartan/internal/bucket"
	"github.com/tartan-ai/tartan/internal/local"
	"github.com/tartan-ai/tartan/workflows"
)

func isNotFound(err error) bool { return errors.Is(err, workflows.ErrNotFound) }

// halfway starts mining in many small chunks and returns once some are committed and many are not.
func (s *stack) halfway(in workflows.ProcessPatternsInput) string {
	s.t.Helper()
	id := s.start(in)
	eventually(s.t, "chunks are committed", func() bool {
		d, err := workflows.Describe(context.Background(), s.client, id)
		require.NoError(s.t, err)
		require.False(s.t, d.Finished(), "the source is too small to be interrupted")
		return d.Progress != nil && d.Progress.ChunksDone >= 3
	})
	return id
}

func (s *stack) many(library string, o bucket.Object) workflows.ProcessPatternsInput {
	in := s.input(library, o)
	in.ChunkBytes = o.Size/60 + 1
	return in
}

func TestStartControlAndDescribe(t *testing.T) {
	ctx := context.Background()
	s, all := newStack(t), messages(t)
	in := s.many("web", s.put(generate(all, 0, 60_000)))

	_, _, _, err := workflows.StartProcess(ctx, s.client, workflows.ProcessPatternsInput{Source: workflows.SourceRef{Inline: make([]byte, workflows.MaxInline+1)}})
	require.ErrorIs(t, err, workflows.ErrInlineTooLong)
	id := workflows.ProcessID(s.caller.WorkspaceID, "web", in.Source.SHA256)
	require.ErrorIs(t, workflows.Control(ctx, s.client, id, workflows.ActionPause), workflows.ErrNotFound)
	require.ErrorIs(t, workflows.Control(ctx, s.client, id, "stop"), workflows.ErrUnknownAction)
	_, err = workflows.Describe(ctx, s.client, id)
	require.ErrorIs(t, err, workflows.ErrNotFound)
	workspace, ok := workflows.WorkspaceOf(id)
	require.True(t, ok)
	require.Equal(t, s.caller.WorkspaceID, workspace)
	_, ok = workflows.WorkspaceOf("process/no-uuid/web")
	require.False(t, ok)

	got := s.start(in) // no worker yet
	require.Equal(t, id, got)
	d, err := workflows.Describe(ctx, s.client, id)
	require.NoError(t, err)
	require.Equal(t, activities.StateRunning, d.State)
	require.Nil(t, d.Progress)
	s.worker()
	eventually(t, "chunks are committed", func() bool {
		d, err := workflows.Describe(ctx, s.client, id)
		return err == nil && d.Progress != nil && d.Progress.ChunksDone >= 3
	})
	s.control(id, workflows.ActionPause)
	eventually(t, "the run is paused", func() bool {
		d, err := workflows.Describe(ctx, s.client, id)
		return err == nil && d.State == activities.StatePaused && d.Progress.ChunksRunning == 0
	})
	_, run, existed, err := workflows.StartProcess(ctx, s.client, in)
	require.NoError(t, err)
	require.True(t, existed)
	require.Equal(t, s.runID(id), run)
	began := time.Now()
	s.control(id, workflows.ActionCancel)
	d, err = workflows.Wait(ctx, s.client, id, 50*time.Millisecond, nil)
	require.NoError(t, err)
	require.Equal(t, activities.StateCancelled, d.State)
	t.Logf("cancelled in %s", time.Since(began))
	require.ErrorIs(t, workflows.Control(ctx, s.client, id, workflows.ActionCancel), workflows.ErrFinished)

	s.start(in) // anew
	reports := 0
	d, err = workflows.Wait(ctx, s.client, id, 20*time.Millisecond, func(workflows.Status) { reports++ })
	require.NoError(t, err)
	require.Equal(t, activities.StateCompleted, d.State)
	require.EqualValues(t, 60_000, d.Result.Lines)
	require.Positive(t, reports)
	require.Equal(t, s.oracle(bucket.Object{Key: in.Source.ObjectKey}), s.counts("web"))
	_, _, existed, err = workflows.StartProcess(ctx, s.client, in)
	require.NoError(t, err)
	require.True(t, existed)

	in.Caller.UserID = uuid.New()
	in.Library = "other"
	id = s.start(in)
	d, err = workflows.Wait(ctx, s.client, id, 50*time.Millisecond, nil)
	require.NoError(t, err)
	require.Equal(t, activities.StateFailed, d.State)
	require.Equal(t, activities.Denied, d.Failure.Type)
	require.Contains(t, d.Failure.Message, "role editor")
}

// A worker that is killed leaves chunks half done and workflow tasks unanswered. The other goes on, and nothing is
// counted twice.
func TestKilledWorkerIsReplaced(t *testing.T) {
	s, all := newStack(t), messages(t)
	dying, _ := s.worker(), s.worker()
	s.mine(s.input("warm", s.put(generate(all, 0, 1000))))
	o := s.put(generate(all, 0, 200_000))
	id := s.halfway(s.many("web", o))
	dying.kill()
	began := time.Now()
	s.mine(s.input("next", s.put(generate(all, 7, 1000))))
	t.Logf("next good answer after %s", time.Since(began))
	status, err := workflows.Wait(context.Background(), s.client, id, 50*time.Millisecond, nil)
	require.NoError(t, err)
	t.Logf("interrupted run complete after %s", time.Since(began))
	require.EqualValues(t, 200_000, status.Result.Lines)
	require.Equal(t, s.oracle(o), s.counts("web"))
}

// A worker that stands still sends no heartbeats, so its chunks go to the other; when it wakes up it finishes chunks
// that are counted already.
func TestStalledWorkerDoesNotCountTwice(t *testing.T) {
	s, all := newStack(t), messages(t)
	stalled, _ := s.worker(), s.worker()
	o := s.put(generate(all, 0, 200_000))
	id := s.halfway(s.many("web", o))
	require.NoError(t, stalled.cmd.Process.Signal(syscall.SIGSTOP))
	time.Sleep(6 * time.Second) // twice the heartbeat timeout; a transaction that it holds open blocks the library
	require.NoError(t, stalled.cmd.Process.Signal(syscall.SIGCONT))
	status, err := workflows.Wait(context.Background(), s.client, id, 50*time.Millisecond, nil)
	require.NoError(t, err)
	require.EqualValues(t, 200_000, status.Result.Lines)
	s.mine(s.input("after", s.put(generate(all, 7, 1000))))
	time.Sleep(500 * time.Millisecond) // the late commits come in
	require.Equal(t, s.oracle(o), s.counts("web"))
}

func TestKilledPostgresLosesNothing(t *testing.T) {
	s, all := newStack(t), messages(t)
	s.worker()
	o := s.put(generate(all, 0, 200_000))
	id := s.halfway(s.many("web", o))
	s.db.Kill(t)
	time.Sleep(300 * time.Millisecond)
	s.db.Restart(t)
	status, err := workflows.Wait(context.Background(), s.client, id, 50*time.Millisecond, nil)
	require.NoError(t, err)
	require.EqualValues(t, 200_000, status.Result.Lines)
	require.Equal(t, s.oracle(o), s.counts("web"))
}

func TestWorkerWaitsForTemporal(t *testing.T) {
	s, all := newStack(t), messages(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	later := *s.temporal
	later.Address = fmt.Sprintf("127.0.0.1:%d", port)
	s.temporal = &later
	s.worker()
	time.Sleep(time.Second)
	s.temporal, err = local.StartTemporal(context.Background(), local.TemporalOptions{
		DataDir: filepath.Join(s.folder, "later"), Bin: later.Bin, Headless: true, Port: port,
	})
	require.NoError(t, err)
	t.Cleanup(func() { s.temporal.Stop(context.Background()) }) //nolint:errcheck // the folder goes with it
	s.client = s.dial()
	_, took := s.mine(s.input("web", s.put(generate(all, 0, 1000))))
	require.Less(t, took, 10*time.Second)
}

func TestStoppedWorkerFinishesWhatItDoes(t *testing.T) {
	s, all := newStack(t), messages(t)
	first := s.worker()
	o := s.put(generate(all, 0, 200_000))
	id := s.halfway(s.many("web", o))
	began := time.Now()
	first.stop()
	require.True(t, first.cmd.ProcessState.Success(), "%s", first.cmd.ProcessState)
	require.Less(t, time.Since(began), 8*time.Second)
	s.worker()
	status, err := workflows.Wait(context.Background(), s.client, id, 50*time.Millisecond, nil)
	require.NoError(t, err)
	require.EqualValues(t, 200_000, status.Result.Lines)
	require.Equal(t, s.oracle(o), s.counts("web"))
}
