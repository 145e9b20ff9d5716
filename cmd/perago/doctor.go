package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/engine/conductor"
	"perago/engine/isolate"
	"perago/engine/module"
	"perago/engine/tables"
	"perago/starlib/diag"
	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/fence"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

func (a *app) doctorCommand() *ffcli.Command {
	flags := newFlagSet("doctor")
	repository := flags.String("repository", "", "look at the fence of this lakeFS `REPO` as well")
	branch := flags.String("branch", "main", "the `BRANCH` of --repository")
	root := rootFlag(flags)
	readConfig := a.configFlags(flags, serving)
	return &ffcli.Command{
		Name:       "doctor",
		ShortUsage: "perago doctor [FILE...] [flags]",
		ShortHelp:  "Is everything there for `perago start`? One line a check, with its repair.",
		FlagSet:    flags,
		Exec: a.interruptible(func(ctx context.Context, args []string) error {
			d := &doctor{app: a, files: args, root: *root}
			d.configuration(readConfig)
			d.modules()
			if d.cfg != nil {
				d.roots()
				d.conductor(ctx)
				d.lake(ctx, workspace.Ref{Repository: *repository, Branch: *branch})
			}
			d.isolation(ctx)
			d.tables(ctx)
			if ctx.Err() != nil {
				return errInterrupted
			}
			return d.verdict()
		}),
	}
}

// doctor looks at one thing after the other; every one gets its line.
type doctor struct {
	app    *app
	files  []string
	root   string
	cfg    *config // nil: it is not usable
	tasks  []*module.Module
	broken int // checks that do not hold
	faults int // of these, complaints about task files
}

// print prints the line of one check: "ok", "note" or "FAIL".
func (d *doctor) print(mark, subject, what, repair string) {
	fmt.Fprintf(d.app.stdout, "%-4s  %-14s  %s\n", mark, subject, indentRest(what))
	if repair != "" {
		fmt.Fprintf(d.app.stdout, "      %-14s  repair: %s\n", "", diag.Printable(repair))
	}
}

// fail is the line of a check that does not hold.
func (d *doctor) fail(subject string, err error, repair string) {
	d.broken++
	if f := (*failure)(nil); errors.As(serverError(err), &f) && f.hint != "" {
		repair = f.hint
	}
	d.print("FAIL", subject, err.Error(), repair)
}

func (d *doctor) configuration(read func() (*config, error)) {
	cfg, err := read()
	if err != nil {
		d.broken++
		d.print("FAIL", "configuration", err.Error(), "")
		return
	}
	d.cfg = cfg
	if cfg.Conductor.URL == "" {
		d.fail("configuration", errors.New("CONDUCTOR_SERVER_URL is missing"),
			"set it in the environment or in .env, as in CONDUCTOR_SERVER_URL=http://localhost:8080/api")
	} else {
		d.print("ok", "configuration", "complete", "")
	}
	for _, sentence := range cfg.Warnings {
		d.print("note", "configuration", sentence, "")
	}
}

func (d *doctor) modules() {
	tasks, complaints := loadAll(d.files, d.root)
	d.tasks = tasks
	for _, m := range tasks {
		d.print("ok", "task file", m.File+" declares "+m.Task.Name, "")
	}
	for _, c := range complaints {
		d.broken++
		d.faults++
		d.print("FAIL", "task file", c.Line1(), c.Hint)
	}
}

// roots makes and removes a file in every folder that a worker writes to.
func (d *doctor) roots() {
	for _, r := range []struct{ name, dir, repair string }{
		{"workspace root", d.cfg.WorkspaceRoot, "name another folder with PERAGO_WORKSPACE_ROOT"},
		{"log root", d.cfg.LogRoot, "name another folder with PERAGO_LOG_ROOT"},
		{"cache root", d.cfg.CacheRoot, "name another folder with PERAGO_CACHE_ROOT"},
	} {
		if err := writable(r.dir); err != nil {
			d.fail(r.name, err, r.repair)
			continue
		}
		d.print("ok", r.name, r.dir+" can be written", "")
	}
	root, err := d.cfg.openRoot(attempts.RootOptions{})
	if errors.Is(err, attempts.ErrLocked) {
		d.print("note", "workspace root", err.Error(), "a second worker needs a root of its own")
	} else if err == nil {
		root.Close()
	}
}

