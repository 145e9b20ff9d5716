// Package paths has the rules for the names of files in a workspace: which are
// allowed, which are reserved, and how they are joined, compared and shown.
package paths

import (
	"errors"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLength is the longest path a store takes, in bytes, prefix included.
const MaxLength = 1024

// Error is a path that cannot name a file of a workspace. Its text is for
// the author of a task.
type Error struct {
	Path   string
	Reason string // what is wrong with it: "has an empty segment"
}

func (e *Error) Error() string { return "path " + Quote(e.Path) + " " + e.Reason }

// Check says whether p can name a file or folder: relative to the
// workspace, "/" between segments. "" (the root itself), an absolute path, a
// backslash, a NUL and an empty, "." or ".." segment are refused with an *Error.
func Check(p string) error {
	if reason := Problem(p); reason != "" {
		return &Error{Path: p, Reason: reason}
	}
	return nil
}

// CheckNew says whether a file may be written at p. It refuses what Check
// refuses, and names that a store would not return unchanged: with control
// characters, invalid UTF-8, or more than 1024 bytes.
func CheckNew(p string) error {
	if err := Check(p); err != nil {
		return err
	}
	reason := ""
	switch {
	case !utf8.ValidString(p):
		reason = "is not valid UTF-8, and the store could not give it back"
	case strings.ContainsFunc(p, unicode.IsControl):
		reason = "has a control character, and the store could not give it back"
	case len(p) > MaxLength:
		reason = "is longer than 1024 bytes"
	default:
		return nil
	}
	return &Error{Path: p, Reason: reason}
}

// Join puts relative paths together; "" is left out, so Join("", "a") is "a".
func Join(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('/')
		}
		b.WriteString(p)
	}
	return b.String()
}

// Problem is the Reason of an Error for p, "" when there is none. Paths, patterns
// and prefixes are all checked by it.
func Problem(p string) string {
	switch {
	case p == "":
		return "is empty"
	case p[0] == '/':
		return "is absolute: it is to be relative to the workspace"
	case strings.IndexByte(p, '\\') >= 0:
		return `has a backslash: segments are separated by "/"`
	case strings.IndexByte(p, 0) >= 0:
		return "has a NUL byte"
	}
	for rest, more := p, true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		switch {
		case segment == "" && !more:
			return "ends with a slash"
		case segment == "":
			return "has an empty segment"
		case segment == "." || segment == "..":
			return "has a " + Quote(segment) + " segment"
		}
	}
	return ""
}

// HasDrive says whether p starts with a drive of Windows, as "C:".
func HasDrive(p string) bool {
	return len(p) > 1 && p[1] == ':' && (p[0]|0x20) >= 'a' && (p[0]|0x20) <= 'z'
}

// Nameable says whether the file API can show a stored object under the name p.
func Nameable(p string) bool {
	return Problem(p) == "" && !strings.ContainsFunc(p, unicode.IsControl)
}

// Parent is the folder of p, "" for one directly in the root.
func Parent(p string) string {
	return p[:max(0, strings.LastIndexByte(p, '/'))]
}

// Under says whether p is below folder; everything is below "".
func Under(p, folder string) bool {
	return folder == "" || len(p) > len(folder) && p[len(folder)] == '/' && strings.HasPrefix(p, folder)
}

// Prefix is the string that all paths below folder start with.
func Prefix(folder string) string {
	if folder == "" {
		return ""
	}
	return folder + "/"
}

// Ancestors yields the folders that p is in, outermost first, without the root.
func Ancestors(p string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range len(p) {
			if p[i] == '/' && !yield(p[:i]) {
				return
			}
		}
	}
}

// Quote is a name as it is shown to a person: quoted, at most 80 characters.
func Quote(s string) string {
	if utf8.RuneCountInString(s) > 80 {
		s = string([]rune(s)[:79]) + "…"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsControl(r):
			b.WriteString(`\x` + string("0123456789abcdef"[r>>4&15]) + string("0123456789abcdef"[r&15]))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// TrimSlash is the folder of a prefix: "a" of "a/".
func TrimSlash(prefix string) string { return strings.TrimSuffix(prefix, "/") }

// ReservedFolders are the folders at the root of a repository that belong to the
// server and to publication; no workspace shows them, whatever its prefix.
var ReservedFolders = [...]string{"_lakefs_actions", "_perago"}

// CleanPrefix makes the prefix of a Spec from what an author wrote: outer white
// space and leading slashes are dropped, and "/" is the whole repository. Its
// error is an *Error.
func CleanPrefix(s string) (string, error) {
	trimmed := strings.TrimSpace(s)
	p := strings.TrimLeft(trimmed, "/")
	if p == "" && trimmed != "" {
		return "", nil
	}
	reason := Problem(p)
	switch {
	case reason == "" && !Nameable(p):
		reason = "has a control character"
	case reason == "" && Reserved(p):
		reason = "is reserved for perago and the server"
	}
	if reason != "" {
		return "", &Error{Path: s, Reason: reason}
	}
	return p, nil
}

// Reserved says whether a path of the repository is in a reserved folder.
func Reserved(path string) bool {
	for _, folder := range ReservedFolders {
		if path == folder || Under(path, folder) {
			return true
		}
	}
	return false
}

// Reason is an error of a file without the operation and the path, for a message
// that names both itself.
func Reason(err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return at.Err
	}
	return err
}
