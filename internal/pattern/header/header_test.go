package header_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/header"
)

var ref = time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, line, at, level, component, message string }{
		{"nothing known", "all is well", "", "", "", "all is well"},
		{"empty", "", "", "", "", ""},
		{"RFC 3339", "2026-11-23T13:00:00.25Z started 3 workers", "2026-11-23T13:00:00.25Z", "", "", "started 3 workers"},
		{"RFC 3339 with a zone", "2026-11-23T13:00:00+02:00 WARN disk nearly full", "2026-11-23T11:00:00Z", "warn", "", "disk nearly full"},
		{"package manager", "2026-11-23 13:00:00 status installed curl:amd64 7.88", "2026-11-23T13:00:00Z", "", "", "status installed curl:amd64 7.88"},
		{"package manager history", "Start-Date: 2026-11-23  13:00:05", "2026-11-23T13:00:05Z", "", "", "Start-Date: 2026-11-23  13:00:05"},
		{"log4j", "2025-10-18 18:01:47,978 INFO [main] org.acme.Boot: Ready in 7 s", "2025-10-18T18:01:47.978Z", "info", "org.acme.Boot", "Ready in 7 s"},
		{"log4j with dashes", "2025-07-29 17:41:44,747 - INFO  [Peer[me=1]/0:0:0:0:2181:Quorum@774] - Message from 3", "2025-07-29T17:41:44.747Z", "info", "Peer[me=1]/0:0:0:0:2181:Quorum@774", "Message from 3"},
		{"Spring", "2026-11-23 13:00:00.123  INFO 4711 --- [           main] c.acme.Application : Started in 2.1 s", "2026-11-23T13:00:00.123Z", "info", "c.acme.Application", "Started in 2.1 s"},
		{"Python", "2026-11-23 13:00:00,123 - acme.jobs - ERROR - job 7 failed", "2026-11-23T13:00:00.123Z", "error", "acme.jobs", "job 7 failed"},
		{"Python without time", "WARNING:acme.jobs:job 7 is late", "", "warn", "acme.jobs", "job 7 is late"},
		{"two-digit year", "17/06/09 20:10:40 INFO exec.Backend: Registered signal handlers", "2017-06-09T20:10:40Z", "info", "exec.Backend", "Registered signal handlers"},
		{"six digits", "081109 203615 148 INFO dfs.Node$Responder: Responder 1 ends", "2008-11-09T20:36:15Z", "info", "dfs.Node$Responder", "Responder 1 ends"},
		{"eight digits", "20171223-22:15:29:606 step total 5", "2017-12-23T22:15:29.606Z", "", "", "step total 5"},
		{"mobile", "03-17 16:13:38.811  1702  2395 D WindowManager: printing 3", "2026-03-17T16:13:38.811Z", "debug", "WindowManager", "printing 3"},
		{"cloud", "2017-05-16 00:00:04.500 2931 INFO nova.compute.manager [req-3ea4 - - -] instance spawned", "2017-05-16T00:00:04.5Z", "info", "", "nova.compute.manager [req-3ea4 - - -] instance spawned"},
		{"Windows", "2016-09-28 04:30:30, Info                  CBS    Loaded stack v6", "2016-09-28T04:30:30Z", "info", "CBS", "Loaded stack v6"},
		{"syslog", "Nov 23 13:00:00 web1 sshd[811]: Accepted key for ada", "2026-11-23T13:00:00Z", "", "sshd", "Accepted key for ada"},
		{"syslog of last year", "Dec  5 06:55:46 web1 cron: (root) CMD (true)", "2025-12-05T06:55:46Z", "", "cron", "(root) CMD (true)"},
		{"syslog with PAM", "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: check pass; user unknown", "2026-06-14T15:16:01Z", "", "sshd(pam_unix)", "check pass; user unknown"},
		{"syslog without host", "Nov 23 13:00:00 kernel: eth0 up", "2026-11-23T13:00:00Z", "", "kernel", "eth0 up"},
		{"rsyslog", "2026-11-23T13:00:00.123456+00:00 web1 systemd[1]: Started unit", "2026-11-23T13:00:00.123456Z", "", "systemd", "Started unit"},
		{"RFC 3164", "<11>Feb  5 17:32:18 web1 app[7]: broken", "2026-02-05T17:32:18Z", "error", "app", "broken"},
		{"RFC 5424", `<165>1 2003-10-11T22:14:15.003Z host.example evntslog 12 ID47 [ex@1 iut="3"] An event`, "2003-10-11T22:14:15.003Z", "notice", "evntslog", "An event"},
		{"RFC 5424 without data", "<34>1 2003-10-11T22:14:15.003Z host su - ID47 - 'su root' failed", "2003-10-11T22:14:15.003Z", "fatal", "su", "'su root' failed"},
		{"web access", `10.0.0.7 - ada [10/Oct/2025:13:55:36 -0700] "GET /x HTTP/1.0" 200 2326`, "2025-10-10T20:55:36Z", "", "", `10.0.0.7 - ada "GET /x HTTP/1.0" 200 2326`},
		{"web error", "[Sun Dec 04 04:47:44 2005] [error] child 6 in state 7", "2005-12-04T04:47:44Z", "error", "", "child 6 in state 7"},
		{"web error with module", "[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35708:tid 432] File missing: /x", "2011-09-09T10:42:29.902022Z", "error", "core", "File missing: /x"},
		{"nginx", "2026/11/23 13:00:00 [error] 123#45: *1 open() failed", "2026-11-23T13:00:00Z", "error", "", "*1 open() failed"},
		{"Go", "2026/11/23 13:00:00 listening on :8080", "2026-11-23T13:00:00Z", "", "", "listening on :8080"},
		{"klog", "I1123 13:00:00.123456   12345 sync.go:42] Synced 3 pods", "2026-11-23T13:00:00.123456Z", "info", "sync.go", "Synced 3 pods"},
		{"Postgres", "2026-11-23 13:00:00.123 UTC [123] LOG:  checkpoint complete: wrote 3 buffers", "2026-11-23T13:00:00.123Z", "info", "", "checkpoint complete: wrote 3 buffers"},
		{"Postgres with user", "2026-11-23 13:00:00.123 UTC [123] ada@shop ERROR:  relation \"x\" does not exist", "2026-11-23T13:00:00.123Z", "error", "ada@shop", "relation \"x\" does not exist"},
		{"zap console", "2026-11-23T13:00:00.000Z\tINFO\tworker\tmain.go:12\tstarted\t{\"n\": 3}", "2026-11-23T13:00:00Z", "info", "worker", "started\t{\"n\": 3}"},
		{"zap JSON", `{"level":"info","ts":1795438800.25,"logger":"worker","msg":"started","n":3}`, "2026-11-23T13:00:00.25Z", "info", "worker", `{"msg":"started","n":3}`},
		{"slog JSON", `{"time":"2026-11-23T13:00:00.5Z","level":"WARN","msg":"slow","took":"3s"}`, "2026-11-23T13:00:00.5Z", "warn", "", `{"msg":"slow","took":"3s"}`},
		{"bunyan", `{"name":"api","level":50,"msg":"no","time":"2026-11-23T13:00:00Z"}`, "2026-11-23T13:00:00Z", "error", "", `{"name":"api","msg":"no"}`},
		{"logfmt", `time=2026-11-23T13:00:00Z level=error msg="cannot open" path=/x`, "2026-11-23T13:00:00Z", "error", "", `msg="cannot open" path=/x`},
		{"logfmt with a late level", `ts=2026-11-23T13:00:00Z caller=x.go:1 level=info msg=ok`, "2026-11-23T13:00:00Z", "info", "", `caller=x.go:1 msg=ok`},
		{"journal", `{"__REALTIME_TIMESTAMP":"1795438800000000","PRIORITY":"4","_COMM":"sshd","MESSAGE":"key \u00e9 of \"ada\""}`, "2026-11-23T13:00:00Z", "warn", "sshd", `key é of "ada"`},
		{"journal with bytes", `{"__REALTIME_TIMESTAMP":"1795438800000000","MESSAGE":[104,105,255]}`, "2026-11-23T13:00:00Z", "", "", "hi\xff"},
		{"container JSON", `{"log":"ERROR no route\n","stream":"stderr","time":"2026-11-23T13:00:00.5Z"}`, "2026-11-23T13:00:00.5Z", "error", "", "no route"},
		{"container with JSON within", `{"log":"{\"level\":\"info\",\"msg\":\"up\"}\n","stream":"stdout","time":"2026-11-23T13:00:00.5Z"}`, "2026-11-23T13:00:00.5Z", "info", "", `{"msg":"up"}`},
		{"container runtime", "2026-11-23T13:00:00.5Z stdout F WARN almost full", "2026-11-23T13:00:00.5Z", "warn", "", "almost full"},
		{"epoch seconds", "1795438800 tick 3", "2026-11-23T13:00:00Z", "", "", "tick 3"},
		{"epoch fraction", "1795438800.5 tick", "2026-11-23T13:00:00.5Z", "", "", "tick"},
		{"epoch milliseconds", "1795438800500 tick", "2026-11-23T13:00:00.5Z", "", "", "tick"},
		{"epoch microseconds", "1795438800500000 tick", "2026-11-23T13:00:00.5Z", "", "", "tick"},
		{"epoch nanoseconds", "1795438800500000000 tick", "2026-11-23T13:00:00.5Z", "", "", "tick"},
		{"cluster", "- 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.675872 R02-M1 RAS KERNEL INFO parity error corrected", "2005-06-03T22:42:50Z", "info", "KERNEL", "parity error corrected"},
		{"cluster with syslog", "- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond(pam)[2915]: session closed", "2005-11-09T20:01:01Z", "", "crond(pam)", "session closed"},
		{"level only", "INFO starting", "", "info", "", "starting"},
		{"level in brackets", "[warn] low on memory", "", "warn", "", "low on memory"},
		{"no level", "Error handling is done here", "", "", "", "Error handling is done here"},
		{"prose behind a time", "2026-11-23 13:00:00 error rates are back to normal", "2026-11-23T13:00:00Z", "", "", "error rates are back to normal"},
		{"broken JSON", `{"level":"info","msg":`, "", "", "", `{"level":"info","msg":`},
		{"JSON without header", `{"a":1}`, "", "", "", `{"a":1}`},
		{"no date", "2026-99-99T13:00:00Z x", "", "", "", "2026-99-99T13:00:00Z x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := header.NewParser(ref).Parse([]byte(c.line))
			at := ""
			if h.HasTime {
				at = time.Unix(0, h.Time).UTC().Format(time.RFC3339Nano)
			}
			require.Equal(t, []string{c.at, c.level, c.component, c.message}, []string{at, h.Level.String(), string(h.Component), string(h.Message)})
		})
	}
}

