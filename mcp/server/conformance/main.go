// Command conformance serves the tools, prompts and resources that the official MCP conformance suite calls, behind the layers of
// the real server. Tokens are not asked for, since the suite has none, and so it answers on loopback only. It has no database:
// Tartan's own tools are listed, and say so when called. deploy/conformance/run.sh starts it.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/tartan-ai/tartan/mcp/server"
)

func main() {
	address := flag.String("http", "127.0.0.1:0", "loopback address to listen on")
	flag.Parse()
	if err := run(*address); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := server.New(server.Config{Fixtures: &server.Fixtures{
		Requires: map[string]string{"test_missing_capability": "sampling"},
		Serves: func(uri string) bool {
			_, fixed := resources[uri]
			return fixed || strings.HasPrefix(uri, templatePrefix)
		},
		Mount: func(m *mcpserver.MCPServer) {
			m.EnableSampling()
			mountTools(m)
			mountConversations(m)
			mountInputRequests(m)
			mountResources(m)
			mountPrompts(m)
		},
	}})
	if err != nil {
		return err
	}
	defer s.Close()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "http://%s%s\n", listener.Addr(), server.Path)
	return s.Serve(ctx, listener)
}
