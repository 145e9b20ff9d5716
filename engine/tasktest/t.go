package tasktest

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"perago/engine"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/starlib"
	"perago/starlib/diag"
)

// test is t: one test while it runs.
type test struct {
	*suite
	ctx     context.Context
	log     []string
	said    int       // bytes, those that log has no room for among them
	closers []func()  // of the folders that t.run opened: read looks into them until the test is over
	used    *outcome  // what the test looked at last, until a check held
	failed  diag.List // of the cases that failed
	pending []golden  // what --update writes when the test has passed
}

// value is t as the test sees it.
func (x *test) value() starlark.Value {
	methods := starlark.StringDict{}
	for name, method := range map[string]func(*starlark.Thread, starlark.Tuple, []starlark.Tuple) (starlark.Value, error){
		"run": x.run, "folder": x.folder, "equal": x.equal, "ok": x.ok, "contains": x.contains, "fails": x.fails,
		"close": x.close, "cases": x.cases, "golden": x.golden,
	} {
		methods[name] = starlark.NewBuiltin("t."+name, func(thread *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			return method(thread, args, kwargs)
		})
	}
	return starlarkstruct.FromStringDict(starlark.String("t"), methods)
}

func (x *test) record(r starlib.Record) {
	line := fmt.Sprintf("%s %s:%d %s", r.Level, r.At.File, r.At.Line, r.Message)
	for _, f := range r.Fields {
		line += fmt.Sprintf(" %s=%s", f.Key, f.Value)
	}
	x.say(line)
}

// say keeps one line of what the test and its tasks logged.
func (x *test) say(line string) {
	if x.said += len(line); x.said <= engine.MaxLogBytes {
		x.log = append(x.log, line)
	}
}

// misuse is a wrong call of one of the methods of t.
func misuse(method string, err error) error {
	return &diag.Problem{Code: "P4150", Message: strings.TrimPrefix(err.Error(), method+": "), Hint: "see docs/testing.md", Cause: err}
}

// folder is t.folder(path): a fixture folder, relative to the test file.
func (x *test) folder(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var path string
	if err := starlark.UnpackArgs("t.folder", args, kwargs, "path", &path); err != nil {
		return nil, misuse("t.folder", err)
	}
	return fixture(filepath.Join(filepath.Dir(x.file), filepath.FromSlash(path))), nil
}

// equal is t.equal(got, want, message = "").
func (x *test) equal(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var got, want starlark.Value
	var message string
	if err := starlark.UnpackArgs("t.equal", args, kwargs, "got", &got, "want", &want, "message?", &message); err != nil {
		return nil, misuse("t.equal", err)
	}
	same, err := equalValues(got, want)
	if err != nil {
		return nil, misuse("t.equal", err)
	}
	if same {
		return x.holds()
	}
	return nil, x.compare("t.equal", said("not equal", message), got, want, equalValues)
}

// close is t.close(got, want, rel = 1e-9, abs = 0.0, message = "").
func (x *test) close(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var got, want starlark.Value
	var rel, abs starlark.Value = starlark.Float(1e-9), starlark.Float(0)
	var message string
	if err := starlark.UnpackArgs("t.close", args, kwargs, "got", &got, "want", &want, "rel?", &rel, "abs?", &abs, "message?", &message); err != nil {
		return nil, misuse("t.close", err)
	}
	var limits [2]float64
	for i, limit := range []starlark.Value{rel, abs} {
		n, ok := number(limit)
		if !ok || !(n >= 0) {
			return nil, misuse("t.close", fmt.Errorf("%s: got %s, want a number, at least 0", [...]string{"rel", "abs"}[i], brief(limit, maxShown)))
		}
		limits[i] = n
	}
	if err := x.compare("t.close", said("not close", message), got, want, closeValues(limits[0], limits[1])); err != nil {
		return nil, err
	}
	return x.holds()
}

// compare holds two values against each other, element by element.
func (x *test) compare(method, what string, got, want starlark.Value, same func(got, want starlark.Value) (bool, error)) error {
	c := &comparison{ctx: x.ctx, same: same}
	if err := c.values("", got, want, 0); err != nil {
		if x.ctx.Err() != nil {
			return err
		}
		return misuse(method, err)
	}
	if method == "t.close" && len(c.list) == 0 {
		if c.seen > maxCompared {
			return misuse(method, fmt.Errorf("the values have too many parts: want at most %d", maxCompared))
		}
		return nil
	}
	return c.problem(what)
}

// holds ends a check that held: what it looked at has nothing to do with what
// fails next.
func (x *test) holds() (starlark.Value, error) {
	x.used = nil
	return starlark.None, nil
}

func said(what, message string) string {
	if message == "" {
		return what
	}
	return message + ": " + what
}

// ok is t.ok(condition, message = "").
func (x *test) ok(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var condition starlark.Value
	var message string
	if err := starlark.UnpackArgs("t.ok", args, kwargs, "condition", &condition, "message?", &message); err != nil {
		return nil, misuse("t.ok", err)
	}
	if condition.Truth() {
		return x.holds()
	}
	return nil, &diag.Problem{Code: "P4151", Message: said("not so", message), Found: brief(condition, maxShown)}
}

