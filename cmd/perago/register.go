package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/engine"
	"perago/engine/conductor"
)

func (a *app) registerCommand() *ffcli.Command {
	flags := newFlagSet("register")
	dryRun := flags.Bool("dry-run", false, "change nothing; show what would change")
	root := rootFlag(flags)
	readConfig := a.configFlags(flags, registering)
	return &ffcli.Command{
		Name:       "register",
		ShortUsage: "perago register FILE... [flags]",
		ShortHelp:  "Create or update the TaskDef of task files at Conductor.",
		LongHelp:   `Prints what changed, field by field. What Conductor has besides, stays.`,
		FlagSet:    flags,
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
				if err := a.register(ctx, client, m, *dryRun); err != nil {
					return serverError(err)
				}
			}
			return nil
		}),
	}
}

// register makes Conductor's TaskDef of one module what the file says.
func (a *app) register(ctx context.Context, client *conductor.Client, m *engine.Module, dryRun bool) error {
	local, err := engine.TaskDef(m.Task)
	if err != nil {
		return m.Diagnose(err)
	}
	registered, changes, err := compare(ctx, client, m.Task.Name, local)
	if err != nil {
		return err
	}
	done := map[bool]string{false: "", true: "would be "}[dryRun]
	switch {
	case registered == nil:
		if !dryRun {
			err = client.Create(ctx, local)
		}
		done += "created"
	case len(changes) == 0:
		done = "unchanged"
	default:
		if !dryRun {
			err = client.Update(ctx, local, registered)
		}
		done += "updated"
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: %s  %s\n", done, m.Task.Name, m.File)
	for _, c := range changes {
		fmt.Fprintf(a.stdout, "  %s: %s -> %s\n", c.Field, shownJSON(c.Registered), shownJSON(c.Local))
	}
	return nil
}

// compare fetches the TaskDef that Conductor has, nil when it has none, and
// says where it differs from the local one.
func compare(ctx context.Context, client *conductor.Client, name string, local []byte) (registered []byte, changes []conductor.Difference, err error) {
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

func shownJSON(raw json.RawMessage) string {
	if raw == nil {
		return "(not set)"
	}
	return cut(string(raw))
}
