package tasktest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

const (
	maxCases      = 10_000 // of one t.cases
	maxCaseErrors = 100    // failures of cases that one test reports
)

// oneCase is one item of the list of t.cases.
type oneCase struct {
	name   string
	args   starlark.Tuple
	kwargs []starlark.Tuple
}

// cases is t.cases(cases, fn): fn is called for each case, also after one failed.
func (x *test) cases(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var list starlark.Iterable
	var fn starlark.Callable
	if err := starlark.UnpackArgs("t.cases", args, kwargs, "cases", &list, "fn", &fn); err != nil {
		return nil, misuse("t.cases", err)
	}
	all, err := readCases(list)
	if err != nil {
		return nil, misuse("t.cases", err)
	}
	failed := 0
	for _, c := range all {
		x.used = nil
		_, err := starlark.Call(thread, fn, c.args, c.kwargs)
		if x.ctx.Err() != nil {
			return nil, errors.Join(context.Cause(x.ctx), err) // err has the position
		}
		if err == nil {
			continue
		}
		if failed++; len(x.failed) < maxCaseErrors {
			for _, d := range x.because(x.module.Diagnose(err)) {
				named := *d
				named.Message = fmt.Sprintf("case %s: %s", brief(starlark.String(c.name), 80), d.Message)
				x.failed = append(x.failed, &named)
			}
		}
	}
	x.used = nil
	if failed > 0 {
		return nil, &diag.Problem{Code: "P4151", Message: fmt.Sprintf("%d of %d cases failed", failed, len(all))}
	}
	return starlark.None, nil
}

// readCases reads the list of t.cases: tuples of a name and the arguments, or
// dicts with a key name and the arguments by their names.
func readCases(list starlark.Iterable) ([]oneCase, error) {
	var all []oneCase
	seen := map[string]bool{}
	iter := list.Iterate()
	defer iter.Done()
	var item starlark.Value
	for iter.Next(&item) {
		c, err := readCase(item)
		switch {
		case err != nil:
			return nil, fmt.Errorf("case %d: %w", len(all)+1, err)
		case seen[c.name]:
			return nil, fmt.Errorf("case %d: the name %s is there twice", len(all)+1, brief(starlark.String(c.name), 80))
		case len(all) == maxCases:
			return nil, fmt.Errorf("too many cases: want at most %d", maxCases)
		}
		seen[c.name] = true
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no case")
	}
	return all, nil
}

func readCase(item starlark.Value) (oneCase, error) {
	const wanted = `want a tuple that begins with a name, ("empty", "", 0), or a dict with one, {"name": "empty", "text": ""}`
	var c oneCase
	var name starlark.Value
	switch item := item.(type) {
	case *starlark.Dict:
		for _, entry := range item.Items() {
			if entry[0] == starlark.String("name") {
				name = entry[1]
				continue
			}
			if _, ok := entry[0].(starlark.String); !ok {
				return c, fmt.Errorf("got the key %s, want the name of an argument", brief(entry[0], maxShown))
			}
			c.kwargs = append(c.kwargs, entry)
		}
	case starlark.Indexable: // a tuple or a list
		if _, text := item.(starlark.String); !text && item.Len() > 0 {
			name = item.Index(0)
			for i := 1; i < item.Len(); i++ {
				c.args = append(c.args, item.Index(i))
			}
		}
	}
	text, ok := starlark.AsString(name)
	if name == nil || !ok || strings.TrimSpace(text) == "" {
		return c, fmt.Errorf("got %s, %s", brief(item, maxShown), wanted)
	}
	c.name = text
	return c, nil
}

// because adds to a failure why the run that the test used last did not complete.
func (x *test) because(list diag.List) diag.List {
	if failure := x.used.failure(); failure != "" && len(list) > 0 {
		last := *list[len(list)-1]
		if last.Detail != "" {
			last.Detail = strings.TrimRight(last.Detail, "\n") + "\n"
		}
		last.Detail += failure
		list = append(list[:len(list)-1:len(list)-1], &last)
	}
	return list
}
