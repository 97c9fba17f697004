package merge

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
