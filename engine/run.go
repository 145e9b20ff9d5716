package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"perago/engine/logs"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/panics"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/schema"
	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/cache"
	"perago/workspace/publish"
	"perago/workspace/storage"
	"perago/workspace/trace"
)

// Publisher brings what an attempt wrote to where it belongs. Two
// implementations: *publish.Publisher (a branch), *folder.Applier (a plain folder).
type Publisher interface {
	// Prepare is called before the body. Not nil: an earlier attempt of this task
	// has published; its commit and result are adopted and the body does not run.
	Prepare(ctx context.Context, p publish.Publication) (*publish.Published, error)
	// Publish is called after the post guards.
	Publish(ctx context.Context, p publish.Publication) (publish.Published, error)
}

// Runner runs attempts. It is safe for concurrent use.
type Runner struct {
	Body      Body
	Store     storage.Reader // nil when no task has a workspace
	Root      *attempts.Root // the same
	Cache     *cache.Cache   // the same
	Publisher Publisher      // nil: nothing is published
	Fixed     *workspace.Ref // not nil: what every attempt reads; input and output have no `workspace` (`perago run --workspace`)
	Ceiling   Limits         // the operator's, over resources(...)
	ReasonMax int            // characters of Result.Reason; 0 is 500
	Transfers int            // concurrent transfers of one attempt; 0 is 16
	Keep      attempts.KeepMode
	Now       time.Time    // what time.now() of the bodies gives; zero is the clock
	Log       *slog.Logger // nil: nothing is logged

	large sync.Mutex // one input of more than inputLarge at a time
}

// Hooks are what a run tells while it runs; each may be nil.
type Hooks struct {
	Current  func(context.Context) error // step 4 of the publication
	Record   func(line string)           // a body log record, for the task's log at the server
	Progress func(starlib.Progress)
	Step     func(name string) // the attempt has come past: decoded, opened, prepared, guarded, ran, checked, published

	// Failed sees what a failed attempt had written, just before its folder goes.
	// ctx outlives a cancel of the attempt.
	Failed func(ctx context.Context, ref workspace.Ref, o *workspace.Overlay)
}

// Run runs one attempt of m, to its end. ctx ends it from outside: its cause
// is then the reason. The workspace folder is gone when Run returns.
func (r *Runner) Run(ctx context.Context, m *module.Module, a queue.Attempt, h Hooks) Result {
	x := r.begin(m, a, h)
	// The one boundary where a panic of perago's own becomes an error.
	err := panics.ToError(func() error { return x.path(ctx) })()
	return x.finish(ctx, err)
}

// path is what one attempt does, in this order. The methods that it names stand
// below it, in the same order.
func (x *execution) path(ctx context.Context) error {
	took, withWorkspace := &x.res.Phases, x.module.Task.Workspace != nil
	if err := x.step(ctx, "decoded", &took.Load, x.decode); err != nil {
		return err // terminal, and nothing was asked of a server
	}
	if !withWorkspace {
		if err := x.step(ctx, "ran", &took.Body, x.runBody); err != nil {
			return err
		}
		return x.complete(ctx)
	}
	defer x.close(ctx)
	if err := x.step(ctx, "opened", &took.Pre, x.open); err != nil {
		return err
	}
	if err := x.step(ctx, "prepared", &took.Prepare, x.prepare); err != nil {
		return err
	}
	if x.published != nil {
		return x.complete(ctx) // with what an earlier attempt has published
	}
	if err := x.step(ctx, "guarded", &took.Pre, x.preGuards); err != nil {
		return err // terminal: the same commit gives the same answer
	}
	if err := x.step(ctx, "looked up", &took.Pre, x.reuse); err != nil {
		return err
	}
	if err := x.step(ctx, "ran", &took.Body, x.runBody); err != nil {
		return err
	}
	if err := x.step(ctx, "checked", &took.Post, x.postGuards); err != nil {
		return err
	}
	if err := x.step(ctx, "published", &took.Publish, x.publish); err != nil {
		return err
	}
	return x.complete(ctx)
}

