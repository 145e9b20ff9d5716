package starlib

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
	"perago/starlib/schema"
	"perago/workspace"
	"perago/workspace/glob"
	"perago/workspace/paths"
)

// Task is what task(...) declares, checked. It is immutable once loaded.
type Task struct {
	Name         string
	Description  string // "" when not given
	OwnerEmail   string // "" when not given
	Params       *schema.Schema
	Result       *schema.Schema  // nil: any JSON object
	Workspace    *workspace.Spec // nil: a workspace-free task
	Controls     Controls
	StrictParams bool
	Resources    Resources
	Reuse        bool       // take over what an earlier attempt made, where nothing changed
	At           Position   // of the call of task
	PreAt        []Position // of the calls of Workspace.Pre
	PostAt       []Position // of the calls of Workspace.Post
}

// CheckParams is CheckParamsWithin without a limit.
func (t *Task) CheckParams(raw json.RawMessage) (schema.Params, diag.List) {
	params, problems, _ := t.CheckParamsWithin(schema.Limits{}, raw)
	return params, problems
}

// CheckParamsWithin holds the params of an attempt against what the task takes:
// see schema.Schema.CheckParams.
func (t *Task) CheckParamsWithin(limits schema.Limits, raw json.RawMessage) (schema.Params, diag.List, error) {
	return t.Params.CheckParams(limits, t.StrictParams, raw)
}

// CheckedParams are params of the same task that were checked before: see
// schema.Schema.CheckedParams.
func (t *Task) CheckedParams(raw json.RawMessage) (schema.Params, error) {
	return t.Params.CheckedParams(t.StrictParams, raw)
}

// CheckResult holds what a body returned, as JSON, against what the task gives:
// see schema.Schema.CheckResult.
func (t *Task) CheckResult(limits schema.Limits, raw json.RawMessage) (diag.List, error) {
	if t.Result == nil {
		return nil, nil
	}
	return t.Result.CheckResult(limits, raw)
}

// Controls are the settings of a task at Conductor, defaults filled in
// (docs/language.md).
type Controls struct {
	Retry         Retry
	Timeout       Timeout
	Limits        ExecutionLimits
	PublishBudget *PublishBudget // nil when not given
}

// Retry of a failed attempt, by Conductor.
type Retry struct {
	Count           int    // 0 to 10
	Logic           string // FIXED, EXPONENTIAL_BACKOFF, LINEAR_BACKOFF
	DelaySeconds    int
	MaxDelaySeconds int
	JitterMS        int
	On              string // "any" or "transient": which failures are worth a retry; not for Conductor

	at Position // of the call of retry
}

// Timeout of a task, kept by Conductor; all in seconds, 0 is none.
type Timeout struct {
	Policy          string // RETRY, TIME_OUT_WF, ALERT_ONLY
	Seconds         int
	ResponseSeconds int
	PollSeconds     int
	TotalSeconds    int

	at Position // of the call of timeout
}

// ExecutionLimits are Conductor's; nil is not given.
type ExecutionLimits struct {
	ConcurrentExecLimit         *int
	RateLimitPerFrequency       *int
	RateLimitFrequencyInSeconds *int
}

// PublishBudget is what an operator allows a publication, in seconds.
type PublishBudget struct {
	ObservedMergeP99           int
	SafetyMargin               int
	LakeFSMergeTimeout         int
	ConductorCompletionTimeout int
	WorkerShutdownGrace        int
	HeartbeatInterval          int

	at Position // of the call of publish_budget
}

// Resources limit one run of the body. 0 is no limit.
type Resources struct {
	Memory  int64 // bytes of live memory
	Seconds int   // wall time
	Steps   uint64
	Output  int64 // bytes that are published
	Files   int   // files and folders that are written or deleted
	Scratch int64 // bytes that are written
	Threads int   // of one statement of SQL
}

// task(...): what one file declares, and who collects it.

// Declaration collects what the top level of one file declares.
type Declaration struct {
	Task   *Task // nil until task(...) was called
	Loaded bool  // the file is there for load(...): task(...) is refused
}

const declarationKey = "perago.declaration"

// Attach binds d to the thread that will run the top level. It must be called
// before the thread runs.
func (d *Declaration) Attach(thread *starlark.Thread) { thread.SetLocal(declarationKey, d) }

func makeTask(c *call) (starlark.Value, error) {
	d, _ := c.thread.Local(declarationKey).(*Declaration)
	switch {
	case d == nil || d.Loaded:
		return nil, &diag.Problem{Code: "P2105", Message: "task: a file that is loaded must not declare a task",
			Hint: "move the task into a file of its own, and load what both need"}
	case d.Task != nil:
		return nil, &diag.Problem{Code: "P2104", Message: "task: the file declares a second task",
			Found: fmt.Sprintf("`%s`, declared at line %d already", diag.Shorten(d.Task.Name), d.Task.At.Line), Wanted: "one task a file"}
	}
	t := &Task{At: callerPosition(c.thread)}
	for _, read := range []func(*call, *Task) error{taskNames, taskSchemas, taskControls} {
		if err := read(c, t); err != nil {
			return nil, err
		}
	}
	d.Task = t
	return starlark.None, nil
}

func taskNames(c *call, t *Task) (err error) {
	if t.Name, err = c.text("name", ""); err != nil {
		return err
	}
	if wanted := unfitTaskName(t.Name); wanted != "" {
		return &diag.Problem{Code: "P2102", Message: "task: `name` cannot be the name of a task", Found: diag.Quote(t.Name), Wanted: wanted, Argument: "name"}
	}
	if t.Description, err = c.words("description"); err != nil {
		return err
	}
	if t.OwnerEmail, err = c.words("owner_email"); err != nil || t.OwnerEmail == "" && c.absent("owner_email") {
		return err
	}
	local, domain, _ := strings.Cut(t.OwnerEmail, "@")
	if local == "" || domain == "" || strings.Contains(domain, "@") || strings.ContainsFunc(t.OwnerEmail, unicode.IsSpace) {
		return &diag.Problem{Code: "P2103", Message: "task: `owner_email` is not an e-mail address", Found: diag.Quote(t.OwnerEmail),
			Wanted: "one @ with something on both sides, no spaces", Argument: "owner_email"}
	}
	return nil
}

// maxTaskName bounds the name of a task, in bytes.
const maxTaskName = 255

