package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/starlib"
	"perago/starlib/diag"
)

func (a *app) docsCommand() *ffcli.Command {
	flags := newFlagSet("docs")
	builtins := flags.Bool("builtins", false, "the reference of the language instead: everything a task file can call")
	root := rootFlag(flags)
	return &ffcli.Command{
		Name:       "docs",
		ShortUsage: "perago docs FILE...|NAME... [flags]",
		ShortHelp:  "Print the reference page of a task, or of a name of the language, in Markdown.",
		LongHelp: "Parameters, result, workspace with its guards, and controls, as the file declares\nthem. Of a name such as csv.write, glob, stats or path, what the reference says of it.\n" +
			"`perago docs --builtins` is the whole reference of the language.",
		FlagSet: flags,
		Exec: a.interruptible(func(_ context.Context, args []string) error {
			switch {
			case *builtins && len(args) > 0:
				return usageError("", "--builtins takes no file")
			case *builtins:
				_, err := a.stdout.Write([]byte(starlib.Markdown()))
				return err
			case len(args) == 0:
				return usageError("", "docs wants at least one task file, or --builtins")
			}
			if !isFile(args[0]) {
				return a.entries(args)
			}
			return a.docs(args, *root)
		}),
	}
}

// isFile says whether an argument means a file rather than a name of the language.
func isFile(arg string) bool {
	if strings.HasSuffix(arg, ".star") || strings.ContainsAny(arg, `/\`) {
		return true
	}
	_, err := os.Stat(arg)
	return err == nil
}

// entries prints what the reference says of some names.
func (a *app) entries(names []string) error {
	var pages []string
	for _, name := range names {
		text, near := starlib.Entries(name)
		if text == "" {
			hint := "`perago docs --builtins` lists all names; a task file ends in .star"
			if near != "" {
				hint = "did you mean `" + near + "`?"
			}
			return &failure{exitUsage, fmt.Errorf("docs: the language has no `%s`", name), hint}
		}
		pages = append(pages, text)
	}
	_, err := io.WriteString(a.stdout, strings.Join(pages, "\n"))
	return err
}

func (a *app) docs(files []string, root string) error {
	var pages bytes.Buffer
	var complaints diag.List
	for i, file := range taskFiles(files) {
		m, list := loadOne(file, root)
		if m == nil {
			complaints = append(complaints, list...)
			continue
		}
		if i > 0 {
			pages.WriteString("\n")
		}
		taskPage(&pages, m)
	}
	if len(complaints) > 0 {
		return complaints
	}
	_, err := a.stdout.Write(pages.Bytes())
	return err
}
