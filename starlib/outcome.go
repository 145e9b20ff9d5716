package starlib

import (
	"context"
	"errors"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// reasonMax bounds the text of fail, in bytes: it is kept in memory, logged and
// sent on.
const reasonMax = 64 << 10

// outcomeBuiltins end the body, or keep it going.
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
	if kept := c.run.kept; kept != nil {
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
	return newStruct("ok", starlark.False, "value", starlark.None, "error", starlark.String(cut(messageOf(err), reasonMax))), nil
}

// messageOf is what the author sees of an error: the text of our own, without
// the interpreter's words around it.
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