// unfitTaskName says what a name has to be that cannot be the name of a task; "" for
// one that can.
func unfitTaskName(name string) string {
	switch {
	case strings.TrimSpace(name) == "":
		return "a name"
	case strings.TrimSpace(name) != name:
		return "no space at the start or end"
	case strings.ContainsAny(name, `/\`):
		return `no / and no \`
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "no control characters"
	case len(name) > maxTaskName:
		return fmt.Sprintf("at most %d bytes", maxTaskName)
	}
	return ""
}

func taskSchemas(c *call, t *Task) (err error) {
	if t.Params, err = schemaArg(c, "params"); err != nil {
		return err
	}
	if t.Params == nil {
		if t.Params, err = schema.New(nil); err != nil {
			return err
		}
	}
	if t.Result, err = schemaArg(c, "result"); err != nil {
		return err
	}
	t.StrictParams, err = c.boolean("strict_params", false)
	return err
}

func schemaArg(c *call, name string) (*schema.Schema, error) {
	s, _, err := declaredArg[*schema.Schema](c, name)
	if p, ok := err.(*diag.Problem); ok {
		switch c.arg(name).(type) {
		case *starlark.Dict:
			p.Hint = "write schema(name = type, ...)"
		default:
			p.Hint = fmt.Sprintf("the %s are always an object: write schema(name = type, ...)", name)
			if name == "result" {
				p.Hint = "the result is always an object: write schema(name = type, ...)"
			}
		}
	}
	return s, err
}

func taskControls(c *call, t *Task) (err error) {
	spec, given, err := declaredArg[*locatedSpec](c, "workspace")
	if err != nil {
		return err
	}
	if given {
		t.Workspace, t.PreAt, t.PostAt = &spec.Spec, spec.preAt, spec.postAt
	}
	controls, given, err := declaredArg[Controls](c, "controls")
	if err != nil {
		return err
	}
	if !given {
		controls = defaultControls()
	}
	t.Controls = controls
	if controls.PublishBudget != nil && t.Workspace == nil {
		return &diag.Problem{Code: "P2123", Message: "task: a publish_budget without a workspace", Argument: "controls",
			Hint: "a task without `workspace` publishes nothing: take publish_budget away, or add workspace = workspace_spec(...)"}
	}
	resources, given, err := declaredArg[Resources](c, "resources")
	if !given {
		resources = defaultResources()
	}
	t.Resources = resources
	if err != nil {
		return err
	}
	if t.Reuse, err = c.boolean("reuse", false); t.Reuse && t.Workspace == nil {
		return &diag.Problem{Code: "P2123", Message: "task: reuse without a workspace", Argument: "reuse",
			Hint: "what an attempt made is found in its workspace: take reuse away, or add workspace = workspace_spec(...)"}
	}
	return err
}

// absent says whether an argument was left out; None is the same.
func (c *call) absent(name string) bool {
	v := c.arg(name)
	return v == nil || v == starlark.None
}

// words is a string argument that may be left out.
func (c *call) words(name string) (string, error) {
	if c.absent(name) {
		return "", nil
	}
	s, err := c.text(name, "")
	if err == nil && !utf8.ValidString(s) {
		return "", c.refuse(name, "a string that is not UTF-8", "text")
	}
	return s, err
}

// declaredArg is an argument that another declaration makes.
func declaredArg[T any](c *call, name string) (value T, given bool, err error) {
	if c.absent(name) {
		return value, false, nil
	}
	d, ok := c.arg(name).(*declared[T])
	if !ok {
		p := c.wrongType(name, c.arg(name))
		p.Hint = "write " + p.Wanted + "(...)"
		return value, false, p
	}
	return d.value, true, nil
}

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
		{Name: "reuse", Type: "bool", Default: "False", Kind: KeywordOnly, Doc: "whether an attempt takes over what an earlier one made, where the sources, the params and " +
			"all that the earlier one asked of its workspace are the same. For a task with a workspace; one that asks the time, or has a secret param, is never taken over"},
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
		{Name: "list_of", Phase: Declare, Returns: "type", call: makeElemType(schema.KindList),
			Params: elem("what each item must be: a type, or `field(type, ...)` without a default"),
			Doc:    "A JSON array of items of one type; a frozen list in the body.", Example: `list_of(field(str, min_length = 1))`},
		{Name: "map_of", Phase: Declare, Returns: "type", call: makeElemType(schema.KindMap),
			Params: elem("what each value must be: a type, or `field(type, ...)` without a default"),
			Doc:    "A JSON object with any keys and values of one type; a frozen dict in the body, its keys in the order of the input.", Example: `map_of(int)`},
		{Name: "optional", Phase: Declare, Returns: "type", call: makeElemType(schema.KindOptional),
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
		{Name: "anything", Phase: Declare, Returns: "type", call: makePlainType(schema.KindAnything),
			Doc: "Any JSON value. Objects become frozen dicts, arrays frozen lists; a number with a fraction or an exponent is a float, any other an int."},
		{Name: "datetime", Phase: Declare, Returns: "type", call: makePlainType(schema.KindDateTime),
			Doc: "A string that is a date and time of RFC 3339, with its offset: `2026-01-31T12:00:00Z`. It stays a string: `time.parse` reads it."},
		{Name: "date", Phase: Declare, Returns: "type", call: makePlainType(schema.KindDate), Doc: "A string that is a date: `2026-01-31`."},
		{Name: "uuid", Phase: Declare, Returns: "type", call: makePlainType(schema.KindUUID),
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
			{Name: "on_moved", Type: "string", Default: `"fail"`, Kind: KeywordOnly, Doc: "what a branch means that is no longer at the input commit: with `\"fail\"` the " +
				"attempt fails for good; with `\"rebase\"` it publishes all the same, on top of what the others did, where they changed nothing that it asked for or wrote. " +
				"So attempts that work on different files can share a branch"},
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
		{Name: "require_table", Phase: Declare, Returns: "guard", call: makeRequireTable, Params: []Param{pattern,
			{Name: "columns", Type: "dict", Default: "None", Kind: KeywordOnly, Doc: "columns that are there, and their types as SQL writes them: `{\"id\": \"BIGINT\"}`"},
			{Name: "min_rows", Type: "int", Default: "0", Kind: KeywordOnly, Doc: "rows of all files together"},
			{Name: "not_null", Type: "list of string", Default: "[]", Kind: KeywordOnly, Doc: "columns that have a value in every row"},
			{Name: "unique", Type: "list of string", Default: "[]", Kind: KeywordOnly, Doc: "columns whose values together come once"},
			{Name: "check", Type: "list of string", Default: "[]", Kind: KeywordOnly, Doc: "conditions in SQL that hold for every row; one that is NULL holds"},
		}, Doc: "A guard: at least one file matches, and the rows of all that match, as one table, are as it says. The format is that of the suffix, as in `sql`. " +
			"The first five rows that offend are in the log of the attempt. With `columns` alone no row of Parquet is read.",
			Example: `require_table("features/**/*.parquet", columns = {"listener": "VARCHAR"}, min_rows = 1, unique = ["listener"], check = ["plays > 0"])`},
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
			amount("threads", "1", "threads of one `sql(...)`, 64 at most; with more than one, sums of floats and the order of equal rows may differ from run to run"),
			amount("files", "1000000", "files and folders that one attempt may write, copy, make and delete; their names take at most 40 MiB of the worker whatever is said here, enough for about 150,000"),
			{Name: "output", Type: "string", Default: `"10GB"`, Kind: KeywordOnly, Doc: "bytes of all files that one attempt publishes, the copies of stored objects too; looked at before anything is sent"},
		}, Doc: "Limits of one run of the body. A body that passes one fails with an error that names it, its figure and the line; at half of one a warning is logged.",
			Example: `resources(memory = "1GiB", seconds = 600)`},
	}
}

