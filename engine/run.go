package engine

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"perago/starlib/diag"
	"perago/workspace"
)

// Publisher brings what an attempt wrote to where it belongs. Two
// implementations: *workspace.Publisher (a branch), *folder.Applier (a plain folder).
type Publisher interface {
	// Prepare is called before the body. Not nil: an earlier attempt of this task
	// has published; its commit and result are adopted and the body does not run.
	Prepare(ctx context.Context, p workspace.Publication) (*workspace.Published, error)
	// Publish is called after the post guards.
	Publish(ctx context.Context, p workspace.Publication) (workspace.Published, error)
}

// Runner runs attempts. It is safe for concurrent use.
type Runner struct {
	Body      Body
	Store     workspace.Reader
	Root      *workspace.Root
	Cache     *workspace.Cache
	Publisher Publisher      // nil: nothing is published
	Fixed     *workspace.Ref // not nil: what every attempt reads; input and output have no `workspace` (`run --workspace`)
	Ceiling   Limits         // the operator's, over resources(...)
	ReasonMax int            // characters of Result.Reason; 0 is 500
	Log       *slog.Logger
}

// Result is what became of one attempt. There always is one.
type Result struct {
	Attempt     Attempt
	Status      Status
	Reason      string          // "" when completed; at most ReasonMax characters
	Output      json.RawMessage // the envelope; nil unless completed
	Diagnostics diag.List
	Story       string // the whole story, stack included; "" when completed
	Changes     []workspace.Change
	Phases      Phases
	Body        Usage
	Files       workspace.Usage
	Limits      Limits // that were in force
}

// Phases are the times one attempt spent.
type Phases struct {
	Load, List, Pre, Body, Post, Publish time.Duration
}

// Hooks are what a run tells while it runs; each may be nil.
type Hooks struct {
	Current  func(context.Context) error // step 4 of the publication
	Record   func(line string)           // a body log record, for the task's log at the server
	Progress func(done, total float64, message string)
}
