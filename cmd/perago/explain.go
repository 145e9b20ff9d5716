package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/starlib/diag"
)

func (a *app) explainCommand() *ffcli.Command {
	return &ffcli.Command{
		Name:       "explain",
		ShortUsage: "perago explain CODE",
		ShortHelp:  "Tell the longer story of an error code, with an example.",
		FlagSet:    newFlagSet("explain"),
		Exec: func(_ context.Context, args []string) error {
			if len(args) != 1 {
				return usageError("", "explain wants one code, such as P2103")
			}
			code := strings.ToUpper(args[0])
			if code != "" && strings.Trim(code, "0123456789") == "" {
				code = "P" + code
			}
			return a.explain(code)
		},
	}
}

func (a *app) explain(code string) error {
	story, ok := diag.Explain(diag.Code(code))
	if !ok {
		return usageError("codes stand in every complaint: `error P2103: …`", "no such code: %s", diag.Shorten(code))
	}
	_, err := fmt.Fprint(a.stdout, story)
	return err
}
