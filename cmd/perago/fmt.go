package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/cmd/perago/layout"
	"perago/starlib/diag"
)

func (a *app) fmtCommand() *ffcli.Command {
	flags := newFlagSet("fmt")
	check := flags.Bool("check", false, "change nothing; list the files that are not formatted and exit 1")
	return &ffcli.Command{
		Name:       "fmt",
		ShortUsage: "perago fmt [FILE|DIR...] [flags]",
		ShortHelp:  "Format task files in place.",
		LongHelp: `A folder stands for every .star file below it; none is the current folder.
"-" reads stdin and writes stdout. The name of every file that was changed is
printed.`,
		FlagSet: flags,
		Exec: a.interruptible(func(ctx context.Context, args []string) error {
			if slices.Contains(args, "-") {
				if len(args) > 1 {
					return usageError("", "- is stdin, and stands alone")
				}
				return a.formatStdin(*check)
			}
			return a.formatFiles(ctx, args, *check)
		}),
	}
}

func (a *app) formatStdin(check bool) error {
	source, err := io.ReadAll(io.LimitReader(a.stdin, layout.MaxSource+1))
	if err != nil {
		return environmentError("", "read stdin: %w", err)
	}
	formatted, err := layoutOf("<stdin>", source)
	if err != nil {
		return err
	}
	if !check {
		a.stdout.Write(formatted)
		return nil
	}
	if !bytes.Equal(source, formatted) {
		fmt.Fprintln(a.stdout, "<stdin>")
		return told(exitInvalid)
	}
	return nil
}

// layoutOf is a file as it is laid out.
func layoutOf(name string, source []byte) ([]byte, error) {
	formatted, err := layout.Format(name, source)
	if refused := (*layout.Error)(nil); errors.As(err, &refused) {
		err = &failure{exitInvalid, err, refused.Hint}
	}
	return formatted, err
}

// formatFiles formats every file, the bad ones reported and left alone.
func (a *app) formatFiles(ctx context.Context, args []string, check bool) error {
	if len(args) == 0 {
		args = []string{"."}
	}
	files, err := starFiles(args)
	if err != nil {
		return err
	}
	var worst error
	for _, file := range files {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		changed, err := formatFile(file, check)
		if err != nil {
			a.report(err)
			worst = told(exitInvalid)
			continue
		}
		if changed {
			fmt.Fprintln(a.stdout, diag.Printable(file))
			if check {
				worst = told(exitInvalid)
			}
		}
	}
	return worst
}

// starFiles replaces the folders of args by the .star files below them. Hidden
// folders are passed over, and no symlink is followed.
func starFiles(args []string) (files []string, err error) {
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, fileError("format", err)
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		err = filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != arg && strings.HasPrefix(d.Name(), "."):
				return filepath.SkipDir
			case d.Type().IsRegular() && strings.HasSuffix(path, ".star"):
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			return nil, environmentError("", "look for task files: %w", err)
		}
	}
	return files, nil
}

func formatFile(file string, check bool) (changed bool, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, &failure{exitInvalid, fmt.Errorf("format %s: not a regular file", file), ""}
	}
	// What cannot be formatted has its lines shown, and a link may lead to a file
	// of credentials.
	target, err := filepath.EvalSymlinks(file)
	if err != nil {
		return false, err
	}
	if !strings.HasSuffix(target, ".star") {
		return false, &failure{exitInvalid, fmt.Errorf("format %s: not a *.star file", file), "- formats what is on stdin"}
	}
	source, err := os.ReadFile(target)
	if err != nil {
		return false, err
	}
	formatted, err := layoutOf(file, source)
	if err != nil {
		return false, err
	}
	if bytes.Equal(source, formatted) || check {
		return !bytes.Equal(source, formatted), nil
	}
	return true, replaceFile(file, formatted, info.Mode().Perm())
}
