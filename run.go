package perago

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"perago/engine"
	"perago/engine/isolate"
	"perago/engine/logs"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/secret"
	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/cache"
	"perago/workspace/folder"
	"perago/workspace/lakefs"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

// RunOptions say where an attempt reads and writes, and who is told of it. nil is
// the zero value, which is enough for a task without a workspace.
type RunOptions struct {
	// Folder is a plain folder that the task sees as its workspace. It is not
	// changed, unless Publish is set.
	Folder string
	// Lake is the lakeFS of the workspace, in place of Folder, and Ref the branch
	// and the commit. A Worker has no Ref: each attempt brings its own.
	Lake *Lake
	Ref  Ref
	// Publish brings what the body wrote to the branch of Ref as one commit, or to
	// Folder: as a whole, or not at all. Without it nothing leaves the attempt.
	Publish bool

	Mode      Mode
	MaxMemory int64         // bytes of live memory that any body may have; 0 is 2 GB
	MaxTime   time.Duration // that any body may take; 0 is what the task says

	// Dir is where attempts and the cache have their folders; "" is perago in the
	// user's cache folder, which the command uses as well.
	Dir string

	Log     slog.Handler // nil: nothing is logged. Secrets of the params are never in it
	Metrics func(Result) // told of each attempt when it is over, from the goroutine that ran it; may be nil
}

// Mode says where bodies run.
type Mode string

const (
	// Process runs every body in a confined process of its own. On Linux it is
	// refused where one of the layers that confine it is missing.
	Process Mode = ""
	// BestEffort is Process with those layers that this machine has.
	BestEffort Mode = "best-effort"
	// Thread runs bodies in this process, for trusted tasks only: memory is not bounded.
	Thread Mode = "thread"
)

// Ref is a commit of a lakeFS repository and the branch that it is of: Commit is
// a whole id of 64 hex digits.
type Ref = workspace.Ref

// Lake is a lakeFS server. It is safe for concurrent use.
type Lake struct {
	store storage.Store
	url   string
	check func(context.Context) error // whether it can be reached
	done  func()
}

// NewLake makes the client of a lakeFS server; it sends nothing. Pre-signed URLs
// of the server are followed only to objectHosts, as in "s3.example.com:443" or
// "*.example.com"; without any, all objects go through lakeFS.
func NewLake(url, keyID, secretKey string, objectHosts ...string) (*Lake, error) {
	o := lakefs.Options{URL: url, Key: secret.New(keyID), Secret: secret.New(secretKey)}
	if len(objectHosts) > 0 {
		hosts, err := lakefs.ParseHosts(strings.Join(objectHosts, ","))
		if err != nil {
			return nil, fmt.Errorf("object hosts of lakeFS: %w", err)
		}
		o.ObjectHosts = hosts
	}
	store, err := lakefs.New(o)
	if err != nil {
		return nil, err
	}
	check := func(ctx context.Context) error { _, err := store.Check(ctx); return err }
	return &Lake{store: store, url: url, check: check, done: store.Close}, nil
}

// Close lets go of the connections that are kept open. Nothing may run on the lake.
func (l *Lake) Close() {
	if l.done != nil {
		l.done()
	}
}

// Status is Conductor's word for what became of an attempt.
type Status = queue.Status

const (
	Completed      = queue.Completed
	Failed         = queue.Failed         // may be tried again
	FailedTerminal = queue.FailedTerminal // would fail again
)

// Change is one file that the body added ("A"), modified ("M") or deleted ("D").
type Change = workspace.Change

// Result is what became of one attempt. Of one that failed it holds what is known.
type Result struct {
	Task   string
	Status Status
	// Value is what the body returned, checked: a JSON object. nil unless completed.
	Value json.RawMessage
	// Ref has the commit that was published, or else that was read; zero for a
	// folder, and unless completed.
	Ref     Ref
	Changes []Change
	Adopted bool   // an earlier attempt of this task had published, and this is its result
	Reused  string // the commit whose files and result were taken over (task(reuse = True)); "" when the body ran

	Took      time.Duration // the whole attempt
	BodyTook  time.Duration
	Steps     uint64 // of the interpreter
	PeakBytes int64  // of live memory, as far as it was observed; 0 when it was not
	FilesRead int
	BytesRead int64
}