func writable(dir string) error {
	if dir == "" {
		return errors.New("there is none: this user has no cache folder")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 64<<10)) // a full disk takes an empty file, and a nearly full one a small one
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func (d *doctor) conductor(ctx context.Context) {
	if d.cfg.Conductor.URL == "" {
		return // that was told
	}
	client, err := d.cfg.conductorClient(d.cfg.workerID(d.files))
	if err != nil {
		d.fail("Conductor", err, "")
		return
	}
	server, err := client.Check(ctx)
	if err != nil {
		d.fail("Conductor", err, "look at CONDUCTOR_SERVER_URL, and whether the server runs")
		return
	}
	d.print("ok", "Conductor", d.cfg.Conductor.URL+" answers and lets us in", "")
	if server.LoginIdle {
		d.print("note", "Conductor", "a key is configured, and the server asks for none", "")
	}
	d.clock("Conductor", server.Skew)
	for _, m := range d.tasks {
		d.taskDef(ctx, client, m)
	}
}

// clock compares a server's clock with ours.
func (d *doctor) clock(server string, skew time.Duration) {
	if skew.Abs() > 5*time.Second {
		d.fail("clock", fmt.Errorf("the clock of %s is %s away from ours", server, skew), "let NTP set both clocks")
		return
	}
	d.print("ok", "clock", "within 5 s of "+server+"'s", "")
}

func (d *doctor) taskDef(ctx context.Context, client *conductor.Client, m *module.Module) {
	local, err := module.TaskDef(m.Task)
	if err != nil {
		d.fail("TaskDef", err, "perago check "+m.File)
		return
	}
	registered, changes, err := compareDefs(ctx, client, m.Task.Name, local)
	_, changes = setByHand(changes)
	switch {
	case err != nil:
		d.fail("TaskDef", err, "")
	case registered == nil:
		d.fail("TaskDef", fmt.Errorf("%s is not registered", m.Task.Name), "perago register "+m.File)
	case len(changes) > 0:
		d.print("note", "TaskDef", fmt.Sprintf("%s differs from the file in %v", m.Task.Name, fieldsOf(changes)), "perago register "+m.File)
	default:
		d.print("ok", "TaskDef", m.Task.Name+" is registered as the file says", "")
	}
}

// lake asks the configured lakeFS, and looks at the fence of a repository when one is named.
func (d *doctor) lake(ctx context.Context, on workspace.Ref) {
	if d.cfg.LakeFS.URL == "" && !hasWorkspace(d.tasks) {
		d.print("note", "lakeFS", "not configured; only tasks with a workspace need it", "")
		return
	}
	store, err := d.cfg.lakeStore()
	if err != nil {
		d.fail("lakeFS", err, "")
		return
	}
	server, err := store.Check(ctx)
	if err != nil {
		d.fail("lakeFS", err, "look at LAKECTL_SERVER_ENDPOINT_URL and the key, and whether the server runs")
		return
	}
	d.print("ok", "lakeFS", fmt.Sprintf("%s, version %s, answers and lets us in", server.URL, server.Version), "")
	d.clock("lakeFS", server.Skew)
	switch {
	case !server.PreSigned:
	case len(d.cfg.LakeFS.ObjectHosts) == 0:
		d.print("note", "object store", "lakeFS offers pre-signed URLs, and no host is allowed: objects go through lakeFS",
			"to let the worker read and write "+server.Blockstore+" itself, name its hosts in PERAGO_OBJECT_STORE_HOSTS")
	default:
		d.print("ok", "object store", "pre-signed URLs of lakeFS are followed to the hosts of PERAGO_OBJECT_STORE_HOSTS alone", "")
	}
	if on.Repository == "" {
		d.print("note", "fence", "not looked at: name a repository with --repository", "")
		return
	}
	d.fence(ctx, store, on)
}

