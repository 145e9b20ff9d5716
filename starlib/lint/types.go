package lint

import (
	"slices"
	"strings"
	"sync"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/schema"
)

// A kind is one type that a value may have, as far as it is known.
type kind struct {
	name   string          // as type(x) gives it, where the language has such a value
	item   types           // of a list, tuple or stream: its items; of a dict: its values; nil: not known
	fields []string        // of a struct: its fields; nil: not known
	schema *schema.Schema  // of params and what is below them
	def    *syntax.DefStmt // of a function of the file
	row    *starlib.Builtin
}

// types are the types that a value may have: at least one of them is right.
// Empty means that nothing is known.
type types []kind

func one(name string) types { return types{{name: name}} }

// join is what a value may be that is one of either. Unknown swallows all.
func join(a, b types) types {
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	joined := slices.Clone(a)
	for _, k := range b {
		if !slices.ContainsFunc(joined, func(have kind) bool { return sameKind(have, k) }) {
			joined = append(joined, k)
		}
	}
	if len(joined) > 8 {
		return nil
	}
	return joined
}

// joinEach is what a value may be that is one of n others; unknown when one of
// them is, or there is none.
func joinEach(n int, of func(i int) types) types {
	var all types
	for i := range n {
		t := of(i)
		if i > 0 {
			t = join(all, t)
		}
		if all = t; len(all) == 0 {
			return nil
		}
	}
	return all
}

func sameKind(a, b kind) bool {
	return a.name == b.name && a.schema == b.schema && a.def == b.def && a.row == b.row &&
		len(a.item) == len(b.item) && slices.EqualFunc(a.item, b.item, sameKind) && slices.Equal(a.fields, b.fields)
}

// all says whether something is known and f holds for each of it.
func (t types) all(f func(kind) bool) bool {
	return len(t) > 0 && !slices.ContainsFunc(t, func(k kind) bool { return !f(k) })
}

// named says whether all are of the given names.
func (t types) named(names ...string) bool {
	return t.all(func(k kind) bool { return slices.Contains(names, k.name) })
}

