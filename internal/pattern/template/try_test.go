package template

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTry(t *testing.T) {
	t.Parallel()
	messages := [][]byte{
		[]byte("disk sda1 is full"), []byte("connection from 10.0.0.1 port 22 closed"), []byte("connection from 10.0.0.2 port 23 closed"),
		[]byte("quite another thing"), []byte("connection from 10.0.0.3 port 24 opened"),
	}
	ix := learnt([][]byte{[]byte("connection from 10.9.9.9 port 1 closed"), []byte("disk sdb9 is full")}).Index()
	got := Try(ix, messages)
	require.Len(t, got, 4)
	require.Equal(t, "connection from <*> port <*> closed", got[0].Template)
	require.Equal(t, []int{1, 2}, got[0].Messages)
	require.Equal(t, got[0].ID, got[0].Known)
	require.Equal(t, 2, got[0].As)
	for _, p := range got[1:] {
		if p.Template == "connection from <*> port <*> opened" {
			require.Empty(t, p.Known)
			require.Equal(t, got[0].ID, p.Nearest.Pattern)
			require.Equal(t, "closed", p.Nearest.Want)
		}
	}
	for _, p := range Try(nil, messages) {
		require.Empty(t, p.Known)
		require.Nil(t, p.Nearest)
	}
	require.Empty(t, Try(ix, nil))
}