// fence runs the self-test that a worker trusts, and says what the branch holds.
func (d *doctor) fence(ctx context.Context, store storage.Store, on workspace.Ref) {
	head, err := store.Head(ctx, on.Repository, on.Branch)
	if err != nil {
		d.fail("fence", err, "")
		return
	}
	err = d.selfTest(ctx, store, workspace.Ref{Repository: on.Repository, Commit: head})
	switch {
	case errors.Is(err, publish.ErrNoFence) && d.cfg.Fence != "server":
		d.print("note", "fence", err.Error()+": publications fall back to the client level", "switch hooks on at the server: actions.enabled")
		return
	case err != nil:
		d.fail("fence", err, "switch hooks on at the server: actions.enabled")
		return
	}
	state, err := fence.Status(ctx, store, on.Repository, on.Branch)
	if err != nil {
		d.fail("fence", err, "")
		return
	}
	d.print("ok", "fence", fmt.Sprintf("%s runs it; %s on %s", on.Repository, state, on.Branch), "")
}

// selfTest runs the test with its branches on record in the workspace root, so
// that the next sweep removes them when this process is killed in the middle.
func (d *doctor) selfTest(ctx context.Context, store storage.Store, on workspace.Ref) error {
	root, err := d.cfg.openRoot(attempts.RootOptions{Shared: true})
	if err != nil {
		return err
	}
	defer root.Close()
	dir, err := root.NewAttempt(attempts.Record{Task: attempts.TaskKey{TaskID: "doctor"}})
	if err != nil {
		return err
	}
	err = d.cfg.publisher(store, nil).SelfTest(ctx, on.Repository, on.Commit, dir)
	return errors.Join(err, dir.Close(attempts.Drop))
}

// isolation prints the layers of isolation; a missing one is a failure where
// `start` would not start without it.
func (d *doctor) isolation(ctx context.Context) {
	cfg := d.cfg
	if cfg == nil {
		cfg = &config{} // the defaults
	}
	layers, err := cfg.layers(ctx)
	if err != nil {
		d.fail("isolation", err, threadHint)
		return
	}
	required := cfg.isolation() == isolationRequired
	for _, l := range layers {
		switch {
		case l.Active:
			d.print("ok", "isolation", l.Name+": "+l.Why, "")
		case l.Covered || !required:
			d.print("note", "isolation", l.Name+" is missing: "+l.Why, "")
		default:
			d.fail("isolation", fmt.Errorf("%s is missing, and PERAGO_ISOLATION is required: %s", l.Name, l.Why), bestEffortHint)
		}
	}
	if missing := isolate.Missing(layers); !required && len(missing) > 0 {
		d.print("note", "isolation", "PERAGO_ISOLATION is best-effort: `start` starts all the same, for trusted tasks only", "")
	}
}

// verdict is the exit code of all checks together.
func (d *doctor) verdict() error {
	switch {
	case d.broken == 0:
		return nil
	case d.broken == d.faults:
		return told(exitInvalid)
	}
	return told(exitEnvironment)
}

// tables starts an engine of statements and says what holds it in; without one,
// sql(...) is an error.
func (d *doctor) tables(ctx context.Context) {
	if !isolate.HasTables() {
		d.print("note", "tables", "this perago was built without cgo: sql(...) is an error (P4180)", "")
		return
	}
	layers, err := isolate.TableLayers(ctx)
	if err != nil {
		d.fail("tables", err, "")
		return
	}
	d.print("ok", "tables", "DuckDB "+tables.Version()+" answers sql(...), in a process of its own for each", "")
	for _, l := range isolate.Missing(layers) {
		d.print("note", "tables", l.Name+" is missing: "+l.Why, "")
	}
}