// contains is t.contains(whole, part): a text in a text, an item of a list, a key of a dict.
func (x *test) contains(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var whole, part starlark.Value
	var message string
	if err := starlark.UnpackArgs("t.contains", args, kwargs, "whole", &whole, "part", &part, "message?", &message); err != nil {
		return nil, misuse("t.contains", err)
	}
	in, err := starlark.Binary(inOperator, part, whole)
	if err != nil {
		return nil, misuse("t.contains", err)
	}
	if in.Truth() {
		return x.holds()
	}
	return nil, &diag.Problem{Code: "P4151", Message: said("not contained", message), Found: brief(whole, maxShown), Wanted: brief(part, maxShown) + " in it"}
}

// fails is t.fails(fn, *args, match = "", **kwargs): fn must end with an error
// whose text has match in it.
func (x *test) fails(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	match := ""
	var passed []starlark.Tuple
	for _, kw := range kwargs {
		if text, ok := starlark.AsString(kw[1]); ok && kw[0] == starlark.String("match") {
			match = text
			continue
		}
		passed = append(passed, kw)
	}
	if len(args) == 0 {
		return nil, misuse("t.fails", fmt.Errorf("t.fails: missing argument for fn"))
	}
	_, err := starlark.Call(thread, args[0], args[1:], passed)
	if cause := x.ctx.Err(); cause != nil {
		return nil, cause
	}
	if err == nil {
		return nil, &diag.Problem{Code: "P4151", Message: "no error", Wanted: "one from " + brief(args[0], maxShown)}
	}
	text := x.module.Diagnose(err).Error()
	pattern, compileErr := regexp.Compile(match)
	if compileErr != nil {
		return nil, misuse("t.fails", compileErr)
	}
	if !pattern.MatchString(text) {
		return nil, &diag.Problem{Code: "P4151", Message: "another error", Found: text, Wanted: match}
	}
	x.used = nil
	return starlark.String(text), nil
}

// run is t.run(file, params = {}, workspace = None, now = None).
func (x *test) run(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var file string
	var params, space, now starlark.Value = starlark.NewDict(0), starlark.None, starlark.None
	if err := starlark.UnpackArgs("t.run", args, kwargs, "file", &file, "params?", &params, "workspace?", &space, "now?", &now); err != nil {
		return nil, misuse("t.run", err)
	}
	clock, err := fixedClock(now)
	if err != nil {
		return nil, misuse("t.run", err)
	}
	m, err := x.task(filepath.Join(filepath.Dir(x.file), filepath.FromSlash(file)))
	if err != nil {
		return nil, err
	}
	input, err := x.json(thread, "encode", params)
	if err != nil {
		return nil, misuse("t.run", fmt.Errorf("params: %w", err))
	}
	result, p, err := x.attempt(m, string(input.(starlark.String)), space, clock, x.say)
	if err != nil {
		return nil, err
	}
	if x.o.Repeat {
		if err := x.repeat(thread, m, string(input.(starlark.String)), space, clock, result, p); err != nil {
			return nil, err
		}
	}
	return x.outcome(thread, file, result, p)
}

// fixedClock reads the time that a body is to see; zero is the clock.
func fixedClock(now starlark.Value) (time.Time, error) {
	if now == starlark.None {
		return time.Time{}, nil
	}
	text, ok := starlark.AsString(now)
	t, err := time.Parse(time.RFC3339Nano, text)
	if !ok || err != nil || t.IsZero() {
		return t, fmt.Errorf("now: got %s, want a date and time with an offset, as \"2026-01-31T00:00:00Z\"", brief(now, maxShown))
	}
	return t.UTC(), nil
}

// attempt runs a task once, on a workspace of its own. say gets what it logs.
func (x *test) attempt(m *module.Module, params string, space starlark.Value, now time.Time, say func(string)) (engine.Result, *fakeWorkspace, error) {
	p, err := x.newWorkspace(m, space)
	if err != nil {
		return engine.Result{}, nil, err
	}
	p.runner.Now = now
	result := p.runner.Run(x.ctx, m, queue.Attempt{Task: m.Task.Name, TaskID: "test", WorkflowID: "test", Reference: "test",
		Input: fmt.Appendf(nil, `{"params": %s}`, params)},
		engine.Hooks{Record: func(line string) { p.log = append(p.log, line); say(line) }})
	if x.ctx.Err() != nil {
		return result, p, context.Cause(x.ctx)
	}
	return result, p, nil
}

// task loads a task file once.
func (x *test) task(path string) (*module.Module, error) {
	if m := x.tasks[path]; m != nil {
		return m, nil
	}
	m, complaints := module.Load(path, &module.Options{Root: x.o.Root, Cover: x.o.Cover})
	if m == nil {
		return nil, &diag.Problem{Code: "P4152", Message: "the task file does not load", Detail: formatted(complaints), Hint: "`perago check " + path + "` says more"}
	}
	x.tasks[path] = m
	return m, nil
}

// json calls a function of the language's module json.
func (x *test) json(thread *starlark.Thread, name string, arg starlark.Value) (starlark.Value, error) {
	fn, err := starlib.Predeclared()["json"].(starlark.HasAttrs).Attr(name)
	if err != nil {
		return nil, err
	}
	return starlark.Call(thread, fn, starlark.Tuple{arg}, nil)
}
