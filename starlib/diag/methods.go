package diag

import "slices"

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