// workspace_spec(...) and its guards.

// locatedGuard is a guard and where it was declared.
type locatedGuard struct {
	workspace.Guard
	at Position
}

// locatedSpec is a workspace_spec and where its guards were declared.
type locatedSpec struct {
	workspace.Spec
	preAt, postAt []Position
}

func makeSpec(c *call) (starlark.Value, error) {
	spec := &locatedSpec{}
	prefix, err := c.text("prefix", "/")
	if err != nil {
		return nil, err
	}
	if spec.Prefix, err = paths.CleanPrefix(prefix); err != nil {
		return nil, c.badPath("P2118", "prefix", prefix, err)
	}
	if spec.Pre, spec.preAt, err = c.guards("pre"); err != nil {
		return nil, err
	}
	if spec.Post, spec.postAt, err = c.guards("post"); err != nil {
		return nil, err
	}
	if spec.ReadOnly, err = c.boolean("read_only", false); err != nil {
		return nil, err
	}
	onMoved, err := c.choice("on_moved", []string{"fail", "rebase"})
	spec.Rebase = onMoved == "rebase"
	return &declared[*locatedSpec]{kind: "workspace_spec", value: spec}, err
}

// guards is an argument that is a list of guards.
func (c *call) guards(name string) ([]workspace.Guard, []Position, error) {
	v := c.arg(name)
	if v == nil {
		return nil, nil, nil
	}
	list, ok := v.(starlark.Indexable)
	if _, isText := v.(starlark.String); !ok || isText {
		p := c.wrongType(name, v)
		if _, one := v.(*declared[locatedGuard]); one {
			p.Hint = fmt.Sprintf("write %s = [%s]", name, v)
		}
		return nil, nil, p
	}
	var guards []workspace.Guard
	var at []Position
	for i := range list.Len() {
		g, ok := list.Index(i).(*declared[locatedGuard])
		if !ok {
			return nil, nil, &diag.Problem{Code: codeType, Message: fmt.Sprintf("workspace_spec: item %d of `%s`", i, name), Found: diag.Describe(list.Index(i)),
				Wanted: "a guard: require_file, require_dir, require_glob, require_table or forbid_glob", Argument: c.argument(name)}
		}
		guards, at = append(guards, g.value.Guard), append(at, g.value.at)
	}
	return guards, at, nil
}

// badPath complains of an argument that is a path, with the reason of the
// workspace package.
func (c *call) badPath(code diag.Code, name, got string, err error) error {
	p := &diag.Problem{Code: code, Message: fmt.Sprintf("%s: bad `%s`", c.builtin.Name, name), Found: diag.Quote(got), Argument: c.argument(name)}
	var path *paths.Error
	var pattern *glob.Error
	switch {
	case errors.As(err, &path):
		p.Message += ": it " + path.Reason
	case errors.As(err, &pattern):
		p.Message += ": it " + pattern.Reason
		if pattern.Offset > 0 {
			p.Message += fmt.Sprintf(", from character %d", utf8.RuneCountInString(got[:pattern.Offset])+1)
		}
	default:
		p.Message += ": " + err.Error()
	}
	return p
}

func (c *call) guardValue(g workspace.Guard) starlark.Value {
	return &declared[locatedGuard]{kind: "guard", value: locatedGuard{g, callerPosition(c.thread)}}
}

func makePathGuard(guard func(string) (workspace.Guard, error)) func(*call) (starlark.Value, error) {
	return func(c *call) (starlark.Value, error) {
		path, err := c.text("path", "")
		if err != nil {
			return nil, err
		}
		g, err := guard(path)
		if err != nil {
			return nil, c.badPath("P2119", "path", path, err)
		}
		return c.guardValue(g), nil
	}
}

func makeRequireGlob(c *call) (starlark.Value, error) {
	pattern, err := c.text("pattern", "")
	if err != nil {
		return nil, err
	}
	least, err := c.amount("min_count", 1, 0, maxAmount)
	if err != nil {
		return nil, err
	}
	most := workspace.Unbounded
	if !c.absent("max_count") {
		if most, err = c.amount("max_count", 0, 0, maxAmount); err != nil {
			return nil, err
		}
		if most < least {
			return nil, &diag.Problem{Code: "P2109", Message: "require_glob: `max_count` is below `min_count`",
				Found: fmt.Sprint(most), Wanted: fmt.Sprintf("at least %d", least), Argument: c.argument("max_count")}
		}
	}
	g, err := workspace.RequireGlob(pattern, least, most)
	if err != nil {
		return nil, c.badPath("P2120", "pattern", pattern, err)
	}
	return c.guardValue(g), nil
}

func makeForbidGlob(c *call) (starlark.Value, error) {
	pattern, err := c.text("pattern", "")
	if err != nil {
		return nil, err
	}
	g, err := workspace.ForbidGlob(pattern)
	if err != nil {
		return nil, c.badPath("P2120", "pattern", pattern, err)
	}
	return c.guardValue(g), nil
}

// Warnings are what `perago check` says of a declaration that is allowed and
// likely not meant. Their places are those of the calls.
func Warnings(t *Task) diag.List {
	var list diag.List
	warn := func(code diag.Code, at Position, message, found, wanted, hint string) {
		list = append(list, &diag.Diagnostic{Code: code, Severity: diag.Warning, Message: message, Found: found, Wanted: wanted, Hint: hint,
			File: at.File, Line: at.Line, Column: at.Column})
	}
	if t.OwnerEmail == "" {
		warn("P5101", t.At, "task: no owner_email", "", "", "a Conductor server may refuse a task without an owner: add owner_email = \"team@example.com\"")
	}
	timeout, retry := t.Controls.Timeout, t.Controls.Retry
	if timeout.Seconds > 0 && timeout.Seconds < timeout.ResponseSeconds {
		warn("P5103", timeout.at, "timeout: the task is over before it counts as silent", fmt.Sprintf("seconds = %d", timeout.Seconds),
			fmt.Sprintf("at least response_seconds, %d", timeout.ResponseSeconds), "raise seconds, or lower response_seconds")
	}
	if retry.MaxDelaySeconds > 0 && retry.MaxDelaySeconds < retry.DelaySeconds {
		warn("P5104", retry.at, "retry: the longest delay is below the first", fmt.Sprintf("max_delay_seconds = %d", retry.MaxDelaySeconds),
			fmt.Sprintf("at least delay_seconds, %d", retry.DelaySeconds), "raise max_delay_seconds, or lower delay_seconds")
	}
	b := t.Controls.PublishBudget
	switch {
	case b == nil:
	case t.Workspace != nil && t.Workspace.ReadOnly:
		warn("P5105", b.at, "publish_budget is ignored", "", "", "a task with read_only = True publishes nothing")
	default:
		least := b.LakeFSMergeTimeout + b.ConductorCompletionTimeout + b.WorkerShutdownGrace + b.HeartbeatInterval
		if timeout.ResponseSeconds < least {
			at := timeout.at
			if at.Line == 0 {
				at = b.at
			}
			warn("P5102", at, "timeout: a publication may outlive the lease", fmt.Sprintf("response_seconds = %d", timeout.ResponseSeconds),
				fmt.Sprintf("at least %d: merge timeout + completion timeout + shutdown grace + heartbeat interval of publish_budget", least), "raise response_seconds")
		}
	}
	return list
}

