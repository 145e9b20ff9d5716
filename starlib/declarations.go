package starlib

import "perago/workspace"

// declarationBuiltins are the rows of the table for what declares a task: task,
// the schemas and types of its params and result, its workspace, its controls.
func declarationBuiltins() []Builtin {
	return append(append(append([]Builtin{taskRow()}, schemaRows()...), workspaceRows()...), controlRows()...)
}

func taskRow() Builtin {
	return Builtin{Name: "task", Phase: Declare, Returns: "None", call: makeTask, Params: []Param{
		{Name: "name", Type: "string", Kind: KeywordOnly,
			Doc: "name of the task at Conductor: not blank, no space at its ends, no `/`, no `\\`, no control characters, at most 255 bytes"},
		{Name: "description", Type: "string", Default: "None", Kind: KeywordOnly, Doc: "what the task does, for the people at Conductor"},
		{Name: "owner_email", Type: "string", Default: "None", Kind: KeywordOnly,
			Doc: "who answers for the task. A server may demand it, so `perago check` warns when it is missing"},
		{Name: "params", Type: "schema", Default: "schema()", Kind: KeywordOnly, Doc: "what the task is given; always an object"},
		{Name: "result", Type: "schema", Default: "None", Kind: KeywordOnly,
			Doc: "what `run` returns; always an object, and a key that is not declared is an error. Left out: any object"},
		{Name: "workspace", Type: "workspace_spec", Default: "None", Kind: KeywordOnly,
			Doc: "the files the task works on. Left out: the task has no workspace, and its body is `run(params)`"},
		{Name: "controls", Type: "controls", Default: "controls()", Kind: KeywordOnly, Doc: "retries, time-outs and limits at Conductor"},
		{Name: "strict_params", Type: "bool", Default: "False", Kind: KeywordOnly,
			Doc: "whether params that are not declared are an error; otherwise they are dropped, at every depth"},
		{Name: "resources", Type: "resources", Default: "resources()", Kind: KeywordOnly, Doc: "limits of one run of the body"},
	}, Doc: "Declares the task of this file. The top level calls it exactly once; a file that is there for `load` does not. " +
		"The body is the function `run` of the same file: `run(workspace, params)` with a workspace, `run(params)` without.",
		Example: `task(
    name = "songs.validate",
    owner_email = "data@example.com",
    params = schema(song_id = str),
    result = schema(ok = bool),
)

def run(params):
    return {"ok": params.song_id != ""}`}
}

func schemaRows() []Builtin {
	elem := func(doc string) []Param { return []Param{{Name: "type", Type: "type", Doc: doc}} }
	return []Builtin{
		{Name: "schema", Phase: Declare, Returns: "schema", call: makeSchema, Params: []Param{
			{Name: "fields", Type: "type", Kind: KeywordRest, Doc: "the fields by name, in order: a type each, or `field(type, ...)`"},
		}, Doc: "The shape of a JSON object: params, a result, or an object inside them. A field is required unless it has a default. " +
			"In a body an object of a schema is frozen, and its fields are attributes, `params.min_rows`; it is also indexed, looped over and " +
			"asked with `in` by the names of its fields. A name that is no identifier is declared with `schema(**{\"a-b\": str})` and read with " +
			"`params[\"a-b\"]`. A schema holds at most 10,000 types, 50 deep.",
			Example: `schema(
    feature_set = field(str, min_length = 1),
    min_rows = field(int, ge = 1, default = 1),
    ranges = list_of(schema(lo = float, hi = float)),
)`},
		fieldRow(),
		{Name: "list_of", Phase: Declare, Returns: "type", call: makeElemType(KindList),
			Params: elem("what each item must be: a type, or `field(type, ...)` without a default"),
			Doc:    "A JSON array of items of one type; a frozen list in the body.", Example: `list_of(field(str, min_length = 1))`},
		{Name: "map_of", Phase: Declare, Returns: "type", call: makeElemType(KindMap),
			Params: elem("what each value must be: a type, or `field(type, ...)` without a default"),
			Doc:    "A JSON object with any keys and values of one type; a frozen dict in the body, its keys in the order of the input.", Example: `map_of(int)`},
		{Name: "optional", Phase: Declare, Returns: "type", call: makeElemType(KindOptional),
			Params: elem("what the value must be when it is not null: a type, or `field(type, ...)` without a default"),
			Doc: "The type, or null, which is None in the body. It does not imply a default: write `field(optional(str), default = None)` for a " +
				"field that may be left out.", Example: `note = field(optional(str), default = None)`},
		{Name: "union", Phase: Declare, Returns: "type", call: makeUnion,
			Params: []Param{{Name: "types", Type: "type", Kind: Rest, Doc: "two or more: types, or `field(type, ...)` without a default"}},
			Doc: "One of several types. When a value fits more than one, the one that knows most of its keys counts, and of several the first: " +
				"`union(int, float)` gives a body 5 for `5.0`.", Example: `union(int, str)`},
		{Name: "one_of", Phase: Declare, Returns: "type", call: makeOneOf,
			Params: []Param{{Name: "values", Type: "string, int or bool", Kind: Rest, Doc: "one or more, each once"}},
			Doc:    "One of a few fixed values; with a single one, a constant.", Example: `mode = field(one_of("fast", "full"), default = "fast")`},
		{Name: "anything", Phase: Declare, Returns: "type", call: makePlainType(KindAnything),
			Doc: "Any JSON value. Objects become frozen dicts, arrays frozen lists; a number with a fraction or an exponent is a float, any other an int."},
		{Name: "datetime", Phase: Declare, Returns: "type", call: makePlainType(KindDateTime),
			Doc: "A string that is a date and time of RFC 3339, with its offset: `2026-01-31T12:00:00Z`. It stays a string: `time.parse` reads it."},
		{Name: "date", Phase: Declare, Returns: "type", call: makePlainType(KindDate), Doc: "A string that is a date: `2026-01-31`."},
		{Name: "uuid", Phase: Declare, Returns: "type", call: makePlainType(KindUUID),
			Doc: "A string that is a UUID, in either case: `123e4567-e89b-12d3-a456-426614174000`."},
	}
}

