package tasktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/engine"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/starlib/diag"
	"perago/workspace"
	"perago/workspace/storage"
)

// later is how far apart the clocks of the two runs are: no part of a date or a
// time of day is the same.
const later = 400*24*time.Hour + 3*time.Hour + 17*time.Minute + 29*time.Second + 123_456_789

// repeat runs a task once more, as a retry would: on the same input, at another
// time. If the output differs, it returns a Problem that says how.
func (x *test) repeat(thread *starlark.Thread, m *module.Module, params string, space starlark.Value, now time.Time, first engine.Result, before *fakeWorkspace) error {
	if now.IsZero() {
		now = time.Now().UTC()
	}
	again, after, err := x.attempt(m, params, space, now.Add(later), func(string) {})
	if err != nil {
		return err
	}
	what := func(what string) string { return "a retry of " + m.Task.Name + " gives " + what }
	if first.Status != again.Status {
		return &diag.Problem{Code: "P4153", Message: what("another status"), Found: string(again.Status), Wanted: string(first.Status),
			Detail: formatted(append(first.Diagnostics[:len(first.Diagnostics):len(first.Diagnostics)], again.Diagnostics...))}
	}
	if first.Status != queue.Completed {
		return nil
	}
	got, err := x.resultOf(thread, again)
	if err != nil {
		return err
	}
	want, err := x.resultOf(thread, first)
	if err != nil {
		return err
	}
	c := &comparison{ctx: x.ctx, same: equalValues}
	if err := c.values("", got, want, 0); err != nil {
		return err
	}
	if len(c.list) > 0 {
		p := c.problem(what("another result"))
		p.Code, p.Hint = "P4153", retryHint
		return p
	}
	return retriedFiles(what, first, before, again, after)
}

const retryHint = "take what changes from params, not from time.now(), or leave it out of what is kept"

// retriedFiles compares what two runs wrote.
func retriedFiles(what func(string) string, first engine.Result, before *fakeWorkspace, again engine.Result, after *fakeWorkspace) error {
	ops := func(list []workspace.Change) map[string]string {
		index := map[string]string{}
		for _, c := range list {
			index[c.Path] = string(c.Op)
		}
		return index
	}
	wrote := func(op string) string {
		switch op {
		case "":
			return "left alone"
		case string(storage.Deleted):
			return "deleted"
		}
		return "written"
	}
	one, two := ops(first.Changes), ops(again.Changes)
	for _, c := range append(first.Changes[:len(first.Changes):len(first.Changes)], again.Changes...) {
		if one[c.Path] != two[c.Path] {
			return &diag.Problem{Code: "P4153", Message: what("other files: " + c.Path), Found: wrote(two[c.Path]), Wanted: wrote(one[c.Path]), Hint: retryHint}
		}
		if before.sums[c.Path] == after.sums[c.Path] {
			continue
		}
		p := &diag.Problem{Code: "P4153", Message: what("another " + c.Path), Hint: retryHint}
		want, kept := before.kept[c.Path]
		got, keptToo := after.kept[c.Path]
		if kept && keptToo {
			fileDifference(p, got, want)
		}
		return p
	}
	return nil
}

// fileDifference describes how the content of a file differs from what is expected.
func fileDifference(p *diag.Problem, got, want []byte) {
	var values [2]starlark.Value
	for i, data := range [][]byte{got, want} {
		values[i] = starlark.String(data)
		if bytes.IndexByte(data, 0) >= 0 || !utf8.Valid(data) { // no text
			values[i] = starlark.Bytes(data)
		}
	}
	d := differ("", values[0], values[1])
	p.Found, p.Wanted, p.Detail = d.found, d.wanted, d.lines
}

// resultOf is what a body returned, as the test sees it; None unless it completed.
func (x *test) resultOf(thread *starlark.Thread, r engine.Result) (starlark.Value, error) {
	if r.Status != queue.Completed {
		return starlark.None, nil
	}
	var output struct{ Result json.RawMessage }
	if err := json.Unmarshal(r.Output, &output); err != nil {
		return nil, fmt.Errorf("the result: %w", err)
	}
	return x.json(thread, "decode", starlark.String(output.Result))
}
