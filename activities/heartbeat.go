package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
)

// beatEvery is how often an activity that cannot count its progress says that it lives. The SDK sends fewer.
const beatEvery = 500 * time.Millisecond

// beating records heartbeats until stop is called: for work that waits on others, such as a row lock.
func beating(ctx context.Context) (stop func()) {
	if activity.GetInfo(ctx).IsLocalActivity {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
				activity.RecordHeartbeat(ctx)
			}
		}
	}()
	return func() { close(done) }
}

// beat records progress in bytes; a local activity has no heartbeat.
func beat(ctx context.Context, bytes int64) {
	if !activity.GetInfo(ctx).IsLocalActivity {
		activity.RecordHeartbeat(ctx, bytes)
	}
}
