package merge

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tartan-ai/tartan/internal/knowledge"
	"github.com/tartan-ai/tartan/internal/knowledge/markdown"
)

var (
	gitMerges = flag.Int("git-merges", 300, "random merges that are compared with git merge-file")
	gitSeed   = flag.Uint64("git-seed", 0, "seed of the random merges; 0 is a new one")
)

// git returns a way to run git in a folder of its own, without anyone's configuration, or skips.
func git(t testing.TB) func(stdin string, args ...string) (string, int) {
	path, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed: nothing to compare with")
	}
	dir := t.TempDir()
	return func(stdin string, args ...string) (string, int) {
		cmd := exec.Command(path, args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		cmd.Env = []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=" + dir, "LC_ALL=C"}
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			require.NoError(t, err)
		}
		require.Empty(t, errs.String(), "git %v", args)
		return out.String(), cmd.ProcessState.ExitCode()
	}
}

func newSeed(t testing.TB) *rand.Rand {
	seed := *gitSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

var prose = strings.Fields("the cluster restarts after a node fails and waits until quorum is there again so nobody loses writes while it is away")

// randomLine draws from few or many different lines.
func randomLine(r *rand.Rand, distinct int) string {
	switch n := r.IntN(distinct); {
	case n == 0:
		return "\n"
	case n < 4:
		return "}\n"
	case n < 8:
		return string(rune('a'+n)) + "\n"
	default:
		var b strings.Builder
		for w := range 1 + n%5 {
			b.WriteString(prose[(n*7+w*n)%len(prose)] + " ")
		}
		return b.String() + "\n"
	}
}

func randomLines(r *rand.Rand, n, distinct int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = randomLine(r, distinct)
	}
	return out
}

// edited changes lines in a few places.
func edited(r *rand.Rand, lines []string, edits, distinct int) []string {
	out := append([]string{}, lines...)
	for range edits {
		at := 0
		switch r.IntN(8) {
		case 0:
		case 1:
			at = len(out)
		default:
			at = r.IntN(len(out) + 1)
		}
		end := min(len(out), at+r.IntN(4))
		switch r.IntN(6) {
		case 0, 1: // replace
			out = append(append(append([]string{}, out[:at]...), randomLines(r, 1+r.IntN(3), distinct)...), out[end:]...)
		case 2, 3: // insert
			out = append(append(append([]string{}, out[:at]...), randomLines(r, 1+r.IntN(3), distinct)...), out[at:]...)
		case 4: // delete
			out = append(append([]string{}, out[:at]...), out[end:]...)
		case 5: // move, or repeat, a block
			block := append([]string{}, out[at:end]...)
			if r.IntN(2) == 0 {
				out = append(append([]string{}, out[:at]...), out[end:]...)
			}
			to := r.IntN(len(out) + 1)
			out = append(append(append([]string{}, out[:to]...), block...), out[to:]...)
		}
	}
	return out
}

// longTriple makes texts that differ so much that the search is cut short: runs of lines in another order, and noise of the
// same lines between them.
func longTriple(r *rand.Rand) (base, ours, theirs string) {
	distinct := []int{12, 40, 400, 4000}[r.IntN(4)]
	runs := make([][]string, 20+r.IntN(60))
	for i := range runs {
		runs[i] = randomLines(r, 1+r.IntN(60), distinct)
	}
	text := func(swaps int) string {
		order := slices.Clone(runs)
		for range swaps {
			i, k := r.IntN(len(order)), r.IntN(len(order))
			order[i], order[k] = order[k], order[i]
		}
		var out []string
		for _, run := range order {
			out = append(append(out, run...), randomLines(r, r.IntN(12)*min(1, swaps), distinct)...)
		}
		return strings.Join(out, "")
	}
	return text(0), text(r.IntN(30)), text(r.IntN(3))
}

