package diag

import (
	"fmt"
	"slices"
	"strings"
)

// What to write instead of a name or a module that only Python has.

// importHint says what stands in for the first module of an import line.
func importHint(line []token) string {
	module := ""
	for _, t := range line[1:] {
		if t.kind != name && t.text != "." || t.text == "import" || t.text == "as" {
			break
		}
		module += t.text
	}
	top, _, _ := strings.Cut(module, ".")
	if hint := HintFor(top, [][2]string{
		{"random", "delete the line: `rng = random.seeded(params.seed)`, then `rng.choice(xs)`: a second attempt draws the same"},
		{"os pathlib shutil glob io tempfile", "delete the line: files are reached through `workspace`, as in `workspace / \"raw\" / name` and `workspace.glob(\"**/*.csv\")`"},
		{"hashlib", "delete the line: `hash.sha256(x)`"},
		{"datetime", "delete the line: `time.now()`, `time.parse(...)`"},
		{"logging", "delete the line: `log.info(\"message\", key = value)`"},
		{"typing pydantic dataclasses __future__ abc enum", "delete the line: the shape of params and result is declared by `schema(...)`"},
		{"requests httpx urllib socket subprocess threading multiprocessing asyncio", "a task has no network, processes or threads; what it needs comes in as params or in the workspace"},
		{"sys argparse", "delete the line: input is `params`, and `fail(...)` ends the body"},
		{"uuid secrets", "a body is repeatable: take an id from `params`, or derive one with `hash.sha256(...)`"},
		{"perago", "delete the line: `task`, `schema`, `field` and the others are always there"},
	}); hint != "" {
		return hint
	}
	switch top {
	case "json", "csv", "re", "math", "base64", "time", "yaml", "toml", "archive", "jsonschema":
		return "delete the line: `" + top + "` is always there"
	case "pandas", "numpy", "polars", "pyarrow", "duckdb", "scipy", "sklearn", "torch", "collections", "itertools", "functools",
		"operator", "heapq", "bisect", "decimal", "fractions", "copy", "string", "statistics", "html", "textwrap", "gzip", "zstandard", "zlib", "bz2", "codecs",
		"lzma", "zipfile", "tarfile", "tomllib", "configparser", "pickle", "sqlite3":
		hint := nameHint(top)
		if strings.HasPrefix(hint, "`") {
			return "delete the line: " + hint
		}
		return hint
	}
	file := strings.ReplaceAll(strings.Trim(module, "."), ".", "/")
	if file == "" {
		file = "names"
	}
	return fmt.Sprintf("`load(\"%s.star\", \"%s\")` for a file of your own; Python packages cannot be used", file, imported(line))
}

// HintFor is the hint for a name, "" when there is none. A row holds names, with
// spaces between them, and what to write instead of them.
func HintFor(name string, rows [][2]string) string {
	for _, row := range rows {
		for known := range strings.FieldsSeq(row[0]) {
			if known == name {
				return row[1]
			}
		}
	}
	return ""
}

// imported is the first name that an import line takes.
func imported(line []token) string {
	for i, t := range line {
		if t.text == "import" && i > 0 && i+1 < len(line) && line[i+1].kind == name {
			return line[i+1].text
		}
	}
	return "name"
}

// plainFormat stands for an f-string that is not simple enough to be rewritten.
const plainFormat = "`\"{} is {:.2f}\".format(a, b)` or `\"%s is %.2f\" % (a, b)`"

// formatHint rewrites an f-string, when it is simple enough to be worth showing.
func formatHint(t token) string {
	quote := strings.IndexAny(t.text, "\"'")
	body := t.text[quote:]
	if !t.closed || strings.HasPrefix(body, `"""`) || strings.HasPrefix(body, "'''") || len(body) > 70 || strings.ContainsAny(body, "\n\r") {
		return plainFormat
	}
	out, args, ok := splitFormat(body[1 : len(body)-1])
	if !ok || len(args) == 0 {
		if ok {
			return "`" + body + "`"
		}
		return plainFormat
	}
	return "`" + body[:1] + out + body[:1] + ".format(" + strings.Join(args, ", ") + ")`"
}

// splitFormat takes the expressions out of the text of an f-string.
func splitFormat(s string) (string, []string, bool) {
	var out strings.Builder
	var args []string
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			out.WriteString(s)
			break
		}
		out.WriteString(s[:i])
		if len(s) > i+1 && s[i+1] == s[i] {
			out.WriteString(s[i : i+2])
			s = s[i+2:]
			continue
		}
		stop := strings.IndexByte(s, '}')
		if s[i] == '}' || stop < i || strings.Contains(s[i+1:stop], "{") {
			return "", nil, false
		}
		arg, rest, ok := formatArgument(s[i+1 : stop])
		if !ok {
			return "", nil, false
		}
		args = append(args, arg)
		out.WriteString("{" + rest + "}")
		s = s[stop+1:]
	}
	return out.String(), args, true
}

