// Package temporal holds the dynamic configuration of Temporal servers run by Tartan, so that the local
// stack and docker-compose.yml read the same file. It holds nothing else.
package temporal

import _ "embed"

// DynamicConfig is dynamicconfig.yaml in the server's own format: key, then a list of values.
//
//go:embed dynamicconfig.yaml
var DynamicConfig []byte