func TestZoneOfRefIsTakenWhereTheLineHasNone(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 3*3600)
	h := header.NewParser(ref.In(zone)).Parse([]byte("2026-11-23 13:00:00 x"))
	require.Equal(t, "2026-11-23T10:00:00Z", time.Unix(0, h.Time).UTC().Format(time.RFC3339))
}

func TestParseAllocatesNothing(t *testing.T) {
	p := header.NewParser(ref)
	for _, line := range []string{
		"2025-10-18 18:01:47,978 INFO [main] org.acme.Boot: Ready in 7 s",
		"Nov 23 13:00:00 web1 sshd[811]: Accepted key for ada",
		`{"level":"info","ts":1795438800,"logger":"worker","msg":"started","n":3}`,
		`time=2026-11-23T13:00:00Z level=error msg="cannot open" path=/x`,
	} {
		l := []byte(line)
		p.Parse(l)
		require.Zero(t, testing.AllocsPerRun(100, func() { p.Parse(l) }), line)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"2025-10-18 18:01:47,978 INFO [main] org.acme.Boot: x", "Nov 23 13:00:00 web1 sshd[811]: x", "<34>1 - - - - - -", "<1>", "[", "{", `{"a"`, "1795438800.",
		`{"log":"{\"log\":\"x\",\"stream\":\"\",\"time\":\"\"}","stream":"","time":""}`, "time=", "I1123 13:00:00 x]", "- 1117838570 2005.06.03 ", "Mon", "2026-11-23 13:00:00 UTC [",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		p := header.NewParser(ref)
		h := p.Parse([]byte(line))
		again := header.NewParser(ref).Parse([]byte(line))
		require.Equal(t, again, h)
		if strings.TrimSpace(line) != "" && !strings.ContainsAny(line[:1], "{") && !h.HasTime && h.Level == header.Unknown {
			require.Equal(t, line, string(h.Message))
		}
		if utf8.ValidString(line) {
			require.LessOrEqual(t, len(h.Message), len(line)+utf8.UTFMax)
		}
	})
}

