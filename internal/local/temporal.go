package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// Namespace is the Temporal namespace of the local stack.
const Namespace = "default"

// temporalStop is how the server is stopped; its store survives SIGKILL.
var temporalStop = []step{{syscall.SIGTERM, 8 * time.Second}}

// TemporalOptions says how to run the Temporal server. Only DataDir is needed.
type TemporalOptions struct {
	DataDir string
	// Bin is the program to run: the temporal CLI or a server built by Tartan. Empty looks for the CLI on PATH,
	// then in the cache, and builds the server when there is neither.
	Bin string
	// Port of the frontend and UIPort of the web UI, on 127.0.0.1; 0 takes a free one.
	Port, UIPort int
	// Headless leaves the web UI out.
	Headless bool
	// Retention is how long closed workflows are kept; 0 is 72 h, and the server takes 1 h at least.
	Retention time.Duration
	// CacheDir keeps the built server; empty is the folder tartan in the user's cache folder.
	CacheDir string
	Log      *zap.Logger
	// Progress is told what takes long, in words for people; nil drops it.
	Progress func(string)
	// HideSystem does not look for the CLI.
	HideSystem bool

	survives bool // the server outlives this process, as it does on systems without a parent-death signal
}

// Temporal is a running server.
type Temporal struct {
	// Address of the frontend and UIURL of the web UI, empty without one.
	Address string
	UIURL   string
	// Bin is the program that runs, Version that of the server in it, and File its store.
	Bin, Version, File string
	PID                int
	// Ready is how long the start took.
	Ready time.Duration

	server
}

// StartTemporal starts the Temporal server of a data folder and returns when its namespace can be used. It
// builds the server first where there is none, which takes minutes; Progress says so. A server left behind
// by a killed process is stopped first. It returns ErrInUse when another live process runs it and a
// *PortTakenError when a port is not free.
func StartTemporal(ctx context.Context, o TemporalOptions) (*Temporal, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Retention == 0 {
		o.Retention = 72 * time.Hour
	}
	dataDir, err := absolute(o.DataDir)
	if err != nil {
		return nil, err
	}
	if err := makeDataDir(dataDir); err != nil {
		return nil, err
	}
	release, err := lockPath(filepath.Join(dataDir, temporalLockFile), "tartan")
	if err != nil {
		return nil, err
	}
	t := &Temporal{server: server{name: "temporal", stopBy: temporalStop, log: o.Log, release: release}}
	if err := t.start(ctx, o, dataDir); err != nil {
		t.cleanUp()
		return nil, err
	}
	t.ended = make(chan struct{})
	go t.follow()
	o.Log.Info("temporal started", zap.String("version", t.Version), zap.String("address", t.Address), zap.String("ui", t.UIURL),
		zap.Int("pid", t.PID), zap.Int64("duration_ms", t.Ready.Milliseconds()))
	return t, nil
}

func (t *Temporal) start(ctx context.Context, o TemporalOptions, dataDir string) error {
	bin, err := findTemporal(ctx, o)
	if err != nil {
		return err
	}
	t.Bin, t.Version = bin.path, bin.server
	begun := time.Now()
	folder := filepath.Join(dataDir, temporalFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make temporal folder: %w", err)
	}
	// The server does not migrate the store of another minor version, so each has a file of its own.
	t.File = filepath.Join(folder, "temporal-"+minorOf(bin.server)+".db")
	if err := stopTemporalOrphan(ctx, folder, o); err != nil {
		return err
	}
	logFile, stopRotating, err := openLog(LogPath(dataDir, "temporal"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	t.rotate = stopRotating
	for try := 1; ; try++ {
		ports, err := choosePorts(portWish{"Temporal", o.Port}, portWish{"Temporal's web UI", o.UIPort})
		if err != nil {
			return err
		}
		err = t.launch(ctx, o, bin, ports, logFile)
		if err == nil {
			t.Ready = time.Since(begun)
			return nil
		}
		if try == 3 || (o.Port != 0 && o.UIPort != 0) || ctx.Err() != nil || !portLost(err) {
			return err
		}
	}
}

// launch runs the server and waits until its namespace can be used.
func (t *Temporal) launch(ctx context.Context, o TemporalOptions, bin temporalBinary, ports []int, logFile *os.File) error {
	from, err := logFile.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("read temporal log: %w", err)
	}
	bin.own = bin.own && !o.survives
	args, err := temporalArgs(bin, t.File, ports, o.Headless)
	if err != nil {
		return err
	}
	how := spec{
		name: "temporal", path: bin.path, args: args, dir: filepath.Dir(t.File),
		// Its store survives SIGKILL, and the next start need not wait for a slow end.
		out: logFile, stdin: bin.own, onParentDeath: syscall.SIGKILL,
	}
	if o.survives {
		how.onParentDeath = 0
	}
	t.proc, err = start(how)
	if err != nil {
		return err
	}
	t.PID = t.proc.pid
	t.Address = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	if !o.Headless {
		t.UIURL = "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[1]))
	}
	err = rememberPID(filepath.Dir(t.File), t.PID)
	if err == nil {
		err = waitTemporal(ctx, t.proc, t.Address, o.Retention)
	}
	if err == nil {
		return nil
	}
	return t.abandon(ctx, err, logFile, from)
}

// follow frees the folder once the server has ended, whoever ended it.
func (t *Temporal) follow() {
	<-t.proc.done
	forgetPID(filepath.Dir(t.File))
	t.cleanUp()
	close(t.ended)
}

// portWish is a port for something; 0 is any.
type portWish struct {
	what string
	port int
}

// choosePorts chooses ports of 127.0.0.1, all held until the last is chosen so that they differ.
func choosePorts(wishes ...portWish) ([]int, error) {
	ports := make([]int, len(wishes))
	for i, w := range wishes {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(w.port)))
		if err != nil {
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, &PortTakenError{What: w.what, Port: w.port}
			}
			return nil, fmt.Errorf("listen on port %d for %s: %w", w.port, w.what, err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