func fieldRow() Builtin {
	number := func(name, doc string) Param {
		return Param{Name: name, Type: "int or float", Default: "None", Kind: KeywordOnly, Doc: doc + "; for `int` and `float`"}
	}
	count := func(name, doc string) Param {
		return Param{Name: name, Type: "int", Default: "None", Kind: KeywordOnly, Doc: doc}
	}
	return Builtin{Name: "field", Phase: Declare, Returns: "field", call: makeField, Params: []Param{
		{Name: "type", Type: "type", Doc: "`str`, `int`, `float`, `bool`, `dict`, `list`, `list_of(...)`, `map_of(...)`, `one_of(...)`, `optional(...)`, " +
			"`union(...)`, `anything()`, `schema(...)`, `datetime()`, `date()` or `uuid()`"},
		{Name: "default", Type: "any value", Default: "...", Kind: KeywordOnly,
			Doc: "the value when the field is left out; the field itself must take it. Left out: the field is required"},
		{Name: "description", Type: "string", Default: "None", Kind: KeywordOnly, Doc: "what the field means"},
		{Name: "examples", Type: "list of values", Default: "None", Kind: KeywordOnly, Doc: "values as they might be"},
		number("ge", "the least value"),
		number("gt", "the value is above it"),
		number("le", "the greatest value"),
		number("lt", "the value is below it"),
		number("multiple_of", "the value is a multiple of it, above 0"),
		count("min_length", "least number of characters, for `str`"),
		count("max_length", "greatest number of characters, for `str`"),
		{Name: "pattern", Type: "string", Default: "None", Kind: KeywordOnly,
			Doc: "regular expression that matches somewhere in the text (`^` and `$` bind it), for `str`; without look-around, since it takes linear time"},
		count("min_items", "least number of items, for `list` and `list_of`"),
		count("max_items", "greatest number of items, for `list` and `list_of`"),
		{Name: "unique_items", Type: "bool", Default: "False", Kind: KeywordOnly, Doc: "whether no two items may be equal, for `list` and `list_of`"},
		{Name: "secret", Type: "bool", Default: "False", Kind: KeywordOnly, Doc: "whether the value must appear in no log, reason or diagnostic"},
	}, Doc: "A type with more to say about it. On an `optional` type a constraint is on the value that is not null. A constraint that does not fit " +
		"the type, bounds that no value satisfies, a pattern that is none, and a default that the field itself refuses are errors at load. " +
		"What has no name, such as the items of `list_of`, takes a field without a default.",
		Example: `min_rows = field(int, ge = 1, default = 1, description = "fewer rows than this fail the task")`}
}

