package starlib

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/starlib/jsonschema"
)

// Run is the environment of one run of a body. It exists from just before
// the body is called until just after; builtins that act find it on their
// thread and refuse to act where there is none (at load time).
type Run struct {
	Context  context.Context // its cause (context.Cause) outranks the error of a cancelled thread
	Files    Files           // nil for a task without a workspace
	Tables   Tables          // nil where this perago has no engine of statements
	Log      func(Record)
	Progress func(Progress)
	Now      func() time.Time

	// AskedTime is set when the body called time.now.
	AskedTime bool

	// Caught is set when catch(...) took an error back: what the body makes of that may
	// be another thing the next time, since a server or a disk may have been the cause.
	Caught bool

	// Bounds limit the size of one value; nil is the default bound.
	Bounds *Bounds

	// Enter, when set, is told of every builtin just before it does its work, so
	// that the death of a child can name the last one. It must be cheap.
	Enter func(builtin string, at Position)

	// Returned is the return statement that ended the body; the zero value where
	// it ended without.
	Returned Position

	thread        *starlark.Thread
	streamErr     error                         // what a stream stopped at; it has cancelled the thread
	open          []closer                      // in the order of opening: what the body has not closed
	ended         bool                          // End was called
	progressAt    time.Time                     // when the last progress was passed on
	progressEnded bool                          // whether it was of a total that was reached
	patterns      map[string]*pattern           // compiled by re.search and its like, by flags and text
	schemas       map[string]*jsonschema.Schema // compiled by jsonschema.errors and validate, by flags and text
}

// Record is one log record of a body: log.*, print.
type Record struct {
	Level   slog.Level
	Message string
	Fields  []slog.Attr // in the order of the call, values are JSON-like
	At      Position
}

// Progress is one call of progress(done, total, message).
type Progress struct {
	Done    float64
	Total   float64 // 0 when the body does not know
	Message string
}

// Position is a place in a task file. Line and Column count from 1, columns in runes.
type Position struct {
	File   string
	Line   int
	Column int
}

// closer is something that a body opened. closeAtEnd commits what was written
// to it, unless ctx is done.
type closer interface {
	closeAtEnd(ctx context.Context) error
}

const (
	runKey = "perago.run"

	// maxOpen bounds the files that one body holds open, so that it does not take
	// the descriptors of the attempts beside it.
	maxOpen = 256
)

// Attach binds r to the thread that will call the body. It must be called
// before the thread runs.
func (r *Run) Attach(thread *starlark.Thread) {
	r.thread = thread
	thread.SetLocal(runKey, r)
}

// Again readies r for one more call, on another thread and until ctx is done. What
// is open stays open.
func (r *Run) Again(ctx context.Context, thread *starlark.Thread) {
	r.Context, r.streamErr, r.Returned = ctx, nil, Position{}
	r.Attach(thread)
}

// Workspace is the root path, the first argument of a body that has Files.
func (r *Run) Workspace() starlark.Value { return path("") }

// Err is what a stream (path.lines, csv.reader, json.lines, an open file)
// stopped at, nil when none did. An iterator of the interpreter cannot return
// an error, so it cancels the thread, and the interpreter's own error has the
// right place and stack but only the text. Err is the error itself.
func (r *Run) Err() error { return r.streamErr }

// End closes what the body left open, in the order of opening; what was written
// is committed. When ctx is done it is dropped instead. It must be called when
// the body has returned, whatever the outcome; nothing can be opened afterwards.
func (r *Run) End(ctx context.Context) error {
	r.ended = true
	open := r.open
	r.open = nil // closing one would take it out of the list
	var errs []error
	for _, c := range open {
		errs = append(errs, c.closeAtEnd(ctx))
	}
	return errors.Join(errs...)
}

// cancelled is the cause of a run that has to stop, else nil.
func (r *Run) cancelled() error {
	if r.Context.Err() != nil {
		return context.Cause(r.Context)
	}
	return nil
}

// stop ends the body at the loop that it is in. The first error wins.
func (r *Run) stop(err error) {
	if r.streamErr == nil {
		r.streamErr = err
	}
	r.thread.Cancel(err.Error())
}

// recover takes back what stop did, for catch. It reports false when the run
// must end all the same: a limit or a cancel from outside has reached it.
// Whoever cancels from outside ends the context first, so that none is lost
// between the two looks.
func (r *Run) recover() bool {
	if r.Context.Err() != nil {
		return false
	}
	if r.streamErr == nil {
		return true
	}
	r.streamErr = nil
	r.thread.Uncancel()
	if r.Context.Err() != nil {
		r.thread.Cancel(context.Cause(r.Context).Error())
		return false
	}
	return true
}

// allow says whether a value of that many bytes may be made at once.
func (r *Run) allow(what string, bytes int64) error {
	if r.Bounds == nil {
		return new(Bounds).allow(what, bytes)
	}
	return r.Bounds.allow(what, bytes)
}

