package diag

// methods.go knows the methods of the built-in types, and what to write instead
// of those that only Python has.

func methodsOf(kind string) []string {
	switch kind {
	case "string":
		return []string{"capitalize", "codepoint_ords", "codepoints", "count", "elem_ords", "elems", "endswith", "find", "format",
			"index", "isalnum", "isalpha", "isdigit", "islower", "isspace", "istitle", "isupper", "join", "lower", "lstrip",
			"partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "split",
			"splitlines", "startswith", "strip", "title", "upper"}
	case "list":
		return []string{"append", "clear", "extend", "index", "insert", "pop", "remove"}
	case "dict":
		return []string{"clear", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"}
	case "set":
		return []string{"add", "clear", "difference", "discard", "intersection", "issubset", "issuperset", "pop", "remove",
			"symmetric_difference", "union", "update"}
	case "bytes":
		return []string{"elems"}
	}
	return nil
}

// methodHint is what to write instead of a method that Python has.
func methodHint(kind, name string) string {
	switch kind + "." + name {
	case "list.sort":
		return "`xs = sorted(xs)`"
	case "list.reverse":
		return "`xs = reversed(xs)`"
	case "list.copy":
		return "`list(xs)`"
	case "list.count":
		return "`len([x for x in xs if x == y])`"
	case "list.add", "list.push":
		return "`xs.append(x)`"
	case "list.join":
		return "`\", \".join(xs)`"
	case "list.map", "list.filter", "list.forEach":
		return "`[f(x) for x in xs if keep(x)]`"
	case "list.length", "string.length", "dict.length", "list.size", "string.size", "dict.size", "list.len", "string.len", "dict.len":
		return "`len(x)`"
	case "dict.copy":
		return "`dict(d)`"
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
	case "string.zfill", "string.ljust", "string.rjust", "string.center":
		return "`\"0\" * (width - len(s)) + s`"
	case "string.isnumeric", "string.isdecimal":
		return "`s.isdigit()`"
	case "string.trim":
		return "`s.strip()`"
	case "string.toLowerCase", "string.casefold":
		return "`s.lower()`"
	case "string.toUpperCase":
		return "`s.upper()`"
	case "string.swapcase", "string.expandtabs", "string.translate":
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