// execution is the state of one Run, which its steps fill in.
type execution struct {
	*Runner
	module  *module.Module
	attempt queue.Attempt
	hooks   Hooks
	redact  *logs.Redactor // nil until the params are known
	log     *slog.Logger
	started time.Time
	res     Result

	params    schema.Params      // from decode on
	ref       workspace.Ref      // the same; zero for a task without a workspace
	dir       *attempts.Dir      // from open on; nil: there is none
	overlay   *workspace.Overlay // the same
	returned  json.RawMessage    // what the body returned, checked against the schema
	origin    *trace.Record      // how the files are made; from reuse on, nil for a task whose attempts are not taken over
	published *publish.Published // nil: nothing is published yet
}

// begin is an execution that has done no step.
func (r *Runner) begin(m *module.Module, a queue.Attempt, h Hooks) *execution {
	log := r.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	a.Task = m.Task.Name
	log = log.With(a.LogAttrs()...)
	log.Info("attempt started")
	return &execution{Runner: r, module: m, attempt: a, hooks: h, log: log, started: time.Now(),
		res: Result{Attempt: a, Limits: limitsOf(m.Task, r.Ceiling)}}
}

// step does one step, adds its time to a phase, and names the point that the
// attempt has then reached.
func (x *execution) step(ctx context.Context, reached string, phase *time.Duration, do func(context.Context) error) error {
	start := time.Now()
	err := do(ctx)
	*phase += time.Since(start)
	if err != nil {
		return err
	}
	x.log.Debug("step", "name", reached)
	if x.hooks.Step != nil {
		x.hooks.Step(reached)
	}
	return nil
}

// decode reads and checks the whole input.
func (x *execution) decode(ctx context.Context) error {
	in, err := x.input(ctx, x.module.Task, x.attempt.Input)
	if err != nil {
		return err
	}
	x.params, x.ref = in.params, in.ref
	x.redact = logs.NewRedactor(in.params.Secrets())
	x.res.redact = x.redact
	return nil
}

// open makes the attempt's folder and the view of its commit, and asks the
// store whether that commit is there.
func (x *execution) open(ctx context.Context) error {
	dir, err := x.Root.NewAttempt(attempts.Record{Task: x.key()})
	if err != nil {
		return fmt.Errorf("attempt folder: %w", err)
	}
	task := x.module.Task
	x.dir, x.log = dir, x.log.With("folder", dir.Name())
	x.overlay = workspace.NewOverlay(x.Store, x.ref, workspace.OverlayOptions{
		Spec: *task.Workspace, Dir: dir.Files(), Cache: x.Cache, Concurrency: x.Transfers,
		Files: task.Resources.Files, Scratch: task.Resources.Scratch})
	return x.overlay.Verify(ctx)
}

// prepare looks whether an earlier attempt of the same task has published.
func (x *execution) prepare(ctx context.Context) (err error) {
	if x.publishes() {
		x.published, err = x.Publisher.Prepare(ctx, x.publication())
	}
	return err
}

// publishes says whether this attempt touches a branch at all: a read-only task
// never looks at one.
func (x *execution) publishes() bool {
	return x.Publisher != nil && !x.module.Task.Workspace.ReadOnly
}

// publication is what a Publisher has to know; its Result is nil before the body.
func (x *execution) publication() publish.Publication {
	return publish.Publication{Ref: x.ref, Task: x.key(), Rebase: x.module.Task.Workspace.Rebase, Overlay: x.overlay, Dir: x.dir,
		Result: x.returned, Current: x.hooks.Current, Record: x.origin}
}

func (x *execution) key() attempts.TaskKey {
	a := x.attempt
	return attempts.TaskKey{Name: a.Task, WorkflowID: a.WorkflowID, Reference: a.Reference,
		Iteration: a.Iteration, TaskID: a.TaskID, Retry: a.Retry}
}

// preGuards checks the guards before the body, on the commit of the input.
func (x *execution) preGuards(ctx context.Context) error {
	return x.guards(ctx, "pre", "P3301", x.module.Task.Workspace.Pre, x.module.Task.PreAt)
}

// postGuards checks the guards after the body, on what it left.
func (x *execution) postGuards(ctx context.Context) error {
	return x.guards(ctx, "post", "P3302", x.module.Task.Workspace.Post, x.module.Task.PostAt)
}