// formatArgument is the expression of one replacement field, and the rest of
// the field: its conversion and its format.
func formatArgument(field string) (expr, rest string, ok bool) {
	expr, spec, _ := strings.Cut(field, ":")
	if spec != "" {
		rest = ":" + spec
	}
	for _, conversion := range []string{"!r", "!s"} {
		if e, found := strings.CutSuffix(strings.TrimSpace(expr), conversion); found {
			expr, rest = e, conversion+rest
		}
	}
	expr = strings.TrimSpace(expr)
	return expr, rest, expr != "" && !strings.Contains(expr, "\\") && !strings.HasSuffix(expr, "=")
}

// nameHint says what to write instead of a name that is known elsewhere and not here.
func nameHint(name string) string {
	return HintFor(name, [][2]string{
		{"null nil undefined none NULL Null", "`None`"},
		{"true TRUE", "`True`"},
		{"false FALSE", "`False`"},
		{"string", "`str` for the type; for `string.digits` and the like the text itself, `\"0123456789\"`, or s.isalpha(), s.isdigit()"},
		{"unicode", "`str`"},
		{"integer long Int number", "`int`, or `float`"},
		{"boolean Bool", "`bool`"},
		{"array List Sequence", "`list`, or `list_of(T)` in a schema"},
		{"Optional", "`optional(T)`"},
		{"Union", "`union(A, B)`"},
		{"Literal Enum", "`one_of(\"a\", \"b\")`"},
		{"Any", "`anything()`"},
		{"Field", "`field(type, ...)`"},
		{"BaseModel dataclass TypedDict NamedTuple", "`schema(...)` for params and result, `struct(...)` in the body"},
		{"open", "`(workspace / \"name\").open(\"r\")`, or read_text(), lines(), write_text(...)"},
		{"assert", "`if not ok: fail(\"why\")`"},
		{"Counter", "`counter(items)`"},
		{"defaultdict groupby", "`group_by(items, key = lambda row: row[\"id\"])`, or `d.setdefault(key, []).append(x)`"},
		{"collections", "`counter(items)`, `group_by(items, key = ...)`, `d.setdefault(key, []).append(x)`; a dict keeps its order, a list is a queue"},
		{"OrderedDict", "`dict`: it keeps its order"},
		{"deque", "a list: `xs.append(x)`, `xs.pop(0)`"},
		{"namedtuple", "`struct(a = 1, b = 2)`"},
		{"chain", "`xs + ys`, or `[x for xs in lists for x in xs]`"},
		{"islice takewhile dropwhile", "`xs[start:stop]`; of a stream, a loop with `break`"},
		{"product combinations permutations", "comprehensions: `[(x, y) for x in xs for y in ys]`"},
		{"zip_longest", "`zip(xs, ys)` of lists that were made equally long"},
		{"itertools", "`group_by(items, key = ...)` and comprehensions: `[x for xs in lists for x in xs]` chains, `[(x, y) for x in xs for y in ys]` pairs"},
		{"operator itemgetter attrgetter", "`lambda row: row[\"id\"]`"},
		{"partial", "`lambda x: f(1, x)`"},
		{"lru_cache cache", "a dict of what was computed: `if x not in known: known[x] = f(x)`"},
		{"bisect", "a sorted list and a loop, or a dict"},
		{"nlargest", "`sorted(items, key = ..., reverse = True)[:n]`"},
		{"nsmallest", "`sorted(items, key = ...)[:n]`"},
		{"heappush heappop heapify", "a list that is sorted when it is complete: `sorted(items, key = ...)`"},
		{"copy deepcopy", "`xs.copy()`, `list(x)` or `dict(x)`; of nested data `json.decode(json.encode(x))`"},
		{"ascii_letters ascii_lowercase ascii_uppercase digits punctuation", "the text itself, such as `\"0123456789\"`; `s.isalpha()`, `s.isdigit()`, `s.isupper()` ask"},
		{"gzip zstd zstandard", "`path.open()`, `path.lines()`, `csv.reader(path)` and their writers unpack and pack files that end with .gz or .zst, or take `compression = \"gzip\"`"},
		{"zipfile tarfile", "`for e in archive.entries(path):`, then `e.name`, `e.read()`, `csv.dict_reader(e)`; `archive.write(path, {name: content})`"},
		{"zlib bz2 lzma", "gzip and zstd are read and written, by the suffix of a path or `compression = \"gzip\"`; nothing else is"},
		{"codecs chardet", "`path.read_text(encoding = \"latin-1\")`, and the same in lines(), open() and csv.reader"},
		{"tomllib tomli", "`toml.decode(path)`"},
		{"ruamel pyyaml", "`yaml.decode(path)`"},
		{"configparser ini", "`toml.decode(path)`, `yaml.decode(path)`, `json.decode(path.read_text())`; or keep settings in params"},
		{"pickle shelve", "`json.encode(value)` and `json.decode(text)`"},
		{"sqlite3 duckdb sql", "there is no database: csv.dict_reader(path) streams the rows of a table, `group_by` and `counter` put them together"},
		{"parquet pyarrow openpyxl", "tables are CSV or JSON lines: csv.dict_reader(path), json.lines(path)"},
		{"statistics", "`stats`: mean, median, quantile, stdev, variance, mode, correlation, histogram"},
		{"html", "`text.escape_html(s)`"},
		{"textwrap", "`text.wrap(s, width = 70)`"},
		{"functools reduce accumulate", "a loop; for sums and products `sum(xs)` and `math.prod(xs)`; `lambda x: f(1, x)` is a partial"},
		{"heapq", "`sorted(items, key = ...)[:n]`, with `reverse = True` for the largest"},
		{"Decimal Fraction decimal fractions", "ints of the smallest unit, such as cents: they are exact; `round(x, 2)` for what is shown"},
		{"filter", "`[x for x in xs if keep(x)]`"},
		{"isinstance", "`type(x) == \"string\"`"},
		{"issubclass super self object_", "there are no classes; use struct(...) and functions"},
		{"input", "input comes as `params`"},
		{"exit quit", "`return` from run, `fail(...)` or `fail_terminal(...)`"},
		{"xrange", "`range`"},
		{"raw_input", "input comes as `params`"},
		{"iter next", "a `for` loop goes over anything that can be iterated"},
		{"format", "`\"{:>10,.2f}\".format(x)`, or `\"%.2f\" % x`"},
		{"frozenset", "`set(...)`; what the top level makes is frozen anyway"},
		{"bytearray memoryview", "`bytes(...)`"},
		{"exec eval compile globals locals vars setattr delattr id callable", "there is no such thing here: a module is fixed once it is loaded"},
		{"sleep", "a body cannot wait: `fail(message)`, and Conductor runs the task again later"},
		{"pow", "`math.pow(x, y)`, or `x * x`"},
		{"Exception ValueError KeyError TypeError RuntimeError IOError OSError AssertionError StopIteration", "there are no exceptions: `fail(\"why\")` ends the body, `catch(fn, ...)` recovers"},
		{"__name__ __file__ __main__", "a task file is never a program of its own; `run` is called for it"},
		{"Path os pathlib shutil", "files are reached through `workspace`: `workspace / \"raw\" / name`"},
		{"sys", "input is `params`; `fail(...)` ends the body"},
		{"datetime_ timedelta", "`time.parse(...)`, and `time.duration(...)` for what lies between two times"},
		{"logging logger", "`log.info(\"message\", key = value)`"},
		{"hashlib", "`hash.sha256(x)`"},
		{"uuid4", "a body is repeatable: take an id from `params`, or derive one with `hash.sha256(...)`"},
		{"np numpy scipy", "Python packages cannot be used: `stats` has mean, median, quantile, stdev and histogram, `math` and `sum` the rest"},
		{"pd pandas pl polars sklearn torch", "Python packages cannot be used: csv.dict_reader(path) streams the rows of a table, `group_by`, `counter` and `stats` sum them up"},
		{"requests urllib", "a task has no network; what it needs comes in as params or in the workspace"},
		{"environ getenv", "a task sees no environment; pass values as params"},
		{"map", "`[f(x) for x in xs]`, or `map_of(T)` in a schema"},
		{"Dict object Mapping", "`dict`, or `map_of(T)` in a schema"},
	})
}

