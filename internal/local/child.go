package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// How soon a child that ended is started again: at once after it ran for a while, then ever later, so that
// one that cannot work does not use up a processor.
const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
	ranWell      = time.Second // one that cannot work ends sooner; one that was killed, and again, must be back within a second
)

// childStop is how a child is stopped: it may finish what it is doing.
var childStop = []step{{syscall.SIGTERM, 10 * time.Second}}

// ChildOptions says what to run. Name, Path and DataDir are needed.
type ChildOptions struct {
	// Name of the child: its log is logs/<name>.log in the data folder.
	Name    string
	DataDir string
	Path    string
	Args    []string
	Env     []string
	Log     *zap.Logger
	// OnStart is called with the process id after each start, from one goroutine.
	OnStart func(pid int)
}

// Child is a process that is started again whenever it ends, until it is stopped. It dies with this process:
// on Linux the system kills it; elsewhere its standard input ends, which StopWithInput tells it.
type Child struct {
	o       ChildOptions
	logFile *os.File
	rotate  func()
	quit    chan struct{}
	done    chan struct{}
	once    sync.Once

	mu       sync.Mutex
	proc     *process
	restarts int
	stopErr  error
}

// StartChild starts a child and supervises it. The error is of the first start only; from then on a child
// that ends, or cannot be started again, is tried again with growing pauses.
func StartChild(ctx context.Context, o ChildOptions) (*Child, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	logFile, rotate, err := openLog(LogPath(o.DataDir, o.Name))
	if err != nil {
		return nil, err
	}
	c := &Child{o: o, logFile: logFile, rotate: rotate, quit: make(chan struct{}), done: make(chan struct{})}
	p, err := c.launch()
	if err != nil {
		rotate()
		logFile.Close()
		return nil, err
	}
	go c.supervise(p)
	return c, nil
}

func (c *Child) launch() (*process, error) {
	p, err := start(spec{
		name: c.o.Name, path: c.o.Path, args: c.o.Args, env: c.o.Env, out: c.logFile, stdin: true,
		// Nothing a child has promised is only in its memory, and its servers end with this process too.
		onParentDeath: syscall.SIGKILL,
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.proc = p
	c.mu.Unlock()
	if c.o.OnStart != nil {
		c.o.OnStart(p.pid)
	}
	return p, nil
}

// supervise waits for the child to end and starts it again.
func (c *Child) supervise(p *process) {
	defer close(c.done)
	begun, backoff := time.Now(), time.Duration(0)
	for {
		select {
		case <-p.done:
		case <-c.quit:
			return
		}
		if time.Since(begun) >= ranWell {
			backoff = 0
		}
		c.o.Log.Warn("child ended, starting it again", zap.Int("pid", p.pid), zap.Error(orExit0(p.err)), zap.Duration("pause", backoff))
		for {
			select {
			case <-c.quit:
				return
			case <-time.After(backoff):
			}
			backoff = min(max(2*backoff, firstBackoff), maxBackoff)
			begun = time.Now()
			next, err := c.launch()
			if err == nil {
				p = next
				c.mu.Lock()
				c.restarts++
				c.mu.Unlock()
				break
			}
			c.o.Log.Error("start child again", zap.Error(err))
		}
	}
}

// PID is the process id of the child as it runs now.
func (c *Child) PID() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.proc.pid
}

// Restarts is how often the child was started again.
func (c *Child) Restarts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.restarts
}

// Name is the child's name.
func (c *Child) Name() string { return c.o.Name }

// Stop ends the child for good: it may take 10 s to finish, then it is killed, and with it whatever it started.
// A context that ends makes it kill at once. It is safe to call twice.
func (c *Child) Stop(ctx context.Context) error {
	c.once.Do(func() {
		close(c.quit)
		<-c.done
		c.mu.Lock()
		p := c.proc
		c.mu.Unlock()
		c.stopErr = p.stop(ctx, childStop)
		c.rotate()
		c.logFile.Close()
	})
	return c.stopErr
}

// StopWithInput calls stop when the input ends, which for the standard input of a Child is when its parent has
// died. It is for systems that do not signal children of a dead process.
func StopWithInput(stdin io.Reader, stop func()) {
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		stop()
	}()
}

// String names the child in messages.
func (c *Child) String() string { return fmt.Sprintf("%s (process %d)", c.o.Name, c.PID()) }