// randomTriple makes a base and two edits of it.
func randomTriple(r *rand.Rand) (base, ours, theirs string) {
	distinct := []int{3, 6, 12, 40, 400}[r.IntN(5)]
	size := []int{0, 1, 5, 12, 30, 80}[r.IntN(6)]
	if r.IntN(40) == 0 {
		size = 300 + r.IntN(900) // long enough for the search to be cut short
	}
	lines := randomLines(r, size, distinct)
	edits := func() int {
		if r.IntN(20) == 0 {
			return size / 2
		}
		return r.IntN(4)
	}
	o, t := edited(r, lines, edits(), distinct), edited(r, lines, edits(), distinct)
	if r.IntN(6) == 0 { // both sides make the same change, and more
		both := edited(r, lines, 1+r.IntN(2), distinct)
		o, t = edited(r, both, r.IntN(2), distinct), edited(r, both, r.IntN(2), distinct)
	}
	crlf := r.IntN(10) == 0
	text := func(l []string) string {
		s := strings.Join(l, "")
		if crlf && r.IntN(5) > 0 {
			s = strings.ReplaceAll(s, "\n", "\r\n")
		}
		if r.IntN(8) == 0 {
			s = strings.TrimSuffix(s, "\n")
		}
		return s
	}
	return text(lines), text(o), text(t)
}

// TestLinesEqualGit compares with the real git: the same verdict, and the same bytes where the merge is clean.
func TestLinesEqualGit(t *testing.T) {
	run := git(t)
	r := newSeed(t)
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "ours"), filepath.Join(dir, "base"), filepath.Join(dir, "theirs")}
	clean, marked := 0, 0
	for i := range *gitMerges {
		base, ours, theirs := randomTriple(r)
		if i%50 == 7 {
			base, ours, theirs = longTriple(r)
		}
		for k, text := range []string{ours, base, theirs} {
			require.NoError(t, os.WriteFile(files[k], []byte(text), 0o600))
		}
		want, code := run("", append([]string{"merge-file", "-p", "-L", "ours", "-L", "base", "-L", "theirs"}, files...)...)
		got := Lines(base, ours, theirs)
		require.Equal(t, code == 0, got.Clean(), "merge %d: git has %d conflicts\nbase %q\nours %q\ntheirs %q", i, code, base, ours, theirs)
		if code == 0 {
			clean++
			require.Equal(t, want, got.String(), "merge %d\nbase %q\nours %q\ntheirs %q", i, base, ours, theirs)
			continue
		}
		if strings.Contains(base+ours+theirs, "\r") {
			continue // git ends its markers as the files end their lines
		}
		// In this style git takes a region that both sides changed alike by other hunks for a conflict; Lines does not.
		want, code = run("", append([]string{"merge-file", "-p", "--diff3", "-L", "ours", "-L", "base", "-L", "theirs"}, files...)...)
		conflicts := 0
		for _, p := range got {
			if p.Conflict {
				conflicts++
			}
		}
		if conflicts == code {
			marked++
			require.Equal(t, want, got.Marked(), "merge %d\nbase %q\nours %q\ntheirs %q", i, base, ours, theirs)
		}
	}
	t.Logf("%d merges, %d clean and %d with conflicts in the same places", *gitMerges, clean, marked)
	require.Greater(t, clean, *gitMerges/10)
	require.Greater(t, marked, *gitMerges/10)
}

var hunkHeader = regexp.MustCompile(`(?m)^(@@ .* @@).*$`)

// TestUnifiedEqualsGit compares with git diff, without the header and what git believes to be the function around a hunk.
func TestUnifiedEqualsGit(t *testing.T) {
	run := git(t)
	r := newSeed(t)
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for range *gitMerges / 3 {
		old, now, _ := randomTriple(r)
		if r.IntN(20) == 0 {
			old, now, _ = longTriple(r)
		}
		require.NoError(t, os.WriteFile(a, []byte(old), 0o600))
		require.NoError(t, os.WriteFile(b, []byte(now), 0o600))
		want, _ := run("", "diff", "--no-index", "--no-color", "--no-indent-heuristic", a, b)
		if at := strings.Index(want, "@@"); at >= 0 {
			want = hunkHeader.ReplaceAllString(want[at:], "$1")
		}
		require.Equal(t, want, Unified(old, now), "%q\n%q", old, now)
	}
}

