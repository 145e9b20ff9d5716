package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"perago/engine/logs"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

// execution is the state of one Run: the steps that Runner.run names, in its order.
type execution struct {
	*Runner
	module  *module.Module
	attempt queue.Attempt
	hooks   Hooks
	redact  *logs.Redactor
	log     *slog.Logger
	started time.Time
	res     Result
}

// place is the workspace of one attempt while it is open.
type place struct {
	ref     workspace.Ref
	dir     *attempts.Dir
	overlay *workspace.Overlay
}

func (r *Runner) begin(m *module.Module, a queue.Attempt, h Hooks) *execution {
	log := r.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	a.Task = m.Task.Name
	log = log.With(a.LogAttrs()...)
	limits := limitsOf(m.Task, r.Ceiling)
	return &execution{Runner: r, module: m, attempt: a, hooks: h, log: log, started: time.Now(),
		res: Result{Attempt: a, Limits: limits}}
}

// phase starts the clock of one phase; the function it returns stops it.
func (x *execution) phase(total *time.Duration) func() {
	start := time.Now()
	return func() { *total += time.Since(start) }
}

// step names the point that the attempt has reached.
func (x *execution) step(name string) {
	x.log.Debug("step", "name", name)
	if x.hooks.Step != nil {
		x.hooks.Step(name)
	}
}

// open makes the attempt's folder and the view of its commit, and asks the
// store whether that commit is there.
func (x *execution) open(ctx context.Context, ref workspace.Ref) (*place, error) {
	defer x.phase(&x.res.Phases.Pre)()
	dir, err := x.Root.NewAttempt(attempts.Record{Task: x.key()})
	if err != nil {
		return nil, fmt.Errorf("attempt folder: %w", err)
	}
	p := &place{ref: ref, dir: dir}
	x.log = x.log.With("folder", dir.Name())
	p.overlay = workspace.NewOverlay(x.Store, ref, workspace.OverlayOptions{
		Spec: *x.module.Task.Workspace, Dir: dir.Files(), Cache: x.Cache, Concurrency: x.Transfers,
		Files: x.module.Task.Resources.Files, Scratch: x.module.Task.Resources.Scratch})
	if err := p.overlay.Verify(ctx); err != nil {
		x.close(ctx, p)
		return nil, err
	}
	return p, nil
}

// close drops the attempt's folder. An error here is logged, never the result's.
func (x *execution) close(ctx context.Context, p *place) {
	u := p.overlay.Usage()
	x.res.Files, x.res.Phases.List = u, u.ListTime
	x.log.Info("listed", "objects", u.ObjectsListed, "ms", logs.Milliseconds(u.ListTime), "cached", u.ListCached)
	x.log.Info("fetched", "objects", u.ObjectsFetched, "bytes", u.BytesFetched, "hits", u.ObjectsHit)
	if n := p.overlay.Unnameable(); n > 0 {
		x.log.Warn("objects left out of the view: the file API cannot name them", "objects", n)
	}
	keep := attempts.Drop
	if x.res.Output == nil {
		keep = x.Keep
		if x.hooks.Failed != nil {
			x.hooks.Failed(context.WithoutCancel(ctx), p.ref, p.overlay)
		}
	}
	if err := errors.Join(p.overlay.Close(), p.dir.Close(keep)); err != nil {
		x.log.Warn("attempt folder not removed; the next sweep does it", "error", x.redact.Text(err.Error()))
	}
}

func (x *execution) key() attempts.TaskKey {
	a := x.attempt
	return attempts.TaskKey{Name: x.module.Task.Name, WorkflowID: a.WorkflowID, Reference: a.Reference,
		Iteration: a.Iteration, TaskID: a.TaskID, Retry: a.Retry}
}

func (x *execution) publication(p *place, result json.RawMessage) publish.Publication {
	return publish.Publication{Ref: p.ref, Task: x.key(), Overlay: p.overlay, Dir: p.dir,
		Result: result, Current: x.hooks.Current}
}

