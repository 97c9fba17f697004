package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// maxBody bounds a request; a batch of 10,000 long lines fits.
const maxBody = 4 << 20

// guarded refuses what a browser on another site could send (DNS rebinding, foreign origins) and bodies that are too large.
func (s *Server) guarded(next http.Handler) http.Handler {
	var own *url.URL
	if u, err := url.Parse(s.config.ResourceURL); err == nil && u.Host != "" {
		own = u
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.config.Fixtures != nil && !onLoopback(r) {
			writeProblem(w, http.StatusForbidden, "a server with fixtures answers on loopback only")
			return
		}
		if onLoopback(r) && !isLoopback(r.Host) && (own == nil || r.Host != own.Host) {
			writeProblem(w, http.StatusForbidden, "host "+r.Host+" is not served here")
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" && !s.allowedOrigin(origin, own) {
			writeProblem(w, http.StatusForbidden, "origin not allowed; add it to TARTAN_MCP_ORIGINS")
			return
		}
		if r.ContentLength > maxBody {
			writeProblem(w, http.StatusRequestEntityTooLarge, "the body is larger than 4 MiB; send fewer lines at a time")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) allowedOrigin(origin string, own *url.URL) bool {
	if own != nil && strings.EqualFold(origin, own.Scheme+"://"+own.Host) {
		return true
	}
	if s.config.Fixtures != nil {
		// The suite sends its own loopback origin and a foreign one.
		u, err := url.Parse(origin)
		return err == nil && isLoopback(u.Host)
	}
	return slices.ContainsFunc(s.config.AllowedOrigins, func(o string) bool { return strings.EqualFold(o, origin) })
}

func onLoopback(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && isLoopback(addr.String())
}

// isLoopback reports whether a host, with or without a port, is this machine only.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
