package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/term"

	"perago/starlib/diag"
)

// rootFlag adds --root, what "//" means in a load.
func rootFlag(fs *flag.FlagSet) *string {
	return fs.String("root", "", "what // means in load(\"//…\"): a `DIR`; by default the current one, or the file's own when that is elsewhere")
}

func (a *app) textOptions() diag.TextOptions {
	return diag.TextOptions{Color: a.colorful(a.stderr)}
}

// colorful: w is a terminal that wants colour.
func (a *app) colorful(w io.Writer) bool {
	env := environment(a.environ)
	return isTerminal(w) && env["NO_COLOR"] == "" && env["TERM"] != "dumb"
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// columns is the width of the terminal w, 80 when it does not tell.
func columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			return width
		}
	}
	return 80
}

// writeJSON writes v as two-space indented JSON with a newline at its end, text as it is.
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(diag.PrintableJSON(b.Bytes()))
	return err
}

// umask reads the process's file mode creation mask, which can only be read by
// setting it.
func umask() fs.FileMode {
	mask := syscall.Umask(0o077)
	syscall.Umask(mask)
	return fs.FileMode(mask)
}

// replaceFile puts data at path in one step, parents made: a reader sees the
// old content or the new one. A symlink keeps pointing where it did.
func replaceFile(path string, data []byte, mode fs.FileMode) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return environmentError("", "write %s: it is a folder", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return environmentError("", "write %s: %w", path, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return environmentError("", "write %s: %w", path, err)
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return environmentError("", "write %s: %w", path, err)
	}
	return nil
}
