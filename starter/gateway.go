package main

import (
	"context"
	"net"
	"os"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tartan-ai/tartan/internal/feed"
	"github.com/tartan-ai/tartan/internal/gateway"
	"github.com/tartan-ai/tartan/internal/provider"
	"github.com/tartan-ai/tartan/internal/telemetry"
)

// gatewayMemory is the soft memory limit of the gateway, in MiB.
const gatewayMemory = 64

// registry reads TARTAN_MODELS; without it, only the built-in table of vectors is there.
func (a *app) registry() (*provider.Registry, error) {
	var c provider.Config
	if path := a.cfg.Models; path != "" {
		text, err := os.ReadFile(path)
		if err == nil {
			c, err = provider.ParseConfig(string(text))
		}
		if err != nil {
			return nil, &failure{code: codeUsage, what: "models of " + path, why: err, next: "see docs/models.md"}
		}
	}
	return provider.NewRegistry(c, func(ref string) (string, error) { return a.secret("TARTAN_MODELS", ref) })
}

func (a *app) gatewayCommand() *cobra.Command {
	var child bool
	c := &cobra.Command{
		Use:   "gateway",
		Short: "Run the gateway for OpenAI clients",
		Long: "Run the gateway: /v1/chat/completions, /v1/embeddings and /v1/models, for any client of the OpenAI dialect.\n" +
			"The API key is a token of Tartan (see tartan token), the model is \"auto\" or one that /v1/models lists.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			limitMemory(gatewayMemory)
			return a.serveGateway(a.withInput(c.Context(), child))
		},
	}
	a.setting(c, "models", "TARTAN_MODELS", false)
	a.setting(c, "address", "TARTAN_GATEWAY_ADDR", false)
	stopWithInput(c, &child)
	return c
}

func (a *app) serveGateway(ctx context.Context) error {
	pool, err := a.database(ctx)
	if err != nil {
		return err
	}
	libraries := feed.NewLibraries(pool, a.log.Named("feed"))
	engine, err := a.modelEngine(ctx, pool, libraries)
	if err != nil {
		return err
	}
	g, err := gateway.New(gateway.Config{
		Pool: pool, Engine: engine, Models: engine.Registry.Models, Keys: a.keys(), Expect: a.expect(), Log: a.log,
	})
	if err != nil {
		return &failure{code: codeUsage, what: "settings of the gateway", why: err, next: "set TARTAN_JWKS_URL, TARTAN_JWT_ISSUER and TARTAN_JWT_AUDIENCE, or start the local stack: tartan up"}
	}
	listener, err := net.Listen("tcp", a.cfg.GatewayAddr)
	if err != nil {
		return &failure{code: codeUnavailable, what: "listen on " + a.cfg.GatewayAddr, why: err, next: "choose another address with --address, or port 0 for a free one"}
	}
	a.log.Info("gateway listening", zap.String(telemetry.KeyAddress, listener.Addr().String()))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ended(ctx, libraries.Run(ctx)) })
	group.Go(func() error { return ended(ctx, g.Serve(ctx, listener)) })
	return group.Wait()
}