// controls(...) and its groups: the knobs of Conductor, and the budget of a
// publication.

func defaultControls() Controls {
	return Controls{Retry: Retry{Count: 3, Logic: "FIXED", DelaySeconds: 60, On: "any"}, Timeout: Timeout{Policy: "TIME_OUT_WF", ResponseSeconds: 600}}
}

// amount is an int argument within bounds. Conductor keeps 32 bits.
func (c *call) amount(name string, otherwise, least, most int) (int, error) {
	n, err := c.integer(name, otherwise)
	if err != nil {
		return 0, err
	}
	p := &diag.Problem{Code: "P2106", Message: fmt.Sprintf("%s: `%s`", c.builtin.Name, name), Found: fmt.Sprint(n), Argument: c.argument(name)}
	switch {
	case n < least:
		p.Wanted = fmt.Sprintf("at least %d", least)
	case n > most:
		p.Wanted = fmt.Sprintf("at most %d", most)
	default:
		return n, nil
	}
	return 0, p
}

const maxAmount = math.MaxInt32

// amounts reads several int arguments of 0 and more; what is left out stays.
func (c *call) amounts(to map[string]*int) error {
	for _, p := range c.builtin.Params { // in the order of the reference, so that the first complaint is always the same
		into := to[p.Name]
		if into == nil {
			continue
		}
		n, err := c.amount(p.Name, *into, 0, maxAmount)
		if err != nil {
			return err
		}
		*into = n
	}
	return nil
}

// choice is a string argument that must be one of a few words.
func (c *call) choice(name string, words []string) (string, error) {
	s, err := c.text(name, words[0])
	if err != nil || slices.Contains(words, s) {
		return s, err
	}
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = diag.Quote(w)
	}
	return "", &diag.Problem{Code: "P2107", Message: fmt.Sprintf("%s: `%s`", c.builtin.Name, name), Found: diag.Quote(s),
		Wanted: "one of " + strings.Join(list, ", "), Hint: diag.DidYouMean(s, words, diag.Quote), Argument: c.argument(name)}
}

func makeRetry(c *call) (starlark.Value, error) {
	r := defaultControls().Retry
	var err error
	if r.Count, err = c.amount("count", r.Count, 0, 10); err != nil {
		return nil, err
	}
	if r.Logic, err = c.choice("logic", []string{"FIXED", "EXPONENTIAL_BACKOFF", "LINEAR_BACKOFF"}); err != nil {
		return nil, err
	}
	if r.On, err = c.choice("on", []string{"any", "transient"}); err != nil {
		return nil, err
	}
	err = c.amounts(map[string]*int{"delay_seconds": &r.DelaySeconds, "max_delay_seconds": &r.MaxDelaySeconds, "jitter_ms": &r.JitterMS})
	r.at = callerPosition(c.thread)
	return &declared[Retry]{kind: "retry", value: r}, err
}

func makeTimeout(c *call) (starlark.Value, error) {
	t := defaultControls().Timeout
	var err error
	if t.Policy, err = c.choice("policy", []string{"TIME_OUT_WF", "RETRY", "ALERT_ONLY"}); err != nil {
		return nil, err
	}
	err = c.amounts(map[string]*int{"seconds": &t.Seconds, "response_seconds": &t.ResponseSeconds, "poll_seconds": &t.PollSeconds, "total_seconds": &t.TotalSeconds})
	t.at = callerPosition(c.thread)
	return &declared[Timeout]{kind: "timeout", value: t}, err
}

func makeLimits(c *call) (starlark.Value, error) {
	var l ExecutionLimits
	for _, g := range []struct {
		name string
		to   **int
	}{
		{"concurrent_exec_limit", &l.ConcurrentExecLimit},
		{"rate_limit_per_frequency", &l.RateLimitPerFrequency},
		{"rate_limit_frequency_in_seconds", &l.RateLimitFrequencyInSeconds},
	} {
		if c.absent(g.name) {
			continue
		}
		n, err := c.amount(g.name, 0, 0, maxAmount)
		if err != nil {
			return nil, err
		}
		*g.to = &n
	}
	if (l.RateLimitPerFrequency == nil) != (l.RateLimitFrequencyInSeconds == nil) {
		given, missing := "rate_limit_per_frequency", "rate_limit_frequency_in_seconds"
		if l.RateLimitPerFrequency == nil {
			given, missing = missing, given
		}
		return nil, &diag.Problem{Code: "P2108", Message: fmt.Sprintf("limits: `%s` without `%s`", given, missing), Wanted: "both or none", Argument: given}
	}
	return &declared[ExecutionLimits]{kind: "limits", value: l}, nil
}

func makePublishBudget(c *call) (starlark.Value, error) {
	b := &PublishBudget{at: callerPosition(c.thread)}
	for _, g := range []struct {
		name  string
		to    *int
		least int
	}{
		{"observed_merge_p99_seconds", &b.ObservedMergeP99, 0},
		{"safety_margin_seconds", &b.SafetyMargin, 0},
		{"lakefs_merge_timeout_seconds", &b.LakeFSMergeTimeout, 1},
		{"conductor_completion_timeout_seconds", &b.ConductorCompletionTimeout, 1},
		{"worker_shutdown_grace_seconds", &b.WorkerShutdownGrace, 1},
		{"heartbeat_interval_seconds", &b.HeartbeatInterval, 1},
	} {
		n, err := c.amount(g.name, 0, g.least, maxAmount)
		if err != nil {
			return nil, err
		}
		*g.to = n
	}
	if least := b.ObservedMergeP99 + b.SafetyMargin; b.LakeFSMergeTimeout < least {
		return nil, &diag.Problem{Code: "P2109", Message: "publish_budget: `lakefs_merge_timeout_seconds` leaves no time for a slow merge", Found: fmt.Sprint(b.LakeFSMergeTimeout),
			Wanted: fmt.Sprintf("at least %d: observed_merge_p99_seconds + safety_margin_seconds", least), Argument: "lakefs_merge_timeout_seconds"}
	}
	return &declared[*PublishBudget]{kind: "publish_budget", value: b}, nil
}

func makeControls(c *call) (starlark.Value, error) {
	all := defaultControls()
	retry, given, err := declaredArg[Retry](c, "retry")
	if err != nil {
		return nil, err
	}
	if given {
		all.Retry = retry
	}
	timeout, given, err := declaredArg[Timeout](c, "timeout")
	if err != nil {
		return nil, err
	}
	if given {
		all.Timeout = timeout
	}
	if all.Limits, _, err = declaredArg[ExecutionLimits](c, "limits"); err != nil {
		return nil, err
	}
	if all.PublishBudget, _, err = declaredArg[*PublishBudget](c, "publish_budget"); err != nil {
		return nil, err
	}
	return &declared[Controls]{kind: "controls", value: all}, nil
}