// track remembers c until untrack, so that End can close it.
func (r *Run) track(c closer) error {
	if r.ended {
		return &diag.Problem{Code: codeHandle, Message: "the attempt has ended, so nothing can be opened"}
	}
	if len(r.open) >= maxOpen {
		return &diag.Problem{Code: codeTooMuch, Message: "too many open files", Found: fmt.Sprint(len(r.open) + 1),
			Wanted: fmt.Sprintf("at most %d", maxOpen), Hint: "close() a file when it is done"}
	}
	r.open = append(r.open, c)
	return nil
}

// untrack forgets c, which has been closed.
func (r *Run) untrack(c closer) {
	if i := slices.Index(r.open, c); i >= 0 {
		r.open = slices.Delete(r.open, i, i+1)
	}
}

// runOf is the Run of a thread, nil at load time.
func runOf(thread *starlark.Thread) *Run {
	r, _ := thread.Local(runKey).(*Run)
	return r
}

// FailError is a body that gave up: fail(...) and fail_terminal(...).
type FailError struct {
	Message  string
	Terminal bool // never retried
}

func (e *FailError) Error() string { return e.Message }

// reasonMax bounds the text of fail, in bytes: it is kept in memory, logged and
// sent on.
const reasonMax = 64 << 10

// outcomeBuiltins end the body (fail, fail_terminal) or keep it from ending (catch).
func outcomeBuiltins() []Builtin {
	message := []Param{{Name: "message", Type: "string", Doc: "why, for the person who looks at the failed task; another value is shown as `str` does"}}
	return []Builtin{
		{Name: "fail", Phase: Pure, Returns: "never", Params: message, call: outcomeFail,
			Doc:     "Ends the attempt as FAILED with this reason: Conductor tries again, as the task's `retry` says. At load time it is an error of the file.",
			Example: `fail("the index is not there yet")`},
		{Name: "fail_terminal", Phase: Act, Returns: "never", Params: message, call: outcomeFailTerminal,
			Doc:     "Ends the attempt as FAILED_WITH_TERMINAL_ERROR with this reason: it is never tried again. `catch` does not hold it up.",
			Example: `fail_terminal("want at least %d rows, got %d" % (params.min_rows, len(rows)))`},
		{Name: "catch", Phase: Act, Returns: "struct(ok, value, error)", call: outcomeCatch,
			Params: []Param{{Name: "fn", Type: "function", Kind: Positional, Doc: "what to call"},
				{Name: "args", Type: "any", Kind: Rest}, {Name: "kwargs", Type: "any", Kind: KeywordRest}},
			Doc: "Calls a function. `ok` is whether it returned, `value` is what it returned, else None, and `error` is the message of its " +
				"error, else None. `fail` is caught; `fail_terminal`, a limit and a cancel are not. What the function had written stays written.",
			Example: "got = catch(json.decode, source)\nif not got.ok:\n    log.warning(\"skipped\", cause = got.error)"},
	}
}

func outcomeFail(c *call) (starlark.Value, error) {
	message := validUTF8(brief(c.arg("message"), reasonMax))
	if c.run == nil {
		return nil, &diag.Problem{Code: codeFail, Message: message}
	}
	return nil, &FailError{Message: message}
}

func outcomeFailTerminal(c *call) (starlark.Value, error) {
	return nil, &FailError{Message: validUTF8(brief(c.arg("message"), reasonMax)), Terminal: true}
}

func outcomeCatch(c *call) (starlark.Value, error) {
	fn, err := c.function("fn")
	if err == nil && fn == nil {
		err = c.wrongType("fn", c.arg("fn"))
	}
	if err != nil {
		return nil, err
	}
	value, err := starlark.Call(c.thread, fn, c.rest, c.kwrest)
	if kept := c.run.streamErr; kept != nil {
		err = kept
	}
	if err == nil {
		return newStruct("ok", starlark.True, "value", value, "error", starlark.None), nil
	}
	var gaveUp *FailError
	if errors.As(err, &gaveUp) && gaveUp.Terminal {
		return nil, err
	}
	if !c.run.recover() {
		return nil, context.Cause(c.run.Context)
	}
	c.run.Caught = true
	return newStruct("ok", starlark.False, "value", starlark.None, "error", starlark.String(diag.ShortenBytes(messageOf(err), reasonMax))), nil
}

// messageOf is the message of an error for the author of a task file, without what
// the interpreter puts around it.
func messageOf(err error) string {
	var own *diag.Problem
	if errors.As(err, &own) {
		return own.Error()
	}
	var gaveUp *FailError
	if errors.As(err, &gaveUp) {
		return gaveUp.Message
	}
	d := diag.FromError(err, nil)[0] // the interpreter's words, said as they are to an author
	return (&diag.Problem{Message: d.Message, Found: d.Found, Wanted: d.Wanted}).Error()
}
