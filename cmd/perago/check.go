package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/engine"
	"perago/engine/tasktest"
	"perago/starlib/diag"
)

func (a *app) checkCommand() *ffcli.Command {
	flags := newFlagSet("check")
	format := choiceFlag(flags, "format", "how the complaints are written", []string{"text", "json", "github"})
	root := rootFlag(flags)
	readConfig := a.envFileFlag(flags)
	return &ffcli.Command{
		Name:       "check",
		ShortUsage: "perago check FILE... [flags]",
		ShortHelp:  "Find what is wrong with task files, without running them.",
		LongHelp: `Parses, resolves and loads every file, checks its declaration, makes its TaskDef
and looks for what lint warns of. All complaints of all files are reported, and
whatever is wrong with the configuration. Needs no server and writes nothing.
A test file, *_test.star, is loaded, not run.`,
		FlagSet: flags,
		Exec: a.interruptible(func(ctx context.Context, args []string) error {
			if len(args) == 0 {
				return usageError("", "check wants at least one task file")
			}
			checked := a.check(ctx, args, *root)
			if err := a.printChecked(checked, *format); err != nil {
				return err
			}
			_, err := readConfig()
			if err != nil && checked.invalid() {
				a.report(err)
			}
			if checked.invalid() {
				return told(exitInvalid)
			}
			return err
		}),
	}
}

// checked is what `check` found in some files.
type checked struct {
	Tasks       []checkedTask `json:"tasks"`
	Diagnostics diag.List     `json:"diagnostics"`
}

type checkedTask struct {
	File string `json:"file"`
	Name string `json:"name"`
}

// invalid: at least one complaint is more than a warning.
func (c checked) invalid() bool { return hasErrors(c.Diagnostics) }

func hasErrors(list diag.List) bool {
	for _, d := range list {
		if d.Severity == diag.Error {
			return true
		}
	}
	return false
}

func (a *app) check(ctx context.Context, files []string, root string) checked {
	c := checked{Tasks: []checkedTask{}, Diagnostics: diag.List{}}
	for _, file := range files {
		if ctx.Err() != nil {
			break
		}
		if strings.HasSuffix(file, tasktest.Suffix) {
			_, _, list := engine.LoadTest(file, &engine.LoadOptions{Root: root})
			c.Diagnostics = append(c.Diagnostics, list...)
			continue
		}
		m, list := checkFile(file, root)
		c.Diagnostics = append(c.Diagnostics, list...)
		if m != nil && !hasErrors(list) {
			c.Tasks = append(c.Tasks, checkedTask{file, m.Task.Name})
		}
	}
	return c
}

// checkFile loads one file, makes its TaskDef and lints it.
func checkFile(file, root string) (*engine.Module, diag.List) {
	m, list := loadOne(file, root)
	if m == nil {
		return nil, list
	}
	if _, err := engine.TaskDef(m.Task); err != nil {
		list = append(list, m.Diagnose(err)...)
	}
	return m, append(list, engine.Lint(m)...)
}

// printChecked writes the tasks and complaints in the wanted form: text
// complaints go to stderr, the others are results.
func (a *app) printChecked(c checked, format string) error {
	switch format {
	case "json":
		return writeJSON(a.stdout, c)
	case "github":
		return diag.WriteGitHub(a.stdout, c.Diagnostics)
	}
	diag.WriteText(a.stderr, c.Diagnostics, a.textOptions())
	for _, t := range c.Tasks {
		fmt.Fprintf(a.stdout, "ok: %s  %s\n", t.Name, t.File)
	}
	return nil
}
