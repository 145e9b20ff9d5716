package main

import (
	"flag"
	"fmt"
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
	if flags := flagLines(cmd.FlagSet); len(flags) > 0 {
		b.WriteString("\nflags:\n")
		tw := tabwriter.NewWriter(&b, 0, 2, 2, ' ', 0)
		for _, line := range flags {
			fmt.Fprintln(tw, line)
		}
		tw.Flush()
	}
	return b.String()
}

func flagLines(fs *flag.FlagSet) []string {
	var lines []string
	fs.VisitAll(func(f *flag.Flag) {
		argument, text := flag.UnquoteUsage(f)
		if isSwitch(f) {
			argument = ""
		} else if c, ok := f.Value.(*choice); ok {
			argument = strings.Join(c.words, "|")
		}
		line := "  " + strings.TrimRight(dashed(f.Name)+" "+argument, " ") + "\t" + text
		if f.DefValue != "" && f.DefValue != "false" {
			line += " (default " + f.DefValue + ")"
		}
		lines = append(lines, line)
	})
	return lines
}
