package markdown

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBlocks(t *testing.T) {
	text := ""
	for _, b := range Blocks(Lines("\nbefore\n\n# Restore ##\n\n1. Take the lock.\n## Steps\ntext\n```sh\nrestore\n\n# not a heading\n```\n\n~~~\n```\n~~~\n#hashtag\n\nSetext\n======\nlast\n---\n\n    # code\n- a\n- b\n```\nopen\n\n")) {
		text += fmt.Sprintf("%d %q %d %q %d+%d\n", b.Kind, b.Path, b.Level, b.Title, b.Start, b.Lines)
	}
	require.Equal(t, `0 "/1" 0 "" 0+1
0 "/2" 0 "" 1+2
1 "# Restore" 1 "Restore" 3+2
0 "# Restore/1" 0 "" 5+1
1 "## Steps" 2 "Steps" 6+1
0 "## Steps/1" 0 "" 7+1
2 "## Steps/2" 0 "" 8+6
2 "## Steps/3" 0 "" 14+3
0 "## Steps/4" 0 "" 17+2
1 "# Setext" 1 "Setext" 19+2
1 "## last" 2 "last" 21+3
0 "## last/1" 0 "" 24+3
2 "## last/2" 0 "" 27+3
`, text)
	require.Empty(t, Blocks(Lines("")))
}

func FuzzBlocks(f *testing.F) {
	f.Add("# A\n\n```\nb\n")
	f.Add(" \n---\n\n===\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines := Lines(text)
		at := 0
		for _, b := range Blocks(lines) {
			require.Equal(t, at, b.Start)
			require.Positive(t, b.Lines)
			at += b.Lines
		}
		require.Equal(t, len(lines), at)
	})
}