// maxThreads is how many threads a statement of SQL may have.
const maxThreads = 64

func defaultResources() Resources {
	return Resources{Memory: 512 << 20, Files: 1_000_000, Scratch: 10 << 30, Output: 10 << 30, Threads: 1}
}

func makeResources(c *call) (starlark.Value, error) {
	r := defaultResources()
	var err error
	if r.Memory, err = c.size("memory", r.Memory); err != nil {
		return nil, err
	}
	if r.Output, err = c.size("output", r.Output); err != nil {
		return nil, err
	}
	if r.Scratch, err = c.size("scratch", r.Scratch); err != nil {
		return nil, err
	}
	if r.Files, err = c.amount("files", r.Files, 1, maxAmount); err != nil {
		return nil, err
	}
	if r.Seconds, err = c.amount("seconds", 0, 0, maxAmount); err != nil {
		return nil, err
	}
	if r.Threads, err = c.amount("threads", r.Threads, 1, maxThreads); err != nil {
		return nil, err
	}
	steps, err := c.amount("steps", 0, 0, math.MaxInt)
	r.Steps = uint64(steps)
	return &declared[Resources]{kind: "resources", value: r}, err
}

// size is a parameter that is a size in bytes.
func (c *call) size(name string, otherwise int64) (int64, error) {
	given := c.arg(name)
	if given == nil {
		return otherwise, nil
	}
	text, err := c.text(name, "")
	if err != nil {
		p := c.wrongType(name, given)
		p.Hint = `write a size with its unit, such as "512MiB"`
		return 0, p
	}
	n, err := parseSize(text)
	if err != nil {
		return 0, &diag.Problem{Code: "P2121", Message: "resources: `" + name + "` is not a size", Found: diag.Quote(text), Wanted: err.Error(), Argument: c.argument(name)}
	}
	return n, nil
}

// parseSize reads a size in bytes: a number and a unit, "512MiB", "1.5 GB". KiB,
// MiB, GiB, TiB and KB, MB, GB, TB mean the same, powers of 1024; without a unit
// it is bytes. The error says what is wanted.
func parseSize(s string) (int64, error) {
	s = strings.TrimSpace(s)
	number := s[:len(s)-len(strings.TrimLeft(s, "0123456789."))]
	n, err := strconv.ParseFloat(number, 64)
	unit := unitSize(strings.TrimSpace(s[len(number):]))
	if err != nil || unit == 0 {
		return 0, errors.New(`a number and KB, MB or GB, such as "512MB"`)
	}
	if n *= unit; n >= 1<<60 {
		return 0, errors.New("less than a million TB")
	}
	return int64(n), nil
}

// unitSize is how many bytes a unit stands for, 0 when there is no such unit.
func unitSize(unit string) float64 {
	switch strings.ToUpper(unit) {
	case "", "B":
		return 1
	case "KB", "KIB":
		return 1 << 10
	case "MB", "MIB":
		return 1 << 20
	case "GB", "GIB":
		return 1 << 30
	case "TB", "TIB":
		return 1 << 40
	}
	return 0
}

// schema(...), field(...) and the types of fields: the calls that declare what the
// package schema describes.

// maxFieldName bounds the name of a field, in bytes.
const maxFieldName = 255

func makeSchema(c *call) (starlark.Value, error) {
	var fields []*schema.Field
	for _, kw := range c.kwrest {
		name := string(kw[0].(starlark.String))
		if name == "" || len(name) > maxFieldName || !utf8.ValidString(name) {
			return nil, &diag.Problem{Code: "P2117", Message: "schema: a field cannot have this name", Found: diag.Quote(name),
				Wanted: fmt.Sprintf("1 to %d bytes of text", maxFieldName), Argument: name}
		}
		f, hint := fieldOf(kw[1])
		if f == nil {
			return nil, &diag.Problem{Code: "P2110", Message: fmt.Sprintf("schema: field `%s` is not a type", diag.Escape(diag.Shorten(name))),
				Found: diag.Describe(kw[1]), Wanted: typeWords, Hint: hint, Argument: name}
		}
		named := *f
		named.Name = name
		fields = append(fields, &named)
	}
	s, err := schema.New(fields)
	if p := (*diag.Problem)(nil); errors.As(err, &p) {
		return nil, p
	}
	return &declared[*schema.Schema]{kind: "schema", value: s}, nil
}
func makeField(c *call) (starlark.Value, error) {
	if _, nested := c.arg("type").(*declared[*schema.Field]); nested {
		return nil, &diag.Problem{Code: "P2110", Message: "field: `type` is itself a field(...)", Argument: c.argument("type"),
			Hint: "write all of it in one field(type, ...)"}
	}
	base, err := c.typeArg("type", c.arg("type"), c.argument("type"))
	if err != nil {
		return nil, err
	}
	f := &schema.Field{Type: base.Type}
	if f.Description, err = c.words("description"); err != nil {
		return nil, err
	}
	if f.Secret, err = c.boolean("secret", false); err != nil {
		return nil, err
	}
	if err := c.narrow(f); err != nil {
		return nil, err
	}
	if err := c.examples(f); err != nil {
		return nil, err
	}
	if err := c.defaultOf(f); err != nil {
		return nil, err
	}
	return &declared[*schema.Field]{kind: "field", value: f}, nil
}

// narrow puts the constraints of the call on a field; on an optional one, on
// what is inside it.
func (c *call) narrow(f *schema.Field) error {
	if f.Type.Kind != schema.KindOptional {
		return c.constraints(f)
	}
	inner := *f.Type.Elem
	if err := c.narrow(&inner); err != nil {
		return err
	}
	narrowed := *f.Type
	narrowed.Elem = &inner
	f.Type = &narrowed
	return nil
}

// constraints reads the arguments that narrow a type, and refuses those that do
// not fit it or leave no value at all.
func (c *call) constraints(f *schema.Field) error {
	k := &f.Constraints
	for _, n := range []struct {
		name  string
		value *json.Number
	}{{"ge", &k.GE}, {"gt", &k.GT}, {"le", &k.LE}, {"lt", &k.LT}, {"multiple_of", &k.MultipleOf}} {
		if err := c.bound(f, n.name, n.value); err != nil {
			return err
		}
	}
	for _, n := range []struct {
		name  string
		value **int
	}{{"min_length", &k.MinLength}, {"max_length", &k.MaxLength}, {"min_items", &k.MinItems}, {"max_items", &k.MaxItems}} {
		if err := c.count(f, n.name, n.value); err != nil {
			return err
		}
	}
	var err error
	if k.UniqueItems, err = c.boolean("unique_items", k.UniqueItems); err != nil {
		return err
	}
	if k.UniqueItems {
		if err := c.fits(f, "unique_items"); err != nil {
			return err
		}
	}
	if err := c.pattern(f); err != nil {
		return err
	}
	if low, high, found := k.Contradiction(); found {
		return &diag.Problem{Code: "P2109", Message: fmt.Sprintf("field: `%s` and `%s` leave no value", low.Name, high.Name),
			Found:  fmt.Sprintf("%s = %s and %s = %s", low.Name, low.Value, high.Name, high.Value),
			Wanted: fmt.Sprintf("%s below %s", low.Name, high.Name), Argument: low.Name}
	}
	return nil
}

