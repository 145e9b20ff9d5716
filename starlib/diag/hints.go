package diag

import (
	"fmt"
	"strings"
)

// hints.go holds what to write instead of a name or a module that only Python has.

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
	switch top {
	case "random":
		return "delete the line: `rng = random.seeded(params.seed)`, then `rng.choice(xs)`: a second attempt draws the same"
	case "json", "csv", "re", "math", "base64", "time", "yaml", "toml", "jsonschema":
		return "delete the line: `" + top + "` is always there"
	case "os", "pathlib", "shutil", "glob", "io", "tempfile":
		return "delete the line: files are reached through `workspace`, as in `workspace / \"raw\" / name` and `workspace.glob(\"**/*.csv\")`"
	case "hashlib":
		return "delete the line: `hash.sha256(x)`"
	case "datetime":
		return "delete the line: `time.now()`, `time.parse(...)`"
	case "logging":
		return "delete the line: `log.info(\"message\", key = value)`"
	case "typing", "pydantic", "dataclasses", "__future__", "abc", "enum":
		return "delete the line: the shape of params and result is declared by `schema(...)`"
	case "requests", "httpx", "urllib", "socket", "subprocess", "threading", "multiprocessing", "asyncio":
		return "a task has no network, processes or threads; what it needs comes in as params or in the workspace"
	case "sys", "argparse":
		return "delete the line: input is `params`, and `fail(...)` ends the body"
	case "uuid", "secrets":
		return "a body is repeatable: take an id from `params`, or derive one with `hash.sha256(...)`"
	case "perago":
		return "delete the line: `task`, `schema`, `field` and the others are always there"
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
	switch name {
	case "null", "nil", "undefined", "none", "NULL", "Null":
		return "`None`"
	case "true", "TRUE":
		return "`True`"
	case "false", "FALSE":
		return "`False`"
	case "string":
		return "`str` for the type; for `string.digits` and the like the text itself, `\"0123456789\"`, or s.isalpha(), s.isdigit()"
	case "unicode":
		return "`str`"
	case "integer", "long", "Int", "number":
		return "`int`, or `float`"
	case "boolean", "Bool":
		return "`bool`"
	case "array", "List", "Sequence":
		return "`list`, or `list_of(T)` in a schema"
	case "Dict", "object", "Mapping", "map":
		if name == "map" {
			return "`[f(x) for x in xs]`, or `map_of(T)` in a schema"
		}
		return "`dict`, or `map_of(T)` in a schema"
	case "Optional":
		return "`optional(T)`"
	case "Union":
		return "`union(A, B)`"
	case "Literal", "Enum":
		return "`one_of(\"a\", \"b\")`"
	case "Any":
		return "`anything()`"
	case "Field":
		return "`field(type, ...)`"
	case "BaseModel", "dataclass", "TypedDict", "NamedTuple":
		return "`schema(...)` for params and result, `struct(...)` in the body"
	case "open":
		return "`(workspace / \"name\").open(\"r\")`, or read_text(), lines(), write_text(...)"
	case "assert":
		return "`if not ok: fail(\"why\")`"
	case "Counter":
		return "`counter(items)`"
	case "defaultdict", "groupby":
		return "`group_by(items, key = lambda row: row[\"id\"])`, or `d.setdefault(key, []).append(x)`"
	case "collections":
		return "`counter(items)`, `group_by(items, key = ...)`, `d.setdefault(key, []).append(x)`; a dict keeps its order, a list is a queue"
	case "OrderedDict":
		return "`dict`: it keeps its order"
	case "deque":
		return "a list: `xs.append(x)`, `xs.pop(0)`"
	case "namedtuple":
		return "`struct(a = 1, b = 2)`"
	case "chain":
		return "`xs + ys`, or `[x for xs in lists for x in xs]`"
	case "islice", "takewhile", "dropwhile":
		return "`xs[start:stop]`; of a stream, a loop with `break`"
	case "product", "combinations", "permutations":
		return "comprehensions: `[(x, y) for x in xs for y in ys]`"
	case "zip_longest":
		return "`zip(xs, ys)` of lists that were made equally long"
	case "itertools":
		return "`group_by(items, key = ...)` and comprehensions: `[x for xs in lists for x in xs]` chains, `[(x, y) for x in xs for y in ys]` pairs"
	case "operator", "itemgetter", "attrgetter":
		return "`lambda row: row[\"id\"]`"
	case "partial":
		return "`lambda x: f(1, x)`"
	case "lru_cache", "cache":
		return "a dict of what was computed: `if x not in known: known[x] = f(x)`"
	case "bisect":
		return "a sorted list and a loop, or a dict"
	case "nlargest":
		return "`sorted(items, key = ..., reverse = True)[:n]`"
	case "nsmallest":
		return "`sorted(items, key = ...)[:n]`"
	case "heappush", "heappop", "heapify":
		return "a list that is sorted when it is complete: `sorted(items, key = ...)`"
	case "copy", "deepcopy":
		return "`xs.copy()`, `list(x)` or `dict(x)`; of nested data `json.decode(json.encode(x))`"
	case "ascii_letters", "ascii_lowercase", "ascii_uppercase", "digits", "punctuation":
		return "the text itself, such as `\"0123456789\"`; `s.isalpha()`, `s.isdigit()`, `s.isupper()` ask"
	case "gzip", "zstd", "zstandard":
		return "`path.open()`, `path.lines()`, `csv.reader(path)` and their writers unpack and pack files that end with .gz or .zst, or take `compression = \"gzip\"`"
	case "zlib", "bz2", "lzma":
		return "gzip and zstd are read and written, by the suffix of a path or `compression = \"gzip\"`; nothing else is"
	case "codecs", "chardet":
		return "`path.read_text(encoding = \"latin-1\")`, and the same in lines(), open() and csv.reader"
	case "tomllib", "tomli":
		return "`toml.decode(path)`"
	case "ruamel", "pyyaml":
		return "`yaml.decode(path)`"
	case "configparser", "ini":
		return "`toml.decode(path)`, `yaml.decode(path)`, `json.decode(path.read_text())`; or keep settings in params"
	case "pickle", "shelve":
		return "`json.encode(value)` and `json.decode(text)`"
	case "sqlite3", "duckdb", "sql":
		return "there is no database: csv.dict_reader(path) streams the rows of a table, `group_by` and `counter` put them together"
	case "parquet", "pyarrow", "openpyxl":
		return "tables are CSV or JSON lines: csv.dict_reader(path), json.lines(path)"
	case "statistics":
		return "`stats`: mean, median, quantile, stdev, variance, mode, correlation, histogram"
	case "html":
		return "`text.escape_html(s)`"
	case "textwrap":
		return "`text.wrap(s, width = 70)`"
	case "functools", "reduce", "accumulate":
		return "a loop; for sums and products `sum(xs)` and `math.prod(xs)`; `lambda x: f(1, x)` is a partial"
	case "heapq":
		return "`sorted(items, key = ...)[:n]`, with `reverse = True` for the largest"
	case "Decimal", "Fraction", "decimal", "fractions":
		return "ints of the smallest unit, such as cents: they are exact; `round(x, 2)` for what is shown"
	case "filter":
		return "`[x for x in xs if keep(x)]`"
	case "isinstance":
		return "`type(x) == \"string\"`"
	case "issubclass", "super", "self", "object_":
		return "there are no classes; use struct(...) and functions"
	case "input":
		return "input comes as `params`"
	case "exit", "quit":
		return "`return` from run, `fail(...)` or `fail_terminal(...)`"
	case "xrange":
		return "`range`"
	case "raw_input":
		return "input comes as `params`"
	case "iter", "next":
		return "a `for` loop goes over anything that can be iterated"
	case "format":
		return "`\"{:>10,.2f}\".format(x)`, or `\"%.2f\" % x`"
	case "frozenset":
		return "`set(...)`; what the top level makes is frozen anyway"
	case "bytearray", "memoryview":
		return "`bytes(...)`"
	case "exec", "eval", "compile", "globals", "locals", "vars", "setattr", "delattr", "id", "callable":
		return "there is no such thing here: a module is fixed once it is loaded"
	case "sleep":
		return "a body cannot wait: `fail(message)`, and Conductor runs the task again later"
	case "pow":
		return "`math.pow(x, y)`, or `x * x`"
	case "Exception", "ValueError", "KeyError", "TypeError", "RuntimeError", "IOError", "OSError", "AssertionError", "StopIteration":
		return "there are no exceptions: `fail(\"why\")` ends the body, `catch(fn, ...)` recovers"
	case "__name__", "__file__", "__main__":
		return "a task file is never a program of its own; `run` is called for it"
	case "Path", "os", "pathlib", "shutil":
		return "files are reached through `workspace`: `workspace / \"raw\" / name`"
	case "sys":
		return "input is `params`; `fail(...)` ends the body"
	case "datetime_", "timedelta":
		return "`time.parse(...)`, and `time.duration(...)` for what lies between two times"
	case "logging", "logger":
		return "`log.info(\"message\", key = value)`"
	case "hashlib":
		return "`hash.sha256(x)`"
	case "uuid4":
		return "a body is repeatable: take an id from `params`, or derive one with `hash.sha256(...)`"
	case "np", "numpy", "scipy":
		return "Python packages cannot be used: `stats` has mean, median, quantile, stdev and histogram, `math` and `sum` the rest"
	case "pd", "pandas", "pl", "polars", "sklearn", "torch":
		return "Python packages cannot be used: csv.dict_reader(path) streams the rows of a table, `group_by`, `counter` and `stats` sum them up"
	case "requests", "urllib":
		return "a task has no network; what it needs comes in as params or in the workspace"
	case "environ", "getenv":
		return "a task sees no environment; pass values as params"
	}
	return ""
}

// scopeHint is for a parameter of run used where it does not exist.
func scopeHint(name string) string {
	switch name {
	case "workspace":
		return "`workspace` is a parameter of run(workspace, params); hand it on to the functions that need it"
	case "params":
		return "`params` is a parameter of run; hand it on to the functions that need it"
	case "run":
		return "the body is the module's own `def run`"
	}
	return ""
}
