package local

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"
)

// unpackJar unpacks the one .txz archive in a jar into dir, which it makes.
func unpackJar(jar, dir string) error {
	z, err := zip.OpenReader(jar)
	if err != nil {
		return fmt.Errorf("open %s: %w", jar, err)
	}
	defer z.Close()
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, ".txz") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return fmt.Errorf("open %s in %s: %w", f.Name, jar, err)
		}
		defer r.Close()
		plain, err := xz.NewReader(bufio.NewReaderSize(r, 1<<20))
		if err != nil {
			return fmt.Errorf("read %s: %w", f.Name, err)
		}
		return unpackTar(plain, dir)
	}
	return fmt.Errorf("%s holds no .txz archive", jar)
}

// unpackTar writes folders, files and symbolic links below dir and nowhere else; other users may read and
// run them, because Postgres does not run as the one who unpacks.
func unpackTar(r io.Reader, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// The root refuses every path that leads out of it, also through a link that was unpacked before.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		name := filepath.Clean(h.Name)
		if name == "." {
			continue
		}
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o755)
		case tar.TypeSymlink:
			err = root.Symlink(h.Linkname, name)
		case tar.TypeReg:
			err = unpackFile(root, name, h, t)
		default:
			err = fmt.Errorf("unknown kind %q", h.Typeflag)
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", h.Name, err)
		}
	}
}

func unpackFile(root *os.Root, name string, h *tar.Header, r io.Reader) error {
	mode := os.FileMode(0o644)
	if h.FileInfo().Mode().Perm()&0o100 != 0 {
		mode = 0o755
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(mode); err != nil { // the umask may have taken the others' permission
		f.Close()
		return err
	}
	return f.Close()
}
