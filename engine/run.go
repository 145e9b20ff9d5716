package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"perago/engine/logs"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/panics"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/publish"
	"perago/workspace/storage"
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
	Store     storage.Reader   // nil when no task has a workspace
	Root      *attempts.Root   // the same
	Cache     *workspace.Cache // the same
	Publisher Publisher        // nil: nothing is published
	Fixed     *workspace.Ref   // not nil: what every attempt reads; input and output have no `workspace` (`perago run --workspace`)
	Ceiling   Limits           // the operator's, over resources(...)
	ReasonMax int              // characters of Result.Reason; 0 is 500
	Transfers int              // concurrent transfers of one attempt; 0 is 16
	Keep      attempts.KeepMode
	Log       *slog.Logger // nil: nothing is logged

	large sync.Mutex // one input of more than inputLarge at a time
}

// Result is what became of one attempt. There always is one.
type Result struct {
	Attempt     queue.Attempt
	Status      queue.Status
	Reason      string          // "" when completed; at most ReasonMax characters
	Output      json.RawMessage // the envelope; nil unless completed
	Diagnostics diag.List
	Story       string // the whole story, stack included; "" when completed
	Changes     []workspace.Change
	Adopted     bool // an earlier attempt had published: the body did not run, or its result gave way
	Phases      Phases
	Body        Usage
	Files       workspace.Usage
	Limits      Limits // that were in force
	Err         error  // what Status was decided from; nil when completed. It may hold a secret: Diagnostics do not

	redact *logs.Redactor // for what else is logged of it
}

// Redact hides the secrets of the attempt in a text.
func (r Result) Redact(text string) string { return r.redact.Text(text) }

// Phases are the times one attempt spent. List is part of the others: listings
// are made when they are needed.
type Phases struct {
	Load    time.Duration // decoding and checking the input
	List    time.Duration
	Pre     time.Duration // revocation, adoption and pre guards
	Body    time.Duration
	Post    time.Duration // result and post guards
	Publish time.Duration
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
func (r *Runner) Run(ctx context.Context, m *module.Module, a queue.Attempt, h Hooks) (res Result) {
	x := r.begin(m, a, h)
	x.log.Info("attempt started")
	err := x.guarded(ctx)
	return x.finish(ctx, err)
}

// run is the path of one attempt.
func (x *execution) run(ctx context.Context) error {
	stop := x.phase(&x.res.Phases.Load)
	in, err := x.input(ctx, x.module.Task, x.attempt.Input)
	stop()
	if err != nil {
		return err // terminal, and nothing was read from a server
	}
	x.step("decoded")
	x.redact = logs.NewRedactor(in.params.Secrets())
	x.res.redact = x.redact
	if x.module.Task.Workspace == nil {
		result, err := x.body(ctx, in.params, nil)
		return x.complete(nil, result, err)
	}

	files, err := x.open(ctx, in.ref)
	if err != nil {
		return err
	}
	defer x.close(ctx, files)
	x.step("opened")
	adopted, err := x.prepare(ctx, files)
	if err != nil || adopted != nil {
		return x.adopt(ctx, files, adopted, err)
	}
	x.step("prepared")
	if err := x.guards(ctx, files, before); err != nil {
		return err // terminal: the same commit gives the same answer
	}
	x.step("guarded")
	result, err := x.body(ctx, in.params, files.overlay)
	if err != nil {
		return err
	}
	x.step("ran")
	if err := x.guards(ctx, files, after); err != nil {
		return err
	}
	x.step("checked")
	published, err := x.publish(ctx, files, result)
	if err != nil {
		return err
	}
	x.step("published")
	return x.adopt(ctx, files, &published, nil)
}

// guarded is run with a panic of perago's own turned into an error: the one
// boundary where that is done.
func (x *execution) guarded(ctx context.Context) error {
	return panics.ToError(func() error { return x.run(ctx) })()
}

// finish turns the error of an attempt into its Result. After a cancel the
// cause outranks whatever error it led to, but for what such an error knows of
// the branch.
func (x *execution) finish(ctx context.Context, err error) Result {
	var (
		race  *publish.LostRaceError
		doubt *publish.DoubtError
	)
	if err != nil && ctx.Err() != nil && !errors.As(err, &race) {
		cause := fmt.Errorf("the attempt was ended: %w", context.Cause(ctx))
		if errors.As(err, &doubt) { // outlives the cancel: it is about what is on the branch
			cause = &publish.DoubtError{Branch: doubt.Branch, Staged: doubt.Staged, Look: doubt.Look, Err: cause}
		}
		err = cause
	}
	x.res.Status = statusOf(err, x.module.Task.Controls.Retry.On)
	x.res.Err = err
	if err != nil {
		x.res.Output = nil
		x.res.Diagnostics = x.redact.List(diagnosticsOf(err))
		note := ""
		if repeats(err) {
			note = again
		}
		x.res.Reason = reason(x.res.Diagnostics, note, x.ReasonMax)
		x.res.Story = story(x.res.Diagnostics)
		if note != "" {
			x.res.Story += strings.TrimSpace(note) + "\n"
		}
	}
	x.logFinished()
	return x.res
}
