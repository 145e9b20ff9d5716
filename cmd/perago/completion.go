package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"
)

func (a *app) completionCommand() *ffcli.Command {
	return &ffcli.Command{
		Name:       "completion",
		ShortUsage: "perago completion bash|zsh|fish",
		ShortHelp:  "Print a completion script for a shell.",
		LongHelp: `bash:  perago completion bash > ~/.local/share/bash-completion/completions/perago
zsh:   perago completion zsh > "${fpath[1]}/_perago"
fish:  perago completion fish > ~/.config/fish/completions/perago.fish`,
		FlagSet: newFlagSet("completion"),
		Exec: func(_ context.Context, args []string) error {
			scripts := map[string]func(*ffcli.Command) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
			if len(args) != 1 || scripts[args[0]] == nil {
				return usageError("", "want the name of one shell: bash, zsh or fish")
			}
			fmt.Fprint(a.stdout, scripts[args[0]](a.root()))
			return nil
		},
	}
}

// words of a command: what may follow it besides files.
func completionWords(cmd *ffcli.Command) []string {
	words := []string{"--help"}
	cmd.FlagSet.VisitAll(func(f *flag.Flag) { words = append(words, dashed(f.Name)) })
	for _, c := range cmd.Subcommands {
		words = append(words, c.Name)
	}
	if cmd.Name == "completion" {
		words = append(words, "bash", "zsh", "fish")
	}
	return words
}

func commandNames(root *ffcli.Command) string {
	var names []string
	for _, c := range root.Subcommands {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

func bashCompletion(root *ffcli.Command) string {
	var b strings.Builder
	b.WriteString(`# bash completion for perago
_perago() {
    local cur="${COMP_WORDS[COMP_CWORD]}" words=""
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "` + commandNames(root) + ` help" -- "$cur"))
        return
    fi
    case "${COMP_WORDS[1]}" in
`)
	fmt.Fprintf(&b, "    help) words=\"%s\" ;;\n", commandNames(root))
	for _, c := range root.Subcommands {
		fmt.Fprintf(&b, "    %s) words=\"%s\" ;;\n", c.Name, strings.Join(completionWords(c), " "))
	}
	b.WriteString(`    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur") $(compgen -f -- "$cur"))
}
complete -o filenames -F _perago perago
`)
	return b.String()
}

func zshCompletion(root *ffcli.Command) string {
	var b strings.Builder
	b.WriteString("#compdef perago\n# zsh completion for perago\nif (( CURRENT == 2 )); then\n    local -a commands=(\n")
	for _, c := range root.Subcommands {
		fmt.Fprintf(&b, "        '%s:%s'\n", c.Name, singleQuoted(c.ShortHelp))
	}
	b.WriteString("    )\n    _describe command commands\n    return\nfi\ncase $words[2] in\n")
	fmt.Fprintf(&b, "help) compadd -- %s ;;\n", commandNames(root))
	for _, c := range root.Subcommands {
		fmt.Fprintf(&b, "%s) compadd -- %s; _files ;;\n", c.Name, strings.Join(completionWords(c), " "))
	}
	b.WriteString("esac\n")
	return b.String()
}

func fishCompletion(root *ffcli.Command) string {
	var b strings.Builder
	b.WriteString("# fish completion for perago\n")
	for _, c := range root.Subcommands {
		fmt.Fprintf(&b, "complete -c perago -n __fish_use_subcommand -f -a %s -d '%s'\n", c.Name, singleQuoted(c.ShortHelp))
		seen := fmt.Sprintf("-n '__fish_seen_subcommand_from %s'", c.Name)
		for _, s := range c.Subcommands {
			fmt.Fprintf(&b, "complete -c perago %s -f -a %s -d '%s'\n", seen, s.Name, singleQuoted(s.ShortHelp))
		}
		c.FlagSet.VisitAll(func(f *flag.Flag) {
			_, text := flag.UnquoteUsage(f)
			kind := "-l " + f.Name
			if len(f.Name) == 1 {
				kind = "-s " + f.Name
			}
			if !isSwitch(f) {
				kind += " -r"
			}
			fmt.Fprintf(&b, "complete -c perago %s %s -d '%s'\n", seen, kind, singleQuoted(text))
		})
	}
	return b.String()
}

// singleQuoted makes text fit between single quotes of any of the shells.
func singleQuoted(text string) string { return strings.ReplaceAll(text, "'", "’") }
