package starlib

import (
	"errors"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
)

// declare runs the top level of a task file that uses declarations only.
func declare(src string) (*Task, starlark.StringDict, error) {
	names := make(starlark.StringDict)
	rows := declarationBuiltins()
	for i := range rows {
		names[rows[i].Name] = rows[i].value(nil)
	}
	var d Declaration
	globals, err := starlark.ExecFileOptions(&syntax.FileOptions{Set: true}, newThread(&d), "t.star", src, names)
	return d.Task, globals, err
}

func newThread(d *Declaration) *starlark.Thread {
	thread := new(starlark.Thread)
	d.Attach(thread)
	return thread
}

func mustDeclare(t testing.TB, src string) *Task {
	t.Helper()
	task, _, err := declare(src)
	if err != nil {
		t.Fatalf("declare: %v\n%s", err, src)
	}
	return task
}

// problemOf is the Problem that an error wraps.
func problemOf(t *testing.T, err error) *diag.Problem {
	t.Helper()
	var p *diag.Problem
	if !errors.As(err, &p) {
		t.Fatalf("error %v is no Problem", err)
	}
	return p
}

func paramsTask(t testing.TB, fields string) *Task {
	t.Helper()
	return mustDeclare(t, `task(name = "t", params = schema(`+fields+`))`)
}
