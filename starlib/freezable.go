package starlib

import (
	"unsafe"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

const (
	freezeDepth = 10_000     // levels; the interpreter freezes by recursion in Go
	freezeParts = 10_000_000 // visits
)

// CheckFreezable says whether the interpreter can freeze the globals of a file.
// It marks what it has frozen in lists, dicts and sets, and not in tuples and
// functions: a tuple that holds another one twice, and so on for sixty levels,
// would be frozen until the end of time. It returns the name of the global at fault.
func CheckFreezable(globals starlark.StringDict) (name string, problem *diag.Problem) {
	f := freezing{known: map[any]int64{}}
	for _, name := range globals.Keys() {
		if f.cost(globals[name], 0) > freezeParts {
			f.failed = &diag.Problem{Code: codeTooMuch, Message: "a value of the top level holds the same parts too many times over", Wanted: "at most 10,000,000 parts"}
		}
		if f.failed != nil {
			return name, f.failed
		}
	}
	return "", nil
}

// freezing counts what one freeze of a value visits.
type freezing struct {
	known  map[any]int64 // by identity; 0 is being counted
	failed *diag.Problem
}

// tupleID is the identity of a tuple.
type tupleID struct {
	first *starlark.Value
	size  int
}

func (f *freezing) cost(v starlark.Value, depth int) int64 {
	var id any
	once := true // frozen once, however often it is met
	switch v := v.(type) {
	case *starlark.List, *starlark.Dict, *starlark.Set, *structure:
		id = v
	case starlark.Tuple:
		if len(v) == 0 {
			return 1
		}
		id, once = tupleID{unsafe.SliceData(v), len(v)}, false
	case *starlark.Function:
		id, once = v, false
	case *starlark.Builtin:
		if v.Receiver() == nil {
			return 1
		}
		id, once = v, false
	default:
		return 1
	}
	if cost, ok := f.known[id]; ok {
		if once {
			return 1
		}
		return max(cost, 1)
	}
	if depth > freezeDepth {
		f.failed = &diag.Problem{Code: codeTooMuch, Message: "a value of the top level nests too deep", Wanted: "at most 10,000 levels"}
	}
	if f.failed != nil {
		return 1
	}
	f.known[id] = 0
	sum := int64(1)
	for part := range partsOf(v) {
		sum = min(sum+f.cost(part, depth+1), freezeParts+1)
	}
	f.known[id] = sum
	return sum
}

// partsOf yields what is frozen along with v.
func partsOf(v starlark.Value) func(func(starlark.Value) bool) {
	return func(yield func(starlark.Value) bool) {
		switch v := v.(type) {
		case *starlark.Dict:
			for key, value := range v.Entries() {
				if !yield(key) || !yield(value) {
					return
				}
			}
		case *structure:
			for _, x := range v.values {
				if !yield(x) {
					return
				}
			}
		case *starlark.Function:
			for i := range v.NumParams() {
				if x := v.ParamDefault(i); x != nil && !yield(x) {
					return
				}
			}
			for i := range v.NumFreeVars() {
				if _, x := v.FreeVar(i); x != nil && !yield(x) {
					return
				}
			}
		case *starlark.Builtin:
			yield(v.Receiver())
		case starlark.Iterable:
			for x := range starlark.Elements(v) {
				if !yield(x) {
					return
				}
			}
		}
	}
}