// publishes says whether this attempt touches a branch at all: a read-only task
// never looks at one.
func (x *execution) publishes() bool {
	return x.Publisher != nil && !x.module.Task.Workspace.ReadOnly
}

func (x *execution) prepare(ctx context.Context, p *place) (*publish.Published, error) {
	defer x.phase(&x.res.Phases.Pre)()
	if !x.publishes() {
		return nil, nil
	}
	return x.Publisher.Prepare(ctx, x.publication(p, nil))
}

// when is before or after the body.
type when bool

const (
	before when = false
	after  when = true
)

// guards checks the guards of one side; all failures are reported.
func (x *execution) guards(ctx context.Context, p *place, side when) error {
	spec, total := x.module.Task.Workspace, &x.res.Phases.Pre
	guards, at, name := spec.Pre, x.module.Task.PreAt, "pre"
	code := diag.Code("P3301")
	if side == after {
		guards, at, name = spec.Post, x.module.Task.PostAt, "post"
		total, code = &x.res.Phases.Post, "P3302"
	}
	defer x.phase(total)()
	failures, err := workspace.CheckGuards(ctx, p.overlay, guards)
	if err != nil {
		return fmt.Errorf("%s guards: %w", name, err)
	}
	if len(failures) == 0 {
		return nil
	}
	var list diag.List
	for _, f := range failures {
		x.log.Warn("guard failed", "guard", f.Guard.String(), "side", name, "found", x.redact.Line(f.Found), "wanted", f.Wanted)
		d := &diag.Diagnostic{Code: code, Severity: diag.Error,
			Message: fmt.Sprintf("%s guard %s does not hold", name, f.Guard), Found: f.Found, Wanted: f.Wanted}
		x.placeAt(d, at[f.Index])
		list = append(list, d)
	}
	return &GuardError{Post: bool(side), Failures: x.module.Locate(list)}
}

func (x *execution) placeAt(d *diag.Diagnostic, at starlib.Position) {
	d.File, d.Line, d.Column = at.File, at.Line, at.Column
}

// body runs the body.
func (x *execution) body(ctx context.Context, params starlib.Params, files starlib.Files) (json.RawMessage, error) {
	stop := x.phase(&x.res.Phases.Body)
	result, usage, err := x.Body.Run(ctx, x.module, Call{Params: params, Files: files, Limits: x.res.Limits,
		Log: x.record, Progress: x.progress})
	stop()
	x.res.Body = usage
	return result, err
}

// publish brings what was written to the branch. Without a publisher the input
// commit is the answer.
func (x *execution) publish(ctx context.Context, p *place, result json.RawMessage) (publish.Published, error) {
	defer x.phase(&x.res.Phases.Publish)()
	changes, err := p.overlay.Changes(ctx)
	if err != nil {
		return publish.Published{}, fmt.Errorf("changes: %w", err)
	}
	x.res.Changes = changes
	if err := x.checkOutput(changes); err != nil {
		return publish.Published{}, err
	}
	published := publish.Published{Commit: p.ref.Commit}
	if x.publishes() {
		if published, err = x.Publisher.Publish(ctx, x.publication(p, result)); err != nil {
			return publish.Published{}, err
		}
	}
	if published.Result == nil {
		published.Result = result
	}
	return published, nil
}