// fits refuses a constraint that has no meaning for the type. An optional type takes
// the constraints of the type inside it.
func (c *call) fits(f *schema.Field, name string) error {
	kind := f.Type.Kind
	var want string
	switch name {
	case "ge", "gt", "le", "lt", "multiple_of":
		if kind == schema.KindInt || kind == schema.KindFloat {
			return nil
		}
		want = "int or float"
	case "min_length", "max_length", "pattern":
		if kind == schema.KindString {
			return nil
		}
		want = "str"
	default:
		if kind == schema.KindList {
			return nil
		}
		want = "list or list_of(T)"
	}
	p := &diag.Problem{Code: "P2111", Message: fmt.Sprintf("field: `%s` does not fit the type", name),
		Found: diag.Shorten(f.Type.String()), Wanted: want, Argument: name}
	switch {
	case kind == schema.KindUnion:
		p.Hint = fmt.Sprintf("put it on the member it is for: union(field(%s, %s = ...), ...)", want, name)
	case kind == schema.KindList && want == "str":
		p.Hint = fmt.Sprintf("write %s for the number of items, or list_of(field(str, %s = ...)) for each item",
			strings.Replace(name, "length", "items", 1), name)
		if name == "pattern" {
			p.Hint = "write list_of(field(str, pattern = ...)) for a pattern of each item"
		}
	case kind == schema.KindString && (name == "min_items" || name == "max_items"):
		p.Hint = "write " + strings.Replace(name, "items", "length", 1) + " for the number of characters"
	}
	return p
}

func (c *call) bound(f *schema.Field, name string, to *json.Number) error {
	if c.absent(name) {
		return nil
	}
	switch n := c.arg(name).(type) {
	case starlark.Int:
		*to = json.Number(n.String())
	case starlark.Float:
		if math.IsInf(float64(n), 0) || math.IsNaN(float64(n)) {
			return &diag.Problem{Code: "P2106", Message: fmt.Sprintf("field: `%s`", name), Found: n.String(), Wanted: "a finite number", Argument: name}
		}
		*to = json.Number(jsontext.AppendFloat(nil, float64(n)))
	default:
		return c.wrongType(name, n)
	}
	if x, _ := starlark.AsFloat(c.arg(name)); name == "multiple_of" && x <= 0 {
		return &diag.Problem{Code: "P2106", Message: "field: `multiple_of`", Found: string(*to), Wanted: "more than 0", Argument: name}
	}
	return c.fits(f, name)
}

func (c *call) count(f *schema.Field, name string, to **int) error {
	if c.absent(name) {
		return nil
	}
	n, err := c.integer(name, 0)
	if err != nil {
		return err
	}
	if n < 0 {
		return &diag.Problem{Code: "P2106", Message: fmt.Sprintf("field: `%s`", name), Found: fmt.Sprint(n), Wanted: "at least 0", Argument: name}
	}
	*to = &n
	return c.fits(f, name)
}

func (c *call) pattern(f *schema.Field) error {
	if c.absent("pattern") {
		return nil
	}
	text, err := c.text("pattern", "")
	if err != nil {
		return err
	}
	if err := c.fits(f, "pattern"); err != nil {
		return err
	}
	f.Constraints.Pattern, err = regexp.Compile(text)
	if err == nil {
		return nil
	}
	p := &diag.Problem{Code: "P2112", Message: "field: `pattern` is not a regular expression", Found: diag.Shorten(starlark.String(text).String()), Argument: "pattern"}
	if bad, ok := err.(*syntax.Error); ok {
		p.Wanted = fmt.Sprintf("a pattern without %s: %s", diag.Shorten(starlark.String(bad.Expr).String()), bad.Code)
		if bad.Code == syntax.ErrInvalidPerlOp {
			p.Hint = "look-around and back-references are not supported: matching takes linear time, whatever the text"
		}
	}
	return p
}

func (c *call) examples(f *schema.Field) error {
	if c.absent("examples") {
		return nil
	}
	v := c.arg("examples")
	list, ok := v.(starlark.Sequence)
	if _, isList := v.(starlark.Indexable); !ok || !isList {
		return c.wrongType("examples", v)
	}
	iter := list.Iterate()
	defer iter.Done()
	var x starlark.Value
	for iter.Next(&x) {
		raw, err := schema.EncodeDeclared(x)
		if err != nil {
			return &diag.Problem{Code: "P2114", Message: fmt.Sprintf("field: example %d is not JSON: %v", len(f.Examples)+1, err), Argument: "examples"}
		}
		f.Examples = append(f.Examples, raw)
	}
	return nil
}

// defaultOf reads the default, and refuses one that the field itself would refuse.
func (c *call) defaultOf(f *schema.Field) error {
	given := c.arg("default")
	if given == nil {
		return nil
	}
	raw, err := schema.EncodeDeclared(given)
	if err != nil {
		return &diag.Problem{Code: "P2114", Message: "field: `default` is not JSON: " + err.Error(), Argument: "default"}
	}
	problems := f.SetDefault(raw)
	if problems == nil {
		return nil
	}
	first := problems[0]
	p := &diag.Problem{Code: "P2113", Message: "field: the default would be refused", Found: first.Found, Wanted: first.Wanted, Hint: first.Hint, Argument: "default"}
	if at := strings.TrimPrefix(first.Message, "/default"); at != "" {
		p.Message += " at " + at
	}
	if string(raw) == "null" {
		p.Hint = fmt.Sprintf("write field(optional(%s), default = None)", diag.Shorten(f.Type.String()))
	}
	return p
}
func makeElemType(kind schema.Kind) func(*call) (starlark.Value, error) {
	return func(c *call) (starlark.Value, error) {
		elem, err := c.typeArg("type", c.arg("type"), c.argument("type"))
		if err != nil {
			return nil, err
		}
		t, err := schema.NewType(schema.Type{Kind: kind, Elem: elem})
		if err != nil {
			return nil, err
		}
		return typeValue(t), nil
	}
}

func makePlainType(kind schema.Kind) func(*call) (starlark.Value, error) {
	return func(*call) (starlark.Value, error) {
		t, err := schema.NewType(schema.Type{Kind: kind})
		return typeValue(t), err
	}
}

