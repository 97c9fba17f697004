package local

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/zap"
)

// TestMain lets the test binary play the process that is killed: with TARTAN_LOCAL_ROLE set it starts what
// the role says, prints one line and stays until it is killed.
func TestMain(m *testing.M) {
	role := os.Getenv("TARTAN_LOCAL_ROLE")
	if role == "" {
		code := m.Run()
		if seed.dir != "" {
			_ = os.RemoveAll(seed.dir)
		}
		os.Exit(code)
	}
	if err := play(role, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}

func play(role, dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	switch role {
	case "postgres", "postgres-survives":
		pg, err := StartPostgres(ctx, PostgresOptions{DataDir: dir, Fsync: true, survives: role == "postgres-survives"})
		if err != nil {
			return err
		}
		fmt.Printf("%d %s\n", pg.PID, pg.URL)
	case "child":
		c, err := StartChild(ctx, ChildOptions{Name: "sleeper", DataDir: dir, Path: "/bin/sleep", Args: []string{"1000"}, Log: zap.NewNop()})
		if err != nil {
			return err
		}
		fmt.Printf("%d -\n", c.PID())
	case "temporal", "temporal-survives":
		srv, err := StartTemporal(ctx, TemporalOptions{DataDir: dir, HideSystem: true, survives: role == "temporal-survives"})
		if err != nil {
			return err
		}
		fmt.Printf("%d %s\n", srv.PID, srv.Address)
	}
	return nil
}