// guards checks the guards of one side; all failures are reported.
func (x *execution) guards(ctx context.Context, side string, code diag.Code, guards []workspace.Guard, at []starlib.Position) error {
	failures, err := workspace.CheckGuards(ctx, x.overlay, guards)
	if err == nil {
		failures, err = x.tableGuards(ctx, failures, guards, at)
	}
	if err != nil {
		return fmt.Errorf("%s guards: %w", side, err)
	}
	if len(failures) == 0 {
		return nil
	}
	var list diag.List
	for _, f := range failures {
		x.log.Warn("guard failed", "guard", f.Guard.String(), "side", side, "found", x.redact.Line(f.Found), "wanted", f.Wanted)
		where := at[f.Index]
		list = append(list, &diag.Diagnostic{Code: code, Severity: diag.Error, File: where.File, Line: where.Line, Column: where.Column,
			Message: fmt.Sprintf("%s guard %s does not hold", side, f.Guard), Found: f.Found, Wanted: f.Wanted})
	}
	return &GuardError{Post: side == "post", Failures: x.module.Locate(list)}
}

// tableGuards adds to failures the guards whose tables are not as they say, in
// the order of guards.
func (x *execution) tableGuards(ctx context.Context, failures []workspace.GuardFailure, guards []workspace.Guard, at []starlib.Position) ([]workspace.GuardFailure, error) {
	call := Call{Files: x.overlay, Limits: x.res.Limits, Now: x.Now}
	body, _ := x.Body.(interface{ TablesFor(Call) starlib.Tables })
	for i, g := range guards {
		failed := slices.ContainsFunc(failures, func(f workspace.GuardFailure) bool { return f.Index == i })
		if g.Table == nil || failed {
			continue
		}
		run := &starlib.Run{Context: ctx, Files: x.overlay, Now: call.clock(), Log: x.record}
		if wall := call.Limits.Wall; wall > 0 {
			bounded, cancel := context.WithTimeoutCause(ctx, wall, WallError(wall))
			defer cancel()
			run.Context = bounded
		}
		if body != nil {
			run.Tables = body.TablesFor(call)
		}
		found, wanted, err := starlib.CheckTableGuard(run, g, at[i])
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", g, err)
		}
		if found != "" {
			failures = append(failures, workspace.GuardFailure{Guard: g, Index: i, Found: found, Wanted: wanted})
		}
	}
	slices.SortStableFunc(failures, func(a, b workspace.GuardFailure) int { return a.Index - b.Index })
	return failures, nil
}

// runBody runs the body, under its limits, unless what an earlier one made was taken over.
func (x *execution) runBody(ctx context.Context) (err error) {
	if x.res.Reused != "" {
		return nil
	}
	call := Call{Params: x.params, Limits: x.res.Limits, Now: x.Now, Log: x.record, Progress: x.progress}
	if x.overlay != nil {
		call.Files = x.overlay
	}
	x.returned, x.res.Body, err = x.Body.Run(ctx, x.module, call)
	if x.overlay != nil {
		x.noteUnrepeatable()
	}
	return err
}

// noteUnrepeatable notes why another run of the body may come to something else.
func (x *execution) noteUnrepeatable() {
	if x.res.Body.AskedTime {
		x.overlay.Unrepeatable("it asked the time")
	}
	if x.res.Body.Caught {
		x.overlay.Unrepeatable("it caught an error, whose cause may be gone the next time")
	}
	if x.res.Limits.Threads > 1 {
		x.overlay.Unrepeatable("its SQL may use more than one thread")
	}
}

// publish brings what was written to the branch.
func (x *execution) publish(ctx context.Context) (err error) {
	if x.res.Changes, err = x.overlay.Changes(ctx); err != nil {
		return fmt.Errorf("changes: %w", err)
	}
	if err := x.checkOutput(); err != nil || !x.publishes() {
		return err
	}
	published, err := x.Publisher.Publish(ctx, x.publication())
	if err == nil {
		x.published = &published
	}
	return err
}

