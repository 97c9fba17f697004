package zap

type Logger struct{}

func L() *Logger { return nil }
