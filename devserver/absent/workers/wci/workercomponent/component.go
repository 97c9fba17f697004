// Package workercomponent stands in for the server's own worker that starts workers: it adds none.
package workercomponent

import "go.uber.org/fx"

// Module is empty.
var Module = fx.Options()
