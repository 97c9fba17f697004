package multiline

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/pattern/header"
)

// folded is what a stream came to.
type folded struct {
	messages []string
	records  []int // physical lines of each
}

// fold puts the records of a stream together.
func fold(f Folder, text string) (out folded) {
	var r Record
	p := header.NewParser(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	flush := func() {
		if r.Lines > 0 {
			out.messages, out.records = append(out.messages, string(r.Message)), append(out.records, r.Lines)
		}
	}
	at := int64(0)
	for line := range strings.Lines(text) {
		b := []byte(strings.TrimRight(line, "\r\n"))
		h := p.Parse(b)
		if text, head := LineOf(b, h); f.Continues(text, at, head) {
			r.Add(b, f.Exception(), at)
		} else {
			flush()
			r.Start(h.Message, b, at)
		}
		at += int64(len(line))
	}
	flush()
	return out
}

// traces are what eight languages and more print. Each is one record.
var traces = []struct{ name, text, message string }{
	{"java", `2026-11-24 10:00:00,123 ERROR [main] shop.Orders: cannot save order 7
java.io.IOException: disk full
	at shop.Store.save(Store.java:12)
	at shop.Store$Inner.<init>(Store.java:40) ~[shop.jar:1.0]
	at java.base/java.lang.Thread.run(Thread.java:834)
	Suppressed: java.lang.IllegalStateException: closed
		at shop.Store.close(Store.java:99)
		... 1 more
Caused by: java.net.SocketException: reset
by the peer
	at java.net.Socket.read(Native Method)
	... 12 more`, "cannot save order 7 exception=java.io.IOException cause=java.lang.IllegalStateException cause=java.net.SocketException"},
	{"java, not logged", `Exception in thread "main" java.lang.NullPointerException: boom
	at a.b.C.d(C.java:1)
Caused by: a.b.NoGood
	... 3 common frames omitted`, `Exception in thread "main" java.lang.NullPointerException: boom exception=a.b.NoGood`},
	{"java, no blanks", `2026-11-24T10:00:00Z failed
at x.y.Z(File.java:12)
Caused by: x.y.OopsException: no
... 12 more`, "failed exception=x.y.OopsException"},
	{"python", `2026-11-24 10:00:00,123 ERROR job 12 failed
Traceback (most recent call last):
  File "/srv/job.py", line 12, in run
    step(
    ~~~~^
  File "/srv/job.py", line 3, in step
    return d["a"]
           ^^^^^^
KeyError: 'a'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/job.py", line 20, in <module>
    run()
  [Previous line repeated 996 more times]
lib.errors.Oops: 'a' is missing`, "job 12 failed exception=KeyError cause=lib.errors.Oops"},
	{"python, logging's own form", `ERROR:root:job failed
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    main()
ValueError: bad`, "job failed exception=ValueError"},
	{"python, not logged", `Traceback (most recent call last):
  File "a.py", line 1, in <module>
    main()
KeyboardInterrupt`, "Traceback (most recent call last): exception=KeyboardInterrupt"},
	{"go", `panic: runtime error: index out of range [5] with length 3 [recovered]
	panic: again
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x45]

goroutine 1 [running]:
main.(*Server).handle(0xc000012345, {0x1, 0x2})
	/src/main.go:12 +0x1d
main.main()
	/src/main.go:8 +0x25

goroutine 7 [chan receive, 2 minutes]:
runtime.gopark(...)
	/usr/local/go/src/runtime/proc.go:363
created by main.main in goroutine 1
	/src/main.go:5 +0x33`, "panic: runtime error: index out of range [5] with length 3 [recovered]"},
	{"go, logged", `2026/11/24 10:00:00 request failed
goroutine 7 [running]:
runtime/debug.Stack()
	/usr/local/go/src/runtime/debug/stack.go:24 +0x5e
main.main()
	/src/main.go:8 +0x25`, "request failed"},
	{"go, structured", `2026-11-24T10:00:00Z	ERROR	shop/store.go:12	cannot save	{"order": 7}
main.main
	/src/main.go:12
runtime.main
	/usr/local/go/src/runtime/proc.go:250`, `cannot save	{"order": 7}`},
	{"go, controller", `2026-11-24T10:00:00Z	ERROR	cannot reconcile
example.io/runtime/pkg/controller.(*Controller).Start.func2.2
	/go/pkg/mod/example.io/runtime@v0.1/pkg/controller.go:227
k8s.example/wait.Until
	/go/pkg/mod/wait.go:1`, "cannot reconcile"},
	{"dart", "2026-11-24T10:00:00Z crashed\n#0      main (file:///x.dart:3:3)\n#1      _run (dart:isolate-patch:18:5)", "crashed"},
	{"perl", "2026-11-24T10:00:00Z died at a.pl line 3.\n\tShop::save(7) called at a.pl line 12\n\tmain::run() called at a.pl line 20", "died at a.pl line 3."},
	{"lua", "2026-11-24T10:00:00Z a.lua:3: boom\nstack traceback:\n\t[C]: in function 'error'\n\ta.lua:3: in main chunk", "a.lua:3: boom"},
	{"python, stack_info", "2026-11-24 10:00:00,123 INFO here\nStack (most recent call last):\n  File \"a.py\", line 1, in f\n    f()", "here"},
	{"javascript", `2026-11-24T10:00:00Z error request failed
TypeError: Cannot read properties of undefined (reading 'x')
    at foo (/app/index.js:10:5)
    at async Promise.all (index 0)
    at new Thing (/app/thing.js:1:2)
    at /app/a.js:3:4
    at <anonymous>
    at Object.open (node:fs:585:3) {
  code: 'ENOENT',
  [cause]: RangeError: too much
      at bar (file:///app/b.mjs:2:3)
}`, "error request failed exception=TypeError cause=RangeError"},
	{"javascript, not logged", `Error: boom
    at foo (/app/index.js:10:5)
    at Module._compile (node:internal/modules/cjs/loader:1105:14)`, "Error: boom"},
	{".net", `2026-11-24 10:00:00.123 [Error] Could not start
System.InvalidOperationException: outer
 ---> System.IO.IOException: inner
   at Shop.Store.Save(String name, Int32 n) in C:\src\Store.cs:line 5
   at Shop.Store.Open()
   --- End of inner exception stack trace ---
   at Shop.Program.Main(String[] args) in /src/Program.cs:line 12
--- End of stack trace from previous location ---
   at System.Threading.Tasks.Task.Run()`, "Could not start exception=System.InvalidOperationException cause=System.IO.IOException"},
	{"ruby", `E, [2026-11-24T10:00:00.123456 #12] ERROR -- : boom
	from a.rb:3:in ` + "`foo'" + `
	from a.rb:7:in ` + "`<main>'", "E, [2026-11-24T10:00:00.123456 #12] ERROR -- : boom"},
	{"ruby, not logged", "app.rb:3:in `foo': boom (RuntimeError)\n\tfrom app.rb:7:in `bar'\nfrom app.rb:9:in 'Object#baz'", "app.rb:3:in `foo': boom (RuntimeError)"},
	{"rust", `thread 'main' panicked at src/main.rs:2:5:
index out of bounds: the len is 3 but the index is 99
stack backtrace:
   0: rust_begin_unwind
             at /rustc/90c541806f23a127002de5b4038be731ba1458ca/library/std/src/panicking.rs:578:5
   1: core::panicking::panic_fmt
note: Some details are omitted`, "thread 'main' panicked at src/main.rs:2:5:"},
	{"rust, older", "thread 'main' panicked at 'boom', src/main.rs:2:5\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace", "thread 'main' panicked at 'boom', src/main.rs:2:5"},
	{"php", `PHP Fatal error:  Uncaught Exception: boom in /app/x.php:3
Stack trace:
#0 /app/x.php(7): foo()
#1 [internal function]: bar()
#2 {main}
  thrown in /app/x.php on line 3`, "PHP Fatal error:  Uncaught Exception: boom in /app/x.php:3"},
	{"c", "2026-11-24T10:00:00Z crashed\n#0  0x00007f in raise () from /lib/libc.so.6\n#1  0x00007f in abort ()", "crashed"},
	{"a bracket", `2026-11-24T10:00:00Z INFO settings {
  "a": 1,
"b": [
1
],
}`, "settings {"},
	{"indented", "2026-11-24T10:00:00Z INFO usage is\n  first\n\tsecond\n \n third", "usage is"},
}

func TestTracesOfManyLanguages(t *testing.T) {
	t.Parallel()
	const before, after = "2026-11-24T09:59:59Z INFO before 1\n", "\n2026-11-24T10:00:05Z INFO after 2\n"
	for _, c := range traces {
		t.Run(c.name, func(t *testing.T) {
			lines := strings.Count(c.text, "\n") + 1
			got := fold(Folder{}, c.text)
			require.Equal(t, []int{lines}, got.records, "alone: %q", got.messages)
			require.Equal(t, c.message, got.messages[0])
			for _, wrap := range []func(string) string{
				func(line string) string { return "2026-11-24T10:00:01.123456789Z stderr F " + line },
				func(line string) string {
					inner, err := json.Marshal(line + "\n")
					require.NoError(t, err)
					return `{"log":` + string(inner) + `,"stream":"stderr","time":"2026-11-24T10:00:01.123Z"}`
				},
			} {
				var wrapped []string
				for line := range strings.SplitSeq(c.text, "\n") {
					wrapped = append(wrapped, wrap(line))
				}
				got = fold(Folder{}, strings.Join(wrapped, "\n"))
				require.Equal(t, []int{lines}, got.records, "in a container: %q", got.messages)
				require.Equal(t, c.message, got.messages[0])
			}
			if c.name == "python, not logged" {
				return // behind a line with a header it is taken for a logged one
			}
			got = fold(Folder{}, before+strings.ReplaceAll(c.text, "\n", "\r\n")+after)
			require.Equal(t, []int{1, lines, 1}, got.records, "between lines with headers: %q", got.messages)
			require.Equal(t, c.message, got.messages[1])
			got = fold(Folder{}, c.text+after+c.text+after)
			require.Equal(t, []int{lines, 1, lines, 1}, got.records, "twice: %q", got.messages)
			if !strings.HasPrefix(c.text, "2026") || strings.HasSuffix(c.text, ")") {
				got = fold(Folder{}, "a plain line\n"+c.text+"\nanother plain line\n")
				require.Equal(t, []int{1, lines, 1}, got.records, "between plain lines: %q", got.messages)
			}
		})
	}
}

// None of these lines goes on with the one before it, though some look a little like it.
var apart = []string{
	`starting worker 1
worker 1 ready
  indented, but nothing says that it goes on
	so is this
at the end of the day
   at noon (or later)
from here to there
Caused by a storm
Error: no route to host
java.io.IOException: printed, not logged
ERROR no route to host
{
  "a": 1
}

# a comment
#1 priority
... more to come
... 12 moreover
---
--- End
[main] started
goroutines: 5
panicked
note: read this
Traceback of the parcel
created by ada
main.main()
stack backtrace
/src/main.go
go.mod:12 is wrong
}`,
	`2026-11-24T10:00:00Z one
2026-11-24T10:00:01Z two
plain, without a header
  indented behind a plain line
Error: a word of a sentence

panic: printed by the runtime
2026-11-24T10:00:02Z files
shop/store.go
2026-11-24T10:00:02Z three (
2026-11-24T10:00:03Z four`,
	"Nov 24 10:00:00 host sshd[1]: one\nNov 24 10:00:00 host sshd[1]: two",
	"INFO one\n  two\nINFO three",
	"thread 'main' panicked at 'boom', src/main.rs:2:5\nanother line",
	"panic: x\nanother line\n\none more",
	`{"a":1}` + "\n" + `{"a":2}`,
}

func TestPlainLinesStayApart(t *testing.T) {
	t.Parallel()
	for _, text := range apart {
		for i, n := range fold(Folder{}, text).records {
			require.Equal(t, 1, n, "%q of %q", fold(Folder{}, text).messages[i], text)
		}
	}
}

func TestFirstLineStartsARecord(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{2, 1}, fold(Folder{}, "\tat a.b.C.d(C.java:1)\n\tat a.b.C.e(C.java:2)\nplain").records)
	require.Equal(t, []int{1}, fold(Folder{}, "plain").records, "in the middle of a stream it may go on, but here it does not")
	middle := Middle()
	require.True(t, middle.Continues([]byte("\tat a.b.C.d(C.java:1)"), 0, Bare))
}