// Run makes one attempt of the task, to its end. params becomes a JSON object: a
// map, a struct, a json.RawMessage; nil is {}. An attempt that did not complete
// is an *Error with its status; any other error means that there was none. A ctx
// that ends ends the attempt, and nothing is published.
func (t *Task) Run(ctx context.Context, params any, o *RunOptions) (Result, error) {
	if o == nil {
		o = &RunOptions{}
	}
	input, err := t.input(params, o)
	if err != nil {
		return Result{}, err
	}
	s, err := o.open(attempts.RootOptions{Shared: true}, t)
	if err != nil {
		return Result{}, err
	}
	defer s.close()
	processes := o.processes(isolate.Options{Spares: -1})
	defer processes.Close()
	if o.Mode != Thread {
		processes.Ahead(t.module) // beside all that comes before the body
	}
	s.runner.Body = o.body(processes)
	s.sweep(ctx)
	// A task of its own, of no workflow: two runs never adopt one another's publication.
	attempt := queue.Attempt{TaskID: "run-" + strings.ToLower(rand.Text()), Input: input}
	res := s.run(ctx, t.module, attempt, engine.Hooks{})
	out := resultOf(res)
	if res.Status != Completed {
		return out, &Error{Status: res.Status, Diagnostics: res.Diagnostics}
	}
	return out, nil
}

// input is the input of an attempt as a queue would hand it out.
func (t *Task) input(params any, o *RunOptions) (json.RawMessage, error) {
	if params == nil {
		params = struct{}{}
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, fmt.Errorf("params of %s: %w", t.Name, err)
	}
	input := map[string]any{"params": json.RawMessage(raw)}
	if o.Lake != nil {
		input["workspace"] = map[string]string{"repository": o.Ref.Repository, "branch": o.Ref.Branch, "refType": "commit", "ref": o.Ref.Commit}
	}
	return json.Marshal(input)
}

// resultOf is a result as this package tells it.
func resultOf(r engine.Result) Result {
	var envelope struct {
		Workspace struct{ Repository, Branch, Ref string }
		Result    json.RawMessage
	}
	if len(r.Output) > 0 {
		if err := json.Unmarshal(r.Output, &envelope); err != nil {
			panic("perago: the output of an attempt is not JSON: " + err.Error())
		}
	}
	p, w := r.Phases, envelope.Workspace
	return Result{Task: r.Attempt.Task, Status: r.Status, Value: envelope.Result,
		Ref:     Ref{Repository: w.Repository, Branch: w.Branch, Commit: w.Ref},
		Changes: r.Changes, Adopted: r.Adopted, Reused: r.Reused,
		Took: p.Load + p.Prepare + p.Pre + p.Body + p.Post + p.Publish, BodyTook: p.Body,
		Steps: r.Body.Steps, PeakBytes: r.Body.PeakBytes, FilesRead: r.Files.ObjectsRead, BytesRead: r.Files.BytesRead}
}

// check refuses options that contradict each other or the task.
func (o *RunOptions) check(t *Task) error {
	works, files := t.module.Task.Workspace != nil, o.Folder != "" || o.Lake != nil
	switch {
	case o.Folder != "" && o.Lake != nil:
		return errors.New("a workspace is in Folder or in Lake: set one of the two")
	case works && !files:
		return fmt.Errorf("the task %s works on a workspace: set Folder, or Lake and Ref", t.Name)
	case !works && o.Folder != "":
		return fmt.Errorf("the task %s has no workspace: leave Folder out", t.Name)
	case !slices.Contains([]Mode{Process, BestEffort, Thread}, o.Mode):
		return fmt.Errorf("no such Mode: %q", o.Mode)
	case o.Mode != Thread:
		return isolate.Guarded()
	}
	return nil
}