// checkOutput bounds what an attempt publishes. A copy of a stored object counts
// like the upload that it saves: it costs the store the same.
func (x *execution) checkOutput(changes []workspace.Change) error {
	most := x.res.Limits.Output
	if most == 0 {
		return nil
	}
	var total int64
	files := 0
	for _, c := range changes {
		if c.Op != storage.Deleted {
			total, files = total+min(c.Size, math.MaxInt64-total), files+1
		}
	}
	figure := size
	if size(total) == size(most) { // to the GiB they are the same
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

// adopt completes an attempt with what is on the branch.
func (x *execution) adopt(ctx context.Context, p *place, published *publish.Published, err error) error {
	if err != nil {
		return err
	}
	if published.Adopted {
		if err := x.checkAdopted(ctx, *published); err != nil {
			return err
		}
	}
	x.res.Adopted = published.Adopted
	ref := p.ref
	ref.Commit = published.Commit
	return x.complete(&ref, published.Result, nil)
}

// checkAdopted holds the result of an earlier publication to what holds for one
// of the body: the file may be another by now, and whoever may merge can make
// what looks like a publication.
func (x *execution) checkAdopted(ctx context.Context, published publish.Published) error {
	ctx, cancel := context.WithTimeoutCause(ctx, inputWall, errors.New("the adopted result took too long to check"))
	defer cancel()
	var problems diag.List
	if n := int64(len(published.Result)); n > MaxResultBytes {
		problems = diag.List{{Code: "P4005", Severity: diag.Error, Message: "the result is too large", Found: size(n), Wanted: "at most " + size(MaxResultBytes)}}
	} else {
		var err error
		problems, err = x.module.Task.CheckResult(starlib.Within{Context: ctx, Memory: inputMemory}, published.Result)
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

func (x *execution) complete(ref *workspace.Ref, result json.RawMessage, err error) error {
	if err != nil {
		return err
	}
	if x.Fixed != nil {
		ref = nil
	}
	x.res.Output = envelope(x.module.Task, ref, result)
	return nil
}

// record logs one record of the body, without secrets.
func (x *execution) record(r starlib.Record) {
	attrs := []slog.Attr{slog.String("at", diag.Printable(fmt.Sprintf("%s:%d", r.At.File, r.At.Line)))}
	message := x.redact.Line(r.Message)
	var line strings.Builder
	fmt.Fprintf(&line, "%s %s %s", r.Level, attrs[0].Value, message)
	for _, f := range r.Fields {
		key, value := x.redact.Line(f.Key), x.redact.Value(f.Value)
		attrs = append(attrs, slog.Attr{Key: "field." + key, Value: value})
		fmt.Fprintf(&line, " %s=%s", key, value)
	}
	x.log.LogAttrs(context.Background(), r.Level, message, attrs...)
	if x.hooks.Record != nil {
		x.hooks.Record(line.String())
	}
}

// progress passes a report on, without secrets: a number that is one counts as 0.
func (x *execution) progress(p starlib.Progress) {
	p.Message = x.redact.Line(p.Message)
	for _, n := range []*float64{&p.Done, &p.Total} {
		if x.redact.Float(*n) {
			*n = 0
		}
	}
	if x.hooks.Progress != nil {
		x.hooks.Progress(p)
	}
}

func (x *execution) logFinished() {
	res, p := x.res, x.res.Phases
	level := slog.LevelInfo
	if res.Status != queue.Completed {
		level = slog.LevelWarn
	}
	x.log.Log(context.Background(), level, "attempt finished",
		"status", string(res.Status), "reason", res.Reason, "story", res.Story,
		"load_ms", logs.Milliseconds(p.Load), "list_ms", logs.Milliseconds(p.List), "pre_ms", logs.Milliseconds(p.Pre), "body_ms", logs.Milliseconds(p.Body),
		"post_ms", logs.Milliseconds(p.Post), "publish_ms", logs.Milliseconds(p.Publish), "total_ms", logs.Milliseconds(time.Since(x.started)),
		"steps", res.Body.Steps, "peak_bytes", res.Body.PeakBytes, "process_bytes", res.Body.ProcessBytes,
		"objects_listed", res.Files.ObjectsListed, "objects_read", res.Files.ObjectsRead, "bytes_read", res.Files.BytesRead,
		"objects_fetched", res.Files.ObjectsFetched, "bytes_fetched", res.Files.BytesFetched,
		"memory_limit", res.Limits.Memory, "wall_limit_ms", logs.Milliseconds(res.Limits.Wall), "step_limit", res.Limits.Steps)
}
