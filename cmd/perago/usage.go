package main

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/peterbourgon/ff/v3/ffcli"
)

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
		{"what the attempt gets", []string{"params", "workspace", "input", "root", "env-file"}},
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
