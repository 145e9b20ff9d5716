package module

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"perago/starlib/diag"
)

// maxSource bounds one task file, in bytes.
const maxSource = 1 << 20

// byteOrderMark is what some editors put before a UTF-8 text.
const byteOrderMark = "\xef\xbb\xbf"

// inMemory is a reader over files that were read before.
type inMemory map[string][]byte

func (h inMemory) read(name, asked string) ([]byte, *diag.Problem) {
	text, ok := h[name]
	if !ok {
		return nil, &diag.Problem{Code: "P1402", Message: "there is no file " + name + " among those that were handed over"}
	}
	return text, nil
}

// disk is a reader over the *.star files below a root. What leads out of it, by
// `..` or by a symlink, is refused.
type disk struct {
	root  string            // as it stands in names
	abs   string            // the same, absolute
	below *os.Root          // opened at the first load
	texts map[string][]byte // instead of what files hold
}

// openDisk finds the root of a task file.
func openDisk(file, root string) (*disk, *diag.Diagnostic) {
	refuse := func(message, hint string) (*disk, *diag.Diagnostic) {
		return nil, &diag.Diagnostic{Code: "P1401", Severity: diag.Error, Message: message, File: file, Hint: hint}
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return refuse("the current directory cannot be found: "+cause(err), "")
	}
	d := &disk{root: root}
	if root == "" {
		d.root = "."
	}
	if d.abs, err = filepath.Abs(d.root); err != nil {
		return refuse("the root cannot be found: "+cause(err), "")
	}
	if !inside(d.abs, abs) {
		if root != "" {
			return refuse("the file is not inside of the root "+root, "name a folder above it with --root")
		}
		d.root, d.abs = filepath.Dir(file), filepath.Dir(abs)
	}
	if filepath.IsAbs(file) {
		d.root = d.abs
	}
	d.root = filepath.ToSlash(d.root)
	return d, nil
}

// inside says whether an absolute path is below a folder, by its text.
func inside(folder, file string) bool {
	rel, err := filepath.Rel(folder, file)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func (d *disk) close() {
	if d.below != nil {
		d.below.Close() // it was only read
	}
}

// read implements reader.
func (d *disk) read(name, asked string) ([]byte, *diag.Problem) {
	text, problem := d.held(name, asked)
	if instead, ok := d.texts[name]; ok && problem == nil {
		return bytes.TrimPrefix(instead, []byte(byteOrderMark)), nil
	}
	return text, problem
}

// held is what a file holds on the disk.
func (d *disk) held(name, asked string) ([]byte, *diag.Problem) {
	const flags = os.O_RDONLY | syscall.O_NONBLOCK // a FIFO must not hold us up
	abs, err := filepath.Abs(filepath.FromSlash(name))
	if asked == "" {
		f, openErr := os.OpenFile(name, flags, 0)
		if err := cmp.Or(openErr, err); err != nil {
			return nil, d.unopened(name, asked, err)
		}
		return d.source(f, abs, "this", "P1301")
	}
	if err != nil || !inside(d.abs, abs) {
		return nil, outside(asked, d.root)
	}
	if d.below == nil {
		if d.below, err = os.OpenRoot(d.abs); err != nil {
			return nil, &diag.Problem{Code: "P1402", Message: "the root " + d.root + " cannot be opened: " + cause(err)}
		}
	}
	rel, err := filepath.Rel(d.abs, abs)
	if err != nil {
		return nil, outside(asked, d.root)
	}
	f, err := d.below.OpenFile(rel, flags, 0)
	if err != nil {
		if _, statErr := os.Stat(abs); statErr == nil && !errors.Is(err, fs.ErrPermission) {
			return nil, outside(asked, d.root) // it exists, but not below the root
		}
		return nil, d.unopened(name, asked, err)
	}
	return d.source(f, abs, name, "P1402")
}

// linked refuses a file that is opened under the name of a task file and is none:
// links may lead from abs only to a *.star file below the root. Else a link to a
// file of credentials would have its lines shown in a complaint.
func (d *disk) linked(abs string, opened fs.FileInfo, what string) *diag.Problem {
	root, err := filepath.EvalSymlinks(d.abs)
	if err != nil {
		return &diag.Problem{Code: "P1402", Message: "the root " + d.root + " cannot be opened: " + cause(err)}
	}
	target, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return &diag.Problem{Code: "P1301", Message: what + " cannot be read: " + cause(err)}
	}
	now, err := os.Lstat(target)
	if err != nil || !os.SameFile(now, opened) {
		return &diag.Problem{Code: "P1301", Message: what + " was replaced while it was read", Hint: "run the command again"}
	}
	if !inside(root, target) {
		return &diag.Problem{Code: "P1401", Message: what + " is a link that leads out of the root " + d.root,
			Hint: "name the file itself; `--root DIR` names another root"}
	}
	if base := filepath.Base(target); !strings.HasSuffix(base, ".star") || strings.HasPrefix(base, ".") {
		return &diag.Problem{Code: "P1302", Message: what + " is no task file", Wanted: "a file whose name ends in .star and does not start with a dot, also behind a link"}
	}
	byName, nameErr := filepath.Rel(d.abs, abs)
	byLink, linkErr := filepath.Rel(root, target)
	if err := cmp.Or(nameErr, linkErr); err != nil {
		return &diag.Problem{Code: "P1301", Message: what + " cannot be read: " + cause(err)}
	}
	// Kubernetes mounts the files of a ConfigMap as links through a folder ..data.
	hidden := func(part string) bool { return strings.HasPrefix(part, ".") && !strings.HasPrefix(part, "..") }
	if byName != byLink && slices.ContainsFunc(strings.Split(filepath.ToSlash(byLink), "/"), hidden) {
		return &diag.Problem{Code: "P1401", Message: what + " is a link that leads into a hidden folder", Hint: "name the file itself"}
	}
	return nil
}