func TestBounds(t *testing.T) {
	t.Parallel()
	frames := strings.Repeat("\tat a.b.C.d(C.java:1)\n", 100_000)
	got := fold(Folder{}, "2026-11-24T10:00:00Z failed\n"+frames+"Caused by: a.TooFarException: x\nplain\n  indented\n")
	require.Equal(t, []int{100_002, 1, 1}, got.records, "a trace of any length is one record")
	require.Equal(t, "failed", got.messages[0], "what is said too far down is not in the message")

	indented := strings.Repeat("  x\n", 3*MaxLines)
	got = fold(Folder{}, "2026-11-24T10:00:00Z failed\n"+indented)
	require.Equal(t, 1+MaxLines, got.records[0])
	require.Len(t, got.records, 1+2*MaxLines)
	long := "  " + strings.Repeat("x", Reach/4) + "\n"
	got = fold(Folder{}, "2026-11-24T10:00:00Z failed\n"+strings.Repeat(long, 10))
	require.Equal(t, []int{5, 1, 1, 1, 1, 1, 1}, got.records)
	got = fold(Folder{}, "2026-11-24T10:00:00Z failed\na.XException: a message of many lines\n"+strings.Repeat("more\n", 100))
	require.Equal(t, 2+maxMessage, got.records[0])

	var r Record
	r.Start([]byte("m"), []byte("m"), 0)
	for range 100 {
		r.Add([]byte("Caused by: "+strings.Repeat("x", 100)), []byte("a.XException"), 1)
		r.Add([]byte(""), []byte("a.YError"), 1)
	}
	require.LessOrEqual(t, len(r.Text), MaxText)
	require.Equal(t, "m exception=a.XException"+strings.Repeat(" cause=a.YError cause=a.XException", 3)+" cause=a.YError", string(r.Message))
	require.Equal(t, 201, r.Lines)
}

// A line that mayMark lets pass is no mark that says anything by itself.
func TestMayMarkLetsNoMarkPass(t *testing.T) {
	t.Parallel()
	for _, line := range pool() {
		if m, _ := markOf([]byte(line)); !mayMark([]byte(line)) {
			require.Contains(t, []mark{markNone, markEmpty, markClosing, markException}, m, "%q", line)
		}
	}
}
