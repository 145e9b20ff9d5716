package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"perago/starlib/diag"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// release is the version of this tree; CHANGELOG.md starts with it.
const release = "0.1.0"

// languageLevel counts the changes of docs/language.md that a task file could notice.
const languageLevel = 1

func (a *app) versionCommand() *ffcli.Command {
	return &ffcli.Command{
		Name:       "version",
		ShortUsage: "perago version",
		ShortHelp:  "Print version, commit, Go and language level.",
		FlagSet:    newFlagSet("version"),
		Exec: func(_ context.Context, args []string) error {
			if len(args) > 0 {
				return usageError("", "version takes no argument, got %s", diag.Shorten(args[0]))
			}
			return a.version()
		},
	}
}

func (a *app) version() error {
	commit := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		commit = commitOf(info.Settings)
	}
	fmt.Fprintf(a.stdout, "perago %s\ncommit %s\ngo %s %s/%s\nlanguage level %d\n",
		release, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, languageLevel)
	return nil
}

// commitOf reads what the go command noted of the checkout it built.
func commitOf(settings []debug.BuildSetting) string {
	commit, dirty := "unknown", ""
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " (with changes)"
		}
	}
	return commit + dirty
}
