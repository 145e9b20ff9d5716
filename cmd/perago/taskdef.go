package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/engine/conductor"
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

func (a *app) registerCommand() *ffcli.Command {
	flags := newFlagSet("register")
	dryRun := flags.Bool("dry-run", false, "change nothing; show what would change")
	force := flags.Bool("force", false, "remove a limit or description that Conductor has and the file does not set")
	root := rootFlag(flags)
	readConfig := a.configFlags(flags, registering)
	return &ffcli.Command{
		Name:       "register",
		ShortUsage: "perago register FILE... [flags]",
		ShortHelp:  "Create or update the TaskDef of task files at Conductor.",
		LongHelp: `Prints what changed, field by field. What Conductor has besides, stays; a limit or a
description that was set there and that the file leaves out is named, and goes with --force.`,
		FlagSet: flags,
		Exec: a.interruptible(func(ctx context.Context, args []string) error {
			if len(args) == 0 {
				return usageError("", "register wants at least one task file")
			}
			modules, complaints := loadAll(args, *root)
			if len(complaints) > 0 {
				return complaints
			}
			cfg, err := readConfig()
			if err != nil {
				return err
			}
			client, err := cfg.conductorClient(cfg.workerID(args))
			if err != nil {
				return err
			}
			for _, m := range modules {
				if err := a.register(ctx, client, m, registerOptions{*dryRun, *force}); err != nil {
					return serverError(err)
				}
			}
			return nil
		}),
	}
}

// registerOptions are the flags of `register`.
type registerOptions struct{ dryRun, force bool }

// register makes Conductor's TaskDef of one module what the file says.
func (a *app) register(ctx context.Context, client *conductor.Client, m *module.Module, o registerOptions) error {
	local, err := module.TaskDef(m.Task)
	if err != nil {
		return m.Diagnose(err)
	}
	registered, changes, err := compareDefs(ctx, client, m.Task.Name, local)
	if err != nil {
		return err
	}
	var kept []conductor.Difference
	if !o.force {
		kept, changes = setByHand(changes)
		if local, err = withFields(local, kept); err != nil {
			return err
		}
	}
	done := map[bool]string{false: "", true: "would be "}[o.dryRun]
	switch {
	case registered == nil:
		if !o.dryRun {
			err = client.Create(ctx, local)
		}
		done += "created"
	case len(changes) == 0:
		done = "unchanged"
	default:
		if !o.dryRun {
			err = client.Update(ctx, local, registered)
		}
		done += "updated"
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: %s  %s\n", done, m.Task.Name, diag.Printable(m.File))
	for _, c := range changes {
		fmt.Fprintf(a.stdout, "  %s: %s -> %s\n", diag.Printable(c.Field), shownJSON(c.Registered), shownJSON(c.Local))
	}
	for _, c := range kept {
		fmt.Fprintf(a.stdout, "  %s: %s stays: Conductor has it and the file does not set it; --force removes it\n", diag.Printable(c.Field), shownJSON(c.Registered))
	}
	return nil
}

// setByHand splits off the fields that Conductor has and a file may leave out, and
// does: somebody may have set them there.
func setByHand(changes []conductor.Difference) (byHand, rest []conductor.Difference) {
	for _, c := range changes {
		if c.Local == nil && !strings.Contains(c.Field, ".") {
			byHand = append(byHand, c)
		} else {
			rest = append(rest, c)
		}
	}
	return byHand, rest
}

// withFields is a TaskDef with some fields as Conductor has them.
func withFields(def []byte, fields []conductor.Difference) ([]byte, error) {
	if len(fields) == 0 {
		return def, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(def, &all); err != nil {
		return nil, fmt.Errorf("TaskDef: %w", err)
	}
	for _, f := range fields {
		all[f.Field] = f.Registered
	}
	return json.Marshal(all)
}

// compareDefs fetches the TaskDef that Conductor has, nil when it has none, and
// says where it differs from the local one.
func compareDefs(ctx context.Context, client *conductor.Client, name string, local []byte) (registered []byte, changes []conductor.Difference, err error) {
	registered, err = client.Registered(ctx, name)
	if errors.Is(err, conductor.ErrNotRegistered) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	changes, err = conductor.Diff(local, registered)
	return registered, changes, err
}

// shownJSON is a value of a TaskDef for people: whoever may write to Conductor
// may have put anything into it.
func shownJSON(raw json.RawMessage) string {
	if raw == nil {
		return "(not set)"
	}
	return diag.Printable(diag.Shorten(string(raw)))
}
