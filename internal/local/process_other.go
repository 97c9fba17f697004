//go:build !linux

package local

import "syscall"

const (
	canPassFolder = false
	hasSyncfs     = false
)

// setParentDeath does nothing: only Linux signals a child when its parent dies. Tartan's own children
// notice by their standard input, and Postgres left behind is stopped at the next start.
func setParentDeath(*syscall.SysProcAttr, syscall.Signal) {}

func processesIn(string) (pids []int, known bool) { return nil, false }
