package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

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
			a.replCommand(),
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
	if err := cmd.Parse(ordered); err != nil {
		return withHelpHint(cmd, usageError("", "%s", flagSentence(err)))
	}
	return withHelpHint(cmd, cmd.Run(ctx))
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

// flagsFirst moves the flags of args before the files, and a "--" between them:
// the flag package stops at the first argument that is not a flag. What follows
// a "--" in args is files, whatever it looks like; "-" is a file.
func flagsFirst(fs *flag.FlagSet, args []string) ([]string, error) {
	var flags, files []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			files = append(files, args[i+1:]...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			files = append(files, arg)
			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		f := fs.Lookup(name)
		if f == nil {
			if n := attachedNumber(fs, arg); n != "" {
				flags = append(flags, n)
				continue
			}
			return nil, unknownFlag(fs, arg)
		}
		flags = append(flags, arg)
		if hasValue || isSwitch(f) {
			continue
		}
		if i+1 == len(args) || args[i+1] == "--" {
			return nil, usageError("", "flag %s wants a value: %s", dashed(name), f.Usage)
		}
		i++
		flags = append(flags, args[i])
	}
	return append(append(flags, "--"), files...), nil
}

// attachedNumber reads -j4 as -j=4, the way make does.
func attachedNumber(fs *flag.FlagSet, arg string) string {
	if len(arg) > 2 && arg[1] != '-' && fs.Lookup(arg[1:2]) != nil && strings.Trim(arg[2:], "0123456789") == "" {
		return arg[:2] + "=" + arg[2:]
	}
	return ""
}

func unknownFlag(fs *flag.FlagSet, arg string) error {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	var known []string
	fs.VisitAll(func(f *flag.Flag) {
		if len(f.Name) > 1 { // a single letter is near to every other
			known = append(known, f.Name)
		}
	})
	return usageError(diag.DidYouMean(name, known, dashed), "unknown flag %s", dashed(diag.Shorten(name)))
}

// dashed is a flag as it is written in messages and help.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// isSwitch: the flag takes no value.
func isSwitch(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// asksForHelp: one of args, before any "--", is -h or --help.
func asksForHelp(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.ContainsFunc(args, func(a string) bool {
		return slices.Contains([]string{"-h", "--h", "-help", "--help"}, a)
	})
}

// choiceFlag adds a flag that takes one of a few words, the first by default.
func choiceFlag(fs *flag.FlagSet, name, usage string, words []string) *string {
	value := words[0]
	fs.Var(&choice{&value, words}, name, usage)
	return &value
}

type choice struct {
	value *string
	words []string
}

func (c *choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

func (c *choice) Set(s string) error {
	if !slices.Contains(c.words, s) {
		return errors.New("want " + orList(c.words))
	}
	*c.value = s
	return nil
}

// countFlag adds a flag that takes a whole number, at least 1.
func countFlag(fs *flag.FlagSet, name, usage string, value int) *int {
	n := count(value)
	fs.Var(&n, name, usage)
	return (*int)(&n)
}

type count int

func (c *count) String() string { return strconv.Itoa(int(*c)) }

func (c *count) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1<<16 {
		return errors.New("want a whole number from 1 to 65536")
	}
	*c = count(n)
	return nil
}

// orList is "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// usage is the help page of a command.
func usage(cmd *ffcli.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s\n\n%s\n", cmd.ShortUsage, cmd.ShortHelp)
	if cmd.LongHelp != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(cmd.LongHelp))
	}
	if len(cmd.Subcommands) > 0 {
		b.WriteString("\ncommands:\n")
		tw := tabwriter.NewWriter(&b, 0, 2, 2, ' ', 0)
		for _, c := range cmd.Subcommands {
			fmt.Fprintf(tw, "  %s\t%s\n", c.Name, c.ShortHelp)
		}
		tw.Flush()
		fmt.Fprintf(&b, "\n`%s <command> --help` tells more of one.\n", commandPath(cmd))
	}
	own, settings := flagLines(cmd.FlagSet)
	for _, group := range flagGroups(cmd.Name) {
		var lines []string
		for _, name := range group.flags {
			lines = append(lines, own[name])
			delete(own, name)
		}
		section(&b, group.title, lines)
	}
	section(&b, "flags", inOrder(own))
	section(&b, "configuration, each over its variable", settings)
	return b.String()
}

func section(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	tw := tabwriter.NewWriter(b, 0, 2, 2, ' ', 0)
	for _, line := range lines {
		fmt.Fprintln(tw, line)
	}
	tw.Flush()
}

// flagGroup is some flags of a command that belong together.
type flagGroup struct {
	title string
	flags []string
}

// flagGroups are those of a command with many flags. What is in none of them
// stands behind them.
func flagGroups(command string) []flagGroup {
	if command != "run" {
		return nil
	}
	return []flagGroup{
		{"what the attempt gets", []string{"params", "p", "workspace", "input", "root", "env-file"}},
		{"what becomes of its files", []string{"out", "apply", "keep", "publish"}},
		{"what is told", []string{"diff", "format", "watch"}},
	}
}

// inOrder are the lines of flags, sorted by their names.
func inOrder(lines map[string]string) []string {
	var sorted []string
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		sorted = append(sorted, lines[name])
	}
	return sorted
}

// flagLines are the flags of a command: its own by name, and those of the configuration.
func flagLines(fs *flag.FlagSet) (own map[string]string, settings []string) {
	own = map[string]string{}
	fs.VisitAll(func(f *flag.Flag) {
		argument, text := flag.UnquoteUsage(f)
		switch v := f.Value.(type) {
		case settingFlag:
			argument, text = "VALUE", v.name+"\t"+text
		case *choice:
			argument = strings.Join(v.words, "|")
		}
		if isSwitch(f) {
			argument = ""
		}
		line := "  " + strings.TrimRight(dashed(f.Name)+" "+argument, " ") + "\t" + text
		if f.DefValue != "" && f.DefValue != "false" {
			line += " (default " + f.DefValue + ")"
		}
		if _, ok := f.Value.(settingFlag); ok {
			settings = append(settings, line)
		} else {
			own[f.Name] = line
		}
	})
	return own, settings
}
