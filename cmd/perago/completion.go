package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/starlib"
	"perago/starlib/diag"
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

// candidates are what can stand at one place of a command line.
type candidates struct {
	words   []string
	tasks   bool // task files, and folders on the way to them
	files   bool // any file
	folders bool
}

// arguments are what may follow a command besides its flags.
func arguments(cmd *ffcli.Command) candidates {
	switch cmd.Name {
	case "completion":
		return candidates{words: []string{"bash", "zsh", "fish"}}
	case "explain":
		return candidates{words: codes()}
	case "docs":
		return candidates{words: names(), tasks: true}
	case "init":
		return candidates{folders: true}
	case "version":
		return candidates{}
	}
	if len(cmd.Subcommands) > 0 {
		return candidates{words: commandNames(cmd)}
	}
	return candidates{tasks: true}
}

// codes are those that `perago explain` knows.
func codes() []string {
	var list []string
	for _, s := range diag.Stories() {
		list = append(list, string(s.Code))
	}
	return list
}

// names are those that `perago docs` knows, in full: "csv", "csv.write".
func names() []string {
	var list []string
	for _, b := range starlib.Table() {
		list = append(list, b.Name)
		if owner, _, ok := strings.Cut(b.Name, "."); ok {
			list = append(list, owner)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// values are what may follow a flag that takes a value.
func values(f *flag.Flag) candidates {
	argument, _ := flag.UnquoteUsage(f)
	switch v := f.Value.(type) {
	case *choice:
		return candidates{words: v.words}
	case settingFlag:
		return candidates{words: v.words, folders: strings.HasPrefix(v.rule, "a folder")}
	}
	switch argument {
	case "DIR":
		return candidates{folders: true}
	case "FILE", "OUT.json":
		return candidates{files: true}
	}
	return candidates{}
}

// flagNames are the flags of a command, as they are written.
func flagNames(cmd *ffcli.Command) []string {
	list := []string{"--help"}
	cmd.FlagSet.VisitAll(func(f *flag.Flag) { list = append(list, dashed(f.Name)) })
	return list
}

// valueFlags yields the flags of a command that take a value.
func valueFlags(cmd *ffcli.Command, yield func(f *flag.Flag)) {
	cmd.FlagSet.VisitAll(func(f *flag.Flag) {
		if !isSwitch(f) {
			yield(f)
		}
	})
}

func commandNames(root *ffcli.Command) []string {
	var list []string
	for _, c := range root.Subcommands {
		list = append(list, c.Name)
	}
	return list
}

// bashCompletion is for bash 3.2 and later.
func bashCompletion(root *ffcli.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# bash completion for perago
_perago() {
    local cur="${COMP_WORDS[COMP_CWORD]}" flag="${COMP_WORDS[COMP_CWORD-1]}"
    local words="" kind=""
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "%s" -- "$cur"))
        return
    fi
    # bash takes --format=json apart: --format, =, json
    if [ "$cur" = "=" ]; then
        cur=""
    elif [ "$flag" = "=" ]; then
        flag="${COMP_WORDS[COMP_CWORD-2]}"
    fi
    case "${COMP_WORDS[1]} $flag" in
`, bashWords(append(commandNames(root), "help")))
	for _, c := range root.Subcommands {
		valueFlags(c, func(f *flag.Flag) {
			pattern := c.Name + " " + dashed(f.Name)
			fmt.Fprintf(&b, "    %q) %s ;;\n", pattern, bashCandidates(values(f), "value"))
		})
	}
	b.WriteString("    esac\n    if [ -z \"$kind\" ]; then\n        case \"${COMP_WORDS[1]}\" in\n")
	fmt.Fprintf(&b, "        help) words=\"%s\" kind=words ;;\n", bashWords(commandNames(root)))
	for _, c := range root.Subcommands {
		fmt.Fprintf(&b, "        %s)\n            case \"$cur\" in\n            -*) words=\"%s\" kind=words ;;\n            *) %s ;;\n            esac ;;\n",
			c.Name, bashWords(flagNames(c)), bashCandidates(arguments(c), "words"))
	}
	b.WriteString(`        esac
    fi
    [ -n "$words" ] && COMPREPLY=($(compgen -W "$words" -- "$cur"))
    local IFS=$'\n' # names of files may have spaces
    case "$kind" in
    *tasks*) COMPREPLY+=($(compgen -f -X '!*.star' -- "$cur") $(compgen -d -- "$cur")) ;;
    *files*) COMPREPLY+=($(compgen -f -- "$cur")) ;;
    *folders*) COMPREPLY+=($(compgen -d -- "$cur")) ;;
    *) return ;;
    esac
    compopt -o filenames 2>/dev/null # slashes behind folders; since bash 4
}
complete -F _perago perago
`)
	return b.String()
}

// bashWords are words for compgen -W.
func bashWords(list []string) string { return strings.Join(list, " ") }

func bashCandidates(c candidates, kind string) string {
	switch {
	case c.tasks:
		kind += "-tasks"
	case c.files:
		kind += "-files"
	case c.folders:
		kind += "-folders"
	}
	return fmt.Sprintf("words=\"%s\" kind=%s", bashWords(c.words), kind)
}

func zshCompletion(root *ffcli.Command) string {
	var b strings.Builder
	b.WriteString("#compdef perago\n# zsh completion for perago\nif (( CURRENT == 2 )); then\n    local -a commands=(\n")
	for _, c := range root.Subcommands {
		fmt.Fprintf(&b, "        '%s:%s'\n", c.Name, singleQuoted(c.ShortHelp))
	}
	b.WriteString("    )\n    _describe command commands\n    return\nfi\n")
	b.WriteString("local flag=$words[CURRENT-1]\nif [[ $PREFIX == --*=* ]]; then\n    flag=${PREFIX%%=*}\n    compset -P '*='\nfi\n")
	b.WriteString("case \"$words[2] $flag\" in\n")
	for _, c := range root.Subcommands {
		valueFlags(c, func(f *flag.Flag) {
			fmt.Fprintf(&b, "%q) %s; return ;;\n", c.Name+" "+dashed(f.Name), zshCandidates(values(f)))
		})
	}
	b.WriteString("esac\ncase $words[2] in\n")
	fmt.Fprintf(&b, "help) compadd -- %s ;;\n", strings.Join(commandNames(root), " "))
	for _, c := range root.Subcommands {
		fmt.Fprintf(&b, "%s) if [[ $PREFIX == -* ]]; then compadd -- %s; else %s; fi ;;\n",
			c.Name, strings.Join(flagNames(c), " "), zshCandidates(arguments(c)))
	}
	b.WriteString("esac\n")
	return b.String()
}

func zshCandidates(c candidates) string {
	var parts []string
	if len(c.words) > 0 {
		parts = append(parts, "compadd -- "+strings.Join(c.words, " "))
	}
	switch {
	case c.tasks:
		parts = append(parts, "_files -g '*.star'")
	case c.files:
		parts = append(parts, "_files")
	case c.folders:
		parts = append(parts, "_files -/")
	}
	if len(parts) == 0 {
		return "true"
	}
	return strings.Join(parts, "; ")
}

func fishCompletion(root *ffcli.Command) string {
	var b strings.Builder
	b.WriteString("# fish completion for perago\ncomplete -c perago -f\n")
	for _, c := range root.Subcommands {
		fmt.Fprintf(&b, "complete -c perago -n __fish_use_subcommand -f -a %s -d '%s'\n", c.Name, singleQuoted(c.ShortHelp))
		seen := fmt.Sprintf("-n '__fish_seen_subcommand_from %s'", c.Name)
		for _, s := range c.Subcommands {
			fmt.Fprintf(&b, "complete -c perago %s -f -a %s -d '%s'\n", seen, s.Name, singleQuoted(s.ShortHelp))
		}
		if len(c.Subcommands) == 0 {
			for _, part := range fishCandidates(arguments(c)) {
				fmt.Fprintf(&b, "complete -c perago %s %s\n", seen, part)
			}
		}
		c.FlagSet.VisitAll(func(f *flag.Flag) {
			_, text := flag.UnquoteUsage(f)
			kind := "-l " + f.Name
			if len(f.Name) == 1 {
				kind = "-s " + f.Name
			}
			if !isSwitch(f) {
				kind += " -r " + strings.Join(fishCandidates(values(f)), " ")
			}
			fmt.Fprintf(&b, "complete -c perago %s %s -d '%s'\n", seen, strings.TrimSpace(kind), singleQuoted(text))
		})
	}
	return b.String()
}

func fishCandidates(c candidates) []string {
	var parts []string
	if len(c.words) > 0 {
		parts = append(parts, "-a '"+strings.Join(c.words, " ")+"'")
	}
	switch {
	case c.tasks:
		parts = append(parts, "-a '(__fish_complete_suffix .star)'")
	case c.files:
		parts = append(parts, "-F")
	case c.folders:
		parts = append(parts, "-a '(__fish_complete_directories)'")
	}
	return parts
}

// singleQuoted makes text fit between single quotes of any of the shells.
func singleQuoted(text string) string { return strings.ReplaceAll(text, "'", "’") }