// String is for people: "string", "int or float".
func (t types) String() string {
	var names []string
	for _, k := range t {
		name := k.name
		if name == "NoneType" {
			name = "None"
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// items are what a loop over a value gives.
func (t types) items() types {
	return joinEach(len(t), func(i int) types {
		switch t[i].name {
		case "range", "bytes":
			return one("int")
		case "lines":
			return one("string")
		case "list", "tuple", "csv rows", "archive entries":
			return t[i].item
		}
		return nil
	})
}

// looped are the kinds that a for loop goes over.
var looped = []string{"list", "tuple", "dict", "set", "range", "lines", "csv rows", "json lines", "archive entries", "file", "bytes", "params", "elems"}

// streamed are the kinds whose items are made as a loop goes over them.
var streamed = []string{"lines", "csv rows", "json lines", "archive entries"}

// fixed are the kinds that are known whole: what is not said of them here is an
// error when it runs.
var fixed = []string{"string", "bytes", "int", "float", "bool", "NoneType", "list", "tuple", "dict", "set", "range", "path"}

// reading makes types of the words of the table: "list of path", "string or
// bytes", "csv rows, each a dict of string to string". What it does not
// understand is unknown.
func reading(words string) types {
	words = strings.TrimSpace(words)
	if stream, each, ok := strings.Cut(strings.Replace(words, ", each an ", ", each a ", 1), ", each a "); ok {
		return types{{name: stream, item: reading(each)}}
	}
	if rest, ok := strings.CutPrefix(words, "list of "); ok && !strings.Contains(rest, " or ") {
		return types{{name: "list", item: reading(rest)}}
	}
	if rest, ok := strings.CutPrefix(words, "tuple of "); ok && !strings.Contains(rest, " or ") {
		return types{{name: "tuple", item: reading(rest)}}
	}
	if rest, ok := strings.CutPrefix(words, "dict of "); ok {
		if _, value, ok := strings.Cut(rest, " to "); ok && !strings.Contains(value, " or ") {
			return types{{name: "dict", item: reading(value)}}
		}
		return nil
	}
	if rest, ok := strings.CutPrefix(words, "struct("); ok && strings.HasSuffix(rest, ")") {
		return types{{name: "struct", fields: strings.Split(strings.TrimSuffix(rest, ")"), ", ")}}
	}
	if strings.HasPrefix(words, "(") && strings.HasSuffix(words, ")") {
		return one("tuple")
	}
	if strings.Contains(words, " or ") || strings.Contains(words, ", ") {
		parts := strings.Split(strings.ReplaceAll(words, " or ", ", "), ", ")
		return joinEach(len(parts), func(i int) types { return reading(strings.TrimPrefix(parts[i], "or ")) })
	}
	switch words {
	case "None":
		return one("NoneType")
	case "string", "bytes", "int", "float", "bool", "list", "tuple", "dict", "set", "range", "path", "file", "match", "pattern",
		"lines", "json lines", "csv rows", "archive entries", "entry", "struct", "time.time", "time.duration", "generator", "function", "elems",
		"outcome", "folder": // of a test
		return one(words)
	}
	return nil
}

// accepted is what a parameter takes, by the words of the table.
func accepted(words string) types {
	if strings.HasPrefix(words, "iterable of ") || words == "iterable" {
		var t types
		for _, name := range looped {
			t = append(t, kind{name: name})
		}
		return append(t, kind{name: "struct"}, kind{name: "generator"})
	}
	t := reading(words)
	for _, k := range t {
		switch k.name {
		case "float":
			t = append(t, kind{name: "int"})
		case "dict", "struct":
			t = append(t, kind{name: "params"})
		case "list":
			t = append(t, kind{name: "tuple"}) // where a list is wanted, most rows take a tuple too
		}
	}
	return t
}

// ownMethods are the methods of the interpreter's own values, in the form of
// the API's golden file.
const ownMethods = `
bytes.elems() -> elems
dict.clear() -> None
dict.get(key: any, default: any = None) -> any
dict.items() -> list of tuple
dict.keys() -> list
dict.pop(key: any, default: any = ...) -> any
dict.popitem() -> tuple
dict.setdefault(key: any, default: any = None) -> any
dict.update(x: any = ..., **entries: any) -> None
dict.values() -> list
list.append(x: any) -> None
list.clear() -> None
list.extend(x: iterable) -> None
list.index(x: any, start: int = 0, end: int = 0) -> int
list.insert(i: int, x: any) -> None
list.pop(i: int = -1) -> any
list.remove(x: any) -> None
set.add(x: any) -> None
set.clear() -> None
set.difference(*others: any) -> set
set.discard(x: any) -> None
set.intersection(*others: any) -> set
set.issubset(x: any) -> bool
set.issuperset(x: any) -> bool
set.pop() -> any
set.remove(x: any) -> None
set.symmetric_difference(x: any) -> set
set.union(*others: any) -> set
set.update(*others: any) -> None
string.capitalize() -> string
string.codepoint_ords() -> elems
string.codepoints() -> elems
string.count(sub: string, start: int = 0, end: int = 0) -> int
string.elem_ords() -> elems
string.elems() -> elems
string.endswith(suffix: any, start: int = 0, end: int = 0) -> bool
string.find(sub: string, start: int = 0, end: int = 0) -> int
string.format(*args: any, **kwargs: any) -> string
string.index(sub: string, start: int = 0, end: int = 0) -> int
string.isalnum() -> bool
string.isalpha() -> bool
string.isdigit() -> bool
string.islower() -> bool
string.isspace() -> bool
string.istitle() -> bool
string.isupper() -> bool
string.join(x: iterable) -> string
string.lower() -> string
string.lstrip(chars: string = ...) -> string
string.partition(sep: string) -> tuple of string
string.removeprefix(prefix: string) -> string
string.removesuffix(suffix: string) -> string
string.replace(old: string, new: string, count: int = -1) -> string
string.rfind(sub: string, start: int = 0, end: int = 0) -> int
string.rindex(sub: string, start: int = 0, end: int = 0) -> int
string.rpartition(sep: string) -> tuple of string
string.rsplit(sep: any = None, maxsplit: int = -1) -> list of string
string.rstrip(chars: string = ...) -> string
string.split(sep: any = None, maxsplit: int = -1) -> list of string
string.startswith(prefix: any, start: int = 0, end: int = 0) -> bool
string.strip(chars: string = ...) -> string
string.title() -> string
string.upper() -> string
`

// language is the table of builtins as the linter asks it.
type language struct {
	functions map[string]*starlib.Builtin            // by full name, "csv.reader" or "len"
	methods   map[string]map[string]*starlib.Builtin // by type, then by name
}

// theLanguage is made once: the table does not change.
var theLanguage = sync.OnceValue(func() language {
	l := language{map[string]*starlib.Builtin{}, map[string]map[string]*starlib.Builtin{}}
	add := func(row *starlib.Builtin) {
		if !row.Method {
			l.functions[row.Name] = row
			return
		}
		dot := strings.LastIndexByte(row.Name, '.')
		owner := row.Name[:dot]
		if l.methods[owner] == nil {
			l.methods[owner] = map[string]*starlib.Builtin{}
		}
		l.methods[owner][row.Name[dot+1:]] = row
	}
	table := starlib.Table()
	for i := range table {
		add(&table[i])
	}
	for line := range strings.Lines(strings.TrimSpace(ownMethods)) {
		add(signature(strings.TrimSpace(line)))
	}
	// What the interpreter has and the lines above do not is known by name only.
	for name, value := range map[string]starlark.HasAttrs{"string": starlark.String(""), "bytes": starlark.Bytes(""),
		"list": new(starlark.List), "dict": new(starlark.Dict), "set": new(starlark.Set)} {
		for _, method := range value.AttrNames() {
			if l.methods[name][method] == nil {
				add(&starlib.Builtin{Name: name + "." + method, Method: true, Returns: "any",
					Params: []starlib.Param{{Name: "args", Kind: starlib.Rest}, {Name: "kwargs", Kind: starlib.KeywordRest}}})
			}
		}
	}
	return l
})

// signature reads one line of ownMethods.
func signature(line string) *starlib.Builtin {
	head, returns, _ := strings.Cut(line, ") -> ")
	name, params, _ := strings.Cut(head, "(")
	row := &starlib.Builtin{Name: name, Method: true, Returns: returns}
	for part := range strings.SplitSeq(params, ", ") {
		name, rest, ok := strings.Cut(part, ": ")
		if !ok {
			continue
		}
		typ, preset, _ := strings.Cut(rest, " = ")
		p := starlib.Param{Name: strings.TrimLeft(name, "*"), Type: typ, Default: preset, Kind: starlib.Positional}
		switch {
		case strings.HasPrefix(name, "**"):
			p.Kind = starlib.KeywordRest
		case strings.HasPrefix(name, "*"):
			p.Kind = starlib.Rest
		}
		row.Params = append(row.Params, p)
	}
	return row
}

// memberNames are the members of a kind; ok is false where they are not known.
func (l *linter) memberNames(k kind) (names []string, ok bool) {
	switch {
	case k.schema != nil:
		return nil, false // its fields are held against the schema elsewhere
	case k.fields != nil:
		return k.fields, true
	case k.name == "module":
		return nil, false
	case k.row != nil || k.def != nil:
		return nil, true // a function has none
	}
	if k.name == testType {
		return nil, false // testFunctions looks at them
	}
	rows := theLanguage().methods[k.name]
	if l.tests[k.name] != nil {
		rows = l.tests[k.name]
	}
	for name := range rows {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, rows != nil || slices.Contains(fixed, k.name)
}
