package config

import (
	"fmt"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
)

// Temporal returns how to reach Temporal: TEMPORAL_* and the profile file as the SDK's envconfig reads them, and the
// address of the local stack where neither names one. stackAddress may be empty. lookup and environ are os.LookupEnv
// and os.Environ.
func Temporal(lookup func(string) (string, bool), environ func() []string, stackAddress string) (client.Options, error) {
	opts, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: env{lookup, environ}})
	if err != nil {
		return opts, fmt.Errorf("read the TEMPORAL_* settings: %w", err)
	}
	if opts.HostPort == "" {
		opts.HostPort = stackAddress
		// Over loopback compression only costs: a third of a worker's time for a small source.
		opts.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	}
	return opts, nil
}

type env struct {
	lookup  func(string) (string, bool)
	environ func() []string
}

func (e env) LookupEnv(key string) (string, bool) { return e.lookup(key) }
func (e env) Environ() []string                   { return e.environ() }
