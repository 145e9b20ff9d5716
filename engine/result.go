package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"perago/engine/logs"
	"perago/engine/queue"
	"perago/panics"
	"perago/starlib/diag"
	"perago/workspace"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

// Result is what became of one attempt. There always is one.
type Result struct {
	Attempt     queue.Attempt
	Status      queue.Status
	Reason      string          // "" when completed; at most ReasonMax characters
	Output      json.RawMessage // the envelope; nil unless completed
	Diagnostics diag.List
	Story       string // the whole story, stack included; "" when completed
	Changes     []workspace.Change
	Reused      string // the commit whose files and result were taken over, without running the body; "" is none
	Adopted     bool   // an earlier attempt had published: the body did not run, or its result gave way
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
	Pre     time.Duration // folder, commit and pre guards
	Prepare time.Duration // looking for what an earlier attempt has published
	Body    time.Duration
	Post    time.Duration // result and post guards
	Publish time.Duration
}

// finish turns the error of an attempt into its Result. After a cancel its cause
// takes the place of the error that it led to, except for what that error says of
// the branch.
func (x *execution) finish(ctx context.Context, err error) Result {
	var (
		race  *publish.LostRaceError
		doubt *publish.DoubtError
	)
	if err != nil && ctx.Err() != nil && !errors.As(err, &race) {
		cause := fmt.Errorf("the attempt was ended: %w", context.Cause(ctx))
		if errors.As(err, &doubt) { // outlives the cancel: it is about what is on the branch
			cause = &publish.DoubtError{Branch: doubt.Branch, Staged: doubt.Staged, ReadErr: doubt.ReadErr, Err: cause}
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

func (x *execution) logFinished() {
	res, p := x.res, x.res.Phases
	level := slog.LevelInfo
	if res.Status != queue.Completed {
		level = slog.LevelWarn
	}
	x.log.Log(context.Background(), level, "attempt finished",
		"status", string(res.Status), "reason", res.Reason, "story", res.Story, "reused", res.Reused,
		"load_ms", logs.Milliseconds(p.Load), "list_ms", logs.Milliseconds(p.List), "pre_ms", logs.Milliseconds(p.Pre), "prepare_ms", logs.Milliseconds(p.Prepare), "body_ms", logs.Milliseconds(p.Body),
		"post_ms", logs.Milliseconds(p.Post), "publish_ms", logs.Milliseconds(p.Publish), "total_ms", logs.Milliseconds(time.Since(x.started)),
		"steps", res.Body.Steps, "peak_bytes", res.Body.PeakBytes, "process_bytes", res.Body.ProcessBytes,
		"objects_listed", res.Files.ObjectsListed, "objects_read", res.Files.ObjectsRead, "bytes_read", res.Files.BytesRead,
		"objects_fetched", res.Files.ObjectsFetched, "bytes_fetched", res.Files.BytesFetched,
		"memory_limit", res.Limits.Memory, "wall_limit_ms", logs.Milliseconds(res.Limits.Wall), "step_limit", res.Limits.Steps)
}

// envelope is the output of a completed attempt: {"workspace": ..., "result": ...},
// or the result alone. The result is taken as it is, for it was checked as JSON.
func envelope(withWorkspace bool, ref workspace.Ref, result json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	if withWorkspace {
		b.WriteString(`"workspace":`)
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.Encode(struct { // of strings: no error
			Repository string `json:"repository"`
			Branch     string `json:"branch"`
			RefType    string `json:"refType"`
			Ref        string `json:"ref"`
		}{ref.Repository, ref.Branch, "commit", ref.Commit})
		b.Truncate(b.Len() - len("\n"))
		b.WriteByte(',')
	}
	b.WriteString(`"result":`)
	b.Write(result)
	b.WriteByte('}')
	return b.Bytes()
}

// GuardError is a guard that does not hold.
type GuardError struct {
	Post     bool // checked after the body; else before
	Failures diag.List
}

func (e *GuardError) Error() string { return e.Failures.Error() }

// Unwrap gives the diagnostics.
func (e *GuardError) Unwrap() error { return e.Failures }

// AdoptedError is a publication for this task whose result is not one of it.
type AdoptedError struct {
	Commit      string
	Diagnostics diag.List // the first says so, the rest why
}

func (e *AdoptedError) Error() string { return e.Diagnostics.Error() }

// Unwrap gives the diagnostics.
func (e *AdoptedError) Unwrap() error { return e.Diagnostics }

// PanicError is a fault of perago itself, caught at the boundary of an attempt.
type PanicError = panics.Error

// statusOf says what an error means for the attempt. It is the only place that
// decides.
//
//	input not valid, repository or commit unknown      terminal: a retry gets the same input
//	a pre guard                                        terminal: the same commit, the same answer
//	fail_terminal                                      terminal: the author says so
//	a lost race without the fence                      terminal: both commits are on the branch
//	the branch moved                                   terminal: it does not come back to the input
//	the result of an earlier publication is not valid  terminal: a retry would find the same
//	whether the merge landed is not known              failed: the retry finds out
//	what the same commit must give again, for a task   terminal: the author wants no such retry
//	with retry(on = "transient")
//	everything else                                    failed: Conductor retries as the TaskDef says
//
// on is retry(on = ...) of the task.
func statusOf(err error, on string) queue.Status {
	var (
		input *InputError
		guard *GuardError
		body  *BodyError
		race  *publish.LostRaceError
		moved *publish.MovedError
		doubt *publish.DoubtError
		found *AdoptedError
	)
	switch {
	case err == nil:
		return queue.Completed
	case errors.As(err, &doubt): // before what it wraps
		return queue.Failed
	case errors.As(err, &input):
		return queue.FailedTerminal
	case errors.Is(err, storage.ErrUnknownRepository), errors.Is(err, storage.ErrUnknownCommit):
		return queue.FailedTerminal
	case errors.As(err, &guard) && !guard.Post:
		return queue.FailedTerminal
	case errors.As(err, &body) && body.Terminal:
		return queue.FailedTerminal
	case errors.As(err, &race), errors.As(err, &moved), errors.As(err, &found):
		return queue.FailedTerminal
	case on == "transient" && repeats(err):
		return queue.FailedTerminal
	}
	return queue.Failed
}

// repeats says whether another attempt on the same commit must fail in the same
// way: the error is one of the body's own, its input is that commit and its
// params alone, and the error is none of those that the surroundings can have a
// part in: fail (the author wants a retry), time, the end of a process, a
// transfer, a cancel.
func repeats(err error) bool {
	var (
		guard *GuardError
		body  *BodyError
	)
	if errors.As(err, &guard) {
		return true
	}
	if !errors.As(err, &body) || body.Terminal || len(body.Diagnostics) == 0 {
		return false
	}
	switch code := body.Diagnostics[0].Code; code {
	case "P4001", "P4003", "P4004", "P4005", "P4006", "P4009", "P4011", "P4140":
		return true
	case "P4108", "P4224":
		return false
	default:
		family := string(code[:min(len(code), 3)])
		return family == "P31" || family == "P32" || family == "P41" && code < "P4130" || family == "P42"
	}
}

// again ends the reason and the story of an error that repeats.
const again = " (the same commit gives the same error)"

// diagnosticsOf are the diagnostics in err; an error without any becomes one
// that has only a message.
func diagnosticsOf(err error) diag.List {
	var list diag.List
	if errors.As(err, &list) {
		return list
	}
	return diag.List{{Code: codeOf(err), Severity: diag.Error, Message: err.Error(), Hint: hintOf(err)}}
}

// hintOf says what to do about the errors of the surroundings, where that is known.
func hintOf(err error) string {
	var (
		moved *publish.MovedError
		doubt *publish.DoubtError
	)
	switch {
	case errors.As(err, &doubt):
		return "a retry adopts it where it landed; without one, look whether the branch has a commit with this second parent"
	case errors.Is(err, storage.ErrUnknownRepository):
		return "workspace.repository of the input names it: is this the lakeFS that has it?"
	case errors.Is(err, storage.ErrUnknownCommit):
		return "workspace.ref of the input names it; take the `id` of a commit that this repository has"
	case errors.Is(err, storage.ErrUnknownBranch):
		return "workspace.branch of the input is what is published to: make that branch, or name one that is there"
	case errors.Is(err, storage.ErrProtected):
		return "perago stages on branches of its own, perago-*: protect only the branches that tasks publish to"
	case errors.As(err, &moved):
		return "start again with the commit that the branch is at; what publishes to one branch is best run one after another"
	}
	return ""
}

// codeOf gives the errors of the surroundings their stable codes.
func codeOf(err error) diag.Code {
	var (
		moved *publish.MovedError
		race  *publish.LostRaceError
		fault *PanicError
		doubt *publish.DoubtError
	)
	switch {
	case errors.As(err, &doubt):
		return "P4905"
	case errors.Is(err, storage.ErrUnknownRepository), errors.Is(err, storage.ErrUnknownCommit):
		return "P3004"
	case errors.As(err, &moved):
		return "P4902"
	case errors.As(err, &race):
		return "P4903"
	case errors.Is(err, queue.ErrGone), errors.Is(err, queue.ErrLeaseLost), errors.Is(err, queue.ErrForced):
		return "P4904"
	case errors.As(err, &fault):
		return "P4999"
	}
	return "P4901"
}

// reason is what Conductor shows beside a failed task: one complaint a line, and
// note behind the last one; at most most characters.
func reason(list diag.List, note string, most int) string {
	if most <= 0 {
		most = 500
	}
	return diag.ShortenTo(list.Error(), most-utf8.RuneCountInString(note)-1) + note
}

// story is all that is known of a failure, for the log: every diagnostic with
// its source line, hint and stack.
func story(list diag.List) string {
	var b strings.Builder
	diag.WriteText(&b, list, diag.TextOptions{})
	return b.String()
}

// Refused is the Result of an attempt whose input cannot even be read, so that
// there was nothing for a Runner to do.
func (r *Runner) Refused(a queue.Attempt, found diag.List) Result {
	err := &InputError{found}
	return Result{Attempt: a, Status: statusOf(err, ""), Err: err, Diagnostics: found, Reason: reason(found, "", r.ReasonMax), Story: story(found)}
}
