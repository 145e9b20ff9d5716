package main

import (
	"context"
	"fmt"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/workspace"
	"perago/workspace/fence"
	"perago/workspace/storage"
)

func (a *app) fenceCommand() *ffcli.Command {
	return &ffcli.Command{
		Name:       "fence",
		ShortUsage: "perago fence install|status|remove REPO [flags]",
		ShortHelp:  "Look at, install or remove the publication fence of a lakeFS repository.",
		LongHelp: `The fence is a hook in the repository that makes publishing atomic. Every
publication brings it along: nothing has to be installed beforehand. Installing
it on a branch by hand only puts it there where people can see it.`,
		FlagSet: newFlagSet("fence"),
		Subcommands: []*ffcli.Command{
			a.fenceAction("install", "Put the fence on a branch, with a commit of its own.", installFence),
			a.fenceAction("status", "Say whether a branch has the fence.", fenceStatus),
			a.fenceAction("remove", "Take the fence off a branch; the next publication brings it back.", removeFence),
		},
	}
}

// fenceDone is what an action says of one branch, in one line.
type fenceDone func(ctx context.Context, store storage.Store, repo, branch string) (string, error)

func (a *app) fenceAction(name, help string, do fenceDone) *ffcli.Command {
	flags := newFlagSet(name)
	branch := flags.String("branch", "main", "the `BRANCH` that is meant")
	readConfig := a.configFlags(flags, fencing)
	return &ffcli.Command{
		Name:       name,
		ShortUsage: "perago fence " + name + " REPO [flags]",
		ShortHelp:  help,
		FlagSet:    flags,
		Exec: a.interruptible(func(ctx context.Context, args []string) error {
			if len(args) != 1 {
				return usageError("", "fence %s wants one repository, got %d", name, len(args))
			}
			return a.fence(ctx, readConfig, do, workspace.Ref{Repository: args[0], Branch: *branch})
		}),
	}
}

func (a *app) fence(ctx context.Context, readConfig func() (*config, error), do fenceDone, on workspace.Ref) error {
	cfg, err := readConfig()
	if err != nil {
		return err
	}
	store, err := cfg.lakeStore()
	if err != nil {
		return err
	}
	if err := checkLake(ctx, store); err != nil { // what is wrong with the server at all, soon
		return serverError(err)
	}
	line, err := do(ctx, store, on.Repository, on.Branch)
	if err != nil {
		return serverError(err)
	}
	fmt.Fprintf(a.stdout, "%s/%s: %s\n", on.Repository, on.Branch, line)
	return nil
}

func installFence(ctx context.Context, store storage.Store, repo, branch string) (string, error) {
	before, err := fence.Status(ctx, store, repo, branch)
	if err != nil {
		return "", err
	}
	commit, err := fence.Install(ctx, store, repo, branch)
	if err != nil || before == fence.Installed {
		return "installed already", err
	}
	return "installed with " + commit, nil
}

func fenceStatus(ctx context.Context, store storage.Store, repo, branch string) (string, error) {
	state, err := fence.Status(ctx, store, repo, branch)
	return string(state), err
}

func removeFence(ctx context.Context, store storage.Store, repo, branch string) (string, error) {
	before, err := fence.Status(ctx, store, repo, branch)
	if err != nil {
		return "", err
	}
	commit, err := fence.Remove(ctx, store, repo, branch)
	if err != nil || before == fence.Absent {
		return "absent already", err
	}
	return "removed with " + commit, nil
}