func BenchmarkHeader(b *testing.B) {
	for name, line := range map[string]string{
		"log4j":  "2025-10-18 18:01:47,978 INFO [main] org.acme.Boot: Ready in 7 s",
		"syslog": "Nov 23 13:00:00 web1 sshd[811]: Accepted key for ada from 10.0.0.7 port 22 ssh2",
		"json":   `{"level":"info","ts":1795438800.25,"logger":"worker","msg":"started","n":3}`,
		"logfmt": `time=2026-11-23T13:00:00Z level=error msg="cannot open" path=/x`,
		"none":   "Received block of size 67108864 from 10.250.10.6",
	} {
		b.Run(name, func(b *testing.B) {
			p, l := header.NewParser(ref), []byte(line)
			b.ReportAllocs()
			for b.Loop() {
				p.Parse(l)
			}
		})
	}
}

// TestParseRandomLines glues pieces of headers together in all ways: nothing may panic, and what is left is stable.
func TestParseRandomLines(t *testing.T) {
	t.Parallel()
	const seed = 5
	rng := rand.New(rand.NewPCG(seed, seed))
	pieces := []string{
		" ", " ", "  ", "\t", "[", "]", "{", "}", "\"", ":", ",", "-", " - ", "<", ">", "<34>", "<34>1 ", "=", "\\", "\\u00", "\\ud83d\\ude00", "INFO", "[error]", "warn", "W", "2026-11-23", "2026/11/23",
		"13:00:00", ".123", ",456", "Z", "+02:00", "UTC", "CET [", "Nov 23 ", "Mon ", "Mon, ", "23 Nov 2026 ", "2005", "1795438800", "1795438800500", "17/06/09 ", "03-17 ", "081109 203615 ", "host", "app[7]: ", "sshd(pam)[1]: ",
		"org.acme.Boot: ", "main.go:12", "123#45: ", "\"level\"", "\"time\":", "\"msg\":\"x\"", "{\"log\":", "\"stream\":\"\"", "time=", "level=", "msg=\"", "I1123 ", "x]", " stdout F ", "- ", "2005.06.03 ", "LOG:  ", "Start-Date: ", "[10/Oct/2025:13:55:36 -0700]", "\xff", "é",
	}
	p := header.NewParser(ref)
	for range 100_000 {
		var line []byte
		for range 1 + rng.IntN(9) {
			line = append(line, pieces[rng.IntN(len(pieces))]...)
		}
		h := p.Parse(line)
		message, component := string(h.Message), string(h.Component)
		again := header.NewParser(ref).Parse(line)
		require.Equal(t, []any{h.Time, h.HasTime, h.Level, component, message}, []any{again.Time, again.HasTime, again.Level, string(again.Component), string(again.Message)}, "%q", line)
	}
}
