package local

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// pgStop is how Postgres is stopped. SIGINT ends sessions and writes a checkpoint; during crash recovery it
// has been seen to hang for good, so SIGQUIT follows, which leaves the log to be replayed and loses nothing.
var pgStop = []step{{syscall.SIGINT, 10 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}}

// PostgresOptions says how to run Postgres. Only DataDir is needed.
type PostgresOptions struct {
	DataDir string
	// BinDir holds initdb and postgres; empty looks for installed ones and downloads them where there are none.
	BinDir string
	// Port on 127.0.0.1; 0 takes a free one.
	Port int
	// Fsync makes acknowledged writes survive a crash of the machine. Off is for tests: faster, and still
	// safe when only processes are killed.
	Fsync bool
	Log   *zap.Logger
	// Progress is told what takes long, in words for people; nil drops it.
	Progress func(string)
	// HideSystem skips installed binaries, so that the downloaded ones are used.
	HideSystem bool
	// MavenURL replaces the address of Maven Central.
	MavenURL string
	// UnpackDir keeps downloaded binaries; empty is a folder in DataDir.
	UnpackDir string
	// Settings are further server settings; they win over Tartan's own.
	Settings map[string]string

	survives bool // the server outlives this process, as it does on systems without a parent-death signal
}

// Postgres is a running server.
type Postgres struct {
	// URL connects as the superuser over TCP; it holds the password.
	URL string
	// SocketDir is where the server's Unix socket is.
	SocketDir string
	// DataDir is the server's own data folder.
	DataDir string
	Version string
	Port    int
	PID     int
	// Ready is how long the start took, and Recovered whether the server had to recover from a crash.
	Ready time.Duration

	server
	folder *os.File
}

// StartPostgres starts the server of a data folder, making it at the first start, and returns when it
// answers. A server left behind by a killed process is stopped first. It returns ErrInUse when another
// live process runs it and a *PortTakenError when the port is not free.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	begun := time.Now()
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	dataDir, err := absolute(o.DataDir)
	if err != nil {
		return nil, err
	}
	if err := makeDataDir(dataDir); err != nil {
		return nil, err
	}
	release, err := lockPath(filepath.Join(dataDir, pgLockFile), "tartan")
	if err != nil {
		return nil, err
	}
	p := &Postgres{server: server{name: "postgres", stopBy: pgStop, log: o.Log, release: release}}
	if err := p.start(ctx, o, dataDir); err != nil {
		if p.SocketDir != "" {
			_ = os.RemoveAll(p.SocketDir)
		}
		p.cleanUp()
		return nil, err
	}
	p.Ready, p.ended = time.Since(begun), make(chan struct{})
	go p.follow()
	o.Log.Info("postgres started", zap.String("version", p.Version), zap.Int("port", p.Port), zap.Int("pid", p.PID),
		zap.Int64("duration_ms", p.Ready.Milliseconds()))
	return p, nil
}

// start does the work of StartPostgres; what it opened is closed by cleanUp when it fails.
func (p *Postgres) start(ctx context.Context, o PostgresOptions, dataDir string) error {
	cl := cluster{parent: filepath.Join(dataDir, pgFolder), log: o.Log, progress: o.Progress}
	var err error
	if cl.user, err = postgresUser(cl.data(), o.Progress); err != nil {
		return err
	}
	if err := cl.prepare(); err != nil {
		return err
	}
	p.folder, p.DataDir = cl.folder, cl.data()
	if err := cl.stopOrphan(ctx); err != nil {
		return err
	}
	want, err := cl.major()
	if err != nil {
		return err
	}
	if cl.bin, err = choosePostgres(ctx, o, dataDir, want, cl.user); err != nil {
		return err
	}
	p.Version = cl.bin.full
	password, err := readPassword(filepath.Join(dataDir, passwordFile), want != 0)
	if err != nil {
		return err
	}
	if want == 0 {
		if err := cl.create(ctx, password, o.Fsync); err != nil {
			return err
		}
	}
	if p.SocketDir, err = socketDir(dataDir, cl.user); err != nil {
		return err
	}
	logFile, stopRotating, err := openLog(LogPath(dataDir, "postgres"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	p.rotate = stopRotating
	// A free port can be taken by another program between choosing and using it.
	for try := 1; ; try++ {
		ports, err := choosePorts(portWish{"Postgres", o.Port})
		if err != nil {
			return err
		}
		p.Port = ports[0]
		p.URL = databaseURL(password, p.Port)
		err = p.launch(ctx, &cl, o, logFile)
		if err == nil {
			return nil
		}
		if try == 3 || o.Port != 0 || ctx.Err() != nil || !portLost(err) {
			return err
		}
	}
}

func databaseURL(password string, port int) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/postgres", RawQuery: "sslmode=disable",
	}
	return u.String()
}

// launch runs the server and waits until it answers.
func (p *Postgres) launch(ctx context.Context, cl *cluster, o PostgresOptions, logFile *os.File) error {
	from, err := logFile.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("read postgres log: %w", err)
	}
	onParentDeath := syscall.SIGINT
	if o.survives {
		onParentDeath = 0
	}
	begun := time.Now()
	p.proc, err = start(spec{
		name: "postgres", path: filepath.Join(cl.bin.dir, "postgres"),
		args: append([]string{"-D", cl.seen("data")}, serverSettings(p.Port, p.SocketDir, o)...),
		env:  pgEnv(), dir: "/", user: cl.user, out: logFile, files: cl.files(), onParentDeath: onParentDeath,
	})
	if err != nil {
		return err
	}
	p.PID = p.proc.pid
	err = cl.waitReady(ctx, p.proc, p.URL, begun)
	if err == nil {
		return nil
	}
	return p.abandon(ctx, err, logFile, from)
}

// follow frees the folder once the server has ended, whoever ended it: from the moment that Done says so
// the next one can be started.
func (p *Postgres) follow() {
	<-p.proc.done
	endBackends(context.Background(), p.DataDir)
	_ = os.RemoveAll(p.SocketDir) // a killed server leaves its socket, and the folder may be in /tmp
	p.cleanUp()
	close(p.ended)
}

func (p *Postgres) cleanUp() {
	if p.folder != nil {
		p.folder.Close()
	}
	p.server.cleanUp()
}

// PortTakenError says that a port that was asked for is in use.
type PortTakenError struct {
	What string
	Port int
}

// Error names the port and what to do.
func (e *PortTakenError) Error() string {
	return fmt.Sprintf("port %d for %s is already in use: stop what uses it, choose another port, or give 0 to take a free one", e.Port, e.What)
}
