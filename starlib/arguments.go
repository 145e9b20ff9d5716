package starlib

import (
	"fmt"
	"math"
	"strconv"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// Codes of the library's own errors; diag/codes.go explains each.
const (
	codeType      diag.Code = "P2008" // an argument of the wrong type
	codeValue     diag.Code = "P2009" // an argument of the right type and a wrong value
	codeAttribute diag.Code = "P2010" // a module or a value has no such member

	codeFile      diag.Code = "P4101" // a file or a folder is not there, or not what was wanted
	codeReadOnly  diag.Code = "P4102" // written to in a read-only workspace
	codePath      diag.Code = "P4103" // a path that leads nowhere a task may go
	codeEncoding  diag.Code = "P4104" // text that is not UTF-8
	codeHandle    diag.Code = "P4105" // an open file used against its mode, or after close
	codeTooLong   diag.Code = "P4106" // a line or record beyond its bound
	codeWorkspace diag.Code = "P4107" // the task has no workspace
	codeTransfer  diag.Code = "P4108" // a server, the network or the disk failed while a file was read or written
	codeJSON      diag.Code = "P4110" // a text that is not JSON
	codeEncode    diag.Code = "P4111" // a value that JSON cannot hold
	codeCSV       diag.Code = "P4112" // a file that is not CSV
	codeRow       diag.Code = "P4113" // a row that cannot be written as CSV
	codePattern   diag.Code = "P4114" // a regular expression, or a glob, that is not one
	codeTime      diag.Code = "P4115" // a text that is not a time, a zone or a duration
	codeTooMuch   diag.Code = "P4120" // too deep, too many or too large for one call
	codeRange     diag.Code = "P4121" // a number outside of what a function is defined for
	codeFail      diag.Code = "P4130" // fail at load time; diag knows those of a body
)

// argument is how a Problem names an argument: by its index, from "0", when it
// was given by position, else by its keyword.
func (c *call) argument(name string) string {
	for i := range c.given {
		if c.builtin.Params[i].Name == name {
			return strconv.Itoa(i)
		}
	}
	return name
}

// wrongType complains of an argument's type.
func (c *call) wrongType(name string, got starlark.Value) *diag.Problem {
	p := &diag.Problem{Code: codeType, Message: fmt.Sprintf("%s: argument `%s`", c.builtin.Name, name),
		Found: diag.TypeName(got), Argument: c.argument(name)}
	for _, param := range c.builtin.Params {
		if param.Name == name {
			p.Wanted = param.Type
		}
	}
	return p
}

// refuse complains of an argument's value.
func (c *call) refuse(name, found, wanted string) *diag.Problem {
	return &diag.Problem{Code: codeValue, Message: fmt.Sprintf("%s: argument `%s`", c.builtin.Name, name),
		Found: found, Wanted: wanted, Argument: c.argument(name)}
}

// problem is a complaint of the call as a whole.
func (c *call) problem(code diag.Code, format string, args ...any) *diag.Problem {
	return &diag.Problem{Code: code, Message: c.builtin.Name + ": " + fmt.Sprintf(format, args...)}
}

// text is a string argument; otherwise is what it is when it was left out.
func (c *call) text(name, otherwise string) (string, error) {
	v := c.arg(name)
	if v == nil {
		return otherwise, nil
	}
	s, ok := v.(starlark.String)
	if !ok {
		return "", c.wrongType(name, v)
	}
	return string(s), nil
}

// integer is an int argument that fits the machine's int.
func (c *call) integer(name string, otherwise int) (int, error) {
	v := c.arg(name)
	if v == nil {
		return otherwise, nil
	}
	i, ok := v.(starlark.Int)
	if !ok {
		return 0, c.wrongType(name, v)
	}
	n, ok := i.Int64()
	if !ok || int64(int(n)) != n {
		return 0, c.refuse(name, diag.Shorten(i.String()), fmt.Sprintf("at most %d in size", math.MaxInt))
	}
	return int(n), nil
}

// number is an int or float argument as a float.
func (c *call) number(name string) (float64, error) {
	f, ok := starlark.AsFloat(c.arg(name))
	if !ok {
		return 0, c.wrongType(name, c.arg(name))
	}
	if _, is := c.arg(name).(starlark.Int); is && math.IsInf(f, 0) {
		return 0, c.problem(codeRange, "the int is too large for a float")
	}
	return f, nil
}

// boolean is a bool argument.
func (c *call) boolean(name string, otherwise bool) (bool, error) {
	v := c.arg(name)
	if v == nil {
		return otherwise, nil
	}
	b, ok := v.(starlark.Bool)
	if !ok {
		return false, c.wrongType(name, v)
	}
	return bool(b), nil
}

// function is a callable argument; nil when it was left out or None.
func (c *call) function(name string) (starlark.Callable, error) {
	v := c.arg(name)
	if v == nil || v == starlark.None {
		return nil, nil
	}
	f, ok := v.(starlark.Callable)
	if !ok {
		return nil, c.wrongType(name, v)
	}
	return f, nil
}

// iterable is an argument that can be looped over.
func (c *call) iterable(name string) (starlark.Iterable, error) {
	v := c.arg(name)
	it, ok := v.(starlark.Iterable)
	if !ok {
		p := c.wrongType(name, v)
		if _, isText := v.(starlark.String); isText {
			p.Hint = "a string is not iterable: write s.elems() for its characters, or s.splitlines() for its lines"
		}
		return nil, p
	}
	return it, nil
}

// file is a path argument.
func (c *call) file(name string) (path, error) {
	v := c.arg(name)
	p, ok := v.(path)
	if !ok {
		problem := c.wrongType(name, v)
		if s, isText := v.(starlark.String); isText {
			problem.Hint = fmt.Sprintf("write workspace / %s", diag.Shorten(s.String()))
		}
		return "", problem
	}
	return p, nil
}

const (
	// checkEvery is how many items a builtin may take between two looks at
	// whether the run was cancelled.
	checkEvery = 4096

	// loadItems bounds the items that one call of a builtin may take at load
	// time, when there is no attempt that could be cancelled. A loop over a range
	// may take ten times as many.
	loadItems = 1_000_000

	// maxItems bounds what one builtin may put into one value; the interpreter
	// has the same bound for `*`.
	maxItems = 1 << 30
)

// itemCounter counts the items that a builtin has taken.
type itemCounter struct {
	call  *call
	items int
}

// tick counts one item. It returns the cause of a cancelled run, within 4,096
// items of the cancel.
func (m *itemCounter) tick() error {
	m.items++
	if m.items%checkEvery != 0 {
		return nil
	}
	return m.check()
}

func (m *itemCounter) check() error {
	c := m.call
	if c.run == nil {
		if m.items > loadItems {
			p := c.problem(codeTooMuch, "more than %d items at load time", loadItems)
			p.Hint = "move the work into `def run`"
			return p
		}
		return nil
	}
	return c.run.cancelled()
}

// each calls f for every item of it, of which there may be at most maxItems. It
// returns the error of f, the cause of a cancelled run, or the error that ended a
// stream such as path.lines().
func (c *call) each(it starlark.Iterable, f func(starlark.Value) error) error {
	if n := starlark.Len(it); n > maxItems {
		p := c.problem(codeTooMuch, "the %s is too long", it.Type())
		p.Found, p.Wanted = fmt.Sprintf("%d items", n), fmt.Sprintf("at most %d", maxItems)
		return p
	}
	return c.iterate(it, f)
}

// iterate is each without the bound: for a caller that may stop early, or that
// keeps nothing of the items.
func (c *call) iterate(it starlark.Iterable, f func(starlark.Value) error) error {
	iter := it.Iterate()
	defer iter.Done()
	m := itemCounter{call: c}
	var x starlark.Value
	for iter.Next(&x) {
		if err := m.tick(); err != nil {
			return err
		}
		if err := f(x); err != nil {
			return err
		}
	}
	return c.streamError()
}

// streamError is the error that ended a stream which the call has read, nil when
// there was none.
func (c *call) streamError() error {
	if c.run == nil {
		return nil
	}
	return c.run.streamErr
}
