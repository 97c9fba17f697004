package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// editor is the command that people edit texts with: $VISUAL, $EDITOR, or vi.
func (a *app) editor() string {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if command := a.env.get(name); command != "" {
			return command
		}
	}
	return "vi"
}

// editText lets the person at the terminal change a text, which it shows in a file of the name given. The file is in a folder
// of its own, which nobody else may read, and which is gone afterwards unless keep says that the text must not be lost.
func (a *app) editText(ctx context.Context, name string, text []byte, use func([]byte) (keep bool, err error)) error {
	folder, err := os.MkdirTemp("", "tartan-edit-")
	if err != nil {
		return fmt.Errorf("make a folder to edit in: %w", err)
	}
	keep := false
	defer func() {
		if !keep {
			_ = os.RemoveAll(folder)
		}
	}()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return err
	}
	// By a shell, since the variable may hold arguments; the path is an argument of the shell, so nothing in it is read as code.
	c := exec.CommandContext(ctx, "sh", "-c", a.editor()+` "$1"`, "sh", path)
	c.Stdin, c.Stdout, c.Stderr = a.in, a.out, a.err
	if err := c.Run(); err != nil {
		return &failure{code: codeFailure, what: "run the editor " + a.editor(), why: err, next: "set EDITOR to the editor you like; nothing was changed"}
	}
	changed, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read back what was edited: %w", err)
	}
	if bytes.Equal(changed, text) {
		a.say("nothing was changed")
		return nil
	}
	keep, err = use(changed)
	if keep {
		a.say("your text is kept in %s", path)
	}
	return err
}