// scopeHint is for a parameter of run used where it does not exist.
func scopeHint(name string) string {
	return HintFor(name, [][2]string{
		{"workspace", "`workspace` is a parameter of run(workspace, params); hand it on to the functions that need it"},
		{"params", "`params` is a parameter of run; hand it on to the functions that need it"},
		{"run", "the body is the module's own `def run`"},
	})
}

// The methods of the built-in types, and what to write instead of those that only
// Python has.

func methodsOf(kind string) []string {
	switch kind {
	case "string":
		return []string{"capitalize", "center", "codepoint_ords", "codepoints", "count", "elem_ords", "elems", "endswith", "expandtabs",
			"find", "format", "index", "isalnum", "isalpha", "isdigit", "islower", "isspace", "istitle", "isupper", "join", "ljust",
			"lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition",
			"rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper", "zfill"}
	case "list":
		return []string{"append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"}
	case "dict":
		return []string{"clear", "copy", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"}
	case "set":
		return []string{"add", "clear", "copy", "difference", "discard", "intersection", "isdisjoint", "issubset", "issuperset", "pop", "remove",
			"symmetric_difference", "union", "update"}
	case "bytes":
		return []string{"elems"}
	}
	return nil
}

// functionHint is what to write instead of `str.lower` and `datetime.now`: what
// are types in Python are functions here, and have no members.
func functionHint(name string) string {
	if hint := HintFor(name, [][2]string{
		{"now today utcnow datetime", "`time.now()`, or `time.now().format(\"%Y-%m-%d\")`"},
		{"strptime fromisoformat", "`time.parse(text, format = \"%Y-%m-%d\")`"},
		{"fromtimestamp utcfromtimestamp", "`time.from_unix(seconds)`"},
		{"combine timedelta", "`time.parse(...)` and `time.duration(...)`"},
		{"fromkeys", "`{k: None for k in keys}`"},
		{"join", "`\", \".join(xs)`"},
		{"uuid1 uuid4 uuid5", "an id from params, or `hash.sha256(...)` of what it stands for: a second attempt has to give the same"},
		{"fromhex from_bytes", "`int(text, 16)`"},
		{"maketrans", "`s.replace(a, b)` for each pair"},
	}); hint != "" {
		return hint
	}
	for _, kind := range []string{"string", "list", "dict", "set"} {
		if slices.Contains(methodsOf(kind), name) {
			return "`lambda x: x." + name + "()`, or call it on the value: `x." + name + "()`"
		}
	}
	return ""
}

// ModuleHint is what to call of a module that was called itself.
func ModuleHint(module string) string {
	call := HintFor(module, [][2]string{
		{"json", "json.decode(text)"},
		{"archive", "archive.entries(path)"},
		{"yaml", "yaml.decode(path)"},
		{"toml", "toml.decode(path)"},
		{"csv", "csv.dict_reader(path)"},
		{"re", "re.search(pattern, text)"},
		{"hash", "hash.sha256(x)"},
		{"base64", "base64.encode(data)"},
		{"math", "math.floor(x)"},
		{"stats", "stats.mean(xs)"},
		{"random", "random.seeded(params.seed)"},
		{"text", "text.wrap(s)"},
		{"time", "time.now()"},
		{"log", "log.info(message)"},
	})
	if call == "" {
		return "call one of the functions in it"
	}
	return "call one of its functions: `" + call + "`"
}

// methodHint is what to write instead of a method that Python has.
func methodHint(kind, name string) string {
	switch {
	case kind == "function" || kind == "builtin_function_or_method":
		return functionHint(name)
	case kind == "NoneType":
		return "the value is None: a function without `return` gives None, and so does d.get(key) for a missing key"
	case kind == "string" && slices.Contains([]string{"read_text", "exists", "open", "glob", "write_text", "is_file"}, name):
		return "a string is no path: `(workspace / s)." + name + "(...)`"
	}
	return HintFor(kind+"."+name, [][2]string{
		{"list.sorted", "`sorted(xs)`, or `xs.sort()`"},
		{"list.reversed", "`reversed(xs)`, or `xs.reverse()`"},
		{"list.add list.push", "`xs.append(x)`"},
		{"list.join", "`\", \".join(xs)`"},
		{"list.map list.filter list.forEach", "`[f(x) for x in xs if keep(x)]`"},
		{"list.length string.length dict.length list.size string.size dict.size list.len string.len dict.len", "`len(x)`"},
		{"dict.has_key dict.contains list.contains string.contains set.contains list.includes string.includes", "`x in xs`"},
		{"dict.iteritems", "`d.items()`"},
		{"dict.iterkeys", "`d.keys()`"},
		{"dict.itervalues", "`d.values()`"},
		{"dict.fromkeys", "`{k: None for k in keys}`"},
		{"dict.append", "`d[key] = value`"},
		{"string.encode", "`bytes(s)`"},
		{"bytes.decode", "`str(b)`"},
		{"bytes.hex", "hash.* give hex by themselves; `\"%x\" % n` is the hex form of an int"},
		{"string.isnumeric string.isdecimal", "`s.isdigit()`"},
		{"string.trim", "`s.strip()`"},
		{"string.toLowerCase string.casefold", "`s.lower()`"},
		{"string.toUpperCase", "`s.upper()`"},
		{"string.translate", "`s.replace(a, b)` for each pair"},
		{"string.append", "`s += other`"},
		{"string.substring string.substr", "`s[start:stop]`"},
		{"string.indexOf", "`s.find(part)`"},
	})
}