func workspaceRows() []Builtin {
	path := []Param{{Name: "path", Type: "string", Doc: "relative to the workspace, `/` between its segments; empty, absolute, with a backslash, a drive, or an empty, " +
		"`.` or `..` segment it is refused"}}
	pattern := Param{Name: "pattern", Type: "string", Doc: "relative to the workspace: `*`, `?`, `[abc]`, `[!abc]`, `[a-z]` within a segment; a segment `**` is zero or more " +
		"folders, and as the last one every file below"}
	guards := func(name, when, then string) Param {
		return Param{Name: name, Type: "list of guard", Default: "[]", Kind: KeywordOnly, Doc: "guards that are checked in order " + when + "; all that fail are reported, and " + then}
	}
	return []Builtin{
		{Name: "workspace_spec", Phase: Declare, Returns: "workspace_spec", call: makeSpec, Params: []Param{
			{Name: "prefix", Type: "string", Default: `"/"`, Kind: KeywordOnly, Doc: "folder of the repository that the task sees as its root; `\"/\"` is the whole " +
				"repository. Outer white space and leading slashes are dropped; a backslash, a slash at the end, or an empty, `.` or `..` segment is refused"},
			guards("pre", "before the body", "the attempt fails for good"),
			guards("post", "after the body, over what it has written", "the attempt fails and publishes nothing"),
			{Name: "read_only", Type: "bool", Default: "False", Kind: KeywordOnly, Doc: "whether writing is an error, at the line that writes; then nothing is published"},
		}, Doc: "The files a task works on: a folder of a commit, seen as a private folder. What the body writes there is published as one commit when it is done.",
			Example: `workspace_spec(
    pre = [require_glob("raw/**/*.csv", min_count = 1)],
    post = [require_file("features/table.csv")],
)`},
		{Name: "require_file", Phase: Declare, Returns: "guard", call: makePathGuard(workspace.RequireFile), Params: path,
			Doc: "A guard: the file is there.", Example: `require_file("features/table.csv")`},
		{Name: "require_dir", Phase: Declare, Returns: "guard", call: makePathGuard(workspace.RequireDir), Params: path,
			Doc: "A guard: something is below the path, or the body made the folder. An object store has no empty folders.", Example: `require_dir("raw")`},
		{Name: "require_glob", Phase: Declare, Returns: "guard", call: makeRequireGlob, Params: []Param{pattern,
			{Name: "min_count", Type: "int", Default: "1", Doc: "least number of files that match"},
			{Name: "max_count", Type: "int", Default: "None", Doc: "greatest number of files that match; None is no bound"},
		}, Doc: "A guard: so many files match.", Example: `require_glob("raw/**/*.csv", min_count = 1)`},
		{Name: "forbid_glob", Phase: Declare, Returns: "guard", call: makeForbidGlob, Params: []Param{pattern},
			Doc: "A guard: no file matches.", Example: `forbid_glob("**/*.tmp")`},
	}
}

