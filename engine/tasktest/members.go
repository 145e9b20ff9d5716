package tasktest

import "go.starlark.net/starlark"

// Members are the names of what `t` has in a test.
func Members() []string { return new(test).value().(starlark.HasAttrs).AttrNames() }
