package local

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
)

// server is what a running Postgres and a running Temporal have in common.
type server struct {
	name    string
	stopBy  []step
	proc    *process
	log     *zap.Logger
	release func()
	rotate  func()
	ended   chan struct{} // closed when the process is gone and the folder free
}

// Done is closed when the server has ended, whoever ended it: from then on the next one can be started.
func (s *server) Done() <-chan struct{} { return s.ended }

// Err is why the server ended; nil after a clean stop or while it runs.
func (s *server) Err() error {
	if !s.proc.exited() {
		return nil
	}
	return s.proc.err
}

// Stop ends the server: cleanly within about 10 s, else ever less so. A context that ends makes it kill at once; what
// the server acknowledged survives in each case. It is safe to call twice.
func (s *server) Stop(ctx context.Context) error {
	err := s.proc.stop(ctx, s.stopBy)
	if s.proc.exited() {
		<-s.ended
	}
	if err != nil {
		s.log.Warn(s.name+" stopped by force", zap.Error(err))
		return err
	}
	s.log.Info(s.name + " stopped")
	return nil
}

// abandon stops a server that did not become ready and says what its log says of it.
func (s *server) abandon(ctx context.Context, why error, logFile *os.File, from int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	_ = s.proc.stop(ctx, s.stopBy)
	if tail := logTail(logFile.Name(), from); tail != "" {
		return fmt.Errorf("start %s: %w; its log ends with:\n%s", s.name, why, tail)
	}
	return fmt.Errorf("start %s: %w; its log is %s", s.name, why, logFile.Name())
}

// cleanUp lets go of the log file and of the folder.
func (s *server) cleanUp() {
	if s.rotate != nil {
		s.rotate()
	}
	if s.release != nil {
		s.release()
	}
}
