package activities

import (
	"context"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
)

// beatEvery is how often an activity says that it lives. It does so by the clock and not by what it has done, because
// one step may take long: a row lock that another holds, or a fold of very many shapes. The SDK sends fewer.
const beatEvery = 500 * time.Millisecond

// progress counts the bytes done, for the heartbeat's details.
type progress struct{ bytes atomic.Int64 }

// beating records heartbeats until stop is called. A local activity has none.
func (p *progress) beating(ctx context.Context) (stop func()) {
	if activity.GetInfo(ctx).IsLocalActivity {
		return func() {}
	}
	return beats(ctx, func() { activity.RecordHeartbeat(ctx, p.bytes.Load()) })
}

// beats calls beat by the clock until stop is called.
func beats(ctx context.Context, beat func()) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
				beat()
			}
		}
	}()
	return func() {
		close(done)
		<-ended // a heartbeat that arrives after the result is an error in the log
	}
}
