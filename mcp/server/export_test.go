package server

// OnEntered calls fn whenever a handler is about to start.
func (s *Server) OnEntered(fn func(what string)) { s.entered = fn }
