package access

import (
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
)

func All(w *os.File) time.Time {
	_ = zap.L()             // want "hidden globals"
	fmt.Println("x")        // want "only commands print"
	fmt.Fprintln(w, "fine") // a given writer is no stdout
	_ = os.Getenv("X")      // want "only starter reads the environment"
	return time.Now()       // want "a room is told the time"
}
