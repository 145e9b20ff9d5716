package main

import (
	"bytes"
	"context"

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
		ShortUsage: "perago docs FILE... [flags]",
		ShortHelp:  "Print the reference page of a task, in Markdown.",
		LongHelp:   "Parameters, result, workspace with its guards, and controls, as the file declares\nthem. `perago docs --builtins` is the reference of the language.",
		FlagSet:    flags,
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
			return a.docs(args, *root)
		}),
	}
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