// checkOutput bounds what an attempt publishes. A copy of a stored object counts
// like the upload that it saves: it costs the store the same.
func (x *execution) checkOutput() error {
	most := x.res.Limits.Output
	if most == 0 {
		return nil
	}
	var total int64
	files := 0
	for _, c := range x.res.Changes {
		if c.Op != storage.Deleted {
			total, files = total+min(c.Size, math.MaxInt64-total), files+1
		}
	}
	figure := diag.Size
	if diag.Size(total) == diag.Size(most) { // to the GiB they are the same
		figure = func(n int64) string { return fmt.Sprintf("%d bytes", n) }
	}
	found := fmt.Sprintf("%s in %d files", figure(total), files)
	switch {
	case total > most:
		return &BodyError{Diagnostics: atBody(x.module, diag.List{{Code: "P4009", Severity: diag.Error,
			Message: "the attempt passed its limit of output", Found: found, Wanted: "at most " + figure(most),
			Hint: "raise resources(output = ...), or publish less in one attempt; a copy of a stored file counts too"}})}
	case total > most/2:
		pos := x.module.Body.Position()
		x.record(starlib.Record{Level: slog.LevelWarn, Message: "half of the limit of output is used",
			At:     starlib.Position{File: pos.Filename(), Line: int(pos.Line), Column: int(pos.Col)},
			Fields: []slog.Attr{slog.String("used", found), slog.String("limit", figure(most))}})
	}
	return nil
}

// complete makes the output: of what is published, where that is something, else
// of the commit of the input and what the body returned.
func (x *execution) complete(ctx context.Context) error {
	ref, result := x.ref, x.returned
	if p := x.published; p != nil {
		if p.Adopted {
			if err := x.checkAdopted(ctx, *p); err != nil {
				return err
			}
		}
		x.res.Adopted, ref.Commit = p.Adopted, p.Commit
		if p.Result != nil {
			result = p.Result
		}
	}
	x.res.Output = envelope(x.module.Task.Workspace != nil && x.Fixed == nil, ref, result)
	return nil
}

// checkAdopted checks the result of an earlier publication as one of the body is
// checked: the file may be another by now, and whoever may merge can make what
// looks like a publication.
func (x *execution) checkAdopted(ctx context.Context, published publish.Published) error {
	ctx, cancel := context.WithTimeoutCause(ctx, inputWall, errors.New("the adopted result took too long to check"))
	defer cancel()
	var problems diag.List
	if n := int64(len(published.Result)); n > MaxResultBytes {
		problems = diag.List{{Code: "P4005", Severity: diag.Error, Message: "the result is too large", Found: diag.Size(n), Wanted: "at most " + diag.Size(MaxResultBytes)}}
	} else {
		var err error
		problems, err = x.module.Task.CheckResult(schema.Limits{Context: ctx, Memory: inputMemory}, published.Result)
		if err != nil {
			return fmt.Errorf("check the adopted result: %w", err)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &AdoptedError{Commit: published.Commit, Diagnostics: append(diag.List{{Code: "P4906", Severity: diag.Error,
		Message: fmt.Sprintf("the result that commit %s has for this task is not one of it, and is not adopted", published.Commit),
		Hint:    "was the file changed after that attempt, or did someone else make the commit? look at it, and start again from a newer ref"}}, problems...)}
}

// close drops the attempt's folder. An error here is logged, never the result's.
func (x *execution) close(ctx context.Context) {
	if x.dir == nil {
		return
	}
	u := x.overlay.Usage()
	x.res.Files, x.res.Phases.List = u, u.ListTime
	x.log.Info("listed", "objects", u.ObjectsListed, "ms", logs.Milliseconds(u.ListTime), "cached", u.ListCached)
	x.log.Info("fetched", "objects", u.ObjectsFetched, "bytes", u.BytesFetched, "hits", u.ObjectsHit)
	if n := x.overlay.Unnameable(); n > 0 {
		x.log.Warn("objects left out of the view: the file API cannot name them", "objects", n)
	}
	keep := attempts.Drop
	if x.res.Output == nil {
		keep = x.Keep
		if x.hooks.Failed != nil {
			x.hooks.Failed(context.WithoutCancel(ctx), x.ref, x.overlay)
		}
	}
	if err := errors.Join(x.overlay.Close(), x.dir.Close(keep)); err != nil {
		x.log.Warn("attempt folder not removed; the next sweep does it", "error", x.redact.Text(err.Error()))
	}
}