func controlRows() []Builtin {
	amount := func(name, otherwise, doc string) Param {
		return Param{Name: name, Type: "int", Default: otherwise, Kind: KeywordOnly, Doc: doc}
	}
	group := func(name, otherwise, doc string) Param {
		return Param{Name: name, Type: name, Default: otherwise, Kind: KeywordOnly, Doc: doc}
	}
	return []Builtin{
		{Name: "controls", Phase: Declare, Returns: "controls", call: makeControls, Params: []Param{
			group("retry", "retry()", "what follows a failed attempt"),
			group("timeout", "timeout()", "how long the task may take"),
			group("limits", "None", "how much of it runs at once"),
			group("publish_budget", "None", "how long a publication may take"),
		}, Doc: "What Conductor does with the task. Each group is optional.",
			Example: `controls(
    retry = retry(count = 3, delay_seconds = 30),
    timeout = timeout(response_seconds = 300),
)`},
		{Name: "retry", Phase: Declare, Returns: "retry", call: makeRetry, Params: []Param{
			amount("count", "3", "retries after the first attempt, 0 to 10"),
			{Name: "logic", Type: "string", Default: `"FIXED"`, Kind: KeywordOnly, Doc: "how the delay grows: `\"FIXED\"`, `\"EXPONENTIAL_BACKOFF\"` or `\"LINEAR_BACKOFF\"`"},
			amount("delay_seconds", "60", "seconds before the first retry"),
			amount("max_delay_seconds", "0", "longest delay in seconds; 0 is no bound. Above 0 and below `delay_seconds` it is a warning of `perago check`"),
			amount("jitter_ms", "0", "most milliseconds by which a delay varies at random"),
			{Name: "on", Type: "string", Default: `"any"`, Kind: KeywordOnly, Doc: "which failures are retried: `\"any\"`, or `\"transient\"`, " +
				"those that another attempt on the same commit may not meet: a server, the network, the disk, time, `fail`. The others, such as a broken CSV, " +
				"a wrong result or a limit of memory, are then FAILED_WITH_TERMINAL_ERROR"},
		}, Doc: "Retries of a failed attempt, by Conductor. `fail_terminal`, bad input and a pre guard are never retried.", Example: `retry(count = 3, delay_seconds = 30)`},
		{Name: "timeout", Phase: Declare, Returns: "timeout", call: makeTimeout, Params: []Param{
			{Name: "policy", Type: "string", Default: `"TIME_OUT_WF"`, Kind: KeywordOnly, Doc: "what a time-out does: `\"RETRY\"`, `\"TIME_OUT_WF\"` (the workflow times out) or `\"ALERT_ONLY\"`"},
			amount("seconds", "0", "seconds an attempt may run; 0 is no bound. It also bounds the body. Above 0 and below `response_seconds` it is a warning of `perago check`"),
			amount("response_seconds", "600", "seconds without a sign of life after which Conductor takes the worker for dead. The worker gives signs while the body runs, so this bounds no body"),
			amount("poll_seconds", "0", "seconds the task may wait for a worker; 0 is no bound"),
			amount("total_seconds", "0", "seconds all attempts may take together; 0 is no bound"),
		}, Doc: "Time-outs of the task, kept by Conductor. All in seconds.", Example: `timeout(seconds = 3600, response_seconds = 300)`},
		{Name: "limits", Phase: Declare, Returns: "limits", call: makeLimits, Params: []Param{
			amount("concurrent_exec_limit", "None", "attempts of this task at once, over all workers"),
			amount("rate_limit_per_frequency", "None", "attempts that start in one `rate_limit_frequency_in_seconds`"),
			amount("rate_limit_frequency_in_seconds", "None", "length of that time, in seconds"),
		}, Doc: "How much of the task Conductor lets run. The two rate limits are given together or not at all.", Example: `limits(concurrent_exec_limit = 2)`},
		{Name: "publish_budget", Phase: Declare, Returns: "publish_budget", call: makePublishBudget, Params: []Param{
			amount("observed_merge_p99_seconds", "", "seconds in which 99 of 100 merges of this repository are done"),
			amount("safety_margin_seconds", "", "seconds on top of it"),
			amount("lakefs_merge_timeout_seconds", "", "seconds a merge may take, at least 1; no less than the two above together"),
			amount("conductor_completion_timeout_seconds", "", "seconds a report to Conductor may take, at least 1"),
			amount("worker_shutdown_grace_seconds", "", "seconds a worker that stops has left, at least 1"),
			amount("heartbeat_interval_seconds", "", "seconds between two signs of life, at least 1"),
		}, Doc: "What a publication may take, all six in seconds. A task without a workspace cannot have one; with `read_only` it is ignored, with a warning. " +
			"`perago check` warns when `response_seconds` is below merge time-out + completion time-out + shutdown grace + heartbeat interval.",
			Example: `publish_budget(
    observed_merge_p99_seconds = 20,
    safety_margin_seconds = 10,
    lakefs_merge_timeout_seconds = 60,
    conductor_completion_timeout_seconds = 30,
    worker_shutdown_grace_seconds = 30,
    heartbeat_interval_seconds = 20,
)`},
		{Name: "resources", Phase: Declare, Returns: "resources", call: makeResources, Params: []Param{
			{Name: "memory", Type: "string", Default: `"512MiB"`, Kind: KeywordOnly, Doc: "memory of the body that is alive, garbage not counted; KiB, MiB, GiB and KB, MB, GB mean the same, powers of 1024"},
			amount("seconds", "0", "seconds of wall time from the call of `run` to its return; 0 is no bound beyond `timeout(seconds = ...)` and the operator's"),
			amount("steps", "0", "steps of the interpreter; 0 is no bound"),
			{Name: "scratch", Type: "string", Default: `"10GB"`, Kind: KeywordOnly, Doc: "bytes that one attempt may have written at a time; a copy takes none"},
			amount("files", "1000000", "files and folders that one attempt may write, copy, make and delete; their names take at most 40 MiB of the worker whatever is said here, enough for about 150,000"),
			{Name: "output", Type: "string", Default: `"10GB"`, Kind: KeywordOnly, Doc: "bytes of all files that one attempt publishes, the copies of stored objects too; looked at before anything is sent"},
		}, Doc: "Limits of one run of the body. A body that passes one fails with an error that names it, its figure and the line; at half of one a warning is logged.",
			Example: `resources(memory = "1GiB", seconds = 600)`},
	}
}
