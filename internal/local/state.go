package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// State says what runs in a data folder and where. `tartan up` writes it as stack.json for every other command.
// It holds the database's password, so only its owner may read it.
type State struct {
	// PID is the process that runs the stack; PIDs are its children by name: postgres, temporal, worker, mcp.
	PID  int            `json:"pid"`
	PIDs map[string]int `json:"pids,omitempty"`

	DatabaseURL     string `json:"database_url"`
	TemporalAddress string `json:"temporal_address"`
	TemporalUIURL   string `json:"temporal_ui_url,omitempty"`
	MCPURL          string `json:"mcp_url,omitempty"`
	BucketURL       string `json:"bucket_url"`

	StartedAt time.Time `json:"started_at"`
	// Ready is set when the worker polls and the MCP server answers.
	Ready bool `json:"ready"`

	dataDir string
}

// WriteState replaces the state of a data folder in one step.
func WriteState(dataDir string, s State) error {
	body, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	if err := writeFile(filepath.Join(dataDir, stateFile), append(body, '\n'), 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// ReadState reads the state of a data folder; the error is fs.ErrNotExist when no stack was started in it, or
// the last one was stopped. After a kill the state is still there: ask Alive.
func ReadState(dataDir string) (State, error) {
	body, err := os.ReadFile(filepath.Join(dataDir, stateFile))
	if err != nil {
		return State{}, fmt.Errorf("read state: %w", err)
	}
	s := State{dataDir: dataDir}
	if err := json.Unmarshal(body, &s); err != nil {
		return State{}, fmt.Errorf("read state %s: %w", filepath.Join(dataDir, stateFile), err)
	}
	return s, nil
}

// RemoveState removes the state of a data folder, if there is one.
func RemoveState(dataDir string) error {
	if err := os.Remove(filepath.Join(dataDir, stateFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove state: %w", err)
	}
	return nil
}

// Alive reports whether the process that wrote the state still runs the stack. The process id alone would
// not do, because the system gives it to another program some day; that process also holds the folder's lock.
func (s State) Alive() bool {
	if !alive(s.PID) {
		return false
	}
	if s.dataDir == "" {
		return true
	}
	f, err := os.Open(filepath.Join(s.dataDir, lockFile))
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
