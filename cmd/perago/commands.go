package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/starlib/diag"
)

// root is the tree of all commands.
func (a *app) root() *ffcli.Command {
	return &ffcli.Command{
		Name:       "perago",
		ShortUsage: "perago <command> FILE... [flags]",
		ShortHelp:  "Write a task as one Starlark file; check it, run it here, serve it to Conductor.",
		LongHelp: `Flags may stand before, between or after the files; -- ends them.
Results go to stdout, everything else to stderr.

Exit codes: 0 done; 1 the task file is invalid, or the attempt FAILED; 2 wrong
use; 3 the attempt failed terminally; 4 the environment (configuration, a
server, a locked folder); 130 interrupted.`,
		FlagSet: newFlagSet("perago"),
		Subcommands: []*ffcli.Command{
			a.initCommand(),
			a.checkCommand(),
			a.runCommand(),
			a.extractCommand(),
			a.testCommand(),
			a.fmtCommand(),
			a.docsCommand(),
			a.explainCommand(),
			a.registerCommand(),
			a.startCommand(),
			a.doctorCommand(),
			a.fenceCommand(),
			a.versionCommand(),
			a.completionCommand(),
		},
	}
}

// newFlagSet makes a FlagSet that prints nothing by itself.
func newFlagSet(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// dispatch finds the command that args name and runs it.
func (a *app) dispatch(ctx context.Context, args []string) error {
	root := a.root()
	wantsHelp := len(args) > 0 && args[0] == "help"
	if wantsHelp {
		args = args[1:]
	}
	cmd, rest, err := find(root, args)
	if err != nil {
		return err
	}
	wantsHelp = wantsHelp || asksForHelp(rest)
	switch {
	case wantsHelp:
		fmt.Fprint(a.stdout, usage(cmd))
		return nil
	case cmd == root && len(rest) > 0 && (rest[0] == "--version" || rest[0] == "-version"):
		return a.version()
	case cmd == root && len(rest) > 0:
		return usageError("`perago --help` lists the commands", "perago takes a command first, then its flags; got %s", diag.Shorten(rest[0]))
	case cmd.Exec == nil:
		fmt.Fprint(a.stderr, usage(cmd))
		return told(exitUsage)
	}
	ordered, err := flagsFirst(cmd.FlagSet, rest)
	if err != nil {
		return withHelpHint(cmd, err)
	}
	return withHelpHint(cmd, parseAndRun(ctx, cmd, ordered))
}

func parseAndRun(ctx context.Context, cmd *ffcli.Command, args []string) error {
	if err := cmd.Parse(args); err != nil {
		return usageError("", "%s", flagSentence(err))
	}
	return cmd.Run(ctx)
}

// flagSentence is the flag package's sentence about a bad value, without what ff
// puts before it, and the flag written the way help writes it:
//
//	invalid value "x" for flag -format: want text or json
//	invalid boolean value "x" for -check: parse error
func flagSentence(err error) string {
	text := strings.TrimPrefix(err.Error(), "error parsing commandline arguments: ")
	if value, name, ok := cutTwo(text, "invalid boolean value ", " for -"); ok {
		name, _, _ = strings.Cut(name, ":")
		return fmt.Sprintf("invalid value %s for flag %s: want true or false", value, dashed(name))
	}
	if value, rest, ok := cutTwo(text, "invalid value ", " for flag -"); ok {
		name, rule, _ := strings.Cut(rest, ": ")
		return fmt.Sprintf("invalid value %s for flag %s: %s", value, dashed(name), rule)
	}
	return text
}

// cutTwo splits text into what stands between before and sep, and what follows sep.
func cutTwo(text, before, sep string) (first, second string, ok bool) {
	rest, starts := strings.CutPrefix(text, before)
	first, second, ok = strings.Cut(rest, sep)
	return first, second, ok && starts
}

// find walks from root down to the command that args name, and returns what is
// left of them. A command that only holds others is found as itself when none
// of them is named.
func find(root *ffcli.Command, args []string) (*ffcli.Command, []string, error) {
	cmd := root
	for len(args) > 0 && len(cmd.Subcommands) > 0 && !strings.HasPrefix(args[0], "-") {
		var next *ffcli.Command
		var names []string
		for _, c := range cmd.Subcommands {
			names = append(names, c.Name)
			if c.Name == args[0] {
				next = c
			}
		}
		if next == nil {
			hint := fmt.Sprintf("`%s --help` lists the commands", commandPath(cmd))
			if near := diag.Nearest(args[0], names); near != "" {
				hint = fmt.Sprintf("did you mean `%s %s`?", commandPath(cmd), near)
			} else if strings.HasSuffix(args[0], ".star") {
				hint = fmt.Sprintf("name the command first: `perago run %s`", diag.Shorten(args[0]))
			}
			return nil, nil, usageError(hint, "unknown command `%s`", diag.Shorten(args[0]))
		}
		cmd, args = next, args[1:]
	}
	return cmd, args, nil
}

// commandPath is a command as the user calls it: "perago fence".
func commandPath(cmd *ffcli.Command) string {
	words := strings.Fields(cmd.ShortUsage)
	for i, w := range words {
		if w != strings.ToLower(w) || strings.ContainsAny(w, "<[-|") {
			return strings.Join(words[:i], " ")
		}
	}
	return strings.Join(words, " ")
}

// withHelpHint adds where to read on to a usage error that advises nothing.
func withHelpHint(cmd *ffcli.Command, err error) error {
	var f *failure
	if errors.As(err, &f) && f.code == exitUsage && f.hint == "" {
		return &failure{f.code, f.err, fmt.Sprintf("`%s --help` shows how it is used", commandPath(cmd))}
	}
	return err
}
