package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/tartan-ai/tartan/internal/local"
)

// processes lists what the local stack consists of, this process first.
func processes(s local.State) []procView {
	list := []procView{{Name: "up", PID: s.PID}}
	for name, pid := range s.PIDs {
		list = append(list, procView{Name: name, PID: pid})
	}
	slices.SortFunc(list[1:], func(x, y procView) int { return strings.Compare(x.Name, y.Name) })
	for i := range list {
		p := &list[i]
		p.Alive = p.PID > 0 && alive(p.PID)
		if p.Alive {
			p.RSS = rss(p.PID)
		}
	}
	return list
}

// alive reports whether a process exists, also one of another user.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// rss is the resident memory of a process in bytes, 0 where it cannot be read.
func rss(pid int) int64 {
	if runtime.GOOS == "linux" {
		raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
		if err != nil {
			return 0
		}
		fields := bytes.Fields(raw)
		if len(fields) < 2 {
			return 0
		}
		pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
		return pages * int64(os.Getpagesize())
	}
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0
	}
	kib, _ := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	return kib << 10
}