// body runs the bodies; in thread mode the processes are for statements only.
func (o *RunOptions) body(p *isolate.Processes) engine.Body {
	if o.Mode == Thread {
		return engine.InProcess{Tables: p.Tables}
	}
	return p
}

// processes are for bodies and statements. None is started before it is needed.
func (o *RunOptions) processes(p isolate.Options) *isolate.Processes {
	p.Required = o.Mode == Process && runtime.GOOS == "linux" // no other system has all layers
	return isolate.New(p)
}

// site is what attempts need around them.
type site struct {
	runner  *engine.Runner
	metrics func(Result)
	lake    *Lake
	closers []func() error
}

func (s *site) close() {
	for _, c := range slices.Backward(s.closers) {
		c() // what is left of a folder, the next sweep removes
	}
}

// run runs one attempt and tells of it.
func (s *site) run(ctx context.Context, m *module.Module, a queue.Attempt, h engine.Hooks) engine.Result {
	res := s.runner.Run(ctx, m, a, h)
	if s.metrics != nil {
		s.metrics(resultOf(res))
	}
	return res
}

// sweep removes what dead attempts left; where something stays, the next sweep
// tries again.
func (s *site) sweep(ctx context.Context) {
	if s.runner.Root == nil {
		return
	}
	o := attempts.SweepOptions{KeepFor: 24 * time.Hour}
	if s.lake != nil {
		o.DropBranch = s.lake.store.DeleteBranch
	}
	if _, err := s.runner.Root.Sweep(ctx, o); err != nil && s.runner.Log != nil {
		s.runner.Log.Warn("the sweep left something; the next one tries again", "error", err.Error())
	}
}

// open opens what the options and the tasks ask for, and nothing else. The Body
// of the runner is that of Thread.
func (o *RunOptions) open(root attempts.RootOptions, tasks ...*Task) (*site, error) {
	s := &site{metrics: o.Metrics, lake: o.Lake, runner: &engine.Runner{
		Ceiling: engine.Limits{Memory: o.MaxMemory, Wall: o.MaxTime}}}
	if o.MaxMemory == 0 {
		s.runner.Ceiling.Memory = 2 << 30
	}
	if o.Log != nil {
		s.runner.Log = slog.New(o.Log)
	}
	works := false
	for _, t := range tasks {
		if err := o.check(t); err != nil {
			return nil, err
		}
		works = works || t.module.Task.Workspace != nil
	}
	if !works {
		return s, nil
	}
	if err := s.openFiles(o, root); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// openFiles gives the runner its workspaces.
func (s *site) openFiles(o *RunOptions, root attempts.RootOptions) error {
	dir := o.Dir
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("no folder for attempts, set Dir: %w", err)
		}
		dir = filepath.Join(base, "perago")
	}
	if o.Lake != nil {
		root.Server = o.Lake.url
	}
	attempts, err := attempts.OpenRoot(filepath.Join(dir, "workspaces"), &root)
	if err != nil {
		return err
	}
	s.runner.Root = attempts
	s.closers = append(s.closers, attempts.Close)
	if o.Lake == nil {
		store, err := folder.Open(o.Folder)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, store.Close)
		s.runner.Store, s.runner.Fixed = store, &workspace.Ref{}
		if o.Publish {
			s.runner.Publisher = &folder.Applier{Dir: o.Folder}
		}
		return nil
	}
	s.runner.Store = o.Lake.store
	if s.runner.Cache, err = cache.Open(filepath.Join(dir, "cache"), &cache.Options{Server: o.Lake.url}); err != nil {
		return err
	}
	if o.Publish {
		p := &publish.Publisher{Store: o.Lake.store}
		if s.runner.Log != nil {
			p.Events = logs.Events(s.runner.Log)
		}
		s.runner.Publisher = p
	}
	return nil
}