// TestHugeTextsEqualGit takes texts so long that the search settles for what is promising.
func TestHugeTextsEqualGit(t *testing.T) {
	run := git(t)
	r := newSeed(t)
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for range max(1, *gitMerges/300) {
		distinct := 2000 + r.IntN(20000)
		old := randomLines(r, 40000, distinct)
		now := slices.Clone(old)
		for at := 0; at < len(now); at += 1 + r.IntN(60) {
			now[at] = randomLine(r, distinct)
		}
		cut := r.IntN(3000)
		now = slices.Concat(now[cut:20000], now[:cut], randomLines(r, 500, distinct), now[20000:])
		require.NoError(t, os.WriteFile(a, []byte(strings.Join(old, "")), 0o600))
		require.NoError(t, os.WriteFile(b, []byte(strings.Join(now, "")), 0o600))
		want, _ := run("", "diff", "--no-index", "--no-color", "--no-indent-heuristic", a, b)
		want = hunkHeader.ReplaceAllString(want[strings.Index(want, "@@"):], "$1")
		require.True(t, want == Unified(strings.Join(old, ""), strings.Join(now, "")), "the texts are of the seed above")
	}
}

// TestBlameEqualsGit writes random histories with merges to a repository, and compares with git blame.
func TestBlameEqualsGit(t *testing.T) {
	run := git(t)
	r := newSeed(t)
	_, code := run("", "init", "-q", ".")
	require.Zero(t, code)
	for history := range max(4, *gitMerges/30) {
		var stream strings.Builder
		distinct := []int{4, 20, 300}[r.IntN(3)]
		var all []Revision
		for n := 1; n <= 2+r.IntN(12); n++ {
			rev := Revision{Number: n}
			body := strings.Join(randomLines(r, 20, distinct), "")
			if n > 1 {
				first := all[r.IntN(len(all))]
				rev.Parents = []int{first.Number}
				body = strings.Join(edited(r, markdown.Lines(first.Document.Body), 1+r.IntN(3), distinct), "")
				if second := all[r.IntN(len(all))]; second.Number != first.Number && r.IntN(2) == 0 {
					rev.Parents = append(rev.Parents, second.Number)
					body = Lines(all[0].Document.Body, first.Document.Body, second.Document.Body).String()
					if r.IntN(3) == 0 {
						body = second.Document.Body
					}
				}
			}
			rev.Document = &knowledge.Document{Body: body}
			all = append(all, rev)
			fmt.Fprintf(&stream, "commit refs/heads/h%d\nmark :%d\ncommitter A <a@example.org> %d +0000\ndata %d\n%d\n", history, n, n, len(fmt.Sprint(n)), n)
			for i, p := range rev.Parents {
				fmt.Fprintf(&stream, "%s :%d\n", [2]string{"from", "merge"}[i], p)
			}
			if n == 1 {
				fmt.Fprintf(&stream, "deleteall\n")
			}
			fmt.Fprintf(&stream, "M 644 inline f\ndata %d\n%s\n", len(body), body)
		}
		_, code := run(stream.String(), "fast-import", "--quiet", "--force")
		require.Zero(t, code)
		out, _ := run("", "-c", "diff.indentHeuristic=false", "blame", "--line-porcelain", fmt.Sprintf("h%d", history), "--", "f")
		want := []int{}
		for _, m := range regexp.MustCompile(`(?m)^summary (\d+)$`).FindAllStringSubmatch(out, -1) {
			n, err := strconv.Atoi(m[1])
			require.NoError(t, err)
			want = append(want, n)
		}
		got, err := Blame(all, len(all))
		require.NoError(t, err)
		require.Equal(t, want, got.Lines, "history %d\n%s", history, stream.String())
	}
}
