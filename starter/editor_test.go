package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// editorApp returns an app whose editor is the shell command.
func editorApp(command string) (*app, *bytes.Buffer) {
	said := &bytes.Buffer{}
	env := environment{lookup: func(name string) (string, bool) { return command, name == "EDITOR" }, environ: os.Environ}
	return &app{streams: streams{in: strings.NewReader(""), out: &bytes.Buffer{}, err: said}, env: env}, said
}

func TestEditText(t *testing.T) {
	a, said := editorApp("sed -i s/five/ten/")
	var got string
	require.NoError(t, a.editText(t.Context(), "entry.md", []byte("wait five\n"), func(text []byte) (bool, error) {
		got = string(text)
		return false, nil
	}))
	require.Equal(t, "wait ten\n", got)
	require.Empty(t, said.String())

	a, said = editorApp("true")
	require.NoError(t, a.editText(t.Context(), "entry.md", []byte("x"), func([]byte) (bool, error) { panic("not called") }))
	require.Contains(t, said.String(), "nothing was changed")

	a, _ = editorApp("false")
	err := a.editText(t.Context(), "entry.md", []byte("x"), func([]byte) (bool, error) { panic("not called") })
	require.ErrorContains(t, err, "run the editor false")

	a, said = editorApp("echo more >>")
	refused := errors.New("refused")
	err = a.editText(t.Context(), "entry.md", []byte("x"), func([]byte) (bool, error) { return true, refused })
	require.ErrorIs(t, err, refused)
	_, path, ok := strings.Cut(strings.TrimSpace(said.String()), "your text is kept in ")
	require.True(t, ok, said.String())
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "xmore\n", string(kept))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077)
	require.NoError(t, os.RemoveAll(filepath.Dir(path)))
}
