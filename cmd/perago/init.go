package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// project is what `perago init` makes. Names that start with "dot-" get a dot.
//
//go:embed project
var project embed.FS

func (a *app) initCommand() *ffcli.Command {
	return &ffcli.Command{
		Name:       "init",
		ShortUsage: "perago init [DIR]",
		ShortHelp:  "Make a project: a task, its test, a fixture workspace.",
		LongHelp: `DIR is made when missing; by default it is the current folder. A file that is
already there is never overwritten: then nothing is written at all.`,
		FlagSet: newFlagSet("init"),
		Exec: func(_ context.Context, args []string) error {
			dir := "."
			switch {
			case len(args) > 1:
				return usageError("", "init takes one folder, got %d", len(args))
			case len(args) == 1 && args[0] != "":
				dir = args[0]
			}
			return a.initProject(dir)
		},
	}
}

func (a *app) initProject(dir string) error {
	contents, err := projectFiles()
	if err != nil {
		return err
	}
	var taken []string
	for _, f := range contents {
		if _, err := os.Lstat(filepath.Join(dir, f.name)); err == nil {
			taken = append(taken, filepath.Join(dir, f.name))
		}
	}
	if len(taken) > 0 {
		return usageError("name an empty folder: `perago init NEWDIR`", "init overwrites nothing, and there is already %s", strings.Join(taken, ", "))
	}
	for _, f := range contents {
		if err := replaceFile(filepath.Join(dir, f.name), f.data, 0o666&^umask()); err != nil {
			return err
		}
		fmt.Fprintln(a.stdout, filepath.Join(dir, f.name))
	}
	in := ""
	if dir != "." {
		in = "cd " + dir + "\n  "
	}
	fmt.Fprintf(a.stderr, "\nnext:\n  %sperago check count_rows.star\n  perago test\n  perago run count_rows.star --workspace fixtures/count_rows\n", in)
	return nil
}

type projectFile struct {
	name string
	data []byte
}

func projectFiles() (files []projectFile, err error) {
	err = fs.WalkDir(project, "project", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := project.ReadFile(p)
		name := strings.TrimPrefix(p, "project/")
		if base := path.Base(name); strings.HasPrefix(base, "dot-") {
			name = path.Join(path.Dir(name), "."+strings.TrimPrefix(base, "dot-"))
		}
		files = append(files, projectFile{filepath.FromSlash(name), data})
		return err
	})
	return files, err
}
