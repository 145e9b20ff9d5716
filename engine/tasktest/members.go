package tasktest

import "perago/starlib"

// Rows describe what a test has in its hands, in the form of the table of the
// language: the members of `t`, of what t.run returns (outcome), and of what
// t.folder returns (folder). `check` holds the calls of a test against them.
func Rows() []starlib.Builtin {
	any := func(name string) starlib.Param { return starlib.Param{Name: name, Type: "any"} }
	message := starlib.Param{Name: "message", Type: "string", Default: `""`}
	rows := []starlib.Builtin{
		{Name: "t.run", Returns: "outcome", Params: []starlib.Param{{Name: "file", Type: "string"}, {Name: "params", Type: "dict", Default: "{}"},
			{Name: "workspace", Type: "dict or folder", Default: "None"}, {Name: "now", Type: "string", Default: "None"}}},
		{Name: "t.folder", Returns: "folder", Params: []starlib.Param{{Name: "path", Type: "string"}}},
		{Name: "t.equal", Returns: "None", Params: []starlib.Param{any("got"), any("want"), message}},
		{Name: "t.close", Returns: "None", Params: []starlib.Param{any("got"), any("want"), {Name: "rel", Type: "float", Default: "1e-9"}, {Name: "abs", Type: "float", Default: "0"}, message}},
		{Name: "t.golden", Returns: "None", Params: []starlib.Param{any("got"), {Name: "path", Type: "string"}, message}},
		{Name: "t.ok", Returns: "None", Params: []starlib.Param{any("condition"), message}},
		{Name: "t.contains", Returns: "None", Params: []starlib.Param{any("whole"), any("part"), message}},
		{Name: "t.fails", Returns: "string", Params: []starlib.Param{{Name: "fn", Type: "function", Kind: starlib.Positional}, {Name: "args", Type: "any", Kind: starlib.Rest},
			{Name: "match", Type: "string", Kind: starlib.KeywordOnly, Default: `""`}, {Name: "kwargs", Type: "any", Kind: starlib.KeywordRest}}},
		{Name: "t.cases", Returns: "None", Params: []starlib.Param{{Name: "cases", Type: "iterable"}, {Name: "fn", Type: "function"}}},

		{Name: "outcome.read", Returns: "string", Params: []starlib.Param{{Name: "path", Type: "string"}}},
		{Name: "folder.read", Returns: "string", Params: []starlib.Param{{Name: "path", Type: "string"}}},
	}
	for name, kind := range map[string]string{"status": "string", "reason": "string", "result": "any", "changes": "list",
		"files": "list of string", "log": "list of string"} {
		rows = append(rows, starlib.Builtin{Name: "outcome." + name, Property: true, Returns: kind})
	}
	for i := range rows {
		rows[i].Method, rows[i].Phase = true, starlib.Act
	}
	return rows
}
