package vault

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tartan-ai/tartan/internal/knowledge"
)

// ErrPath is wrapped by the errors of paths that cannot be in a vault.
var ErrPath = errors.New("no path of a vault")

// CheckPath says what is wrong with the path of a file: it has to be relative, clean, UTF-8, and outside of git's own folder.
func CheckPath(name string) error {
	switch {
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: %q is not UTF-8: rename the file", ErrPath, name)
	case strings.ContainsRune(name, 0):
		return fmt.Errorf("%w: %q holds a NUL", ErrPath, name)
	case name == "" || name == "." || path.IsAbs(name) || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../"):
		return fmt.Errorf("%w: %q has to be relative, without empty, . and .. folders", ErrPath, name)
	}
	for folder := range strings.SplitSeq(name, "/") {
		if strings.EqualFold(folder, ".git") {
			return fmt.Errorf("%w: %q is in the folder that git keeps for itself", ErrPath, name)
		}
	}
	return nil
}

// IsNote reports whether a path is that of a Markdown note. Hidden files and those in hidden folders are none.
func IsNote(name string) bool {
	if strings.HasPrefix(name, ".") || strings.Contains(name, "/.") {
		return false
	}
	return noteExtension(name) != ""
}

func noteExtension(name string) string {
	switch ext := path.Ext(name); strings.ToLower(ext) {
	case ".md", ".markdown":
		return ext
	}
	return ""
}

// plainSlug is the slug that a path says: lower case, and - for what a slug cannot have.
func plainSlug(name string) string {
	folders := strings.Split(strings.TrimSuffix(name, noteExtension(name)), "/")
	for i, folder := range folders {
		var b strings.Builder
		gap := false
		for _, r := range strings.ToLower(folder) {
			switch {
			case unicode.In(r, unicode.Ll, unicode.Lo, unicode.Lm, unicode.M, unicode.N):
				if gap && b.Len() > 0 {
					b.WriteByte('-')
				}
				gap = false
				b.WriteRune(r)
			case (r == '.' || r == '_' || r == '-') && !gap && b.Len() > 0:
				b.WriteRune(r)
			default:
				gap = true
			}
		}
		if folders[i] = strings.TrimRight(b.String(), "._-"); folders[i] == "" {
			folders[i] = "untitled"
		}
	}
	slug := strings.Join(folders, "/")
	if len(slug) > knowledge.MaxSlug {
		return withSuffix(slug, name)
	}
	return slug
}

// withSuffix tells the slug from that of other paths which say the same, and cuts it to what a slug may have.
func withSuffix(slug, name string) string {
	sum := sha256.Sum256([]byte(name))
	suffix := "-" + hex.EncodeToString(sum[:4])
	if most := knowledge.MaxSlug - len(suffix); len(slug) > most {
		slug = strings.TrimRight(strings.ToValidUTF8(slug[:most], ""), "/._-")
	}
	return slug + suffix
}

// fileTitle is the name of the file, without folders and extension.
func fileTitle(name string) string {
	return strings.TrimSuffix(path.Base(name), noteExtension(name))
}
