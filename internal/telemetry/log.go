// Package telemetry makes the loggers. In comes where to write and how much, out comes a zap logger whose times are ISO
// 8601 in UTC and whose keys are those of keys.go. It never writes to stdout, which belongs to data and to MCP.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"go.temporal.io/sdk/log"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
)

// Options say what a logger writes.
type Options struct {
	Level   string // debug, info, warn or error
	Console bool   // for a person at a terminal; otherwise one JSON object a line
}

// New returns a logger that writes to w. The error names an unknown level.
func New(w io.Writer, o Options) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(o.Level)
	if err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", o.Level)
	}
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey, enc.MessageKey = "time", "message"
	enc.EncodeTime = func(t time.Time, e zapcore.PrimitiveArrayEncoder) {
		e.AppendString(t.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	encoder := zapcore.NewJSONEncoder(enc)
	if o.Console {
		enc.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(enc)
	}
	core := zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level)
	return zap.New(core), nil
}

// Temporal bridges a logger to the Temporal SDK.
func Temporal(l *zap.Logger) log.Logger {
	return log.NewStructuredLogger(slog.New(zapslog.NewHandler(l.Core(), zapslog.WithName(l.Name()))))
}
