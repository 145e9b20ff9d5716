package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"perago/starlib/schema"
	"perago/workspace"
	"perago/workspace/storage"
	"perago/workspace/trace"
)

// language is part of the key of a record: it changes when the same source may
// come to something else.
const language = "1"

// takeOverWall bounds the look for an earlier attempt, which is no part of the body's limits.
const takeOverWall = time.Minute

// newRecord is what the publication of this attempt says of how its files were made.
// Result and trace are filled in later.
func (x *execution) newRecord() *trace.Record {
	a, source, params := x.attempt, x.module.Digest(), x.params.JSON()
	return &trace.Record{Task: a.Task, Key: trace.Key(language, source, params, x.module.Task.Workspace.Prefix), Source: source, Params: params, Input: x.ref.Commit,
		WorkflowID: a.WorkflowID, Reference: a.Reference, TaskID: a.TaskID, Retry: a.Retry, Time: time.Now().UTC()}
}

// reusable says whether attempts of this task take over what earlier ones made. With
// a secret param they do not: a record would tell whether a guess of it is right.
func (x *execution) reusable() bool {
	if !x.module.Task.Reuse || x.Fixed != nil || len(x.module.Host) > 0 {
		return false
	}
	return !x.module.Task.Params.HasSecrets()
}

// reuse looks for an earlier attempt with the same sources and params whose every
// question has the same answer at this commit, and takes over what it made. Why
// there is none is logged, and the body runs then.
func (x *execution) reuse(ctx context.Context) error {
	if !x.reusable() {
		return nil
	}
	x.origin = x.newRecord()
	bounded, cancel := context.WithTimeout(ctx, takeOverWall)
	defer cancel()
	from, why, err := x.takeOver(bounded)
	switch {
	case err == nil:
	case ctx.Err() == nil && bounded.Err() != nil:
		why = "it took too long to compare what an earlier attempt had asked"
	case workspace.Repeats(err):
		why = err.Error() // a retry would meet it again, and the body may not
	default:
		return fmt.Errorf("look for an earlier attempt: %w", err)
	}
	if why != "" {
		x.log.Info("not reused", "why", x.redact.Line(why))
		return nil
	}
	x.res.Reused = from
	x.log.Info("reused", "commit", from)
	if x.hooks.Record != nil {
		x.hooks.Record("INFO reused what commit " + from + " has, the body did not run: sources, params and all that was asked of the workspace are the same")
	}
	return nil
}

// takeOver returns the commit that has what an earlier attempt made, or why the
// body has to run.
func (x *execution) takeOver(ctx context.Context) (from, why string, err error) {
	r, err := x.readRecord(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", "no earlier attempt has these sources and params", nil
	case errors.Is(err, errNoRecord):
		return "", err.Error(), nil
	case err != nil:
		return "", "", err
	case !r.Trace.Repeatable():
		return "", "the earlier attempt may come to something else the next time: " + r.Trace.Unrepeatable[0], nil
	}
	clash, err := r.Trace.Holds(ctx, x.overlay.At(x.ref.Commit))
	if err != nil {
		return "", "", err
	}
	if clash != nil {
		return "", clash.String(), nil
	}
	problems, err := x.module.Task.CheckResult(schema.Limits{Context: ctx, Memory: inputMemory}, r.Result)
	if err != nil {
		return "", "", err
	}
	if len(problems) > 0 || int64(len(r.Result)) > MaxResultBytes {
		return "", "what the earlier attempt returned is not a result of this task", nil
	}
	history, is := x.Store.(storage.Historian)
	if !is {
		return "", "the store does not tell where a file comes from", nil
	}
	made, err := history.LastChange(ctx, x.ref.Repository, x.ref.Commit, trace.Path(r.Task, r.Key))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", "the commit of the earlier attempt is not to be found", nil
	case err != nil:
		return "", "", err
	}
	switch err := x.overlay.Reuse(ctx, r.Trace, made.ID); {
	case errors.Is(err, fs.ErrNotExist):
		return "", "a file that the earlier attempt made is no longer to be had: " + err.Error(), nil
	case err != nil:
		return "", "", err
	}
	x.returned = r.Result
	return made.ID, "", nil
}

// errNoRecord: what is there is not a record of this attempt.
var errNoRecord = errors.New("the record of an earlier attempt cannot be read")

// readRecord reads the record of this task, these sources and params at the input
// commit. One is decoded at a time: a large one takes many times its size.
func (x *execution) readRecord(ctx context.Context) (*trace.Record, error) {
	f, err := x.Store.Open(ctx, x.ref.Repository, x.ref.Commit, trace.Path(x.origin.Task, x.origin.Key))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, trace.MaxRecord+1))
	if err != nil {
		return nil, err
	}
	x.large.Lock()
	r, err := trace.DecodeRecord(data)
	x.large.Unlock()
	if err == nil && (r.Task != x.origin.Task || r.Key != x.origin.Key || r.Trace.Prefix != x.module.Task.Workspace.Prefix) {
		err = errors.New("it is that of another task")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoRecord, err)
	}
	return r, nil
}
