// Package starlibtest runs .star files in chunks: each is a small program that
// must end well, or with the error that stands beside the line.
//
//	eq(json.decode("[1]"), [1])
//	---
//	json.decode("[1,]") ### "no comma behind the last item"
//
// Chunks are separated by lines of three dashes. A quoted regular expression
// behind ### is matched against the error's code, message and hint, and the
// error must be at that line. A chunk runs as if it were in a body; one whose
// first line is "# load" runs as the top level of a file.
package starlibtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/diag"
)

// Setup makes what one chunk runs with: its run, and the names it has beside
// the language's own.
type Setup func(t *testing.T) (*starlib.Run, starlark.StringDict)

// Run runs every chunk of a file as a test of its own.
func Run(t *testing.T, file string, setup Setup) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line := 1
	for _, text := range strings.Split(string(data), "\n---\n") {
		// The padding makes positions those of the file.
		c := chunk{file: file, source: strings.Repeat("\n", line-1) + text, load: strings.HasPrefix(text, "# load\n")}
		t.Run("line "+strconv.Itoa(line), func(t *testing.T) { c.test(t, setup) })
		line += strings.Count(text, "\n") + 2
	}
}

type chunk struct {
	file   string
	source string
	load   bool
}

func (c *chunk) test(t *testing.T, setup Setup) {
	wantLine, want := c.wanted(t)
	d := c.run(t, setup)
	switch {
	case d == nil && want == nil:
	case d == nil:
		t.Errorf("%s:%d: no error, want one that matches %q", c.file, wantLine, want)
	case want == nil:
		t.Errorf("%s:%d: unexpected error: %s", c.file, d.Line, Text(d))
	case d.Line != wantLine:
		t.Errorf("%s:%d: the error is at line %d: %s", c.file, wantLine, d.Line, Text(d))
	case !want.MatchString(Text(d)):
		t.Errorf("%s:%d: got error\n  %s\nwant a match of\n  %s", c.file, wantLine, Text(d), want)
	}
	if d != nil && goNames.MatchString(Text(d)) {
		t.Errorf("%s:%d: the error speaks of Go: %s", c.file, d.Line, Text(d))
	}
}

// goNames is what an author must never read.
var goNames = regexp.MustCompile(`starlark\.|\bstarlib\.|diag\.|fs\.|PathError|%!|<nil>|0xc0|goroutine|interface|panic`)

// Text is the code, message and hint of an error in one line.
func Text(d *diag.Diagnostic) string {
	p := diag.Problem{Message: d.Message, Found: d.Found, Wanted: d.Wanted}
	s := string(d.Code) + " " + p.Error()
	if d.Hint != "" {
		s += " (" + d.Hint + ")"
	}
	return s
}

// wanted is the error that stands in the chunk, nil for none.
func (c *chunk) wanted(t *testing.T) (line int, want *regexp.Regexp) {
	for i, text := range strings.Split(c.source, "\n") {
		_, quoted, ok := strings.Cut(text, "###")
		if !ok {
			continue
		}
		pattern, err := strconv.Unquote(strings.TrimSpace(quoted))
		if err == nil && want != nil {
			err = errors.New("the second one of its chunk")
		}
		if err == nil {
			line = i + 1
			want, err = regexp.Compile(pattern)
		}
		if err != nil {
			t.Fatalf("%s:%d: ### %s: %v", c.file, i+1, quoted, err)
		}
	}
	return line, want
}

// run runs the chunk and closes what it left open.
func (c *chunk) run(t *testing.T, setup Setup) *diag.Diagnostic {
	run, names := setup(t)
	names = maps.Clone(names)
	maps.Copy(names, starlib.Predeclared())
	names["eq"] = starlark.NewBuiltin("eq", equal(t))
	thread := new(starlark.Thread)
	if !c.load {
		names["workspace"] = run.Workspace()
		run.Attach(thread)
	}
	_, err := Exec(thread, c.file, c.source, names)
	if kept := run.Err(); kept != nil {
		err = errors.Join(kept, err)
	}
	if closing := run.End(context.Background()); closing != nil && err == nil {
		t.Errorf("%s: End: %v", c.file, closing)
	}
	if list := diag.FromError(err, nil); len(list) > 0 {
		return list[0]
	}
	return nil
}

// Exec runs source as the loader has it compiled, with the bounds in it.
func Exec(thread *starlark.Thread, file, source string, names starlark.StringDict) (starlark.StringDict, error) {
	options := &syntax.FileOptions{Set: true, TopLevelControl: true, GlobalReassign: true}
	tree, err := options.Parse(file, source, 0)
	if err != nil {
		return nil, err
	}
	bounds := new(starlib.Bounds)
	names = maps.Clone(names)
	bounds.Predeclare(names)
	bounds.Rewrite(tree)
	program, err := starlark.FileProgram(tree, names.Has)
	if err != nil {
		return nil, err
	}
	return program.Init(thread, names)
}

// equal is eq(got, want).
func equal(t *testing.T) func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
	return func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		if len(args) != 2 {
			return nil, fmt.Errorf("eq takes 2 arguments, got %d", len(args))
		}
		same, err := starlark.Equal(args[0], args[1])
		if err != nil {
			return nil, err
		}
		if !same || args[0].Type() != args[1].Type() {
			t.Errorf("%s: got %s %v, want %s %v", thread.CallFrame(1).Pos, args[0].Type(), args[0], args[1].Type(), args[1])
		}
		return starlark.None, nil
	}
}
