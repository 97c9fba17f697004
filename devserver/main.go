// Command tartan-temporal is a Temporal server with its web UI in one process, for one machine: its store
// is one SQLite file and it listens on loopback. It takes the flags of `temporal server start-dev` that
// Tartan uses, so that either program can be started by the same code.
//
// It is a Go module of its own because the server brings some 1,800 packages, which Tartan's module, its
// tests and its binary must not carry.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strings"
	"syscall"

	uiversion "github.com/temporalio/ui-server/v2/server/version"
	"go.temporal.io/server/common/headers"
	"go.temporal.io/server/common/log"
)

// settings are what the command line says.
type settings struct {
	ip, uiIP        string
	port, uiPort    int
	dbFile          string
	namespaces      []string
	pragmas         map[string]string
	dynamic         map[string]any
	headless        bool
	logLevel        string
	logFormat       string
	stopWithStdin   bool
	showVersionOnly bool
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tartan-temporal:", err)
		os.Exit(1)
	}
}

// run serves until it is told to stop by a signal or, if asked for, by the end of its standard input.
func run(args []string, stdin io.Reader, stdout io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	if s.showVersionOnly {
		_, err := fmt.Fprintf(stdout, "tartan-temporal (Server %s, UI %s)\n", headers.ServerVersion, uiversion.UIVersion)
		return err
	}
	logger := log.NewZapLogger(log.BuildZapLogger(log.Config{Level: s.logLevel, Format: s.logFormat}))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	if s.stopWithStdin {
		go func() {
			_, _ = io.Copy(io.Discard, stdin)
			stop <- os.Interrupt
		}()
	}
	return serve(s, logger, stop)
}

// parse reads the flags, which may follow the words "server start-dev".
func parse(args []string) (settings, error) {
	for _, word := range []string{"server", "start-dev"} {
		if len(args) > 0 && args[0] == word {
			args = args[1:]
		}
	}
	s := settings{pragmas: map[string]string{}, dynamic: map[string]any{}}
	f := flag.NewFlagSet("tartan-temporal", flag.ContinueOnError)
	f.StringVar(&s.ip, "ip", "127.0.0.1", "address of the frontend")
	f.IntVar(&s.port, "port", 7233, "port of the frontend")
	f.StringVar(&s.uiIP, "ui-ip", "", "address of the web UI (default: that of the frontend)")
	f.IntVar(&s.uiPort, "ui-port", 0, "port of the web UI (default: 1000 above that of the frontend)")
	f.BoolVar(&s.headless, "headless", false, "no web UI")
	f.StringVar(&s.dbFile, "db-filename", "", "SQLite file (default: in memory)")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&s.logFormat, "log-format", "json", "json or console")
	f.BoolVar(&s.stopWithStdin, "stop-with-stdin", false, "stop when the standard input ends")
	f.BoolVar(&s.showVersionOnly, "version", false, "print the versions and exit")
	f.Func("namespace", "namespace to make, may be given more than once (default is always made)", func(v string) error {
		s.namespaces = append(s.namespaces, v)
		return nil
	})
	f.Func("sqlite-pragma", "name=value, may be given more than once", func(v string) error {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return errors.New("want name=value")
		}
		s.pragmas[name] = value
		return nil
	})
	f.Func("dynamic-config-value", "key=JSON value, may be given more than once", func(v string) error {
		key, value, ok := strings.Cut(v, "=")
		if !ok {
			return errors.New("want key=value")
		}
		var decoded any
		if err := json.Unmarshal([]byte(value), &decoded); err != nil {
			return fmt.Errorf("value of %s: %w", key, err)
		}
		// JSON has one kind of number, and the server drops a float where it wants an int, without a word.
		if f, ok := decoded.(float64); ok && f == math.Trunc(f) {
			decoded = int(f)
		}
		s.dynamic[key] = decoded
		return nil
	})
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	if s.uiIP == "" {
		s.uiIP = s.ip
	}
	if s.uiPort == 0 {
		s.uiPort = s.port + 1000
	}
	s.namespaces = append([]string{"default"}, s.namespaces...)
	return s, nil
}
