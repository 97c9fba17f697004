package config

import (
	"fmt"
	"strings"
)

// Example is the text of .env.example: every setting with its meaning, unit and default, commented out.
func Example() string {
	var b strings.Builder
	b.WriteString("# Everything that can be set, with its default. Flags win over these; where neither is set, the running local\n")
	b.WriteString("# stack (tartan up) answers. Temporal is reached through TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY\n")
	b.WriteString("# and the rest of the Temporal SDK's own settings.\n")
	c := Config{}
	for _, f := range c.Fields() {
		fmt.Fprintf(&b, "\n# %s (%s)\n# %s=%s\n", f.Doc, f.Unit, f.Env, f.Default)
	}
	return b.String()
}