func outside(asked, root string) *diag.Problem {
	return &diag.Problem{Code: "P1401", Message: fmt.Sprintf("%q leads out of the root %s", asked, root),
		Hint: "load only what is below the root; `--root DIR` names another one"}
}

// source reads and closes a file that was opened without waiting as abs. what is
// how messages call it.
func (d *disk) source(f *os.File, abs, what string, code diag.Code) ([]byte, *diag.Problem) {
	defer f.Close() // it was only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, &diag.Problem{Code: code, Message: what + " cannot be read: " + cause(err)}
	case info.IsDir():
		return nil, &diag.Problem{Code: "P1302", Message: what + " is a folder", Wanted: "a file",
			Hint: "name a file in it"}
	case !info.Mode().IsRegular():
		return nil, &diag.Problem{Code: "P1302", Message: what + " is no plain file"}
	}
	if problem := d.linked(abs, info, what); problem != nil {
		return nil, problem
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err != nil {
		return nil, &diag.Problem{Code: code, Message: what + " cannot be read: " + cause(err)}
	}
	if len(text) > maxSource {
		p := &diag.Problem{Code: "P1303", Message: what + " is too large", Wanted: "at most 1 MiB",
			Hint: "data belongs in a file of the workspace"}
		p.Found = "more than that"
		if size := info.Size(); size > maxSource {
			p.Found = fmt.Sprintf("%.1f MiB", float64(size)/(1<<20))
		}
		return nil, p
	}
	return []byte(strings.TrimPrefix(string(text), byteOrderMark)), nil
}

// cause is the reason in an error of package os, without the operation and the
// path, which the message has already.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// unopened explains a file that could not be opened, and proposes the nearest one
// that exists.
func (d *disk) unopened(name, asked string, err error) *diag.Problem {
	if asked == "" {
		p := &diag.Problem{Code: "P1301", Message: "this cannot be read: " + cause(err)}
		if errors.Is(err, fs.ErrNotExist) {
			p.Message = "there is no such file"
			if entries, err := os.ReadDir(filepath.Dir(name)); err == nil {
				p.Hint = nearFile(name, filepath.Base(name), entries)
			}
		}
		return p
	}
	p := &diag.Problem{Code: "P1402", Message: "cannot load " + name + ": " + cause(err)}
	if !errors.Is(err, fs.ErrNotExist) {
		return p
	}
	p.Message = "there is no file " + name
	if rooted := strings.TrimPrefix(asked, "//"); rooted == asked {
		if _, err := d.below.Stat(filepath.FromSlash(path.Clean(asked))); err == nil {
			p.Hint = "did you mean `//" + path.Clean(asked) + "`? Without `//` a path is relative to the loading file"
			return p
		}
	}
	p.Hint = d.nearest(name, asked)
	return p
}

// nearest proposes another path in the words of a load statement: the first part
// of it that is not there, replaced by the nearest that is.
func (d *disk) nearest(name, asked string) string {
	abs, err := filepath.Abs(filepath.FromSlash(name))
	if err != nil {
		return ""
	}
	rel, err := filepath.Rel(d.abs, abs)
	if err != nil {
		return ""
	}
	parts := strings.Split(filepath.ToSlash(rel), "/")
	for i := range parts {
		if _, err := d.below.Stat(path.Join(parts[:i+1]...)); err == nil {
			continue
		}
		folder, err := d.below.Open(path.Join(append([]string{"."}, parts[:i]...)...))
		if err != nil {
			return ""
		}
		entries, _ := folder.ReadDir(1000) // what can be read of it is enough for a hint
		folder.Close()                     // it was only read
		if i == len(parts)-1 {
			return nearFile(asked, parts[i], entries)
		}
		var folders []string
		for _, e := range entries {
			if e.IsDir() {
				folders = append(folders, e.Name())
			}
		}
		rest := strings.Join(parts[i:], "/")
		if near := diag.Nearest(parts[i], folders); near != "" && strings.HasSuffix(asked, rest) {
			return "did you mean `" + strings.TrimSuffix(asked, rest) + near + strings.TrimPrefix(rest, parts[i]) + "`?"
		}
		return ""
	}
	return ""
}

// nearFile proposes the nearest file of a folder in the words of the asker.
func nearFile(asked, base string, entries []fs.DirEntry) string {
	var names []string
	for _, e := range entries {
		if !e.IsDir() && strings.HasSuffix(e.Name(), ".star") {
			names = append(names, e.Name())
		}
		if e.Name() == base+".star" {
			return "did you mean `" + asked + ".star`?"
		}
	}
	if near := diag.Nearest(base, names); near != "" {
		return "did you mean `" + strings.TrimSuffix(asked, base) + near + "`?"
	}
	return ""
}
