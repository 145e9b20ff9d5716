package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"go.starlark.net/syntax"

	"perago/cmd/perago/layout"
	"perago/engine/module"
	"perago/starlib/diag"
)

// fixed is one file that `check --fix` mended.
type fixed struct {
	File        string    `json:"file"`
	Diagnostics diag.List `json:"diagnostics"` // the complaints that were mended
	before      []byte
	after       []byte
}

type fixes []fixed

// mostPasses bounds how often one file is looked at: what is mended may bring
// another complaint to light, such as a name behind an import.
const mostPasses = 20

// fixFiles mends what is sure to be meant in files. With dry nothing is written.
func fixFiles(ctx context.Context, files []string, root string, dry bool) (fixes, error) {
	var done fixes
	for _, file := range files {
		if ctx.Err() != nil {
			return done, ctx.Err()
		}
		f, err := fixFile(file, &module.Options{Root: root, Texts: done.texts()})
		if err != nil {
			return done, err
		}
		if len(f.Diagnostics) == 0 {
			continue
		}
		if !dry {
			info, err := os.Stat(file)
			if err != nil {
				return done, environmentError("", "%w", err)
			}
			if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, f.before) {
				return done, environmentError("run the command again", "%s was changed meanwhile, and is left alone", file)
			}
			if err := replaceFile(file, f.after, info.Mode().Perm()); err != nil {
				return done, err
			}
		}
		done = append(done, f)
	}
	return done, nil
}

// fixFile mends the text of one file. What cannot be read has no fixes: the check
// that follows complains of it.
func fixFile(file string, o *module.Options) (fixed, error) {
	f := fixed{File: file}
	target, err := filepath.EvalSymlinks(file)
	if err != nil || !strings.HasSuffix(target, ".star") {
		return f, nil
	}
	if info, err := os.Stat(target); err != nil || !info.Mode().IsRegular() {
		return f, nil
	}
	if f.before, err = os.ReadFile(target); err != nil {
		return f, nil
	}
	f.after = f.before
	lines := make(lineNumbers, bytes.Count(f.before, []byte("\n"))+1)
	for i := range lines {
		lines[i] = i + 1
	}
	texts := map[string][]byte{}
	for name, text := range o.Texts {
		texts[name] = text
	}
	for range mostPasses {
		texts[file] = f.after
		_, list := checkFile(file, &module.Options{Root: o.Root, Texts: texts})
		var own diag.List
		for _, d := range list {
			if d.File == file && len(d.Fix) > 0 {
				own = append(own, d)
			}
		}
		next, applied := diag.Apply(f.after, own)
		if len(applied) == 0 || parses(file, f.after) && !parses(file, next) {
			break // what does not parse any more was no fix
		}
		f.after = next
		for _, d := range applied {
			f.Diagnostics = append(f.Diagnostics, lines.place(d))
		}
		lines.edited(applied)
	}
	if formatted, err := layout.Format(file, f.before); err == nil && bytes.Equal(formatted, f.before) {
		if formatted, err = layout.Format(file, f.after); err == nil { // what was formatted stays so
			f.after = formatted
		}
	}
	return f, nil
}

// lineNumbers are those that the lines of a text had before edits took some away.
type lineNumbers []int

// place is a complaint with the line that a reader of the old text finds it on.
func (n lineNumbers) place(d *diag.Diagnostic) *diag.Diagnostic {
	old := *d
	if 1 <= d.Line && d.Line <= len(n) {
		old.Line = n[d.Line-1]
	}
	return &old
}

// edited takes lines out that edits joined with others. No edit adds a line.
func (n *lineNumbers) edited(list diag.List) {
	gone := map[int]bool{} // by index
	for _, d := range list {
		for _, e := range d.Fix {
			for line := e.Line; line < e.EndLine; line++ {
				if e.Column == 1 { // whole lines
					gone[line-1] = true
				} else {
					gone[line] = true
				}
			}
		}
	}
	left := (*n)[:0]
	for i, line := range *n {
		if !gone[i] {
			left = append(left, line)
		}
	}
	*n = left
}

// parses says whether a text is one of the language.
func parses(file string, text []byte) bool {
	_, err := (&syntax.FileOptions{Set: true}).Parse(file, bytes.TrimPrefix(text, []byte("\ufeff")), 0)
	return err == nil
}

// texts are the mended texts, by the names of their files.
func (f fixes) texts() map[string][]byte {
	texts := make(map[string][]byte, len(f))
	for _, one := range f {
		texts[one.File] = one.after
	}
	return texts
}

// print tells a person what was mended; with dry it shows the change as a diff.
func (f fixes) print(a *app, dry bool) error {
	for _, one := range f {
		if dry {
			name := diag.Printable(one.File)
			if _, err := a.stdout.Write([]byte(diag.PrintableLines(string(diff.Diff(name, one.before, name, one.after))))); err != nil {
				return err
			}
			continue
		}
		for _, d := range one.Diagnostics {
			if _, err := fmt.Fprintf(a.stdout, "fixed: %s\n", d.Line1()); err != nil {
				return err
			}
		}
	}
	return nil
}
