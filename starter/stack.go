package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tartan-ai/tartan/internal/local"
)

// stackView is the local stack in JSON.
type stackView struct {
	Running       bool       `json:"running"`
	DataDir       string     `json:"data_dir"`
	PID           int        `json:"pid,omitempty"`
	MCPURL        string     `json:"mcp_url,omitempty"`
	TemporalUIURL string     `json:"temporal_ui_url,omitempty"`
	Temporal      string     `json:"temporal_address,omitempty"`
	DatabaseURL   string     `json:"database_url,omitempty"` // without the password
	BucketURL     string     `json:"bucket_url,omitempty"`
	StartedAt     *time.Time `json:"started_at,omitempty"`
	Processes     []procView `json:"processes,omitempty"`
}

type procView struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Alive bool   `json:"alive"`
	RSS   int64  `json:"rss_bytes,omitempty"`
}

func (a *app) stackView(s local.State) stackView {
	v := stackView{Running: s.Alive(), DataDir: a.cfg.DataDir}
	if !v.Running {
		return v
	}
	v.PID, v.MCPURL, v.TemporalUIURL, v.Temporal, v.BucketURL = s.PID, s.MCPURL, s.TemporalUIURL, s.TemporalAddress, s.BucketURL
	v.StartedAt = instant(s.StartedAt)
	for _, f := range a.cfg.Fields() {
		if f.Env == "TARTAN_DATABASE_URL" {
			v.DatabaseURL = f.Value
		}
	}
	v.Processes = processes(s)
	return v
}

// printStack says where everything is.
func (a *app) printStack(s local.State) error {
	v := a.stackView(s)
	if a.json() {
		return a.printJSON(v)
	}
	rows := [][]string{
		{"Temporal web UI", v.TemporalUIURL},
		{"MCP", v.MCPURL + "  (token: tartan token)"},
		{"Postgres", v.DatabaseURL},
		{"data", v.DataDir},
	}
	if err := a.table(rows); err != nil {
		return err
	}
	a.say("stop with: tartan down%s", a.here())
	return nil
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say whether the local stack runs, and where",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := a.stackView(a.stack)
			if a.json() {
				return a.printJSON(v)
			}
			if !v.Running {
				return &failure{code: codeUnavailable, what: "no local stack runs in " + a.cfg.DataDir, next: "tartan up"}
			}
			rows := [][]string{{"PROCESS", "PID", "STATE", "MEMORY"}}
			for _, p := range v.Processes {
				state := "gone"
				if p.Alive {
					state = "runs"
				}
				rows = append(rows, []string{p.Name, fmt.Sprint(p.PID), state, size(p.RSS)})
			}
			if err := a.table(rows); err != nil {
				return err
			}
			fmt.Fprintln(a.out)
			return a.table([][]string{
				{"Temporal web UI", v.TemporalUIURL},
				{"MCP", v.MCPURL},
				{"Postgres", v.DatabaseURL},
				{"objects", v.BucketURL},
				{"data", v.DataDir},
				{"since", shown(a.stack.StartedAt)},
			})
		},
	}
}

func (a *app) downCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop the local stack of the data folder",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !a.stack.Alive() {
				a.say("no local stack runs in %s", a.cfg.DataDir)
				return nil
			}
			pid := a.stack.PID
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stop process %d: %w", pid, err)
			}
			deadline := time.Now().Add(stopTimeout + 5*time.Second)
			for syscall.Kill(pid, 0) == nil && a.stack.Alive() {
				if time.Now().After(deadline) {
					return &failure{code: codeFailure, what: fmt.Sprintf("process %d has not stopped in %s", pid, stopTimeout), next: fmt.Sprintf("kill -KILL %d", pid)}
				}
				select {
				case <-c.Context().Done():
					return c.Context().Err()
				case <-time.After(50 * time.Millisecond):
				}
			}
			a.say("stopped")
			return nil
		},
	}
}

// detach starts `tartan up` in the background with the same arguments and waits until it is ready.
func (a *app) detach(ctx context.Context, o upOptions) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if a.stack.Alive() {
		return a.printStack(a.stack)
	}
	path := local.LogPath(a.cfg.DataDir, "detached")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, o.arguments(a.cfg.DataDir)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	for {
		select {
		case <-ctx.Done():
			return &failure{code: codeFailure, what: "detached before the stack was ready", next: "tartan status"}
		case err := <-gone:
			text, _ := os.ReadFile(log.Name())
			fmt.Fprint(a.err, string(text))
			return &failure{code: codeFailure, what: "start the local stack in the background", why: err, next: "tartan doctor"}
		case <-time.After(100 * time.Millisecond):
			s, err := local.ReadState(a.cfg.DataDir)
			if err != nil || !s.Alive() || s.PID != cmd.Process.Pid || !s.Ready {
				continue
			}
			if err := a.configure(); err != nil {
				return err
			}
			return a.printStack(s)
		}
	}
}
