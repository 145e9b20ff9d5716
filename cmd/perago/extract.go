package main

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/engine/module"
	"perago/starlib/diag"
)

func (a *app) extractCommand() *ffcli.Command {
	flags := newFlagSet("extract")
	out := flags.String("o", "", "write to `OUT.json` instead of stdout, as a whole or not at all; folders are made")
	root := rootFlag(flags)
	return &ffcli.Command{
		Name:       "extract",
		ShortUsage: "perago extract FILE... [flags]",
		ShortHelp:  "Print the Conductor TaskDef of a task file, as JSON.",
		LongHelp:   `Several files make a JSON array. Needs no server.`,
		FlagSet:    flags,
		Exec: a.interruptible(func(_ context.Context, args []string) error {
			if len(args) == 0 {
				return usageError("", "extract wants at least one task file")
			}
			data, complaints := taskDefs(args, *root)
			if len(complaints) > 0 {
				return complaints
			}
			if *out != "" {
				return replaceFile(*out, data, 0o666&^umask())
			}
			_, err := a.stdout.Write(data)
			return err
		}),
	}
}

// taskDefs is the TaskDef of one file, or the array of those of several.
func taskDefs(files []string, root string) ([]byte, diag.List) {
	var complaints diag.List
	var defs []json.RawMessage
	for _, file := range taskFiles(files) {
		m, list := loadOne(file, root)
		if m == nil {
			complaints = append(complaints, list...)
			continue
		}
		def, err := module.TaskDef(m.Task)
		if err != nil {
			complaints = append(complaints, m.Diagnose(err)...)
			continue
		}
		defs = append(defs, def)
	}
	if len(complaints) > 0 || len(defs) == 1 {
		return first(defs), complaints
	}
	var b bytes.Buffer
	if err := writeJSON(&b, defs); err != nil {
		return nil, diag.List{{Code: "P2001", Severity: diag.Error, Message: "TaskDef: " + err.Error()}}
	}
	return b.Bytes(), nil
}

func first(defs []json.RawMessage) []byte {
	if len(defs) == 0 {
		return nil
	}
	return defs[0]
}
