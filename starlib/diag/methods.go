package diag

import "slices"

// methods.go knows the methods of the built-in types, and what to write instead
// of those that only Python has.

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
	switch name {
	case "now", "today", "utcnow", "datetime":
		return "`time.now()`, or `time.now().format(\"%Y-%m-%d\")`"
	case "strptime", "fromisoformat":
		return "`time.parse(text, format = \"%Y-%m-%d\")`"
	case "fromtimestamp", "utcfromtimestamp":
		return "`time.from_unix(seconds)`"
	case "combine", "timedelta":
		return "`time.parse(...)` and `time.duration(...)`"
	case "fromkeys":
		return "`{k: None for k in keys}`"
	case "join":
		return "`\", \".join(xs)`"
	case "uuid1", "uuid4", "uuid5":
		return "an id from params, or `hash.sha256(...)` of what it stands for: a second attempt has to give the same"
	case "fromhex", "from_bytes":
		return "`int(text, 16)`"
	case "maketrans":
		return "`s.replace(a, b)` for each pair"
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
	call := ""
	switch module {
	case "json":
		call = "json.decode(text)"
	case "yaml":
		call = "yaml.decode(path)"
	case "toml":
		call = "toml.decode(path)"
	case "csv":
		call = "csv.dict_reader(path)"
	case "re":
		call = "re.search(pattern, text)"
	case "hash":
		call = "hash.sha256(x)"
	case "base64":
		call = "base64.encode(data)"
	case "math":
		call = "math.floor(x)"
	case "stats":
		call = "stats.mean(xs)"
	case "random":
		call = "random.seeded(params.seed)"
	case "text":
		call = "text.wrap(s)"
	case "time":
		call = "time.now()"
	case "log":
		call = "log.info(message)"
	default:
		return "call one of the functions in it"
	}
	return "call one of its functions: `" + call + "`"
}

// methodHint is what to write instead of a method that Python has.
func methodHint(kind, name string) string {
	if kind == "function" || kind == "builtin_function_or_method" {
		return functionHint(name)
	}
	switch kind + "." + name {
	case "list.sorted":
		return "`sorted(xs)`, or `xs.sort()`"
	case "list.reversed":
		return "`reversed(xs)`, or `xs.reverse()`"
	case "list.add", "list.push":
		return "`xs.append(x)`"
	case "list.join":
		return "`\", \".join(xs)`"
	case "list.map", "list.filter", "list.forEach":
		return "`[f(x) for x in xs if keep(x)]`"
	case "list.length", "string.length", "dict.length", "list.size", "string.size", "dict.size", "list.len", "string.len", "dict.len":
		return "`len(x)`"
	case "dict.has_key", "dict.contains", "list.contains", "string.contains", "set.contains", "list.includes", "string.includes":
		return "`x in xs`"
	case "dict.iteritems":
		return "`d.items()`"
	case "dict.iterkeys":
		return "`d.keys()`"
	case "dict.itervalues":
		return "`d.values()`"
	case "dict.fromkeys":
		return "`{k: None for k in keys}`"
	case "dict.append":
		return "`d[key] = value`"
	case "string.encode":
		return "`bytes(s)`"
	case "bytes.decode":
		return "`str(b)`"
	case "bytes.hex":
		return "hash.* give hex by themselves; `\"%x\" % n` is the hex form of an int"
	case "string.isnumeric", "string.isdecimal":
		return "`s.isdigit()`"
	case "string.trim":
		return "`s.strip()`"
	case "string.toLowerCase", "string.casefold":
		return "`s.lower()`"
	case "string.toUpperCase":
		return "`s.upper()`"
	case "string.translate":
		return "`s.replace(a, b)` for each pair"
	case "string.append":
		return "`s += other`"
	case "string.substring", "string.substr":
		return "`s[start:stop]`"
	case "string.indexOf":
		return "`s.find(part)`"
	case "string.read_text", "string.exists", "string.open", "string.glob", "string.write_text", "string.is_file":
		return "a string is no path: `(workspace / s)." + name + "(...)`"
	case "NoneType." + name:
		return "the value is None: a function without `return` gives None, and so does d.get(key) for a missing key"
	}
	return ""
}