func makeUnion(c *call) (starlark.Value, error) {
	if len(c.rest) < 2 {
		return nil, &diag.Problem{Code: "P2115", Message: "union: too few types", Found: fmt.Sprint(len(c.rest)), Wanted: "at least 2",
			Hint: "write optional(T) for a value that may be null"}
	}
	t := schema.Type{Kind: schema.KindUnion}
	for i, v := range c.rest {
		member, err := c.typeArg("types", v, fmt.Sprint(i))
		if err != nil {
			return nil, err
		}
		t.AnyOf = append(t.AnyOf, member)
	}
	made, err := schema.NewType(t)
	if err != nil {
		return nil, err
	}
	return typeValue(made), nil
}

func makeOneOf(c *call) (starlark.Value, error) {
	if len(c.rest) == 0 {
		return nil, &diag.Problem{Code: "P2115", Message: "one_of: no values", Wanted: "at least one string, int or bool"}
	}
	t := schema.Type{Kind: schema.KindEnum}
	seen := make(map[any]bool, len(c.rest))
	for i, v := range c.rest {
		value, ok := enumValue(v)
		p := &diag.Problem{Code: "P2115", Found: diag.Describe(v), Argument: fmt.Sprint(i)}
		if !ok {
			p.Message, p.Wanted = fmt.Sprintf("one_of: value %d", i+1), "a string, an int or a bool"
			switch v.(type) {
			case *starlark.List, starlark.Tuple:
				p.Hint = "write the values as arguments: one_of(\"a\", \"b\"), or one_of(*values)"
			case starlark.NoneType:
				p.Hint = "write optional(one_of(...)) for a value that may be null"
			}
			return nil, p
		}
		if seen[value] {
			p.Message, p.Wanted = "one_of: the same value twice", "each value once"
			return nil, p
		}
		seen[value] = true
		t.Enum = append(t.Enum, value)
	}
	made, err := schema.NewType(t)
	if err != nil {
		return nil, err
	}
	return typeValue(made), nil
}

func enumValue(v starlark.Value) (value any, ok bool) {
	switch v := v.(type) {
	case starlark.String:
		return string(v), true
	case starlark.Bool:
		return bool(v), true
	case starlark.Int:
		return json.Number(v.String()), true
	}
	return nil, false
}

// declared is a value that a declaration makes and another one takes: a type, a
// field, a guard, controls. Scripts can pass it on and print it, nothing else.
type declared[T any] struct {
	kind  string // "field"
	value T
}

// String is the value as it would be written, as far as it can tell.
func (d *declared[T]) String() string {
	if s, ok := any(d.value).(fmt.Stringer); ok {
		return s.String()
	}
	return d.kind + "(...)"
}

func (d *declared[T]) Type() string          { return d.kind }
func (d *declared[T]) Freeze()               {}
func (d *declared[T]) Truth() starlark.Bool  { return true }
func (d *declared[T]) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: %s", d.kind) }

func typeValue(t *schema.Type) *declared[*schema.Type] {
	return &declared[*schema.Type]{kind: "type", value: t}
}

// fieldOf is what a value means where a type is wanted. The functions str, int,
// float, bool, dict and list are known by their names: some of them are the
// interpreter's, some ours. A nil Field comes with a hint.
func fieldOf(v starlark.Value) (f *schema.Field, hint string) {
	switch v := v.(type) {
	case *declared[*schema.Field]:
		return v.value, ""
	case *declared[*schema.Type]:
		return &schema.Field{Type: v.value}, ""
	case *declared[*schema.Schema]:
		return &schema.Field{Type: v.value.Type()}, ""
	case *starlark.Builtin:
		if v.Receiver() != nil {
			break
		}
		switch kind := schema.Kind(v.Name()); kind {
		case schema.KindString, schema.KindInt, schema.KindFloat, schema.KindBool, schema.KindMap, schema.KindList:
			return &schema.Field{Type: schema.Plain(kind)}, ""
		}
		return nil, hintForFunction(v.Name())
	case *starlark.List:
		return nil, "write list_of(T) for a list of T"
	case *starlark.Dict:
		return nil, "write map_of(T) for any keys with values of T, or schema(...) for named fields"
	case starlark.NoneType:
		return nil, "write optional(T) for a value that may be null"
	case starlark.String:
		switch schema.Kind(v) {
		case schema.KindString, schema.KindInt, schema.KindFloat, schema.KindBool, schema.KindMap, schema.KindList:
			return nil, fmt.Sprintf("write %s without quotes", string(v))
		}
		return nil, fmt.Sprintf("write one_of(%s) for a fixed value, or field(str, default = %[1]s) for a default", diag.Shorten(v.String()))
	case starlark.Bool, starlark.Int:
		return nil, fmt.Sprintf("write one_of(%s) for a fixed value, or field(%s, default = %[1]s) for a default", v, v.Type())
	case starlark.Float:
		return nil, fmt.Sprintf("write field(float, default = %s) for a default", v)
	}
	return nil, ""
}

func hintForFunction(name string) string {
	switch name {
	case "any":
		return "write anything() for any value"
	case "tuple", "set":
		return "JSON has lists only: write list_of(T)"
	case "bytes":
		return "JSON has no bytes: write str, with base64 in it"
	case "type":
		return "write the type itself, such as str"
	case "anything", "datetime", "date", "uuid":
		return fmt.Sprintf("write %s()", name)
	case "list_of", "map_of", "optional":
		return fmt.Sprintf("write %s(T), such as %s(str)", name, name)
	case "one_of":
		return `write one_of("a", "b")`
	case "union":
		return "write union(A, B), such as union(int, str)"
	case "schema":
		return "write schema(name = type, ...)"
	case "field":
		return "write field(type, ...)"
	}
	return ""
}

const typeWords = "a type: str, int, float, bool, dict, list, list_of(T), map_of(T), one_of(...), optional(T), union(...), anything(), schema(...), datetime(), date(), uuid() or field(type, ...)"

// typeArg is an argument that is a type, or a field(...) without a default.
func (c *call) typeArg(name string, v starlark.Value, place string) (*schema.Field, error) {
	f, hint := fieldOf(v)
	if f == nil {
		return nil, &diag.Problem{Code: "P2110", Message: fmt.Sprintf("%s: `%s` is not a type", c.builtin.Name, name),
			Found: diag.Describe(v), Wanted: typeWords, Hint: hint, Argument: place}
	}
	if f.Default != nil {
		return nil, &diag.Problem{Code: "P2122", Message: fmt.Sprintf("%s: a default has no meaning here", c.builtin.Name),
			Hint: "only a field of schema(...) can be left out; take `default` away", Argument: place}
	}
	return f, nil
}

func makeRequireTable(c *call) (starlark.Value, error) {
	pattern, err := c.text("pattern", "")
	if err != nil {
		return nil, err
	}
	var rule workspace.TableRule
	columns, err := c.columnTypes("columns")
	if err != nil {
		return nil, err
	}
	for _, column := range columns {
		rule.Columns = append(rule.Columns, workspace.TableColumn{Name: column.Name, Type: column.Type})
	}
	least, err := c.amount("min_rows", 0, 0, maxAmount)
	if err != nil {
		return nil, err
	}
	rule.MinRows = int64(least)
	for name, to := range map[string]*[]string{"not_null": &rule.NotNull, "unique": &rule.Unique, "check": &rule.Check} {
		if *to, err = c.textList(name); err != nil {
			return nil, err
		}
	}
	g, err := workspace.RequireTable(pattern, rule)
	if err != nil {
		return nil, c.badPath("P2120", "pattern", pattern, err)
	}
	return c.guardValue(g), nil
}

// textList is a list of strings, 100 at most.
func (c *call) textList(name string) ([]string, error) {
	if c.absent(name) {
		return nil, nil
	}
	it, err := c.iterable(name)
	if err != nil {
		return nil, err
	}
	var out []string
	err = c.each(it, func(x starlark.Value) error {
		s, ok := x.(starlark.String)
		if !ok || s == "" || len(out) == 100 {
			return c.refuse(name, diag.Describe(x)+" in it", "strings, 100 at most")
		}
		out = append(out, string(s))
		return nil
	})
	return out, err
}

// condition is one thing that a guard asks of every row.
type condition struct {
	offends string // SQL: the row does not hold to it
	what    string // "b is NULL"
	wanted  string
	window  bool // it looks at other rows too
}

// sqlIdent writes a name as SQL.
func sqlIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// conditions are those of a rule, unique last.
func conditions(rule *workspace.TableRule) []condition {
	var out []condition
	for _, column := range rule.NotNull {
		out = append(out, condition{offends: sqlIdent(column) + " IS NULL", what: column + " is NULL", wanted: "no NULL in " + column})
	}
	for _, check := range rule.Check {
		out = append(out, condition{offends: "NOT (" + check + "\n)", what: "`" + check + "` does not hold", wanted: "`" + check + "`"})
	}
	if len(rule.Unique) > 0 {
		columns := make([]string, len(rule.Unique))
		for i, column := range rule.Unique {
			columns[i] = sqlIdent(column)
		}
		names := strings.Join(rule.Unique, ", ")
		out = append(out, condition{offends: "count(*) OVER (PARTITION BY " + strings.Join(columns, ", ") + ") > 1",
			what: names + " comes more than once", wanted: names + " once each", window: true})
	}
	return out
}

// CheckTableGuard holds the files of a require_table guard against its rule, when at
// least one matches. found is "" when it holds; else up to five rows that offend
// are logged. What is wrong with a file, or with the guard's own SQL, is found as
// well; an error is of the surroundings.
func CheckTableGuard(run *Run, g workspace.Guard, at Position) (found, wanted string, err error) {
	thread := new(starlark.Thread)
	run.Attach(thread)
	row := &Builtin{Name: "require_table"}
	c := &call{thread: thread, builtin: row, run: run}
	if run.Tables == nil {
		return "", "", noTables(c)
	}
	names, err := run.Files.Glob(run.Context, "", g.Pattern)
	if err != nil {
		return "", "", err
	}
	files := make([]path, len(names))
	for i, name := range names {
		files[i] = path(name)
	}
	source, p := c.fileSource("files", files, "")
	if p != nil {
		return p.Error(), "", nil
	}
	if found, wanted, err = c.checkTable(source, g.Table, at); err != nil {
		var of *diag.Problem
		if errors.As(err, &of) && slices.Contains([]diag.Code{codeQuery, codeNames, codeTableData}, of.Code) {
			return strings.TrimPrefix(of.Error(), "sql: "), wanted, nil
		}
	}
	return found, wanted, err
}

// over is a relation over the files of a guard.
func (c *call) over(source *tableSource, query string) *call {
	r := &relation{call: c, query: query, tables: []namedTable{{"files", source}}}
	return &call{thread: c.thread, builtin: c.builtin, run: c.run, recv: r}
}

func (c *call) checkTable(source *tableSource, rule *workspace.TableRule, at Position) (found, wanted string, err error) {
	if len(rule.Columns) > 0 {
		got, err := relationColumns(c.over(source, "FROM files"))
		if err != nil {
			return "", "", err
		}
		if found, wanted = columnsDiffer(got.(*starlark.List), rule.Columns); found != "" {
			return found, wanted, nil
		}
	}
	all := conditions(rule)
	if len(all) == 0 && rule.MinRows == 0 {
		return "", "", nil
	}
	items := []string{"count(*) AS c"}
	marks := make([]string, len(all))
	for i, one := range all {
		items = append(items, fmt.Sprintf("count(*) FILTER (c%d) AS c%d", i, i))
		marks[i] = fmt.Sprintf("%s AS c%d", one.offends, i)
	}
	inner := "FROM files"
	if len(marks) > 0 {
		inner = "SELECT " + strings.Join(marks, ", ") + " FROM files"
	}
	counts, err := c.over(source, "SELECT "+strings.Join(items, ", ")+" FROM ("+inner+")").onlyRow()
	if err != nil {
		return "", "", err
	}
	count := func(name string) int64 {
		v, _, _ := counts.Get(starlark.String(name))
		n, _ := v.(starlark.Int)
		out, _ := n.Int64()
		return out
	}
	if n := count("c"); n < rule.MinRows {
		return diag.Plural(int(n), "row"), fmt.Sprintf("at least %d", rule.MinRows), nil
	}
	for i, one := range all {
		n := count(fmt.Sprintf("c%d", i))
		if n == 0 {
			continue
		}
		if err := c.logOffenders(source, one, at); err != nil {
			return "", "", err
		}
		return fmt.Sprintf("%s where %s", diag.Plural(int(n), "row"), diag.Shorten(one.what)), diag.Shorten(one.wanted), nil
	}
	return "", "", nil
}

// logOffenders logs the first rows that do not hold to a condition.
func (c *call) logOffenders(source *tableSource, one condition, at Position) error {
	clause := "WHERE "
	if one.window {
		clause = "QUALIFY "
	}
	const most = 5
	logged := 0
	_, err := c.over(source, fmt.Sprintf("FROM files %s%s LIMIT %d", clause, one.offends, most)).eachRow(func(row *starlark.Dict) (bool, error) {
		c.run.Log(Record{Level: slog.LevelWarn, Message: "a row that the guard does not allow", At: at, Fields: []slog.Attr{slog.String("row", brief(row, 1000))}})
		logged++
		return logged < most, nil // whatever the engine says
	})
	return err
}

// columnsDiffer says what is wrong with the columns of a table, "" when nothing is.
func columnsDiffer(got *starlark.List, wanted []workspace.TableColumn) (found, want string) {
	types := make(map[string]string)
	var names []string
	for i := range got.Len() {
		s := got.Index(i).(*structure)
		name, _ := starlark.AsString(s.field("name"))
		types[name], _ = starlark.AsString(s.field("type"))
		names = append(names, name)
	}
	for _, column := range wanted {
		t, there := types[column.Name]
		want := "a column " + column.Name + " " + column.Type
		if !there {
			return "no column " + column.Name + ", but " + diag.Shorten(strings.Join(names, ", ")), want
		}
		if !strings.EqualFold(t, column.Type) {
			return column.Name + " " + t, want
		}
	}
	return "", ""
}
